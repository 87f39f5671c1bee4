"""What a user adds is used, or refused in one line."""

import os
import random
import re
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import additions
import pytest
import torch
from conftest import NO_FIGURES, Command, fit
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import LambdaCallback, ModelCheckpoint

from xornet.backprop import ACTIVATIONS, Activation
from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.callbacks.interruption import StopOnSignal
from xornet.checkpoint import CheckpointFile

SHORT = ("trainer.max_epochs=40", *NO_FIGURES)
NOISY = ("model._target_=additions.Noisy", "+model.sigma=0.1")


@pytest.fixture(autouse=True)
def allow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XORNET_ALLOW", "additions")


@pytest.mark.parametrize(
    ("given", "line"),
    {
        "model._target_=additions.Unrelated": "model._target_=additions.Unrelated is no XORModule; use",
        "+callbacks.x._target_=additions.Unrelated": "callbacks.x._target_=additions.Unrelated is no Callback; use",
        "+callbacks.x={_target_:additions.Keeps,_partial_:true}": "callbacks.x._partial_=True makes no Callback; drop",
        "+logger.x._target_=additions.Keeps": "logger.x._target_=additions.Keeps is no Logger; use",
        "+model.sigma=much model._target_=additions.Noisy": "model.sigma=much is a text; use a number",
    }.items(),
)
def test_a_class_of_another_kind_is_refused_by_its_key(command: Command, given: str, line: str) -> None:
    run = command(*given.split(), *SHORT)
    assert run.status == 1
    assert run.last_line.startswith(f"error: {line}")
    assert "Traceback" not in run.err
    assert not run.folder.exists()


def test_a_subclass_is_reproducible_evaluated_compared_and_resumed(command: Command, tmp_path: Path) -> None:
    first, second, other = (command(*NOISY, f"seed={seed}", *SHORT) for seed in (7, 7, 8))
    runs = (first, second, other, command(*NOISY, "seed=7", "trainer.max_epochs=41", *NO_FIGURES))
    losses = [run.metrics["loss"] for run in runs]
    checkpoint = CheckpointFile().load_checkpoint(first.folder / "checkpoints" / "last.ckpt")  # without NumPy's numbers
    assert checkpoint["hyper_parameters"]["sigma"] == 0.1
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3
    last = f"ckpt_path={first.folder}/checkpoints/last.ckpt"
    assert command(last, script="eval.py").metrics["loss"] == first.metrics["loss"]
    compared = command(str(first.folder), str(other.folder), script="compare.py")
    assert compared.status == 0, compared.err
    longer = ("seed=7", "trainer.max_epochs=60", *NO_FIGURES, last)
    assert command("model._target_=additions.Noisy", "+model.sigma=0.2", *longer).metrics["epochs"] == 60
    refused = command(*longer)
    assert refused.last_line.endswith("; resume with the class that it was started with")


@pytest.mark.further
def test_what_a_user_draws_is_other_than_the_first_weights_and_other_for_another_seed(command: Command) -> None:
    additions.Draws.drawn.clear()
    for seed in ("seed=7", "seed=7", "seed=8", "~seed model.seed=7", "~model.seed seed=7"):
        assert command(*seed.split(), "+callbacks.draws._target_=additions.Draws", *SHORT).status == 0
    first, again, other, *named = additions.Draws.drawn
    assert [first] * 3 == [again, *named] != [other] * 3
    torch.manual_seed(7)
    assert first[0] not in torch.rand(100).tolist()
    assert first[1] != random.Random(7).random()


@pytest.mark.parametrize(
    ("addition", "held", "owner"),
    [
        ("+callbacks.keeps._target_=additions.Keeps", "pathlib.PosixPath", "the state of Keeps"),
        pytest.param(
            "+callbacks.keeps._target_=additions.Empty",
            "pathlib.PosixPath",
            "the state of Empty",
            marks=pytest.mark.further,
        ),
        pytest.param(
            "+callbacks.keeps._target_=additions.Unpicklable",
            "everything (",
            "the state of Unpicklable",
            marks=pytest.mark.further,
        ),
        pytest.param(
            "data._target_=additions.Rooted", "pathlib.PosixPath", "Rooted.hparams", marks=pytest.mark.further
        ),
    ],
)
def test_a_state_that_is_not_loaded_again_is_refused_before_anything_is_trained(
    command: Command, addition: str, held: str, owner: str
) -> None:
    run = command(addition, *SHORT)
    assert run.status == 1
    assert f"a checkpoint cannot hold {held}" in run.last_line
    assert re.search(f"as in {owner}(: \\w+)?; use tensors, numbers", run.last_line)
    assert "Traceback" not in run.err
    assert not run.folder.exists()
    assert command(addition, "trainer.fast_dev_run=true").status == 0  # which saves nothing


@pytest.mark.further
def test_lists_and_numbers_of_a_data_module_are_saved_and_loaded(command: Command) -> None:
    counted = ("data._target_=additions.Counted", "+data.points=[3,[4]]")
    run = command(*counted, *SHORT)
    assert run.status == 0, run.err
    last = run.folder / "checkpoints" / "last.ckpt"
    kept = CheckpointFile().load_checkpoint(last)["datamodule_hyper_parameters"]
    assert kept == {"bits": 2, "points": [3, [4]], "scale": 3.0}
    resumed = command(*counted, *SHORT, "trainer.max_epochs=60", f"ckpt_path={last}")
    assert resumed.status == 0, resumed.err
    assert "loaded {'count': 1.0} " in resumed.out
    read = ("data._target_=additions.Scaled", "+data.part={points:[1,2]}")
    run = command(*read, *SHORT)
    assert run.status == 0, run.err
    kept = CheckpointFile().load_checkpoint(run.folder / "checkpoints" / "last.ckpt")["datamodule_hyper_parameters"]
    assert kept == {"bits": 2, "part": {"points": [1, 2]}}
    assert command(*read, script="check_gradients.py").status == 0


@pytest.mark.further
def test_the_data_may_be_a_loader(command: Command) -> None:
    assert command("data._target_=additions.Loader", *SHORT).status == 0
    checked = command("data._target_=additions.Loader", script="check_gradients.py")
    assert checked.out.endswith("The gradients agree.\n")
    refused = command("data._target_=xornet.module.XORModule", *SHORT)
    assert "data._target_=xornet.module.XORModule is no LightningDataModule; use a class that" in refused.last_line
    refused = command("data._target_=additions.Late", "+data.points=abc", *SHORT)
    assert "data.points=abc is a text; use a whole number" in refused.last_line


@pytest.mark.further
def test_a_state_that_becomes_one_that_is_not_loaded_again_costs_no_results_and_no_checkpoint(command: Command) -> None:
    run = command(
        "+callbacks.keeps={_target_:additions.Keeps,epoch:20}", "callbacks.checkpoint.every_n_epochs=10", *SHORT
    )
    assert run.status == 0
    assert run.metrics["epochs"] == 40
    last = run.folder / "checkpoints" / "last.ckpt"
    line = f"{last} is not written, and an older one stays as it is: a checkpoint cannot hold pathlib.PosixPath, as in "
    assert run.err.count(f"{line}this one: callbacks: Keeps: path; use tensors") == 1
    assert CheckpointFile().load_checkpoint(last)["global_step"] == 20


def test_the_gradient_is_checked_on_a_table_that_is_made_in_setup(command: Command) -> None:
    run = command("data._target_=additions.Late", script="check_gradients.py")
    assert run.out.endswith("The gradients agree.\n"), run.err


@pytest.mark.further
def test_the_gradient_of_an_added_activation_is_checked(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    softplus = Activation(torch.nn.functional.softplus, lambda a: 1 - torch.exp(-a))
    monkeypatch.setitem(ACTIVATIONS, "softplus", softplus)
    run = command("model.activation=softplus", script="check_gradients.py")
    assert run.out.endswith("The gradients agree.\n"), run.err
    assert "σ'(a_1) = slope(a_1)" in run.out


@pytest.mark.further
def test_a_logger_gets_the_hyperparameters_first(command: Command) -> None:
    run = command(*SHORT)
    additions.Notes.calls.clear()
    last = f"ckpt_path={run.folder}/checkpoints/last.ckpt"
    again = command("+logger.notes._target_=additions.Notes", last, f"hydra.run.dir={run.folder}", *SHORT[1:])
    assert again.status == 0, again.err
    assert additions.Notes.calls[0] == "hyperparams"
    assert additions.Notes.calls.count("metrics") > 40


@pytest.mark.parametrize(
    "saving", [LastCheckpoint, partial(ModelCheckpoint, every_n_epochs=100)], ids=["ours", "stock"]
)
def test_an_interrupted_run_that_has_saved_nothing_names_no_checkpoint_to_resume_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], saving: Callable[[str], Callback]
) -> None:
    def interrupt(trainer: Trainer, *_: Any) -> None:
        if trainer.current_epoch == 2:
            os.kill(os.getpid(), signal.SIGINT)

    interrupting = LambdaCallback(on_train_batch_end=interrupt)
    keeping, last = additions.Keeps(epoch=1), saving(str(tmp_path / "checkpoints"))
    with pytest.raises(SystemExit, match="130"):
        fit(tmp_path, 40, [interrupting, StopOnSignal(), keeping, last])
    said = capsys.readouterr().err
    assert said.endswith("interrupted at epoch 3\n"), said
