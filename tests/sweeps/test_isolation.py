import csv
import os
import sys
from typing import Any

import events
import pytest
import torch
import tracker
from conftest import NO_FIGURES, Command

from xornet.sweeps.isolation import process_left_as_found


def state() -> tuple[object, ...]:
    """What a run could change of its process."""
    return (
        dict(os.environ),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.get_rng_state().tolist(),
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
    )


def test_everything_that_a_run_sets_for_its_process_is_put_back() -> None:
    before = state()
    with process_left_as_found():
        os.environ["PL_GLOBAL_SEED"] = "1"
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_default_dtype(torch.float64)
        torch.rand(1)
        torch.set_float32_matmul_precision("medium")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.deterministic = True
        assert all(ours != theirs for ours, theirs in zip(state(), before, strict=True))
    assert state() == before


@pytest.fixture
def tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracker in the place of W&B, which a configuration may name."""
    monkeypatch.setitem(sys.modules, "wandb", tracker)
    monkeypatch.setenv("XORNET_ALLOW", "tracker")
    monkeypatch.setattr(tracker, "run", None)
    monkeypatch.setattr(tracker, "runs", [])


@pytest.mark.usefixtures("tracking")
def test_each_job_of_a_sweep_has_a_run_of_its_own_in_an_experiment_tracker(command: Command) -> None:
    logger = ["trainer.logger={_target_: tracker.TrackerLogger}", "callbacks.gradient_monitor=null", *NO_FIGURES]
    swept = ["model.init=null,1e30,0.5", "model.activation=relu", "optimizer.lr=0.5", "trainer.max_epochs=30"]
    assert command("-m", *logger, *swept).status == 1  # the second becomes nan
    assert tracker.run is None
    assert [run.config["model.init"] for run in tracker.runs] == [None, 1e30, 0.5]
    assert [run.config["optimizer.lr"] for run in tracker.runs] == [0.5] * 3
    assert [run.exit_code for run in tracker.runs] == [0, 1, 0]
    assert [sorted(set(run.steps)) for run in tracker.runs] == [list(range(31)), [], list(range(31))]


@pytest.mark.usefixtures("tracking")
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_a_run_of_a_tracker_that_is_stopped_has_failed(
    error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:

    def stop() -> None:
        tracker.init()
        raise error

    with pytest.raises(error), process_left_as_found():
        stop()
    assert [run.exit_code for run in tracker.runs] == [1]

    def unreachable(exit_code: int) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(tracker, "finish", unreachable)
    with pytest.raises(error), process_left_as_found():  # the first error stays the cause
        stop()
    with pytest.raises(ConnectionError), process_left_as_found():
        pass


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.filterwarnings("ignore:Experiment logs directory")
def test_several_loggers_get_the_same_at_once(command: Command, listed: bool) -> None:
    table: dict[str, Any] = {"name": "csv", "save_dir": "${hydra:runtime.output_dir}", "version": "''"}
    node = ", ".join(f"{key}: {value}" for key, value in table.items())
    one = f"{{_target_: lightning.pytorch.loggers.CSVLogger, {node}}}"
    several = f"trainer.logger=[{one}, '${{logger}}']" if listed else "logger=many"
    run = command(several, "trainer.max_epochs=20", *NO_FIGURES)
    assert run.status == 0, run.err
    curve = events.scalar(run.folder, "train/loss")
    with (run.folder / "csv" / "metrics.csv").open(newline="") as file:
        rows = {int(row["step"]): float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]}
    assert list(rows) == list(curve) == list(range(20))
    assert run.metrics["loss"] == events.scalar(run.folder, "final/loss")[20]
    assert rows == pytest.approx(curve)
    assert (run.folder / "hparams.yaml").read_bytes() == (run.folder / "csv" / "hparams.yaml").read_bytes()
