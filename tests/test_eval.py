import json
import re
from pathlib import Path

import pytest
from conftest import NO_FIGURES, Command


def test_eval_prints_the_truth_table_and_draws_the_pictures(command: Command) -> None:
    trained = command("trainer.max_epochs=300", "optimizer=adam", "optimizer.lr=0.1", "seed=4")
    run = command(f"ckpt_path={trained.folder}/checkpoints/last.ckpt", script="eval.py")
    assert run.status == 0, run.err
    rows = re.findall(r"^([01]) ([01]) -> ([01]), predicted (\d\.\d{4})$", run.out, re.M)
    assert [row[:3] for row in rows] == [("0", "0", "0"), ("0", "1", "1"), ("1", "0", "1"), ("1", "1", "0")]
    assert [float(row[3]) for row in rows] == pytest.approx(trained.metrics["predictions"], abs=5.1e-5)
    assert f"Loss: {trained.metrics['loss']:.4f}\n" in run.out
    assert f"Accuracy: {trained.metrics['accuracy']:.0%}\n" in run.out
    weights = command(f"ckpt_path={trained.folder}/xornet.pt", script="eval.py")
    assert "xornet.pt holds weights alone; use the checkpoints/last.ckpt" in weights.last_line
    for picture in ("loss_curve.png", "decision_boundary.png"):
        assert (run.folder / picture).read_bytes() == (trained.folder / picture).read_bytes()


def test_what_a_logger_of_an_evaluation_writes_lies_in_its_directory(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = command("trainer.max_epochs=5", *NO_FIGURES)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = command(f"ckpt_path={trained.folder}/checkpoints/last.ckpt", "trainer.logger=true", script="eval.py")
    assert run.status == 0, run.err
    assert (run.folder / "lightning_logs" / "version_0" / "hparams.yaml").exists()
    assert not list((tmp_path / "elsewhere").iterdir())


@pytest.mark.parametrize(
    "model", [[], pytest.param(["data.bits=3", "trainer.precision=64-true"], marks=pytest.mark.further)]
)
def test_eval_of_an_ensemble_finds_what_the_run_found(command: Command, model: list[str]) -> None:
    trained = command("networks=30", "seed=3", "optimizer.lr=2.0", "trainer.max_epochs=450", *model)
    run = command(f"ckpt_path={trained.folder}/checkpoints/last.ckpt", script="eval.py")
    times = ("seconds", "compile_seconds")
    assert run.metrics == {name: value for name, value in trained.metrics.items() if name not in times}
    assert model or 0 < run.metrics["solved"] < 1
    words = trained.out.split("\n", 1)[1]  # after the row of epoch 0
    assert words.startswith("Solved: ")
    assert run.out.endswith(words)
    plane = () if model else ("examples.png", "decision_boundary.png")
    for name in ("networks.csv", "loss_curve.png", "solved.png", *plane):
        assert (run.folder / name).read_bytes() == (trained.folder / name).read_bytes()


@pytest.mark.further
def test_a_relative_checkpoint_lies_where_the_command_is_given(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Wherever Hydra goes then, for an evaluation and for a run."""
    monkeypatch.chdir(command("trainer.max_epochs=5", *NO_FIGURES).folder)
    given = ("ckpt_path=checkpoints/last.ckpt", "hydra.job.chdir=true")
    evaluated = command(*given, script="eval.py")
    assert evaluated.status == 0, evaluated.err
    resumed = command(*given, *NO_FIGURES, "trainer.max_epochs=10", f"hydra.run.dir={tmp_path}/longer")
    assert resumed.status == 0, resumed.err
    assert json.loads((tmp_path / "longer/metrics.json").read_text())["epochs"] == 10
    sweep = ("-m", *given, *NO_FIGURES, "trainer.max_epochs=10,11", f"hydra.sweep.dir={tmp_path}/sweep")
    assert command(*sweep).status == 0
    again = command(*sweep)
    assert again.status == 0, again.err
    assert again.err.count("skipped, finished before") == 2


def test_a_missing_argument_is_named(command: Command) -> None:
    run = command(script="eval.py")
    assert run.last_line == "error: ckpt_path is missing; use ckpt_path=<value>"


@pytest.mark.further
@pytest.mark.parametrize(
    ("script", "swept"), [("eval.py", "ckpt_path=glob(*)"), ("check_gradients.py", "optimizer=glob(q*)")]
)
def test_a_sweep_of_no_value_is_refused(command: Command, script: str, swept: str) -> None:
    run = command("-m", swept, script=script)
    assert run.status == 1
    assert run.last_line == f"error: {swept} names no value; use a list of values"


def test_an_evaluation_in_the_directory_of_another_leaves_nothing_of_that(command: Command, tmp_path: Path) -> None:
    many = command("trainer.max_epochs=5", "networks=3").folder
    bits = command("trainer.max_epochs=5", "data.bits=3").folder
    for run in (many, bits):
        evaluated = command(f"ckpt_path={run}/checkpoints/last.ckpt", f"hydra.run.dir={tmp_path}/e", script="eval.py")
        assert evaluated.status == 0
    files = {path.name for path in (tmp_path / "e").iterdir()}
    assert files == {".hydra", "metrics.json", "networks.csv", "loss_curve.png"}  # three inputs make no plane


@pytest.mark.parametrize("limit", ["limit_test_batches", "limit_predict_batches"])
def test_an_evaluation_of_no_batch_is_refused_by_name(command: Command, limit: str) -> None:
    path = command("trainer.max_epochs=5", *NO_FIGURES).folder / "checkpoints" / "last.ckpt"
    run = command(f"ckpt_path={path}", f"+trainer.{limit}=0", script="eval.py")
    assert f"trainer.{limit}=0 cannot work here: an epoch is one batch, the whole table; leave it at 1" in run.last_line
