"""Callbacks of ours in a notebook: with several Trainers, tests in between, stops, smoke tests, parts without them."""

import copy
import os
import pickle
import signal
from functools import partial
from pathlib import Path
from typing import Any

import events
import pytest
import torch
from conftest import Command, fit
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger

from xornet.callbacks.animation import BoundaryAnimation
from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.callbacks.figures import HiddenUnits, LossCurve
from xornet.callbacks.gradient_monitor import GradientMonitor
from xornet.callbacks.loss_surface import LossSurface
from xornet.callbacks.metrics import Metrics
from xornet.data import XORDataModule
from xornet.module import XORModule
from xornet.runs.csv_logger import read_rows
from xornet.runs.events import EventLogger
from xornet.runs.resumed_logs import ResumeLogs

FAST = partial(torch.optim.SGD, lr=1.0)


class Kept:
    """The callbacks that keep something of a run, and what they have kept of it in the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.animation, self.surface = BoundaryAnimation(), LossSurface()
        self.callbacks: list[Callback] = [Metrics(), GradientMonitor(20, 100), self.animation, self.surface]
        self.logger = CSVLogger(folder, name="", version="")

    def trainer(self, epochs: int, *others: Callback, **given: Any) -> Trainer:
        quiet = {"enable_checkpointing": False, "enable_progress_bar": False, "enable_model_summary": False}
        callbacks = [*self.callbacks, *others]
        known = {"accelerator": "cpu", "logger": self.logger, "default_root_dir": self.folder, "log_every_n_steps": 1}
        return Trainer(max_epochs=epochs, callbacks=callbacks, **{**quiet, **known, **given})

    def found(self) -> tuple[Any, ...]:
        rows = sorted((row["step"], sorted(row.items())) for row in read_rows(Path(self.logger.log_dir, "metrics.csv")))
        frames = [epoch for epoch, _ in self.animation.snapshots]
        return rows, frames, list(self.surface.trajectory)


def module() -> XORModule:
    return XORModule(FAST, seed=3, compile=False)


def straight(folder: Path, epochs: int) -> tuple[Any, ...]:
    """What one run without an interruption keeps, with the same ends of blocks."""
    kept = Kept(folder)
    kept.trainer(epochs).fit(module(), XORDataModule())
    return kept.found()


@pytest.mark.further
def test_a_test_in_between_changes_nothing_of_what_callbacks_keep_of_a_run(tmp_path: Path) -> None:
    kept, net = Kept(tmp_path / "two"), module()
    fitter = kept.trainer(100)
    fitter.fit(net, XORDataModule())
    kept.trainer(1, logger=False).test(net, XORDataModule(), verbose=False)
    fitter.fit_loop.max_epochs = 300
    fitter.fit(net, XORDataModule())
    rows, frames, trajectory = kept.found()
    assert [step for step, row in rows if "train/loss" in dict(row)] == list(range(300))
    assert frames[0] == 0
    assert trajectory == straight(tmp_path / "one", 300)[2]


def test_a_callback_that_another_trainer_has_used_since_is_refused(tmp_path: Path) -> None:
    kept, first = Kept(tmp_path), module()
    fitter = kept.trainer(100)
    fitter.fit(first, XORDataModule())
    kept.trainer(50, logger=False).fit(module(), XORDataModule())
    fitter.fit_loop.max_epochs = 300
    line = r"Metrics has been used by another Trainer since; use a new Metrics\(\) for each Trainer"
    with pytest.raises(ValueError, match=line):
        fitter.fit(first, XORDataModule())


def test_a_trainer_that_continues_logs_no_frame_twice(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, "", "", default_hp_metric=False)
    animation = BoundaryAnimation()
    fitter, net = fit(tmp_path, 50, [animation], trainer={"logger": logger, "log_every_n_steps": 1}, optimizer=FAST)
    fitter.fit_loop.max_epochs = 120
    fitter.fit(net, XORDataModule())
    steps = [image.step for image in events.read(tmp_path).Images("plots/decision_boundary")]
    frames = [epoch for epoch, _ in animation.snapshots]
    assert sorted(steps) == sorted([*frames, 50, 120])
    assert len(animation.frames) == len(frames) + 1


class Press(Callback):
    """The stop button, in a hook behind a block."""

    def __init__(self, hook: str, epoch: int) -> None:
        self.every_n_epochs, self.is_pressed = epoch, False
        setattr(self, hook, partial(self.press_once, epoch))

    def press_once(self, epoch: int, trainer: Trainer, *_: Any) -> None:
        if trainer.global_step >= epoch and not self.is_pressed:
            self.is_pressed = True
            os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.usefixtures("interrupts")
@pytest.mark.parametrize(
    "hook",
    [
        "on_train_batch_end",
        pytest.param("on_train_epoch_end", marks=pytest.mark.further),
        pytest.param("on_train_epoch_start", marks=pytest.mark.further),
    ],
)
def test_a_stop_button_behind_a_block_loses_nothing_that_callbacks_keep(tmp_path: Path, hook: str) -> None:
    kept, net = Kept(tmp_path / "two"), module()
    press = Press(hook, 100)
    fitter = kept.trainer(300)
    fitter.callbacks.insert(0, press)  # type: ignore[attr-defined]  # which Lightning documents
    with pytest.raises(SystemExit):
        fitter.fit(net, XORDataModule())
    assert fitter.current_epoch == fitter.global_step == net.history.epochs
    assert 100 <= fitter.global_step < 300
    fitter.fit(net, XORDataModule())
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    rows, _, trajectory = kept.found()
    other, _, whole = straight(tmp_path / "one", 300)
    assert rows == other
    assert trajectory == whole


@pytest.mark.usefixtures("interrupts")
def test_a_stop_button_that_is_pressed_again_ends_the_run_at_once(tmp_path: Path) -> None:
    class Twice(torch.optim.SGD):
        steps = 0

        def step(self, closure: Any = None) -> Any:
            Twice.steps += 1
            if Twice.steps in (20, 22):
                signal.raise_signal(signal.SIGINT)
            return super().step(closure)

    fitter = Kept(tmp_path).trainer(300)
    with pytest.raises(SystemExit):
        fitter.fit(XORModule(partial(Twice, lr=1.0), compile=False), XORDataModule())
    assert Twice.steps == 22
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    with pytest.raises(ValueError, match="a part of a block"):
        fitter.save_checkpoint(tmp_path / "torn.ckpt")


def test_a_smoke_test_leaves_what_a_run_has_kept(tmp_path: Path) -> None:
    callbacks = [LastCheckpoint(str(tmp_path)), LossCurve(), HiddenUnits(), BoundaryAnimation()]
    fit(tmp_path, 30, callbacks)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    fit(tmp_path, 30, callbacks, trainer={"fast_dev_run": True})
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert {"last.ckpt", "loss_curve.png", "hidden_units.png", "decision_boundary.gif"} <= before.keys()


@pytest.mark.further
def test_a_part_in_a_notebook_costs_none_of_what_the_command_has_kept(command: Command, tmp_path: Path) -> None:
    run, last = tmp_path / "run", tmp_path / "run/checkpoints/last.ckpt"
    given = ["optimizer.lr=1", "logger=many", "callbacks=loss_surface", f"hydra.run.dir={run}", "model.compile=false"]
    assert command(*given, "trainer.max_epochs=100").status == 0
    earlier = torch.load(last, weights_only=True)
    loaded = XORModule.load_from_checkpoint(last)
    fitter = Kept(tmp_path / "notebook").trainer(200, logger=False)
    fitter.callbacks.clear()  # type: ignore[attr-defined]
    fitter.fit(loaded, XORDataModule(), ckpt_path=last, weights_only=True)
    fitter.save_checkpoint(last)
    assert command(*given, "trainer.max_epochs=300", f"ckpt_path={last}").status == 0
    steps = [event.step for event in events.read(run).Scalars("train/loss")]
    assert steps == list(range(300))
    frames = [epoch for epoch, _ in torch.load(last, weights_only=True)["decision_boundary"]]
    assert frames[: len(earlier["decision_boundary"])] == [epoch for epoch, _ in earlier["decision_boundary"]]


def test_an_event_logger_takes_what_is_logged_behind_a_run(tmp_path: Path) -> None:
    given = {"logger": EventLogger(str(tmp_path)), "log_every_n_steps": 1}
    fitter, net = fit(tmp_path, 20, [Metrics()], trainer=given)
    (tested,) = fitter.test(net, XORDataModule(), verbose=False)
    fitter.fit_loop.max_epochs = 40
    fitter.fit(net, XORDataModule())
    read = events.read(tmp_path)
    assert [event.step for event in read.Scalars("train/loss")] == list(range(40))
    assert [event.value for event in read.Scalars("test/loss")] == [pytest.approx(tested["test/loss"])]


def test_what_a_callback_keeps_can_be_copied_and_written(tmp_path: Path) -> None:
    used = Metrics()
    fit(tmp_path, 10, [used])
    assert pickle.loads(pickle.dumps(used)).logged == copy.deepcopy(used).logged == 9


def test_a_checkpoint_without_frames_is_resumed_by_a_trainer_that_has_drawn_others(tmp_path: Path) -> None:
    fit(tmp_path, 20)[0].save_checkpoint(tmp_path / "last.ckpt")
    animation = BoundaryAnimation()
    fitter, _ = fit(tmp_path, 40, [animation])
    fitter.fit_loop.max_epochs = 60
    fitter.fit(XORModule(), XORDataModule(), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert len(animation.frames) == len(animation.snapshots) + 1


@pytest.mark.usefixtures("interrupts")
def test_a_stop_button_works_behind_an_error_within_an_error(tmp_path: Path) -> None:
    class Fails(Callback):
        every_n_epochs = 10

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            raise RuntimeError("first")

        def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
            raise RuntimeError("second")

    with pytest.raises(RuntimeError, match="second"):
        fit(tmp_path, 20, [Fails()])
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_event_files_of_one_second_are_read_in_the_order_in_which_one_logger_wrote_them(tmp_path: Path) -> None:
    """TensorBoard reads .10 before .9: the count of the files of a process is a part of their names."""
    logger = EventLogger(str(tmp_path))
    for step in range(12):
        logger.log_metrics({"train/loss": float(step)}, step)
        logger.finalize("success")
    assert [event.step for event in events.read(tmp_path).Scalars("train/loss")] == list(range(12))


def test_a_trainer_that_continues_keeps_what_it_has_logged_with_the_callback_of_the_commands(tmp_path: Path) -> None:
    given = {"logger": EventLogger(str(tmp_path)), "log_every_n_steps": 1}
    fitter, net = fit(tmp_path, 20, [Metrics(), ResumeLogs()], trainer=given)
    fitter.fit_loop.max_epochs = 40
    fitter.fit(net, XORDataModule())
    assert [event.step for event in events.read(tmp_path).Scalars("train/loss")] == list(range(40))
