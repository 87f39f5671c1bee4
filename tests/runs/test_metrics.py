import csv
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Command, fit

from xornet.callbacks.gradient_monitor import mean, norm
from xornet.callbacks.pictures import examples
from xornet.engine.optimizers import NOT_ELEMENTWISE, check_optimizer
from xornet.engine.scores import wilson
from xornet.runs.directory import LEFT
from xornet.runs.leftovers import discard
from xornet.runs.metrics import evaluate, evaluate_networks, objective, write_networks
from xornet.runs.verdict import describe


def test_the_statistics_of_an_ensemble_are_those_of_its_networks(tmp_path: Path) -> None:
    adam = partial(torch.optim.Adam, lr=0.05)
    _, module = fit(tmp_path, 250, optimizer=adam, networks=9, seed=1)
    losses, solved, epochs = [], [], []
    curves = []
    for i in range(9):
        _, alone = fit(tmp_path, 250, optimizer=adam, seed=1 + i)
        error = alone.ensemble.network(0)(alone.x) - alone.y
        losses.append(error.square().mean().item())
        solved.append(bool((error.abs() < 0.5).all()))
        epochs += [int(alone.history.solved_epoch[0])] if alone.history.solved_epoch[0] >= 0 else []
        curves.append(alone.history.curve)
    assert 0 < sum(solved) < 9  # a mixed ensemble, or this test would show nothing
    results = evaluate(module)
    assert results["loss"] == pytest.approx(np.median(losses), abs=1e-5)
    assert results["solved"] == sum(solved) / 9
    assert results["solved_epoch"] == pytest.approx(np.median(epochs), abs=1)
    assert results["solved_epoch_quartiles"] == pytest.approx(np.quantile(epochs, [0.25, 0.75]), abs=1)
    assert results["loss_quantiles"] == pytest.approx(np.quantile(losses, [0.1, 0.9]), abs=1e-5)
    assert results["solved_interval"] == wilson(sum(solved), 9)

    write_networks(module, tmp_path / "networks.csv")
    with (tmp_path / "networks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["seed"]) for row in rows] == list(range(1, 10))
    assert [float(row["loss"]) for row in rows] == pytest.approx(losses, abs=1e-5)
    assert [row["solved"] == "True" for row in rows] == solved
    assert [int(row["solved_epoch"]) for row in rows if row["solved_epoch"]] == pytest.approx(epochs, abs=1)
    places = [row["plateau"] for row in rows]
    assert [place == "" for place in places] == solved
    assert {"1/4", "1/8"} & set(places)
    never = [row["plateau"] for row in rows if not row["solved_epoch"]]
    assert results["plateaus"] == {place: never.count(place) for place in never}
    forgetful = solved.index(False)
    module.history.solved_epoch[forgetful] = 7
    never.remove(places[forgetful])  # which counts those that never solved the table
    assert evaluate(module)["plateaus"] == {place: never.count(place) for place in never}
    for i, row in enumerate(rows):
        predictions = [float(row[f"prediction_{point}"]) for point in ("00", "01", "10", "11")]
        assert predictions == pytest.approx(module.ensemble.network(i)(module.x)[:, 0].tolist(), abs=1e-6)

    curve = module.history.curve
    singles = np.stack([c["losses"][:, 1].numpy() for c in curves])  # (9, S)
    np.testing.assert_allclose(curve["losses"], np.quantile(singles, [0.1, 0.5, 0.9], axis=0).T, atol=1e-4)
    np.testing.assert_allclose(curve["accuracy"], np.mean([c["accuracy"].numpy() for c in curves], 0), atol=0.03)
    np.testing.assert_allclose(curve["solved"], np.mean([c["accuracy"].numpy() == 1 for c in curves], 0), atol=0.12)


def test_every_seed_that_a_run_names_is_the_one_that_the_network_started_from(tmp_path: Path) -> None:
    _, module = fit(tmp_path, 3, networks=5, initialisations=2, seed=7)
    module.history.diverged_epoch[3] = 2
    assert evaluate(module)["first_diverged"] == {"seed": 8, "epoch": 2}
    write_networks(module, tmp_path / "networks.csv")
    with (tmp_path / "networks.csv").open() as file:
        assert [row["seed"] for row in csv.DictReader(file)] == ["7", "8", "7", "8", "7"]
    module.history.diverged_epoch[3] = -1
    with torch.no_grad():
        for weight in module.ensemble.weights:
            weight[..., 3] = 9  # alone at a place of its own
    titles = {i: title.splitlines()[0] for i, title in examples(module)}
    assert titles[3] == "saturated: seed 8"


def test_a_network_whose_weights_are_infinite_has_diverged_though_its_loss_is_a_number(tmp_path: Path) -> None:
    optimizer = partial(torch.optim.SGD, lr=1e3, weight_decay=0.01)
    _, module = fit(tmp_path, 40, networks=200, optimizer=optimizer)
    infinite = {i for i in range(200) if any(not w[..., i].isfinite().all() for w in module.ensemble.weights)}
    _, losses, _ = evaluate_networks(module)
    assert 0 < int(losses.isnan().sum()) < len(infinite) < 200
    results = evaluate(module)
    assert results["diverged"] == len(infinite)
    assert results["plateaus"] == {"saturated": results["unsolved"] - len(infinite)}
    write_networks(module, tmp_path / "networks.csv")
    with (tmp_path / "networks.csv").open() as file:
        unnamed = {i for i, row in enumerate(csv.DictReader(file)) if row["plateau"] == "" and row["solved"] == "False"}
    assert unnamed == infinite
    assert evaluate(module)["first_diverged"] == {"seed": min(infinite), "epoch": 40}


@pytest.mark.parametrize(("successes", "trials"), [(0, 10), (1, 3), (5, 10), (10, 10), (970, 1000), (1, 1_000_000)])
def test_wilsons_bounds_are_where_the_score_test_just_accepts(successes: int, trials: int) -> None:
    low, high = wilson(successes, trials)
    share = successes / trials
    assert 0 <= low <= share + 1e-12 <= high + 2e-12 <= 1 + 2e-12
    for bound in (low, high):  # the score test's own equation: |share - bound| = z √(bound (1 - bound) / n)
        assert (share - bound) ** 2 == pytest.approx(1.959964**2 * bound * (1 - bound) / trials, abs=1e-12)


def test_an_ensemble_is_described_in_words_that_claim_no_more_than_was_measured() -> None:
    results = {
        "solved": 0.75,
        "solved_interval": (0.7, 0.8),
        "solved_epoch": 1234,
        "solved_epoch_quartiles": [1000, 2000],
        "unsolved": 250,
        "plateaus": {"saturated": 130, "1/8": 70, "1/4": 30, "elsewhere": 20},
        "diverged": 0,
    }
    assert describe(results, 1000, 20000) == (
        "Solved: 750 of 1,000 networks, 75.0% (95% interval 70.0% to 80.0%)\n"
        "First solved at epoch: median 1,234, quartiles 1,000 and 2,000\n"
        "Unsolved within 20,000 epochs: 250 (130 saturated, 70 near loss 1/8, 30 near 1/4, 20 elsewhere)"
    )
    nobody = {"solved": 0.0, "solved_interval": (0.0, 0.1), "solved_epoch": None, "solved_epoch_quartiles": None}
    forgot = results | {"unsolved": 240, "plateaus": {"elsewhere": 240}}
    assert describe(forgot, 1000, 20000).endswith("240\nSolved before, but not after the last epoch: 10")
    nobody |= {"unsolved": 10, "plateaus": {}, "diverged": 1, "first_diverged": {"seed": 7, "epoch": 4}}
    assert describe(nobody, 10, 5).splitlines()[1:] == [
        "Unsolved within 5 epochs: 10",
        "Diverged: 1 of them, first seed=7 at epoch 4",
    ]


def test_the_verdict_on_one_network_claims_no_more_than_was_measured() -> None:
    solved = {"solved": True, "solved_epoch": 6412, "loss": 0.00217, "accuracy": 1.0}
    end = "\nLoss after 20,000 epochs: "
    assert describe(solved, 1, 20000) == f"Solved at epoch 6,412{end}0.0022, 100% of the points correct"
    forgot = solved | {"solved": False, "loss": 0.2, "accuracy": 0.75}
    words = f"Solved at epoch 6,412, but not after the last epoch{end}0.2000, 75% of the points correct"
    assert describe(forgot, 1, 20000) == words
    never = forgot | {"solved_epoch": None, "accuracy": 0.5}
    assert describe(never, 1, 20000) == f"Not solved within 20,000 epochs{end}0.2000, 50% of the points correct"
    assert describe(never, 1, 1).startswith("Not solved within 1 epoch\nLoss after 1 epoch: ")


def test_the_gradient_norm_of_an_ensemble_is_the_mean_over_its_networks(tmp_path: Path) -> None:
    _, module = fit(tmp_path, 5, networks=4, seed=3)
    norms = []
    for i in range(4):
        network = module.ensemble.network(i)
        torch.nn.MSELoss()(network(module.x), module.y).backward()
        gradients = [parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None]
        norms.append([torch.cat(gradients[:2]).norm().item(), torch.cat(gradients[2:]).norm().item()])
    assert module.layer_names == ["hidden", "output"]
    weights = module.ensemble.weights_of_first(4)
    assert [mean(norm(layer)) for layer in module.gradients(weights)] == pytest.approx(np.mean(norms, 0), rel=1e-4)
    module.ensemble.weights[0].data[..., 1] = torch.nan  # diverged: the mean of the others
    others = np.mean([norms[i] for i in (0, 2, 3)], 0)
    assert [mean(norm(layer)) for layer in module.gradients(weights)] == pytest.approx(others, rel=1e-4)


@pytest.mark.parametrize("name", NOT_ELEMENTWISE)
def test_an_optimizer_that_would_couple_networks_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"must be an elementwise torch.optim class, got {name}"):
        check_optimizer(partial(getattr(torch.optim, name)))


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "Rprop"])
def test_an_elementwise_optimizer_steps_each_network_as_it_would_step_one(tmp_path: Path, name: str) -> None:
    optimizer = partial(getattr(torch.optim, name), lr=0.01)
    _, together = fit(tmp_path, 60, optimizer=optimizer, networks=3, seed=8, trainer={"precision": "64-true"})
    for i in range(3):
        _, alone = fit(tmp_path, 60, optimizer=optimizer, seed=8 + i, trainer={"precision": "64-true"})
        for ours, theirs in zip(
            together.ensemble.network(i).parameters(), alone.ensemble.network(0).parameters(), strict=True
        ):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


def test_a_sweep_minimises_the_loss_of_one_network_and_the_share_unsolved_of_many() -> None:
    assert objective({"loss": 0.2, "solved": True}) == 0.2
    assert objective({"loss": 0.2, "solved": 0.75}) == 0.25
    assert objective({"loss": 0.2, "solved": 0.0}) == 1.0


def files(folder: Path) -> set[str]:
    """The files below a directory."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.further
@pytest.mark.filterwarnings("ignore:Experiment logs directory")
def test_all_that_a_run_may_leave_is_known_and_discarded_from_the_directory_of_a_run_alone(
    command: Command, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    pictures = ("callbacks=[loss_surface,lr_map]", "optimizer=rate_grid", "networks=4")
    everything = (*pictures, "trainer.max_epochs=30", f"hydra.run.dir={folder}")
    assert command(*everything).status == 0
    left = files(folder)
    assert command(*everything, "logger=csv").status == 0  # which discards what the first has left
    assert "hparams.yaml" in left - files(folder)
    (folder / "error.txt").write_text("why it failed\n")
    (folder / "checkpoints" / "interrupted.ckpt").write_bytes(b"of Lightning's own checkpoint callback")
    left |= files(folder)
    kept = {name for name in left if name.startswith((".hydra", "train.log"))}
    events = {name for name in left if name.startswith("events.out.tfevents.")}
    assert left - kept == {*LEFT, *events}

    other = tmp_path / "other"
    other.mkdir()
    for name in ("metrics.json", "loss_curve.png", "hparams.yaml"):
        (other / name).write_text("another program's")
    assert command(*everything, f"hydra.run.dir={other}").status == 1
    assert [path.read_text() for path in other.iterdir()] == ["another program's"] * 3

    (folder / "metrics.json").unlink()  # as if it had been stopped
    discard(folder, before=time.time())
    assert files(folder) == kept
    discard(tmp_path / "new", before=time.time())


def test_the_interval_of_none_and_of_all_ends_exactly_at_0_and_1() -> None:
    for trials in range(1, 200):
        assert wilson(0, trials)[0] == 0.0
        assert wilson(trials, trials)[1] == 1.0
