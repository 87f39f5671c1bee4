"""Loggers that keep runs of their own: MLflow and W&B for real where they are installed, else a tracker as W&B is."""

import csv
import json
import logging
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tracker
from conftest import NO_FIGURES, SRC, Command
from omegaconf import OmegaConf

from xornet.runs.trackers import WaitingLogger, begin_trackers

NAMED = "+logger.tracker._target_=tracker.TrackerLogger"
SWEPT = ["model.init=null,1e30,0.5", "model.activation=relu", "optimizer.lr=0.5", "trainer.max_epochs=30"]
THEIRS = pytest.mark.filterwarnings("ignore")  # what their packages warn of


@pytest.fixture(autouse=True)
def tracking(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracker that a configuration may name; servers that are not there are not asked twice."""
    monkeypatch.setenv("XORNET_ALLOW", "tracker")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setattr(tracker, "run", None)
    monkeypatch.setattr(tracker, "runs", [])


@pytest.fixture
def mlflow() -> Any:
    """MLflow."""
    return pytest.importorskip("mlflow", reason="MLflow is not installed: pip install '.[mlflow]'")


@pytest.fixture
def wandb() -> Any:
    """W&B."""
    return pytest.importorskip("wandb", reason="W&B is not installed: pip install '.[wandb]'")


def files(folder: Path) -> dict[Path, int]:
    """The files in a directory, and when each was written."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def table(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What a run has logged, by name, as its table has it."""
    curves = defaultdict(list)
    with (folder / "csv" / "metrics.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for name in (name for name, cell in row.items() if cell and name != "step"):
                curves[name].append((int(row["step"]), float(row[name])))
    return {name: sorted(curve) for name, curve in curves.items()}


def test_a_run_that_is_refused_begins_no_run_in_a_tracker(command: Command, tmp_path: Path) -> None:
    run = command("~logger", "trainer.max_epochs=3", *NO_FIGURES)
    before = files(tmp_path)
    last = f"ckpt_path={run.folder}/checkpoints/last.ckpt"
    assert command(NAMED, last, f"hydra.run.dir={run.folder}", "trainer.max_epochs=2").status == 1
    assert command(NAMED, last, "trainer.max_epochs=4", "trainer.precision=64-true").status == 1
    assert tracker.runs == []
    assert files(tmp_path) == before
    assert command(NAMED, last, "trainer.max_epochs=5", *NO_FIGURES).status == 0
    assert sorted(set(tracker.runs[0].steps)) == list(range(6))  # with what the checkpoint has of the curve


@pytest.mark.further
def test_a_tracker_that_cannot_be_reached_refuses_the_run(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:

    def unreachable() -> None:
        raise ConnectionError("no route\nto host")

    monkeypatch.setattr(tracker, "init", unreachable)
    run = command(NAMED, "trainer.max_epochs=3")
    assert run.status == 1
    assert run.last_line.endswith(
        "logger.tracker cannot begin a run: no route to host; "
        "see that it can be reached and its arguments are right, or use logger.tracker=null"
    )
    assert not list(tmp_path.rglob("*.*"))
    assert command(NAMED, "logger.tracker=null", "trainer.max_epochs=3").status == 0


@pytest.mark.parametrize("kind", ["MLFlowLogger", "WandbLogger"])
def test_a_tracker_whose_package_is_missing_is_named_with_a_remedy(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    name = {"MLFlowLogger": "mlflow", "WandbLogger": "wandb"}[kind]
    monkeypatch.setattr(f"lightning.pytorch.loggers.{name}._{name.upper()}_AVAILABLE", "")
    line = command(f"logger={name}", "trainer.max_epochs=3").last_line
    assert f"logger.{name} cannot begin a run" in line
    assert line.endswith(f"install it, or use logger.{name}=null")
    assert not list(tmp_path.rglob("metrics.json"))


@pytest.mark.parametrize(
    ("kind", "known", "arguments"),
    [
        ("MLFlowLogger", {}, {"run_id": "a"}),
        ("MLFlowLogger", {"run_id": "b"}, {}),
        ("WandbLogger", {"offline": False, "id": None}, {"id": "a"}),
        ("WandbLogger", {"offline": True}, {}),
        ("TrackerLogger", {}, {}),
    ],
)
def test_a_tracker_continues_its_own_run_where_it_can(
    monkeypatch: pytest.MonkeyPatch, kind: str, known: dict[str, Any], arguments: dict[str, str]
) -> None:
    made = []

    class Made(tracker.TrackerLogger):
        def __init__(self, **given: Any) -> None:
            super().__init__()
            made.append(given)

    monkeypatch.setattr(tracker, kind, Made, raising=False)
    waiting = WaitingLogger("logger.x", OmegaConf.create({"_target_": f"tracker.{kind}", **known}))
    waiting.log_metrics({"train/loss": 1.0}, 9)
    waiting.resume({"trackers": {"logger.x": "a", "logger.y": "c"}, "global_step": 7})
    trainer: Any = SimpleNamespace(loggers=[waiting])
    kept = begin_trackers(trainer)
    assert made == [known | arguments]
    assert trainer.loggers[0].first_step == (7 if arguments else 0)
    assert tracker.runs[0].steps == []
    for call in kept:  # once it has the hyperparameters
        call()
    assert tracker.runs[0].steps == [9]


def test_a_tracker_names_each_run_otherwise_though_the_random_numbers_are_seeded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names: list[float] = []

    class Named(tracker.TrackerLogger):
        def __init__(self) -> None:
            super().__init__()
            names.append(random.random())

    monkeypatch.setattr(tracker, "Named", Named, raising=False)
    for _ in range(2):
        random.seed(7)
        WaitingLogger("logger.x", OmegaConf.create({"_target_": "tracker.Named"})).begin()
        assert random.random() == random.Random(7).random()
    assert names[0] != names[1]


@THEIRS
@pytest.mark.slow
def test_mlflow_has_a_run_for_each_job_with_all_that_was_logged(command: Command, tmp_path: Path, mlflow: Any) -> None:
    assert command("-m", "logger=[csv,mlflow]", *SWEPT).status == 1  # the second becomes nan
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/logs/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("xornet").experiment_id
    runs = client.search_runs([experiment], order_by=["attributes.start_time"])
    assert [run.info.status for run in runs] == ["FINISHED", "FAILED", "FINISHED"]
    assert [run.data.params["model.init"] for run in runs] == ["None", "1e+30", "0.5"]
    for run in (runs[0], runs[2]):
        folder = Path(run.data.tags["directory"])
        curves = table(folder)
        assert {"train/loss", "final/loss", "update/gradient_norm/hidden"} <= curves.keys() == run.data.metrics.keys()
        for name, curve in curves.items():
            history = client.get_metric_history(run.info.run_id, name)
            assert [(m.step, m.value) for m in sorted(history, key=lambda m: m.step)] == curve, name
        pictures = [file.path for file in client.list_artifacts(run.info.run_id, "images")]
        for name in ("loss_curve", "loss_curve_log", "hidden_units", "decision_boundary"):
            assert any(f"plots~{name}+step+30+" in path and path.endswith(".png") for path in pictures), name
        assert any("plots~decision_boundary+step+0+" in path for path in pictures)
    assert run.data.params["optimizer.lr"] == "0.5"


@THEIRS
@pytest.mark.slow
def test_jobs_that_begin_at_once_share_a_new_database_of_mlflow(tmp_path: Path, mlflow: Any) -> None:
    store = f"logger.mlflow.tracking_uri=sqlite:///{tmp_path}/mlflow.db"
    sweep = [
        "-m",
        "hydra/launcher=joblib",
        "hydra.launcher.n_jobs=4",
        "seed=1,2,3,4",
        f"hydra.sweep.dir={tmp_path}/sweep",
    ]
    line = [sys.executable, str(SRC / "train.py"), *sweep, "logger=mlflow", store, "trainer.max_epochs=30", *NO_FIGURES]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    runs = client.search_runs([client.get_experiment_by_name("xornet").experiment_id])
    assert sorted(run.data.params["seed"] for run in runs) == ["1", "2", "3", "4"]


@THEIRS
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_mlflow_run_that_is_interrupted_continues_and_one_that_is_extended_has_a_new_one(
    tmp_path: Path, mlflow: Any, number: signal.Signals
) -> None:
    store = f"sqlite:///{tmp_path}/mlflow.db"
    where = [f"logger.mlflow.tracking_uri={store}", f"logger.mlflow.artifact_location={tmp_path}/pictures"]
    cut = f"+callbacks.cut={{_target_: tracker.Signal, epoch: 50, number: {int(number)}}}"
    often = ["callbacks.checkpoint.every_n_epochs=20", "callbacks.gradient_monitor.every_n_epochs=5"]
    last = f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt"

    def run(*overrides: str) -> list[Any]:
        path = os.pathsep.join([str(SRC), str(SRC.parent / "tests")])
        line = [sys.executable, str(SRC / "train.py"), "logger=[csv,mlflow]", *where, *often, *overrides]
        done = subprocess.run(
            [*line, f"hydra.run.dir={tmp_path}/run"], env={**os.environ, "PYTHONPATH": path}, check=False
        )
        assert done.returncode in ((-9, 130) if cut in overrides else (0,))
        client = mlflow.MlflowClient(store)
        experiment = client.get_experiment_by_name("xornet").experiment_id
        return list(client.search_runs([experiment], order_by=["attributes.start_time"]))

    (first,) = run("trainer.max_epochs=100", cut)
    assert first.info.status == ("FAILED" if number == signal.SIGINT else "RUNNING")
    (whole,) = run("trainer.max_epochs=80", last)
    assert whole.info.run_id == first.info.run_id
    assert whole.info.status == "FINISHED"
    client = mlflow.MlflowClient(store)
    for name, curve in table(tmp_path / "run").items():
        history = client.get_metric_history(whole.info.run_id, name)
        assert sorted((m.step, m.value) for m in history) == curve, name
    whole, extended = run("trainer.max_epochs=90", last)
    assert extended.info.status == "FINISHED"
    history = client.get_metric_history(extended.info.run_id, "train/loss")
    assert [m.step for m in history] == list(range(90))


@THEIRS
@pytest.mark.slow
def test_a_new_run_that_is_to_be_logged_into_an_mlflow_run_of_another_loses_no_number(
    command: Command, tmp_path: Path, mlflow: Any
) -> None:
    store = f"sqlite:///{tmp_path}/mlflow.db"
    given = ["logger=[csv,mlflow]", f"logger.mlflow.tracking_uri={store}", "trainer.max_epochs=20", "~callbacks"]
    given += ["+callbacks.metrics._target_=xornet.callbacks.metrics.Metrics"]
    assert command(*given, f"logger.mlflow.artifact_location={tmp_path}/pictures").status == 0
    client = mlflow.MlflowClient(store)
    (run,) = client.search_runs([client.get_experiment_by_name("xornet").experiment_id])
    other = command(
        *given, f"+logger.mlflow.run_id={run.info.run_id}", "optimizer.lr=0.5", f"hydra.run.dir={tmp_path}/b"
    )
    assert other.status == 0, other.err
    history = {(m.step, m.value) for m in client.get_metric_history(run.info.run_id, "train/loss")}
    assert history >= set(table(tmp_path / "b")["train/loss"])


@THEIRS
@pytest.mark.slow
def test_each_mlflow_logger_of_a_run_that_failed_or_was_copied_has_each_number_once(
    command: Command, tmp_path: Path, mlflow: Any
) -> None:
    store, (run, copy) = f"sqlite:///{tmp_path}/mlflow.db", (tmp_path / name for name in ("run", "copy"))
    where = f"tracking_uri={store}", f"artifact_location={tmp_path}/pictures"
    given = ["logger=[csv,mlflow]", *(f"logger.mlflow.{each}" for each in where)]
    given += ["+logger.second._target_=xornet.runs.mlflow_logger.MLFlowLogger", "+logger.second.experiment_name=second"]
    given += [f"+logger.second.{each}" for each in where]
    given += ["callbacks.checkpoint.every_n_epochs=20", "callbacks.gradient_monitor.every_n_epochs=5", *NO_FIGURES]
    given += ["trainer.max_epochs=60"]
    client = mlflow.MlflowClient(store)

    def runs(name: str) -> list[Any]:
        found = client.search_runs([client.get_experiment_by_name(name).experiment_id])
        return sorted(found, key=lambda one: int(one.info.start_time))

    def check(found: Any) -> None:
        for name, curve in table(run).items():
            history = client.get_metric_history(found.info.run_id, name)
            assert sorted((m.step, m.value) for m in history) == curve, name

    assert command(*given, "+callbacks.cut={_target_: tracker.Fault, epoch: 50}", f"hydra.run.dir={run}").status == 1
    shutil.copytree(run, copy)
    for _ in range(2):  # the second time at its end
        resumed = command(*given, f"ckpt_path={run}/checkpoints/last.ckpt", f"hydra.run.dir={run}")
        assert resumed.status == 0, resumed.err
        for name in ("xornet", "second"):
            (found,) = runs(name)
            check(found)
        (run / "metrics.json").unlink()
    other = command(*given, f"ckpt_path={copy}/checkpoints/last.ckpt", f"hydra.run.dir={copy}")
    assert other.status == 0, other.err
    for name in ("xornet", "second"):
        first, second = runs(name)
        check(first)
        history = client.get_metric_history(second.info.run_id, "train/loss")
        assert [m.step for m in history] == list(range(60))

    client.delete_run(runs("xornet")[0].info.run_id)
    before = files(run)
    refused = command(*given, f"ckpt_path={run}/checkpoints/last.ckpt", f"hydra.run.dir={run}")
    assert "logger.mlflow cannot begin a run: its run has been deleted in MLflow; restore it" in refused.last_line
    assert files(run) == before


@THEIRS
@pytest.mark.slow
def test_an_mlflow_server_that_is_not_there_refuses_the_run(command: Command, tmp_path: Path, mlflow: Any) -> None:
    run = command("logger=mlflow", "logger.mlflow.tracking_uri=http://127.0.0.1:9", "trainer.max_epochs=3")
    assert run.status == 1
    assert "logger.mlflow cannot begin a run" in run.last_line
    assert "see that it can be reached" in run.last_line
    assert not list(tmp_path.rglob("*.json"))


@THEIRS
@pytest.mark.slow
def test_wandb_has_a_run_for_each_job_with_all_that_was_logged(command: Command, wandb: Any) -> None:
    swept = command("-m", "logger=[csv,wandb]", *SWEPT)
    assert swept.status == 1  # the second becomes nan
    assert wandb.run is None
    jobs = sorted(path for path in swept.folder.iterdir() if path.is_dir())
    runs = [records(next(job.glob("wandb/offline-run-*/*.wandb"))) for job in jobs]
    assert all(len(list(job.glob("wandb/offline-run-*"))) == 1 for job in jobs)
    assert [[r.exit.exit_code for r in run if r.WhichOneof("record_type") == "exit"] for run in runs] == [[0], [1], [0]]
    for job, run in ((jobs[0], runs[0]), (jobs[2], runs[2])):
        curves, pictures = defaultdict(list), set()
        for record in run:
            row = {".".join(i.nested_key) or i.key: json.loads(i.value_json) for i in record.history.item}
            for name, value in row.items():
                if name.startswith("plots/"):  # and what is known of it
                    pictures.add((name.partition(".")[0], row["trainer/global_step"]))
                elif name.startswith(("train/", "update/", "final/")):
                    curves[name].append((row["trainer/global_step"], value))
        assert {name: sorted(curve) for name, curve in curves.items()} == table(job)
        names = ("loss_curve", "loss_curve_log", "hidden_units", "decision_boundary")
        assert pictures >= {*((f"plots/{name}", 30) for name in names), ("plots/decision_boundary", 0)}
        config = {item.key: item.value_json for record in run for item in record.config.update}
        assert config["optimizer.lr"] == "0.5"


def records(path: Path) -> list[Any]:
    """What W&B has kept of a run, in the file that `wandb sync` uploads: LevelDB's log format after seven bytes."""
    from wandb.proto.wandb_internal_pb2 import Record  # noqa: PLC0415 - an extra

    data, place, found, parts = path.read_bytes(), 7, [], b""
    while place + 7 <= len(data):
        if (left := 32768 - place % 32768) < 7:  # the end of a block holds no header
            place += left
            continue
        length, kind = struct.unpack("<HB", data[place + 4 : place + 7])
        parts += data[place + 7 : place + 7 + length]
        place += 7 + length
        if kind in (1, 4):  # whole, or the last part
            found.append(Record.FromString(parts))
            parts = b""
    return found


def test_a_fault_in_a_package_of_ones_own_shows_where_it_is(command: Command) -> None:
    run = command("~logger", "+callbacks.cut={_target_: tracker.Fault, epoch: 2}", "trainer.max_epochs=3", *NO_FIGURES)
    assert run.status == 1
    assert "Traceback" in run.err
    assert "tracker.py" in run.err
    assert "no space left" in run.last_line


@pytest.mark.further
def test_a_warning_of_a_tracker_that_cannot_be_reached_leaves_the_log_of_the_run_alone(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable() -> None:
        logging.getLogger("urllib3").warning("Retrying")
        raise ConnectionError("no route")

    run = command("~logger", "trainer.max_epochs=3", *NO_FIGURES)
    before = files(tmp_path)
    monkeypatch.setattr(tracker, "init", unreachable)
    resumed = (f"ckpt_path={run.folder}/checkpoints/last.ckpt", f"hydra.run.dir={run.folder}", "trainer.max_epochs=5")
    refused = command(NAMED, *resumed, *NO_FIGURES)
    assert "logger.tracker cannot begin a run: no route" in refused.last_line
    assert "Retrying" in refused.err
    assert files(tmp_path) == before
