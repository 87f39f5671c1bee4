from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import NO_FIGURES, Command, StopAt, fit
from lightning.pytorch import Callback, LightningModule, Trainer
from oracle import X, train_sheet

from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.callbacks.loss_surface import LossSurface
from xornet.data import XORDataModule
from xornet.engine.history import Block, History
from xornet.engine.snapshots import Snapshots
from xornet.module import XORModule
from xornet.runs import compare as runs
from xornet.runs.metrics import evaluate

SGD = partial(torch.optim.SGD, lr=0.1)
MOMENTUM = partial(torch.optim.SGD, lr=0.1, momentum=0.9)
ADAM = partial(torch.optim.Adam, lr=0.01)


def weights(module: XORModule) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in module.ensemble.weights]


def assert_equal(ours: Any, theirs: Any) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
@pytest.mark.parametrize("gradient", ["backprop", "autograd"])
def test_one_network_follows_the_plain_loop_of_the_sheet(tmp_path: Path, gradient: str, momentum: float) -> None:
    optimizer = partial(torch.optim.SGD, lr=0.1, momentum=momentum)
    _, module = fit(tmp_path, 2000, optimizer=optimizer, gradient=gradient, seed=7)
    sheet, losses, _ = train_sheet(2000, seed=7, momentum=momentum)
    curve = module.history.curve
    assert curve["epochs"].tolist() == list(range(0, 2000, 2))
    # float32: the same operations in another order, 2,000 times
    torch.testing.assert_close(curve["losses"][:, 1].float(), torch.tensor(losses[::2]), rtol=0, atol=5e-6)
    torch.testing.assert_close(module.ensemble.network(0)(X), sheet(X), rtol=0, atol=5e-5)


@pytest.mark.parametrize("optimizer", [SGD, MOMENTUM, ADAM])
def test_both_gradients_give_the_same_losses(tmp_path: Path, optimizer: "partial[Any]") -> None:
    runs = [
        fit(tmp_path, 500, optimizer=optimizer, gradient=gradient, networks=3, trainer={"precision": "64-true"})[1]
        for gradient in ("backprop", "autograd")
    ]
    assert runs[0].ensemble.weights[0].dtype == torch.float64
    torch.testing.assert_close(runs[0].history.curve["losses"], runs[1].history.curve["losses"], rtol=0, atol=1e-10)


@pytest.mark.parametrize("stop", [1, 999, 1000, 1001])
@pytest.mark.parametrize(("optimizer", "networks"), [(SGD, 1), (MOMENTUM, 1), (ADAM, 3)])
def test_resumed_run_equals_uninterrupted_run(
    tmp_path: Path, stop: int, optimizer: "partial[Any]", networks: int
) -> None:
    def run(folder: str, *callbacks: Callback, ckpt_path: Path | None = None) -> tuple[Trainer, XORModule]:
        last = LastCheckpoint(str(tmp_path / folder))
        return fit(tmp_path, 1500, [*callbacks, last], ckpt_path, optimizer, networks=networks, seed=3)

    straight_trainer, straight = run("straight")
    stopped_trainer, _ = run("interrupted", StopAt(stop))
    assert stopped_trainer.current_epoch == stopped_trainer.global_step == stop
    trainer, resumed = run("resumed", ckpt_path=tmp_path / "interrupted" / "last.ckpt")

    assert trainer.current_epoch == trainer.global_step == 1500
    assert_equal(weights(resumed), weights(straight))
    assert_equal(trainer.optimizers[0].state_dict(), straight_trainer.optimizers[0].state_dict())
    assert_equal(resumed.history.state_dict(), straight.history.state_dict())


@pytest.mark.parametrize("gradient", ["backprop", "autograd"])
@pytest.mark.parametrize("optimizer", [SGD, MOMENTUM, ADAM])
def test_a_run_resumes_to_the_same_bits_in_every_precision_that_is_allowed(
    tmp_path: Path, optimizer: "partial[Any]", gradient: str
) -> None:
    single, double = torch.float32, torch.float64
    for precision, dtype in (("32-true", single), (32, single), ("64-true", double), ("64", double)):
        folder = tmp_path / str(precision)

        how: dict[str, Any] = {"trainer": {"precision": precision}, "gradient": gradient, "networks": 2}
        last = LastCheckpoint(str(folder))
        straight_trainer, straight = fit(folder, 60, [], None, optimizer, **how)
        fit(folder, 60, [StopAt(37), last], None, optimizer, **how)
        trainer, resumed = fit(folder, 60, [last], last.path, optimizer, **how)
        assert resumed.ensemble.weights[0].dtype == dtype
        assert_equal(weights(resumed), weights(straight))
        assert_equal(trainer.optimizers[0].state_dict(), straight_trainer.optimizers[0].state_dict())
        assert_equal(resumed.history.state_dict(), straight.history.state_dict())
        for shown in (
            runs.load(str(folder / "last.ckpt"))[0],
            XORModule.load_from_checkpoint(folder / "last.ckpt", weights_only=True),
        ):
            assert_equal(weights(shown), weights(straight))


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_a_compiled_run_in_float64_resumes_to_the_same_bits(tmp_path: Path) -> None:
    how: dict[str, Any] = {"trainer": {"precision": "64-true"}, "compile": True, "networks": 2}
    last = LastCheckpoint(str(tmp_path))
    _, straight = fit(tmp_path, 60, [], None, ADAM, **how)
    fit(tmp_path, 60, [StopAt(37), last], None, ADAM, **how)
    _, resumed = fit(tmp_path, 60, [], last.path, ADAM, **how)
    assert_equal(weights(resumed), weights(straight))


def test_a_checkpoint_of_another_precision_is_refused_by_name(tmp_path: Path) -> None:
    fit(tmp_path, 5, [LastCheckpoint(str(tmp_path))], trainer={"precision": "64-true"})
    refusal = "ckpt_path holds a run with trainer.precision=64-true, but this run has trainer.precision=32-true; resume"
    with pytest.raises(ValueError, match=refusal):
        fit(tmp_path, 9, ckpt_path=tmp_path / "last.ckpt")


def test_a_finished_run_resumes_to_more_epochs_and_to_none(tmp_path: Path) -> None:
    fit(tmp_path, 700, [LastCheckpoint(str(tmp_path))], seed=3)
    trainer, same = fit(tmp_path, 700, ckpt_path=tmp_path / "last.ckpt", seed=3)
    assert trainer.current_epoch == 700
    _, longer = fit(tmp_path, 900, ckpt_path=tmp_path / "last.ckpt", seed=3)
    _, straight = fit(tmp_path, 900, seed=3)
    assert_equal(weights(longer), weights(straight))
    assert evaluate(same)["loss"] == pytest.approx(straight.history.curve["losses"][700, 1].item(), abs=1e-7)


@pytest.mark.further
@pytest.mark.parametrize(
    ("epochs", "more", "every"),
    [(1000, 3000, 10), (1500, 3000, 10), (2000, 2001, 10), (999, 1999, 2), (3000, 12000, 20)],
)
def test_a_run_resumed_to_more_epochs_records_and_draws_what_a_straight_one_does(
    tmp_path: Path, epochs: int, more: int, every: int
) -> None:
    path, last = LossSurface(), LastCheckpoint(str(tmp_path))
    fit(tmp_path, epochs, [LossSurface(), last])
    _, longer = fit(tmp_path, more, [path, last], last.path)
    straight_path = LossSurface()
    _, straight = fit(tmp_path, more, [straight_path])
    assert straight.history.curve["epochs"].tolist() == list(range(0, more, every))
    assert_equal(longer.history.state_dict(), straight.history.state_dict())
    assert_equal(path.trajectory, straight_path.trajectory)


def test_the_default_run_records_every_twentieth_epoch_and_no_run_more_than_a_thousand() -> None:
    history, before = History(networks=1, tolerance=0.5), 1
    for epochs in (*range(1, 100_000, 7), 20_000, 10**6, 10**9):
        history.set_length(epochs)
        assert len(range(0, epochs, history.every)) <= 1000
        if epochs > 20_000:
            assert len(range(0, epochs, history.every)) >= 500
    for epochs, points in ((1000, 1000), (2000, 1000), (5000, 500), (10_000, 1000), (20_000, 1000), (50_000, 625)):
        history.set_length(epochs)
        assert len(range(0, epochs, history.every)) == points
        assert history.every % before == 0
        before = history.every
    history.set_length(20_000)
    assert history.every == 20


def test_the_curve_of_a_very_large_ensemble_has_fewer_epochs_but_a_hundred_at_least() -> None:
    for networks, points in ((67_000, 1000), (2**18, 100), (10**6, 100)):
        history = History(networks, tolerance=0.5)
        history.set_length(1000)
        assert len(range(0, 1000, history.every)) == points


def test_an_endless_run_records_no_more_than_a_long_one() -> None:
    history = History(networks=1, tolerance=0.5)
    for start in range(0, 12000, 100):
        errors = torch.full((100, 4, 1, 1), float(start))
        snapshots = Snapshots([])
        for epoch in range(start, start + 100):
            if epoch % history.every == 0:
                snapshots.record(epoch)
        recorded = errors[[epoch - start for epoch in snapshots.epochs]]
        history.record(Block(start, 100, recorded, errors[-1], snapshots))
    epochs = history.curve["epochs"]
    assert 500 <= len(epochs) <= 1000
    assert epochs.tolist() == list(range(0, 12000, history.every))
    assert history.curve["losses"][:, 1].tolist() == [float(epoch // 100 * 100) ** 2 for epoch in epochs.tolist()]


def test_a_checkpoint_of_another_configuration_is_refused_by_name(tmp_path: Path) -> None:
    fit(tmp_path, 5, [LastCheckpoint(str(tmp_path))], networks=2)
    others: list[tuple[dict[str, Any], str]] = [
        ({"hidden": [5]}, "model.hidden"),
        ({"networks": 3}, "networks"),
        ({"seed": 1}, "seed"),
        ({"activation": "tanh"}, "model.activation"),
        ({"init": 0.5}, "model.init"),
    ]
    for other, named in others:
        with pytest.raises(ValueError, match=f"ckpt_path holds a run with {named}="):
            fit(tmp_path, 9, ckpt_path=tmp_path / "last.ckpt", **{"networks": 2, **other})
    with pytest.raises(ValueError, match=r"ckpt_path holds a run with optimizer\."):
        fit(tmp_path, 9, ckpt_path=tmp_path / "last.ckpt", optimizer=ADAM, networks=2)


def test_lightnings_own_load_from_checkpoint_gives_the_networks_back(tmp_path: Path) -> None:
    _, module = fit(tmp_path, 30, [LastCheckpoint(str(tmp_path))], networks=2, hidden=[3])
    loaded = XORModule.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert_equal(weights(loaded), weights(module))


def test_solved_epoch_is_the_first_at_which_every_point_is_correct(tmp_path: Path) -> None:
    def run(epochs: int) -> XORModule:
        return fit(tmp_path, epochs, optimizer=partial(torch.optim.Adam, lr=0.05), hidden=[8], seed=1)[1]

    solved = int(run(400).history.solved_epoch[0])
    assert 1 < solved < 400
    for epochs in (solved - 1, solved, solved + 1):  # also where the very last update solves the table
        results = evaluate(run(epochs))
        assert results["solved"] is (epochs >= solved)
        assert results["solved_epoch"] == (solved if epochs >= solved else None)


def test_a_loss_that_becomes_nan_stops_the_run_and_keeps_the_last_good_checkpoint(tmp_path: Path) -> None:
    class Break(Callback):
        every_n_epochs = 30

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            assert isinstance(pl_module, XORModule)
            if trainer.current_epoch + 1 == 30:
                pl_module.ensemble.weights[0].data.fill_(torch.nan)

    with pytest.raises(ValueError, match=r"the loss became nan at epoch 30; use a smaller optimizer\.lr"):
        fit(tmp_path, 100, [Break(), LastCheckpoint(str(tmp_path), every_n_epochs=20)])
    _, resumed = fit(tmp_path, 100, ckpt_path=tmp_path / "last.ckpt")
    _, straight = fit(tmp_path, 100)
    assert_equal(weights(resumed), weights(straight))


@pytest.mark.parametrize(
    ("argument", "value"), [("gradient_clip_val", 1.0), ("accumulate_grad_batches", 2), ("max_epochs", 0)]
)
def test_a_trainer_that_cannot_work_is_refused_in_a_notebook_by_the_line_of_the_command(
    command: Command, tmp_path: Path, argument: str, value: Any
) -> None:
    quiet = {"logger": False, "enable_checkpointing": False, "default_root_dir": tmp_path, "accelerator": "cpu"}
    trainer = Trainer(**{"max_epochs": 9, **quiet, argument: value})
    with pytest.raises(ValueError, match=f"trainer.{argument}={value} cannot work here: ") as refused:
        trainer.fit(XORModule(SGD), XORDataModule())
    run = command(*NO_FIGURES, f"++trainer.{argument}={value}")
    assert run.status == 1
    assert str(refused.value) in run.last_line


def test_weights_that_overflow_at_the_end_of_a_block_are_not_saved(tmp_path: Path) -> None:
    class Break(Callback):
        every_n_epochs = 1

        def on_train_batch_start(
            self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
        ) -> None:
            if trainer.current_epoch == 10:
                trainer.optimizers[0].param_groups[0]["lr"] = torch.inf

    with pytest.raises(ValueError, match="no weights are finite any more at epoch 11"):
        fit(tmp_path, 30, [Break(), LastCheckpoint(str(tmp_path), every_n_epochs=1)])
    state = torch.load(tmp_path / "last.ckpt", weights_only=True)["state_dict"]
    assert all(value.isfinite().all() for value in state.values())


@pytest.mark.parametrize("networks", [1, 3])
def test_predictions_that_overflow_after_the_last_update_end_the_run(tmp_path: Path, networks: int) -> None:
    optimizer = partial(torch.optim.SGD, lr=1e30)
    model: dict[str, Any] = {"activation": "relu", "hidden": [8, 8], "seed": 3, "networks": networks}
    with pytest.raises(ValueError, match="the loss became nan at epoch 1; use a smaller"):
        fit(tmp_path, 1, [LastCheckpoint(str(tmp_path))], optimizer=optimizer, **model)
    assert not (tmp_path / "last.ckpt").exists()
