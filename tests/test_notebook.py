"""What a notebook does with a module besides training it: each does what Lightning's user expects, or is refused."""

import copy
import os
import pickle
import re
import signal
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import fit
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, LambdaCallback, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, StepLR
from torch.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler, SubsetRandomSampler, TensorDataset

from xornet.callbacks.figures import HiddenUnits, LossCurve
from xornet.callbacks.stopping import EarlyStopping as EarlyStoppingOfOurs
from xornet.data import XORDataModule, truth_table
from xornet.engine import stopwatch
from xornet.engine.compiled import CompiledEpochs
from xornet.engine.history import Block, History
from xornet.module import XORModule
from xornet.runs.metrics import evaluate, write_results

FAST = partial(torch.optim.SGD, lr=1.0)
X, Y = truth_table()
QUIET: dict[str, Any] = {
    "accelerator": "cpu",
    "logger": False,
    "enable_checkpointing": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
}


def trainer(folder: Path, epochs: int = 100, **given: Any) -> Trainer:
    return Trainer(**{**QUIET, "default_root_dir": folder, "max_epochs": epochs, **given})


def load(x: Tensor, y: Tensor) -> "DataLoader[Any]":
    return DataLoader(TensorDataset(x, y), batch_size=len(x))


def losses(module: XORModule) -> Tensor:
    return module.errors().square().mean((0, 1)).detach()


def test_weights_that_are_put_there_transposed_are_trained_as_any_others(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    mine = [torch.randn(3, 3, 4, generator=generator), torch.randn(3, 5, 1, generator=generator)]
    after: list[Tensor] = []
    for make in (lambda own: own.permute(1, 2, 0), lambda own: own.permute(1, 2, 0).contiguous()):
        module = XORModule(FAST, networks=3)
        for weight, own in zip(module.ensemble.weights, mine, strict=True):
            weight.data = make(own)
        trainer(tmp_path, 500).fit(module, XORDataModule())
        after.append(losses(module))
    assert torch.equal(*after)
    assert (after[0] < 0.2).all()


def test_a_table_of_any_layout_is_trained_on_saved_and_loaded(tmp_path: Path) -> None:
    both = torch.tensor([[0.0, 0, 0], [0, 1, 0], [1, 0, 0], [1, 1, 1]])  # AND

    class Rows(Dataset[Any]):
        def __len__(self) -> int:
            return 1

        def __getitem__(self, _: int) -> tuple[Tensor, Tensor]:
            return both[:, :2], both[:, 2:]  # not contiguous

    module, path = XORModule(FAST), tmp_path / "and.ckpt"
    fitter = trainer(tmp_path)
    fitter.fit(module, train_dataloaders=DataLoader(Rows(), batch_size=None))
    fitter.save_checkpoint(path)
    found = XORModule.load_from_checkpoint(path)
    assert torch.equal(found.y, both[:, 2:])
    assert torch.equal(found(X), module(X))


def test_targets_of_truth_values_are_trained_on_and_tested(tmp_path: Path) -> None:
    module, fitter = XORModule(FAST), trainer(tmp_path)
    fitter.fit(module, train_dataloaders=load(X, Y.bool()))
    (found,) = fitter.test(module, load(X, Y.bool()), verbose=False)
    assert found["test/loss"] == pytest.approx(losses(module).item())


class Stopped(torch.optim.SGD):
    """Gradient descent; the stop button is pressed in its step number 70, once."""

    is_pressed = False

    def step(self, closure: Any = None) -> Any:
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps == 70 and not Stopped.is_pressed:
            Stopped.is_pressed = True
            os.kill(os.getpid(), signal.SIGINT)
        return super().step(closure)


@pytest.mark.usefixtures("interrupts")
def test_a_stop_button_waits_for_the_block_and_the_run_resumes_to_the_same_bits(tmp_path: Path) -> None:
    optimizer, path = partial(Stopped, lr=1.0), tmp_path / "stopped.ckpt"
    fitter, module = trainer(tmp_path, 10_000), XORModule(optimizer, compile=False)
    with pytest.raises(SystemExit):  # which Lightning makes of it
        fitter.fit(module, XORDataModule())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    fitter.save_checkpoint(path)
    steps = fitter.global_step
    assert 70 <= steps < 10_000
    straight, resumed = XORModule(optimizer, compile=False), XORModule(optimizer, compile=False)
    trainer(tmp_path, steps + 100).fit(straight, XORDataModule())
    trainer(tmp_path, steps + 100).fit(resumed, XORDataModule(), ckpt_path=path, weights_only=True)
    assert torch.equal(straight(X), resumed(X))
    fitter.fit_loop.max_epochs = steps + 100
    fitter.fit(module, XORDataModule())  # the same Trainer goes on
    assert fitter.current_epoch == fitter.global_step == steps + 100
    assert torch.equal(straight(X), module(X))


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize("place", ["history.record", "runner.update", "module.monitored"])
def test_a_stop_button_is_not_lost_in_the_last_block_and_falls_into_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """Nor between the updates of a block and the count of its epochs."""
    monkeypatch.setattr(Stopped, "is_pressed", place != "runner.update")
    module, fitter = XORModule(partial(Stopped, lr=1.0), compile=False), trainer(tmp_path)
    record, monitored = History.record, XORModule.monitored

    def press(history: History, block: Block) -> None:
        if place == "history.record":
            os.kill(os.getpid(), signal.SIGINT)
        record(history, block)

    def press_late(pl_module: XORModule, errors: Tensor) -> dict[str, float]:
        if place == "module.monitored" and pl_module.history.epochs == 100:
            os.kill(os.getpid(), signal.SIGINT)
        return monitored(pl_module, errors)

    monkeypatch.setattr(History, "record", press)
    monkeypatch.setattr(XORModule, "monitored", press_late)
    with pytest.raises(SystemExit):
        fitter.fit(module, XORDataModule())
    fitter.save_checkpoint(tmp_path / "stopped.ckpt")
    monkeypatch.undo()
    monkeypatch.setattr(Stopped, "is_pressed", True)
    for epochs in (100, 150):
        straight, resumed = (XORModule(partial(Stopped, lr=1.0), compile=False) for _ in range(2))
        trainer(tmp_path, epochs).fit(straight, XORDataModule())
        last = trainer(tmp_path, epochs)
        last.fit(resumed, XORDataModule(), ckpt_path=tmp_path / "stopped.ckpt", weights_only=True)
        assert last.global_step == last.current_epoch == epochs
        assert torch.equal(straight(X), resumed(X))
        assert torch.equal(straight.history.solved_epoch, resumed.history.solved_epoch)


class Break(torch.optim.SGD):
    """Gradient descent that an error ends within a block."""

    def step(self, closure: Any = None) -> Any:
        self.steps = getattr(self, "steps", 0) + 1
        if self.steps == 70:
            raise RuntimeError("broken off")
        return super().step(closure)


def test_a_block_that_was_broken_off_is_in_no_checkpoint(tmp_path: Path) -> None:
    module, fitter = XORModule(partial(Break, lr=1.0)), trainer(tmp_path)
    with pytest.raises(RuntimeError, match="broken off"):
        fitter.fit(module, XORDataModule())
    with pytest.raises(
        ValueError,
        match="counts 0 epochs, but the networks have had a part of a block: a run was",
    ):
        fitter.save_checkpoint(tmp_path / "torn.ckpt")
    assert not (tmp_path / "torn.ckpt").exists()


def test_a_trainer_whose_block_was_broken_off_does_not_continue(tmp_path: Path) -> None:
    class Fault(Callback):
        every_n_epochs = 50

        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.step = 0
            trainer.optimizers[0].register_step_pre_hook(self.count)

        def count(self, *_: Any) -> None:
            self.step += 1
            if self.step == 70:
                raise RuntimeError("broken off")

    module, fitter = XORModule(FAST), trainer(tmp_path, callbacks=[Fault()])
    with pytest.raises(RuntimeError, match="broken off"):
        fitter.fit(module, XORDataModule())
    with pytest.raises(ValueError, match=r"the networks have had a part of a block: .* use a new Trainer"):
        fitter.fit(module, XORDataModule())
    trainer(tmp_path).fit(module, XORDataModule())
    assert torch.isfinite(losses(module)).all()


class OwnStep(XORModule):
    def training_step(self, batch: Any, batch_idx: int) -> Any:
        return torch.nn.functional.mse_loss(self(batch[0])[..., 0], batch[1])


class OwnBuffer(XORModule):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("count", torch.zeros(1))


class OwnWeight(XORModule):
    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))


@pytest.mark.parametrize(
    ("kind", "line"),
    [
        (OwnStep, r"OwnStep.training_step leaves out a part of the run .* use super\(\).training_step"),
        (OwnBuffer, "count of OwnBuffer would be lost: .* use register_buffer"),
        (OwnWeight, "scale of OwnWeight would be lost: "),
    ],
)
def test_a_subclass_whose_run_could_not_be_resumed_is_refused(
    tmp_path: Path, kind: Callable[[], XORModule], line: str
) -> None:
    with pytest.raises(ValueError, match=line):
        trainer(tmp_path).fit(kind(), XORDataModule())


class Replace(Callback):
    every_n_epochs = 50

    def __init__(self, how: Callable[[XORModule], object]) -> None:
        self.how = how

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        assert isinstance(pl_module, XORModule)
        if trainer.current_epoch == 49:
            self.how(pl_module)


def replace(module: XORModule) -> None:
    module.ensemble = copy.deepcopy(module.ensemble)


def assign(module: XORModule) -> None:
    module.load_state_dict(copy.deepcopy(module.state_dict()), assign=True)


@pytest.mark.parametrize("how", [replace, assign])
def test_networks_that_are_replaced_in_a_run_end_it(tmp_path: Path, how: Callable[[XORModule], object]) -> None:
    with pytest.raises(ValueError, match=r"the networks have been replaced .* use load_state_dict"):
        trainer(tmp_path, callbacks=[Replace(how)]).fit(XORModule(FAST), XORDataModule())


def test_a_trainer_that_continues_does_so_on_the_same_table(tmp_path: Path) -> None:
    module, fitter = XORModule(FAST), trainer(tmp_path)
    fitter.fit(module, train_dataloaders=load(X, Y))
    fitter.fit_loop.max_epochs = 200
    with pytest.raises(ValueError, match="this Trainer has trained the module on another table; use a new Trainer"):
        fitter.fit(module, train_dataloaders=load(X, 1 - Y))
    assert torch.equal(module.y, Y)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[XORModule, Path]:
    """A run of three networks on data of its own, and its checkpoint."""
    folder = tmp_path_factory.mktemp("saved")
    generator = torch.Generator().manual_seed(1)
    x, y = torch.randn(6, 2, generator=generator), torch.rand(6, 1, generator=generator)
    module, fitter = XORModule(FAST, tolerance=0.3, networks=3), trainer(folder)
    fitter.fit(module, train_dataloaders=load(x, y))
    fitter.save_checkpoint(folder / "last.ckpt")
    fitter.save_checkpoint(folder / "weights.ckpt", weights_only=True)
    return module, folder


def test_a_module_that_tests_a_checkpoint_is_that_of_the_run(saved: tuple[XORModule, Path], tmp_path: Path) -> None:
    run, folder = saved
    module = XORModule(tolerance=0.3, networks=3)
    trainer(tmp_path).test(module, load(X, Y), ckpt_path=folder / "last.ckpt", verbose=False, weights_only=True)
    assert evaluate(module) == evaluate(run)
    lines = "seed=0, but the module has seed=77", "tolerance=0.3, but the module has tolerance=0.5"
    others = XORModule(tolerance=0.3, networks=3, seed=77), XORModule(networks=3)
    for module, line in zip(others, lines, strict=True):
        with pytest.raises(ValueError, match=line):
            trainer(tmp_path).test(module, load(X, Y), ckpt_path=folder / "last.ckpt", weights_only=True)


class Noted(XORModule):
    """Takes an argument of its own, which changes no network."""

    def __init__(self, note: str = "", **arguments: Any) -> None:
        super().__init__(**arguments)
        self.save_hyperparameters("note")


def test_an_argument_that_a_subclass_adds_may_be_another_one_in_every_use_of_a_checkpoint(tmp_path: Path) -> None:
    first, data = trainer(tmp_path, 20), XORDataModule()
    module = Noted("first", optimizer=FAST)
    first.fit(module, data)
    first.save_checkpoint(tmp_path / "last.ckpt")
    loaded = Noted.load_from_checkpoint(tmp_path / "last.ckpt", note="second")
    tested = Noted("second", optimizer=FAST)
    trainer(tmp_path).test(tested, data, ckpt_path=tmp_path / "last.ckpt", verbose=False, weights_only=True)
    resumed = Noted("second", optimizer=FAST)
    trainer(tmp_path, 20).fit(resumed, data, ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    for each in loaded, tested, resumed:
        assert each.hparams["note"] == "second"
        assert torch.equal(each(X), module(X))


def test_what_a_checkpoint_is_not_for_is_said(saved: tuple[XORModule, Path], tmp_path: Path) -> None:
    _, folder = saved
    with pytest.raises(
        ValueError, match="networks=2, but the checkpoint's networks were trained with networks=3; drop"
    ):
        XORModule.load_from_checkpoint(folder / "last.ckpt", networks=2)
    with pytest.raises(ValueError, match="holds the weights alone; use a whole checkpoint to resume"):
        fit(tmp_path, 200, ckpt_path=folder / "weights.ckpt", optimizer=FAST, tolerance=0.3, networks=3)


@pytest.mark.parametrize("compiles", [False, pytest.param(True, marks=pytest.mark.further)])
def test_autograd_works_on_a_module_that_has_been_trained(
    tmp_path: Path, request: pytest.FixtureRequest, compiles: bool
) -> None:
    if compiles:
        request.getfixturevalue("compiler")
    fitter, module = fit(tmp_path, 20, optimizer=partial(torch.optim.Adam, lr=0.01), compile=compiles)
    loss = (module(X)[..., 0] - Y).square().mean()
    loss.backward()
    ours = module.gradients(list(module.ensemble.weights))
    for weight, gradient in zip(module.ensemble.weights, ours, strict=True):
        assert weight.grad is not None
        assert torch.allclose(weight.grad, gradient, atol=1e-7)
    fitter.optimizers[0].step()
    assert (module(X)[..., 0] - Y).square().mean() < loss


class Best(Callback):
    """Remembers the lowest loss, a tensor once there is one."""

    best: Any = float("inf")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.best = min(self.best, trainer.callback_metrics["train/loss"])

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.best = state_dict["best"]


class Counts(Callback):
    """A user's callback, whose state is of another kind in the end than in the beginning."""

    def __init__(self) -> None:
        self.seen: Any = None
        self.names = [0]

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seen = {"epoch": trainer.current_epoch}
        self.names.append(trainer.current_epoch)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen, "names": self.names, "order": OrderedDict(a=1)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        vars(self).update(state_dict)


def test_what_a_callback_of_the_user_s_makes_of_its_state_is_its_own(tmp_path: Path) -> None:
    fitter, _ = fit(tmp_path, 5, [Counts()])
    fitter.save_checkpoint(tmp_path / "last.ckpt")
    resumed = Counts()
    fit(tmp_path, 8, [resumed], tmp_path / "last.ckpt")
    assert (resumed.seen, resumed.names) == ({"epoch": 7}, [0, *range(8)])
    assert type(vars(resumed)["order"]) is OrderedDict


def test_a_callback_whose_number_has_become_a_tensor_is_resumed(tmp_path: Path) -> None:
    fitter, _ = fit(tmp_path, 20, [Best()])
    fitter.save_checkpoint(tmp_path / "last.ckpt")
    best = Best()
    fit(tmp_path, 30, [best], tmp_path / "last.ckpt")
    straight = Best()
    fit(tmp_path, 30, [straight])
    assert best.best == straight.best


@pytest.mark.parametrize(
    ("x", "line"),
    [(torch.zeros(4, 3), "the table has 3 inputs"), (torch.zeros(4), r"must be x \(P, I\), got \(4,\)")],
)
def test_inputs_of_another_size_are_not_predicted(tmp_path: Path, x: Tensor, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        trainer(tmp_path).predict(XORModule(), DataLoader([x], batch_size=None))  # type: ignore[arg-type]


def test_a_validation_interval_in_seconds_is_refused(tmp_path: Path) -> None:
    given: dict[str, Any] = {"val_check_interval": "00:00:00:01", "check_val_every_n_epoch": None}
    with pytest.raises(ValueError, match="val_check_interval is a time, but must be a number of epochs; use"):
        trainer(tmp_path, **given).fit(XORModule(), XORDataModule())


def test_a_run_of_one_point_and_one_epoch_is_drawn(tmp_path: Path) -> None:
    callbacks = [HiddenUnits(), LossCurve()]
    trainer(tmp_path, 1, callbacks=callbacks).fit(XORModule(), train_dataloaders=load(X[:1], Y[:1]))
    assert {path.name for path in tmp_path.iterdir()} == {"hidden_units.png", "loss_curve.png"}


class Warm(LRScheduler):
    """A scheduler of a user's own."""

    def get_lr(self) -> list[float | Tensor]:
        return [rate * min(1, (self.last_epoch + 1) / 50) for rate in self.base_lrs]


def test_a_loaded_module_has_the_scheduler_of_its_run_or_the_one_that_is_given(tmp_path: Path) -> None:
    def saved(scheduler: Any) -> Path:
        fitter = trainer(tmp_path, 10)
        fitter.fit(XORModule(FAST, scheduler), XORDataModule())
        fitter.save_checkpoint(tmp_path / "last.ckpt")
        return tmp_path / "last.ckpt"

    path = saved(partial(StepLR, step_size=50))
    other = partial(StepLR, step_size=10)
    for given, expected in (({}, 50), ({"scheduler": other}, 10), ({"optimizer": FAST, "scheduler": other}, 10)):
        found = XORModule.load_from_checkpoint(path, **given)
        assert found.scheduler is not None
        assert found.scheduler.keywords == {"step_size": expected}
    assert XORModule.load_from_checkpoint(path, optimizer=FAST).scheduler is None
    path = saved(Warm)
    loaded = XORModule.load_from_checkpoint(path)
    assert loaded(X).shape == (4, 1, 1)
    with pytest.raises(ValueError, match=r"the scheduler is not of torch.optim; use load_from_checkpoint\(path, sch"):
        trainer(tmp_path, 10).fit(loaded, XORDataModule())
    trainer(tmp_path, 10).fit(XORModule.load_from_checkpoint(path, scheduler=Warm), XORDataModule())
    loaded.scheduler = partial(StepLR, step_size=5)
    trainer(tmp_path, 10).fit(loaded, XORDataModule())


class Rates(Callback):
    """Takes the next learning rate of a list at every 20th epoch, until there is none."""

    every_n_epochs: Any = 20

    def __init__(self) -> None:
        self.rates = iter([1.0, 0.5])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.optimizers[0].param_groups[0]["lr"] = next(self.rates)


class Early(Rates):
    """Does so where Lightning takes it for the end of each epoch."""

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        raise StopIteration


@pytest.mark.parametrize("kind", [Rates, Early])
def test_a_run_that_a_stop_iteration_ends_has_not_finished(tmp_path: Path, kind: type[Rates]) -> None:
    with pytest.raises(ValueError, match=r"(the run ended at|the Trainer counts) .* StopIteration|a hook has skipped"):
        trainer(tmp_path, callbacks=[kind()]).fit(XORModule(FAST), XORDataModule())


@pytest.mark.parametrize("every", [-5, 2.5, "100"])
def test_an_interval_of_a_callback_that_is_no_number_of_epochs_is_refused(tmp_path: Path, every: Any) -> None:
    callback = Rates()
    callback.every_n_epochs = every
    with pytest.raises(ValueError, match=f"Rates.every_n_epochs={every} is no number of epochs; use a whole number"):
        trainer(tmp_path, callbacks=[callback]).fit(XORModule(FAST), XORDataModule())


class Cosine(Callback):
    """Sets the learning rate to a number of NumPy's."""

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.optimizers[0].param_groups[0]["lr"] = np.cos(trainer.current_epoch / 100)


@pytest.mark.parametrize(
    "given",
    [
        {"optimizer": partial(torch.optim.SGD, lr=np.float64(0.5))},
        {"optimizer": partial(torch.optim.Adam, lr=0.1, betas=(np.float64(0.8), 0.99))},
        {"tolerance": np.float64(0.4), "init": np.float64(0.7)},
        {"hidden": range(3, 5)},
        {"hidden": torch.Size([3])},
        {"hidden": np.array([3, 2]), "seed": np.int64(3), "networks": np.int32(2)},
    ],
)
def test_a_run_of_numpy_s_numbers_can_be_loaded_and_resumed(tmp_path: Path, given: dict[str, Any]) -> None:
    fitter, module = fit(tmp_path, 10, [Cosine()], **given)
    fitter.save_checkpoint(tmp_path / "last.ckpt")
    loaded = XORModule.load_from_checkpoint(tmp_path / "last.ckpt", weights_only=True)
    assert torch.equal(loaded(X), module(X))
    assert all(type(value) is not np.float64 for value in loaded.hparams.values())
    _, straight = fit(tmp_path, 20, [Cosine()], **given)
    _, resumed = fit(tmp_path, 20, [Cosine()], tmp_path / "last.ckpt", **given)
    assert torch.equal(resumed(X), straight(X))


def test_a_checkpoint_is_loaded_with_the_hyperparameters_that_a_logger_has_written(tmp_path: Path) -> None:
    given = {"logger": TensorBoardLogger(tmp_path), "log_every_n_steps": 1}
    fitter, module = fit(tmp_path, 10, trainer=given, hidden=[3, 2], networks=2)
    fitter.save_checkpoint(tmp_path / "last.ckpt")
    assert fitter.log_dir is not None
    written = Path(fitter.log_dir, "hparams.yaml")
    loaded = XORModule.load_from_checkpoint(tmp_path / "last.ckpt", hparams_file=written, weights_only=True)
    assert torch.equal(loaded(X), module(X))


@pytest.mark.parametrize("given", [{"monitor": "step"}, {"monitor": "epoch"}])
def test_the_newest_checkpoints_can_be_kept(tmp_path: Path, given: dict[str, Any]) -> None:
    keep = ModelCheckpoint(tmp_path, filename="{epoch}", mode="max", save_top_k=2, every_n_epochs=5, **given)
    fit(tmp_path, 20, [keep])
    assert {path.name for path in tmp_path.iterdir()} == {"epoch=14.ckpt", "epoch=19.ckpt"}


def test_a_metric_that_may_be_missing_is_waited_for(tmp_path: Path) -> None:
    fitter, _ = fit(tmp_path, 5, [EarlyStopping("val/loss", strict=False)])
    assert fitter.current_epoch == 5


class Differentiate(Callback):
    """Asks autograd for a gradient between two blocks."""

    every_n_epochs = 10

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        x, y = batch
        (pl_module(x)[..., 0] - y).square().mean().backward()


@pytest.mark.parametrize("compiles", [False, pytest.param(True, marks=pytest.mark.further)])
def test_a_callback_may_use_autograd(tmp_path: Path, request: pytest.FixtureRequest, compiles: bool) -> None:
    if compiles:
        request.getfixturevalue("compiler")
    _, straight = fit(tmp_path, 30, compile=compiles)
    _, module = fit(tmp_path, 30, [Differentiate()], compile=compiles)
    assert torch.equal(module(X), straight(X))


def test_a_module_is_copied_and_written_within_a_run_and_behind_an_error(tmp_path: Path) -> None:
    class Copies(Callback):
        every_n_epochs = 10

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.copies = copy.deepcopy(pl_module), pickle.loads(pickle.dumps(pl_module))
            raise RuntimeError("behind a block")

    module, copies = XORModule(FAST), Copies()
    with pytest.raises(RuntimeError, match="behind a block"):
        trainer(tmp_path, callbacks=[copies]).fit(module, XORDataModule())
    _, straight = fit(tmp_path, 10, optimizer=FAST)
    for one in (*copies.copies, pickle.loads(pickle.dumps(module))):
        assert torch.equal(one(X), straight(X))
        trainer(tmp_path, 10).fit(one, XORDataModule())


class AtItsEnd:
    """Something in whose destructor the stop button is pressed, where Python ignores what is raised."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.01)


@pytest.mark.further
@pytest.mark.usefixtures("interrupts", "compiler")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_stop_button_that_python_ignores_while_it_compiles_ends_the_run_behind_the_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backend = CompiledEpochs.backend

    def press(epochs: CompiledEpochs, *args: Any) -> Any:
        AtItsEnd()
        return backend(epochs, *args)

    monkeypatch.setattr(CompiledEpochs, "backend", press)
    fitter = trainer(tmp_path, 30_000)
    with pytest.raises(SystemExit):
        fitter.fit(XORModule(FAST, compile=True), XORDataModule())
    assert 0 < fitter.global_step < 30_000
    fitter.save_checkpoint(tmp_path / "stopped.ckpt")
    assert XORModule.load_from_checkpoint(tmp_path / "stopped.ckpt").history.epochs == fitter.global_step


def test_what_is_switched_off_by_zero_is_off(tmp_path: Path) -> None:
    assert fit(tmp_path, 5, trainer={"gradient_clip_val": 0, "log_every_n_steps": 0})[0].global_step == 5


def test_a_hook_in_which_nothing_can_be_saved_is_told_one_in_which_it_can(tmp_path: Path) -> None:
    saving = LambdaCallback(on_before_optimizer_step=lambda trainer, *_: trainer.save_checkpoint(tmp_path / "x.ckpt"))
    with pytest.raises(ValueError, match="in a hook of an optimizer step, use on_train_batch_end to save"):
        fit(tmp_path, 5, [saving])
    assert not (tmp_path / "x.ckpt").exists()


@pytest.mark.parametrize(
    ("optimizer", "name"),
    [(lambda weights: FAST(weights, lr=0.1), "<lambda>"), ("Adam", "Adam"), (FAST([torch.zeros(1)]), "SGD")],
)
def test_an_optimizer_that_is_no_class_is_refused_in_one_line(optimizer: Any, name: str) -> None:
    line = f"class, got {name}; use e.g. optimizer=rmsprop, in Python functools.partial of a class"
    with pytest.raises(ValueError, match=re.escape(line)) as refused:
        XORModule(optimizer)
    assert "\n" not in str(refused.value)


def collate(rows: list[Any]) -> Any:
    """Another table than PyTorch makes of the rows."""
    return X, 1 - Y


def test_a_data_loader_may_keep_its_workers(tmp_path: Path) -> None:
    cases: list[tuple[dict[str, Any], Tensor]] = [({}, Y), ({"collate_fn": collate}, 1 - Y)]
    for how, targets in cases:
        kept = DataLoader(TensorDataset(X, Y), batch_size=4, num_workers=1, persistent_workers=True, **how)
        trainer(tmp_path, 20).fit(module := XORModule(), kept)
        assert torch.equal(module.y, targets)
        trainer(tmp_path, 20).fit(like := XORModule(), load(X, targets))
        assert torch.equal(module(X), like(X))
    stream = DataLoader(TensorDataset(X, Y), batch_sampler=[[0, 1, 2, 3]], num_workers=1, persistent_workers=True)
    with pytest.raises(ValueError, match="cannot keep its workers; use persistent_workers=False"):
        trainer(tmp_path, 20).fit(XORModule(), stream)


class Bare(RandomSampler):
    """Leaves out what its base sets, a generator too."""

    def __init__(self) -> None:
        pass

    def __iter__(self) -> Iterator[int]:
        return iter(range(4))

    def __len__(self) -> int:
        return 4


SAMPLED: list[Callable[[], dict[str, Any]]] = [
    lambda: {"batch_size": 4},
    lambda: {"batch_size": 4, "shuffle": True},
    lambda: {"batch_size": 4, "sampler": SubsetRandomSampler(range(4))},
    lambda: {"batch_size": 4, "sampler": Bare()},
    lambda: {"batch_sampler": BatchSampler(RandomSampler(range(4)), 4, drop_last=False)},
]


@pytest.mark.parametrize("how", [None, *SAMPLED])
def test_blocks_of_epochs_draw_nothing_from_the_global_generator(
    tmp_path: Path, how: Callable[[], dict[str, Any]] | None
) -> None:
    """How many blocks there are depends on the clock."""
    draws = []
    for every in (5, 20):
        own = None if how is None else DataLoader(TensorDataset(X, Y), **how())
        torch.manual_seed(1)
        trainer(tmp_path, 20, callbacks=[Every(every)]).fit(XORModule(), own or XORDataModule())
        draws.append(torch.rand(1))
    assert torch.equal(*draws)


class Every(Callback):
    """Ends blocks."""

    def __init__(self, epochs: int) -> None:
        self.every_n_epochs = epochs


class Foreign(LightningModule):
    """Of another program."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)


@pytest.mark.parametrize("use", ["fit", "test", "validate", "predict"])
def test_a_checkpoint_of_another_program_is_refused_by_name(tmp_path: Path, use: str) -> None:
    other = trainer(tmp_path)
    other.strategy.connect(Foreign())
    other.save_checkpoint(path := tmp_path / "other.ckpt")
    line = f"^ckpt_path={path} was written by another version of this project, or by another program; use that version"
    with pytest.raises(ValueError, match=line):
        getattr(trainer(tmp_path), use)(XORModule(), load(X, Y), ckpt_path=path, weights_only=True)


class Extra(XORModule):
    """Takes an argument that the networks do not depend on."""

    def __init__(self, extra: int = 1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.save_hyperparameters("extra")


def test_an_argument_of_a_subclass_may_differ_from_that_of_its_checkpoint(tmp_path: Path) -> None:
    trainer(tmp_path, 5).fit(module := Extra(networks=3), XORDataModule())
    module.trainer.save_checkpoint(path := tmp_path / "extra.ckpt")
    assert Extra.load_from_checkpoint(path, extra=9).hparams["extra"] == 9
    with pytest.raises(
        ValueError, match="networks=4, but the checkpoint's networks were trained with networks=3; drop it"
    ):
        Extra.load_from_checkpoint(path, networks=4)


class Wants(torch.optim.SGD):
    """Wants the loss as a function."""

    def step(self, closure: Any) -> Any:  # type: ignore[override]  # PyTorch's needs none
        return closure()


def test_an_optimizer_that_wants_a_closure_is_refused_by_its_own_name() -> None:
    with pytest.raises(ValueError, match=r"missing 1 required .*'closure'; use what Wants takes"):
        XORModule(Wants)


class Clock(Callback):
    """A clock that shows a second more whenever a block of 100 epochs begins; it may raise then."""

    every_n_epochs = 100
    now, raises_at = 0.0, -1

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.now += 1
        if trainer.current_epoch == self.raises_at:
            raise ZeroDivisionError

    def perf_counter(self) -> float:
        return self.now


def test_the_seconds_of_a_run_are_those_of_its_parts_and_not_of_the_time_between_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, path = Clock(), tmp_path / "last.ckpt"
    monkeypatch.setattr(stopwatch, "time", clock)
    fitter, module = trainer(tmp_path, callbacks=[clock]), XORModule()
    for part in (1, 2):
        fitter.fit_loop.max_epochs = 200 * part
        fitter.fit(module, XORDataModule())
        clock.now += 3600
        fitter.save_checkpoint(path)
        assert torch.load(path, weights_only=True)["times"]["seconds"] == 2 * part
    clock.raises_at, fitter.fit_loop.max_epochs = 500, 600
    with pytest.raises(ZeroDivisionError):
        fitter.fit(module, XORDataModule())
    clock.now += 3600
    assert module.stopwatch.times()["seconds"] == 5
    clock.raises_at = -1
    trainer(tmp_path, 600, callbacks=[clock]).fit(other := XORModule(), XORDataModule(), ckpt_path=path)
    assert other.stopwatch.times()["seconds"] == 6


def test_a_module_that_is_not_trained_has_no_block() -> None:
    assert not hasattr(XORModule(), "block")


def test_results_of_networks_that_have_all_diverged_are_refused(tmp_path: Path) -> None:
    module = XORModule()
    with torch.no_grad():
        for weight in module.ensemble.weights:
            weight.fill_(torch.nan)
    with pytest.raises(ValueError, match="all networks have diverged: there are no results to write; use a smaller"):
        write_results(module, 1, tmp_path)
    assert not list(tmp_path.iterdir())


def test_every_argument_of_a_module_may_be_a_number_of_numpy() -> None:
    given: dict[str, Any] = {"bits": np.int64(3), "initialisations": np.int64(2), "networks": np.int64(4)}
    given |= {"tolerance": np.float32(0.25), "compile": np.bool_(False)}
    module = XORModule(**given)
    assert type(module.hparams["bits"]) is type(module.hparams["initialisations"]) is int
    assert (module.hparams["tolerance"], module.hparams["compile"]) == (0.25, False)
    two: Any = np.int64(2)
    assert len(truth_table(two)[0]) == 4


def test_a_loader_without_batches_of_its_own_may_shuffle(tmp_path: Path) -> None:
    table: Any = [(X, Y)]
    whole: Any = DataLoader(table, batch_size=None, shuffle=True)
    trainer(tmp_path, 20).fit(module := XORModule(), whole)
    assert torch.equal(module(X), fit(tmp_path, 20)[1](X))


class Named(ModelCheckpoint):
    """Told apart by a key of its own, as Lightning documents it."""

    @property
    def state_key(self) -> str:
        return "mine"


def test_a_callback_may_have_a_key_of_its_own_and_change_the_loss_that_it_is_shown(tmp_path: Path) -> None:
    class Scales(Callback):
        def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
            outputs["loss"] = outputs["loss"] * 100

    fitter = trainer(tmp_path, 5, callbacks=[Named(tmp_path), Scales()], enable_checkpointing=True)
    fitter.fit(module := XORModule(), XORDataModule())
    assert torch.equal(module(X), fit(tmp_path, 5)[1](X))


def test_early_stopping_of_a_metric_of_the_users_waits_for_its_validation(tmp_path: Path) -> None:
    class Logs(XORModule):
        def validation_step(self, batch: Any, batch_idx: int) -> None:
            self.log("val_loss", 0.25)

    stopper = EarlyStoppingOfOurs("val_loss", every_n_epochs=100, patience=2, min_delta=0.5)
    fitter = trainer(tmp_path, 1000, callbacks=[stopper], check_val_every_n_epoch=200)
    fitter.fit(Logs(), load(X, Y), load(X, Y))
    assert fitter.current_epoch == 600
