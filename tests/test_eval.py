import os
import pickle
import re
from pathlib import Path

import lightning.pytorch
import pytest
import torch
from conftest import Command, Run


@pytest.fixture
def trained(command: Command) -> Run:
    return command("trainer.max_epochs=300", "optimizer=adam", "optimizer.lr=0.1", "seed=4")


def test_eval_prints_the_truth_table_and_draws_the_pictures(command: Command, trained: Run) -> None:
    run = command(f"ckpt_path={trained.folder}/checkpoints/last.ckpt", script="eval.py")
    assert run.status == 0, run.err
    rows = re.findall(r"^([01]) ([01]) -> ([01]), predicted (\d\.\d{4})$", run.out, re.M)
    assert [row[:3] for row in rows] == [("0", "0", "0"), ("0", "1", "1"), ("1", "0", "1"), ("1", "1", "0")]
    assert [float(row[3]) for row in rows] == pytest.approx(trained.metrics["predictions"], abs=5.1e-5)
    assert f"Loss: {trained.metrics['loss']:.4f}\n" in run.out
    assert f"Accuracy: {trained.metrics['accuracy']:.0%}\n" in run.out
    for picture in ("loss_curve.png", "decision_boundary.png"):
        assert (run.folder / picture).read_bytes() == (trained.folder / picture).read_bytes()


@pytest.mark.parametrize("model", [[], ["data.bits=3", "trainer.precision=64-true"]])
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


class Malice:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> object:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("script", ["eval.py", "train.py"])
def test_a_bad_checkpoint_is_one_line_and_runs_no_code(
    command: Command, trained: Run, tmp_path: Path, script: str
) -> None:
    good = trained.folder / "checkpoints" / "last.ckpt"
    mark = tmp_path / "executed"
    bad = {name: tmp_path / f"{name}.ckpt" for name in ("truncated", "text", "zip", "pickle", "foreign", "shapes")}
    bad["truncated"].write_bytes(good.read_bytes()[:-200])
    bad["text"].write_text("hello")
    torch.save({"state_dict": {}, "hyper_parameters": Malice(mark)}, bad["zip"])
    bad["pickle"].write_bytes(pickle.dumps(Malice(mark)))
    foreign = lightning.pytorch.Trainer(logger=False, accelerator="cpu", barebones=True)
    foreign.strategy.connect(lightning.pytorch.LightningModule())
    foreign.save_checkpoint(bad["foreign"], weights_only=True)
    checkpoint = torch.load(good, weights_only=True)
    checkpoint["state_dict"]["ensemble.weights.0"] = torch.zeros(3, 5, 1)
    torch.save(checkpoint, bad["shapes"])
    for name, path in bad.items():
        same = ["optimizer=adam", "optimizer.lr=0.1", "seed=4"] if script == "train.py" else []
        run = command(f"ckpt_path={path}", *same, script=script)
        assert run.status == 1, name
        assert run.last_line.startswith(f"error: ckpt_path={path}"), run.err
        assert "; use " in run.last_line
        assert "Traceback" not in run.err, run.err
        assert not mark.exists()


def test_a_missing_argument_is_named(command: Command) -> None:
    run = command(script="eval.py")
    assert run.last_line == "error: ckpt_path is missing; use ckpt_path=<value>"
