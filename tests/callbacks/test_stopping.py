"""Where a signal leaves a run: the checkpoint that it is resumed with, and the time that it has taken."""

import json
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import NO_FIGURES, Command, fit
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, ModelCheckpoint, OnExceptionCheckpoint

from xornet.callbacks import stopping
from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.callbacks.interruption import StopOnSignal
from xornet.callbacks.stopping import EarlyStopping as EarlyStoppingOfOurs
from xornet.callbacks.stopping import ResumeStopped
from xornet.checkpoint import CheckpointFile
from xornet.data import XORDataModule
from xornet.module import XORModule


class Signal(Callback):
    """Sends this process a signal at an epoch."""

    def __init__(self, epoch: int, number: signal.Signals) -> None:
        self.every_n_epochs, self.number = epoch, number

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch + 1 == self.every_n_epochs:
            signal.raise_signal(self.number)


KEPT: dict[str, Callable[[Path], list[Callback]]] = {
    "last.ckpt": lambda folder: [LastCheckpoint(str(folder))],
    "a/last.ckpt": lambda folder: [ModelCheckpoint(folder / "b"), LastCheckpoint(str(folder / "a"))],
    "interrupted.ckpt": lambda folder: [ModelCheckpoint(folder, every_n_epochs=1000, monitor="train/loss")],
    "checkpoints/interrupted.ckpt": lambda folder: [ModelCheckpoint(every_n_epochs=1000, save_last=True)],
    "a/interrupted.ckpt": lambda folder: [
        ModelCheckpoint(folder / "a"),
        ModelCheckpoint(folder / "b", every_n_epochs=7),
    ],
}


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("name", KEPT)
def test_an_interrupted_run_is_resumed_with_the_checkpoint_that_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, number: signal.Signals
) -> None:
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    with pytest.raises(SystemExit) as stop:
        fit(tmp_path, 60, [StopOnSignal(), Signal(37, number), *KEPT[name](tmp_path)])
    assert [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)] == handlers
    assert stop.value.code == 128 + number
    message = capsys.readouterr().err.splitlines()[-1]
    assert message == f"interrupted at epoch 37; resume with ckpt_path={tmp_path / name}"
    _, resumed = fit(tmp_path, 60, KEPT[name](tmp_path), tmp_path / name)
    _, straight = fit(tmp_path, 60)
    assert torch.equal(resumed.ensemble.weights[0], straight.ensemble.weights[0])


def test_the_checkpoint_that_is_named_is_found_from_anywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative directory is where the run is, which with hydra.job.chdir is not where its command was given."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        fit(tmp_path, 60, [StopOnSignal(), Signal(37, signal.SIGTERM), LastCheckpoint("kept")])
    assert capsys.readouterr().err.splitlines()[-1].endswith(f"resume with ckpt_path={tmp_path}/kept/last.ckpt")


@pytest.mark.filterwarnings("ignore:.*was called without a model")
@pytest.mark.filterwarnings("ignore:.*there is no last checkpoint")
def test_lightnings_checkpoint_on_exception_is_one_as_well_and_none_is_none(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for callbacks, hint in (
        ([OnExceptionCheckpoint(tmp_path)], f"; resume with ckpt_path={tmp_path}/interrupted.ckpt"),
        ([], ""),
    ):
        with pytest.raises(SystemExit):
            fit(tmp_path, 60, [StopOnSignal(), Signal(37, signal.SIGTERM), *callbacks])
        assert capsys.readouterr().err.splitlines()[-1] == f"interrupted at epoch 37{hint}"


@pytest.mark.further
def test_the_seconds_of_a_resumed_run_are_those_of_all_its_parts(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command(*NO_FIGURES, "trainer.max_epochs=20", f"hydra.run.dir={folder}")
    last = folder / "checkpoints" / "last.ckpt"
    checkpoint = torch.load(last, weights_only=True)
    first = checkpoint["times"]
    assert 0 < first["seconds"] < 60
    assert first["compile_seconds"] == 0
    torch.save({**checkpoint, "times": {"seconds": 1000.5, "compile_seconds": 200.25}}, last)
    command(*NO_FIGURES, "trainer.max_epochs=40", f"hydra.run.dir={folder}", f"ckpt_path={last}")
    times = torch.load(last, weights_only=True)["times"]
    again = command(*NO_FIGURES, "trainer.max_epochs=60", f"ckpt_path={last}").metrics
    assert 1000.5 < times["seconds"] < again["seconds"] < 1060
    assert again["compile_seconds"] == times["compile_seconds"] == 200.25


def test_a_checkpoint_with_false_times_is_refused(tmp_path: Path) -> None:
    fit(tmp_path, 5, [LastCheckpoint(str(tmp_path))])
    checkpoint: dict[str, Any] = torch.load(tmp_path / "last.ckpt", weights_only=True)
    no_times = [None, 3.0, {}, {"seconds": 1.0}, {"seconds": "1", "compile_seconds": 0.0}]
    negative = [{"seconds": seconds, "compile_seconds": 0.0} for seconds in (-1.0, float("nan"), float("inf"))]
    for false in no_times + negative:
        torch.save({**checkpoint, "times": false}, tmp_path / "false.ckpt")
        with pytest.raises(ValueError, match=r"cannot be used: it holds no valid times.*; use another checkpoint"):
            CheckpointFile().load_checkpoint(tmp_path / "false.ckpt")


@pytest.mark.further
def test_a_run_that_has_stopped_early_stays_so_when_it_is_resumed(command: Command, tmp_path: Path) -> None:
    run = ["callbacks=early_stopping", "optimizer.lr=1", f"hydra.run.dir={tmp_path}/run", *NO_FIGURES]
    resumed = f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt"
    uninterrupted = command(*run)
    assert uninterrupted.status == 0
    path = tmp_path / "run" / "metrics.json"
    whole = json.loads(path.read_text())
    assert 0 < whole["epochs"] < 2000
    assert whole["epochs"] % 100 == 0
    path.unlink()  # as if it had been killed while it drew
    assert command(*run, resumed).status == 0
    timeless = {"seconds", "compile_seconds"}
    assert {k: v for k, v in json.loads(path.read_text()).items() if k not in timeless} == {
        k: v for k, v in whole.items() if k not in timeless
    }
    # configured otherwise, it goes on
    assert command(*run, resumed, "callbacks.early_stopping.stopping_threshold=0.005").status == 0
    assert json.loads(path.read_text())["epochs"] > whole["epochs"]
    assert json.loads(path.read_text())["loss"] < 0.005


def test_a_run_that_lightnings_early_stopping_has_ended_stays_so_when_it_is_resumed(tmp_path: Path) -> None:
    def stopping(threshold: float) -> list[Callback]:
        stop = EarlyStopping("train/loss", patience=10**6, stopping_threshold=threshold, check_on_train_epoch_end=True)
        return [ResumeStopped(), stop, LastCheckpoint(str(tmp_path))]

    ended, module = fit(tmp_path, 100, stopping(0.2505))
    assert 0 < ended.current_epoch < 100
    resumed, same = fit(tmp_path, 100, stopping(0.2505), tmp_path / "last.ckpt")
    assert resumed.current_epoch == ended.current_epoch
    assert torch.equal(same.ensemble.weights[0], module.ensemble.weights[0])
    assert fit(tmp_path, 100, stopping(0.1), tmp_path / "last.ckpt")[0].current_epoch == 100


def test_a_run_that_stopped_early_at_its_least_number_of_epochs_stays_so_too(tmp_path: Path) -> None:
    def run(epochs: int, ckpt_path: Path | None = None) -> Trainer:
        stop = stopping.EarlyStopping(every_n_epochs=10, patience=10**6, stopping_threshold=10)
        callbacks = [ResumeStopped(), stop, LastCheckpoint(str(tmp_path))]
        return fit(tmp_path, 100, callbacks, ckpt_path, trainer={"min_epochs": epochs})[0]

    assert run(35).current_epoch == 35
    assert run(35, tmp_path / "last.ckpt").current_epoch == 35
    assert run(40, tmp_path / "last.ckpt").current_epoch == 40


def test_a_file_name_with_a_metric_makes_a_directory_as_in_a_stock_run(command: Command, tmp_path: Path) -> None:
    best = ["monitor=train/loss", 'filename="{epoch}-{train/loss:.4f}"', f"dirpath={tmp_path}/best"]
    given = ["_target_=lightning.pytorch.callbacks.ModelCheckpoint", *best]
    run = command("trainer.max_epochs=3", *(f"+callbacks.best.{one}" for one in given), *NO_FIGURES)
    assert run.status == 0
    (kept,) = (tmp_path / "best").rglob("*.ckpt")
    assert re.fullmatch(r"epoch=2-train/loss=0\.25\d\d\.ckpt", str(kept.relative_to(tmp_path / "best")))


def test_a_run_of_one_epoch_with_early_stopping_is_not_taken_for_one_that_it_has_stopped(command: Command) -> None:
    """As a signal while the first epoch is compiled leaves it."""
    given = ["callbacks=early_stopping", *NO_FIGURES]
    first = command(*given, "trainer.max_epochs=1")
    longer = command(*given, "trainer.max_epochs=300", f"ckpt_path={first.folder}/checkpoints/last.ckpt")
    assert longer.status == 0, longer.err
    assert longer.metrics["epochs"] == 300


@pytest.mark.further
@pytest.mark.parametrize(("monitor", "validated", "stops"), [
    ("train/loss", 1, 300), ("train/loss", 10, 300), ("val/loss", 1, 300), ("val/loss", 10, 300), ("val/loss", 70, 350),
])  # fmt: skip
def test_early_stopping_checks_at_its_own_epochs_however_often_a_run_is_validated(
    tmp_path: Path, monitor: str, validated: int, stops: int
) -> None:
    loader = XORDataModule().train_dataloader()
    stopping = EarlyStoppingOfOurs(monitor, every_n_epochs=100, patience=2, min_delta=0.5)
    how: dict[str, Any] = {"check_val_every_n_epoch": validated, "num_sanity_val_steps": 0, "logger": False}
    how |= {"enable_progress_bar": False, "enable_model_summary": False, "enable_checkpointing": False}
    trainer = Trainer(max_epochs=1000, accelerator="cpu", callbacks=[stopping], **how)
    trainer.fit(XORModule(), loader, loader)
    assert trainer.current_epoch == stops


def test_early_stopping_needs_no_validation_where_that_is_rare(tmp_path: Path) -> None:
    """As Lightning's would, which checks behind a validation that never comes."""
    stopping = EarlyStoppingOfOurs(every_n_epochs=100, patience=2, min_delta=0.5)
    trainer, _ = fit(tmp_path, 1000, [stopping], trainer={"check_val_every_n_epoch": 10})
    assert trainer.current_epoch == 300
