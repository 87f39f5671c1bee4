from collections.abc import Callable
from pathlib import Path

import events
import pytest
import torch
from conftest import fit
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger

from xornet.callbacks.animation import BoundaryAnimation
from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.callbacks.gradient_monitor import GradientMonitor
from xornet.callbacks.loss_surface import LossSurface
from xornet.callbacks.metrics import Metrics
from xornet.callbacks.run_summary import RunSummary
from xornet.callbacks.stopping import EarlyStopping, ResumeStopped
from xornet.runs.events import EventLogger


@pytest.mark.parametrize("make", [Metrics, LossSurface, BoundaryAnimation])
def test_a_callback_of_one_run_serves_another_as_a_new_one_would(tmp_path: Path, make: Callable[[], Callback]) -> None:
    used = make()
    for name, callback, epochs in (("first", used, 40), ("second", used, 30), ("new", make(), 30)):
        folder = tmp_path / name
        fit(
            folder,
            epochs,
            [callback],
            seed=3,
            trainer={"logger": CSVLogger(folder, name="", version=""), "log_every_n_steps": 1},
        )
    left = {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    assert left == {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    assert left


def test_a_checkpoint_callback_of_one_run_saves_another_that_is_resumed_at_its_end(tmp_path: Path) -> None:
    used = LastCheckpoint(str(tmp_path))
    fit(tmp_path, 40, [used], seed=1)
    fit(tmp_path / "other", 30, [LastCheckpoint(str(tmp_path / "other"))], seed=2)
    fit(tmp_path, 30, [used], tmp_path / "other" / "last.ckpt", seed=2)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["hyper_parameters"]["seed"] == 2


def test_a_run_summary_of_one_run_is_written_at_the_start_of_another_too(tmp_path: Path) -> None:
    used = RunSummary()
    for name in ("first", "second"):
        logger = EventLogger(str(tmp_path / name))
        callbacks: list[Callback] = [used, GradientMonitor(10)]  # which ends blocks
        fit(tmp_path / name, 40, callbacks, trainer={"logger": logger, "log_every_n_steps": 1})
        assert [event.step for event in events.read(tmp_path / name).Tensors("run/text_summary")] == [0, 40]


def test_a_run_does_not_end_where_one_before_it_had_stopped(tmp_path: Path) -> None:
    callbacks = [
        ResumeStopped(),
        EarlyStopping(every_n_epochs=10, patience=10**6, stopping_threshold=10),
        LastCheckpoint(str(tmp_path)),
    ]
    epochs = [fit(tmp_path, 100, callbacks, path)[0].current_epoch for path in (None, tmp_path / "last.ckpt", None)]
    assert epochs == [10, 10, 10]
