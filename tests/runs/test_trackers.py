"""MLflow and W&B, for real: the extras of pyproject.toml that `make test-all` installs."""

import struct
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from conftest import NO_FIGURES, Command
from PIL import Image

RUN = ["trainer.max_epochs=300", "callbacks.animation.max_frames=3"]
SWEEP = ["-m", "model.init=null,1e30,0.5", "model.activation=relu", "optimizer.lr=0.5", "trainer.max_epochs=30"]
FINAL = {"final/loss", "final/accuracy", "final/solved"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of packages that are not ours
]


def mlflow_runs(project: Path) -> list[Any]:
    """The runs in the database of a project, the oldest first, deleted ones too."""
    client = import_module("mlflow").MlflowClient(f"sqlite:///{project}/logs/mlflow.db")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(ids, run_view_type=3, order_by=["attributes.start_time ASC"]))


def wandb_records(folder: Path) -> list[Any]:
    """The records of the one offline run below a directory: LevelDB's log format after a header of seven bytes."""
    (path,) = folder.rglob("run-*.wandb")
    content, at, whole, records = path.read_bytes(), 7, b"", []
    while at + 7 <= len(content):
        if 32768 - at % 32768 < 7:  # no header fits into the rest of a block
            at += 32768 - at % 32768
            continue
        _, length, part = struct.unpack_from("<IHB", content, at)
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if part in (1, 4):  # whole, or the last part
            record = import_module("wandb.proto.wandb_internal_pb2").Record()
            record.ParseFromString(whole)
            records.append(record)
            whole = b""
    return records


def history(records: list[Any], key: str) -> dict[int, str]:
    """What was logged under a key, as JSON, by its epoch."""
    rows = [
        {item.key or "/".join(item.nested_key): item.value_json for item in record.history.item}
        for record in records
        if record.WhichOneof("record_type") == "history"
    ]
    found = [(int(row["trainer/global_step"]), row[key]) for row in rows if key in row]
    assert len(dict(found)) == len(found)  # each epoch once
    return dict(found)


def exit_codes(records: list[Any]) -> list[int]:
    return [record.exit.exit_code for record in records if record.WhichOneof("record_type") == "exit"]


def test_mlflow_has_the_metrics_hyperparameters_and_pictures_of_a_run_once(command: Command, tmp_path: Path) -> None:
    mlflow = pytest.importorskip("mlflow", reason="needs the extra mlflow")
    run = command("logger=[csv,mlflow]", *RUN)
    assert run.status == 0, run.err
    (tracked,) = mlflow_runs(tmp_path)
    assert tracked.info.status == "FINISHED"
    assert tracked.data.params["optimizer.lr"] == "0.1"
    assert tracked.data.metrics.keys() >= FINAL
    assert tracked.data.metrics["final/loss"] == pytest.approx(run.metrics["loss"])
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path}/logs/mlflow.db")
    curve = client.get_metric_history(tracked.info.run_id, "train/loss")
    assert [metric.step for metric in curve] == list(range(300))
    assert curve[-1].value == pytest.approx(run.metrics["loss"], abs=1e-4)
    norms = client.get_metric_history(tracked.info.run_id, "update/gradient_norm/hidden")
    assert [metric.step for metric in norms] == [0, 200]
    pictures = [path for path in (tmp_path / "logs" / "mlflow").rglob("*.png") if "loss_curve+" in path.name]
    ours = Image.open(run.folder / "loss_curve.png")
    assert any(Image.open(path).size == ours.size for path in pictures)


def test_each_job_of_a_sweep_is_a_run_of_mlflow(command: Command, tmp_path: Path) -> None:
    pytest.importorskip("mlflow", reason="needs the extra mlflow")
    assert command(*SWEEP, "logger=mlflow", *NO_FIGURES).status == 1  # the second becomes nan
    runs = mlflow_runs(tmp_path)
    assert [run.info.status for run in runs] == ["FINISHED", "FAILED", "FINISHED"]
    assert [run.data.params["model.init"] for run in runs] == ["None", "1e+30", "0.5"]


def test_wandb_has_the_metrics_hyperparameters_and_pictures_of_a_run_once(command: Command) -> None:
    pytest.importorskip("wandb", reason="needs the extra wandb")
    run = command("logger=[tensorboard,wandb]", *RUN)
    assert run.status == 0, run.err
    import_module("wandb").finish()
    records = wandb_records(run.folder)
    losses = history(records, "train/loss")
    assert list(losses) == list(range(300))
    assert float(losses[299]) == pytest.approx(run.metrics["loss"], abs=1e-4)
    assert list(history(records, "update/gradient_norm/hidden")) == [0, 200]
    for name in FINAL:
        assert list(history(records, name)) == [300]
    assert float(history(records, "final/loss")[300]) == pytest.approx(run.metrics["loss"])
    assert list(history(records, "plots/loss_curve/count")) == [300]
    assert list(run.folder.glob("wandb/*/files/media/images/plots/loss_curve_*.png"))
    configured = Counter(item.key for record in records for item in record.run.config.update)
    configured += Counter(item.key for record in records for item in record.config.update)
    assert {"optimizer.lr", "model.hidden", "seed"} <= {key.strip('"') for key in configured}


def test_each_job_of_a_sweep_is_a_run_of_wandb_that_is_closed_before_the_next(command: Command) -> None:
    pytest.importorskip("wandb", reason="needs the extra wandb")
    run = command(*SWEEP, "logger=wandb", *NO_FIGURES)
    assert run.status == 1  # the second becomes nan
    assert import_module("wandb").run is None
    jobs = [wandb_records(job) for job in sorted(run.folder.glob("[0-2]_*"))]
    assert [exit_codes(records) for records in jobs] == [[0], [1], [0]]
    assert list(history(jobs[0], "train/loss")) == list(history(jobs[2], "train/loss")) == list(range(30))


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_refused_run_leaves_none_in_a_tracker(command: Command, tmp_path: Path, name: str) -> None:
    pytest.importorskip(name, reason=f"needs the extra {name}")
    run = command("trainer.max_epochs=9", *NO_FIGURES)
    before = {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()}
    other = [f"ckpt_path={run.folder}/checkpoints/last.ckpt", "optimizer.lr=5", f"hydra.run.dir={run.folder}"]
    refused = command(*other, f"logger={name}", "trainer.max_epochs=19", *NO_FIGURES)
    assert "optimizer.lr=0.1, but this run has optimizer.lr=5" in refused.err
    assert {path: path.read_bytes() for path in run.folder.rglob("*") if path.is_file()} == before
    if name == "mlflow":
        assert [run.info.lifecycle_stage for run in mlflow_runs(tmp_path)] == ["deleted"]
    else:
        assert not (run.folder / "wandb").exists()


@pytest.mark.parametrize("name", ["mlflow", "wandb"])
def test_a_package_that_is_missing_is_named_with_a_remedy(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    module = import_module(f"lightning.pytorch.loggers.{name}")
    flag = f"_{name.upper()}_AVAILABLE"
    missing = type(getattr(module, flag))(f"{name}>=999")
    monkeypatch.setattr(module, flag, missing)
    run = command(f"logger={name}", "trainer.max_epochs=3")
    assert run.last_line == f"error: logger={name}: the package {name} is not installed; use pip install -e '.[{name}]'"
    assert not run.folder.exists()
