"""What a network becomes does not depend on which others are trained beside it."""

import csv
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import NO_FIGURES, Command, fit
from lightning.pytorch import Callback, LightningModule, Trainer
from oracle import X, Y, train_sheet

from xornet.module import XORModule
from xornet.network import Ensemble

MOMENTUM = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
ADAM = partial(torch.optim.Adam, lr=0.01)
FAST = partial(torch.optim.SGD, lr=2.0)
EPOCHS = 450  # about as many as half of the networks need at that rate
DOUBLE = {"precision": "64-true"}


def assert_networks_equal(ours: XORModule, i: list[int], theirs: XORModule, j: list[int], atol: float) -> None:
    for mine, other in zip(ours.ensemble.weights, theirs.ensemble.weights, strict=True):
        torch.testing.assert_close(mine[..., i], other[..., j], rtol=0, atol=atol)
    assert torch.equal(ours.history.solved_epoch[i], theirs.history.solved_epoch[j])


@pytest.mark.usefixtures("compiler")
@pytest.mark.further
def test_in_single_precision_each_network_solves_when_the_sheets_own_loop_does(tmp_path: Path) -> None:
    networks = 12
    _, module = fit(tmp_path, EPOCHS, optimizer=FAST, networks=networks, seed=30, compile=True)
    solved = []
    for i in range(networks):
        _, losses, predictions = train_sheet(EPOCHS + 1, seed=30 + i, lr=2.0)
        if i < module.history.curve["singles"].shape[1]:
            early = module.history.curve["singles"][:100, i]
            torch.testing.assert_close(early, torch.tensor(losses[:100]).double(), rtol=0, atol=1e-6)
        correct = ((predictions - Y).abs() < 0.5).flatten(1).all(1)
        solved.append(bool(correct[-1]))
        ours = int(module.history.solved_epoch[i])
        assert (ours >= 0) == solved[-1]
        if solved[-1]:
            assert ours == pytest.approx(int(correct.int().argmax()), rel=0.01, abs=1)
    assert 0 < sum(solved) < networks  # a mixed population, or this test would show little


@pytest.mark.parametrize("optimizer", [MOMENTUM, ADAM])
@pytest.mark.parametrize("model", [{"hidden": [3, 3]}, {"activation": "tanh", "init": 0.5}, {"bits": 3}])
def test_each_network_of_an_ensemble_follows_its_single_run(
    tmp_path: Path, model: dict[str, Any], optimizer: "partial[Any]"
) -> None:
    _, together = fit(tmp_path, 300, optimizer=optimizer, networks=4, seed=20, trainer=DOUBLE, **model)
    for i in range(4):
        _, alone = fit(tmp_path, 300, optimizer=optimizer, seed=20 + i, trainer=DOUBLE, **model)
        assert_networks_equal(together, [i], alone, [0], atol=1e-10)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("compiles", [False, True])
@pytest.mark.further
def test_adding_and_removing_networks_changes_no_other(tmp_path: Path, compiles: bool) -> None:
    def run(seed: int, networks: int) -> XORModule:
        return fit(tmp_path, 600, optimizer=FAST, networks=networks, seed=seed, trainer=DOUBLE, compile=compiles)[1]

    some, more = run(42, 5), run(40, 20)
    assert_networks_equal(some, list(range(5)), more, list(range(2, 7)), atol=1e-10)


def test_permuting_networks_permutes_what_they_become(tmp_path: Path) -> None:
    order = [3, 0, 4, 2, 1]

    class Permute(Callback):
        def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            for parameter in pl_module.parameters():
                parameter.data = parameter.data[..., order].clone()

    def run(*callbacks: Callback) -> XORModule:
        return fit(tmp_path, 600, list(callbacks), optimizer=FAST, networks=5, seed=42, trainer=DOUBLE)[1]

    assert_networks_equal(run(Permute()), list(range(5)), run(), order, atol=1e-10)


def test_one_diverged_network_does_not_disturb_the_others(tmp_path: Path) -> None:
    class Break(Callback):
        every_n_epochs = 10

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            assert isinstance(pl_module, XORModule)
            pl_module.ensemble.weights[0].data[..., 1] = torch.nan

    _, module = fit(tmp_path, 50, [Break()], networks=3)
    _, straight = fit(tmp_path, 50, networks=3)
    assert_networks_equal(module, [0, 2], straight, [0, 2], atol=0)


@pytest.mark.further
def test_the_quantities_of_one_network_are_those_of_the_plain_loop(command: Command) -> None:
    run = command("trainer.max_epochs=1500", "optimizer.lr=2.0", "seed=33")
    sheet, losses, _ = train_sheet(1500, seed=33, lr=2.0)
    predictions = sheet(X)
    assert run.metrics["predictions"] == pytest.approx(predictions.flatten().tolist(), abs=1e-3)
    assert run.metrics["loss"] == pytest.approx((predictions - Y).square().mean().item(), abs=1e-4)
    assert run.metrics["solved"] is bool(((predictions - Y).abs() < 0.5).all())
    assert run.metrics["accuracy"] == ((predictions - Y).abs() < 0.5).double().mean().item()
    assert f"Epoch 1000, Loss: {losses[1000]:.4f}" in run.out
    assert set(run.metrics) == {
        *("epochs", "loss", "accuracy", "solved", "solved_epoch", "predictions"),
        *("seed", "networks", "seconds", "compile_seconds"),
    }


KNOBS = {  # each for about as many epochs as half of its networks need
    "momentum": ["optimizer.lr=1.0", "optimizer.momentum=0.9", "trainer.max_epochs=130"],
    "adam": ["optimizer=adam", "optimizer.lr=0.05", "trainer.max_epochs=100"],
    "hidden": ["optimizer.lr=2.0", "model.hidden=[3,2]", "trainer.max_epochs=1000"],
    "activation": ["optimizer.lr=0.5", "model.activation=tanh", "trainer.max_epochs=200"],
    "init": ["optimizer.lr=5.0", "model.init=2.0", "trainer.max_epochs=50"],
    "tolerance": ["optimizer.lr=5.0", "model.tolerance=0.1", "trainer.max_epochs=300"],
    "precision": ["optimizer.lr=2.0", "trainer.precision=64-true", "trainer.max_epochs=450"],
    "bits": ["optimizer.lr=1.0", "optimizer.momentum=0.9", "data.bits=3", "model.hidden=[6]", "trainer.max_epochs=350"],
}


@pytest.mark.parametrize(
    "knob", [knob if knob in ("adam", "bits") else pytest.param(knob, marks=pytest.mark.further) for knob in KNOBS]
)
def test_every_knob_does_in_an_ensemble_what_it_does_alone(command: Command, knob: str) -> None:
    overrides = [*KNOBS[knob], "callbacks.animation=null", "callbacks.loss_curve=null"]
    rows = networks(command("networks=20", "seed=100", *overrides).folder)
    assert {row["solved"] for row in rows} == {"True", "False"}  # the knob is tried where it matters
    solved = next(row for row in rows if row["solved"] == "True")
    alone = command(f"seed={solved['seed']}", *overrides).metrics
    assert alone["solved"] is True
    assert int(solved["solved_epoch"]) == pytest.approx(alone["solved_epoch"], rel=0.01, abs=1)
    assert float(solved["loss"]) == pytest.approx(alone["loss"], rel=0.02)
    predictions = [float(value) for name, value in solved.items() if name.startswith("prediction_")]
    assert predictions == pytest.approx(alone["predictions"], abs=5e-3)


def networks(folder: Path) -> list[dict[str, str]]:
    with (folder / "networks.csv").open() as file:
        return list(csv.DictReader(file))


def test_a_population_stops_early_once_enough_of_it_has_solved(command: Command) -> None:
    stop = "callbacks.early_stopping."
    how = [
        "callbacks=early_stopping",
        f"{stop}monitor=train/solved",
        f"{stop}mode=max",
        f"{stop}stopping_threshold=0.5",
    ]
    run = command("networks=50", "optimizer.lr=2.0", *how, *NO_FIGURES)
    assert run.metrics["epochs"] < 2000
    assert run.metrics["epochs"] % 100 == 0
    assert 0.5 <= run.metrics["solved"] < 0.9


def test_metrics_json_is_what_networks_csv_says(command: Command) -> None:
    run = command("networks=60", "optimizer.lr=2.0", "trainer.max_epochs=500", "seed=7", *NO_FIGURES)
    rows = networks(run.folder)
    losses = [float(row["loss"]) for row in rows]
    solved = [row["solved"] == "True" for row in rows]
    epochs = [int(row["solved_epoch"]) for row in rows if row["solved_epoch"]]
    predictions = np.array([[float(row[f"prediction_{p}"]) for p in ("00", "01", "10", "11")] for row in rows])
    errors = predictions - [0, 1, 1, 0]
    np.testing.assert_allclose(losses, (errors**2).mean(1), rtol=1e-5)
    assert solved == (np.abs(errors) < 0.5).all(1).tolist()
    assert 0 < sum(solved) < 60
    expected: dict[str, Any] = {
        "loss": np.median(losses),
        "loss_quantiles": np.quantile(losses, [0.1, 0.9]),
        "accuracy": (np.abs(errors) < 0.5).mean(),
        "solved": np.mean(solved),
        "solved_epoch": np.median(epochs),
        "solved_epoch_quartiles": np.quantile(epochs, [0.25, 0.75]),
    }
    assert {name: run.metrics[name] for name in expected} == {
        name: pytest.approx(value, rel=1e-6) for name, value in expected.items()
    }
    assert (run.metrics["diverged"], run.metrics["first_diverged"], run.metrics["predictions"]) == (0, None, None)
    assert run.metrics["unsolved"] == 60 - len(epochs)
    assert f"Solved: {sum(solved)} of 60 networks, {np.mean(solved):.1%}" in run.out


def test_the_last_network_is_number_minus_one_for_seeds_too() -> None:
    ensemble = Ensemble(networks=5, initialisations=3, seed=10)
    assert [ensemble.seed_of(i) for i in (0, 4, -1)] == [10, 11, 11]
    with pytest.raises(IndexError):
        ensemble.seed_of(5)
