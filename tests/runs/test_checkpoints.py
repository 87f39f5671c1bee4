"""The checkpoints of a run are found where its configuration puts them, so no later run is taken for an earlier one."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import NO_FIGURES, Command

from xornet.runs.checkpoints import checkpoints, last_checkpoint
from xornet.runs.record import read_jobs

SHORT = ("trainer.max_epochs=40", *NO_FIGURES)
BEST = ("callbacks=best_checkpoint", "callbacks.best_checkpoint.every_n_epochs=20")
PLACES = {
    "within": ("callbacks.checkpoint.dirpath='${trainer.default_root_dir}/kept'",),
    "referred": ("+place=kept", "callbacks.checkpoint.dirpath='${trainer.default_root_dir}/${place}'"),
    "absolute": ("callbacks.checkpoint.dirpath='{run}/kept'",),
    "relative": ("callbacks.checkpoint.dirpath=kept", "hydra.job.chdir=true"),
    "chosen": (
        "optimizer=adam",
        "callbacks.checkpoint.dirpath='${trainer.default_root_dir}/${hydra:runtime.choices.optimizer}'",
    ),
    "itself": ("callbacks.checkpoint.dirpath='${hydra:runtime.output_dir}'",),
}


def content(path: Path) -> Any:
    """What a checkpoint holds."""
    return torch.load(path, weights_only=True)


@pytest.mark.further
@pytest.mark.parametrize("place", PLACES)
def test_a_new_run_deletes_the_checkpoints_of_the_earlier_one_wherever_in_its_directory_they_are(
    command: Command, tmp_path: Path, place: str
) -> None:
    run = tmp_path / "run"
    given = (*(text.replace("{run}", str(run)) for text in PLACES[place]), f"hydra.run.dir={run}", *SHORT)
    assert command(*given, "seed=1").status == 0
    last = last_checkpoint(run)
    assert checkpoints(run) == [last]
    assert content(last)["hyper_parameters"]["seed"] == 1
    (run / "mine").mkdir()
    shutil.copy(last, run / "mine" / "copy.ckpt")
    os.utime(last, (1, 1))
    other = command("seed=3", *SHORT).folder
    assert command(str(run), str(other), script="compare.py").status == 0
    none = (*given[1:], "callbacks.checkpoint=null", "trainer.enable_checkpointing=false")
    assert command("seed=2", *(one for one in none if "dirpath" not in one)).status == 0
    assert not last.exists()
    assert checkpoints(run) == []
    assert content(run / "mine" / "copy.ckpt")["hyper_parameters"]["seed"] == 1
    assert "cannot be compared: there is no " in command(str(run), str(other), script="compare.py").last_line


@pytest.mark.further
def test_what_else_is_in_a_place_for_checkpoints_is_kept(command: Command, tmp_path: Path) -> None:
    run = tmp_path / "run"
    nested = (f"hydra.run.dir={run}/other", *SHORT)
    assert command(*nested).status == 0
    given = (*PLACES["itself"], f"hydra.run.dir={run}", *SHORT)
    assert command(*given).status == 0
    for name in ("start.ckpt", "best_of_2025.ckpt"):
        shutil.copy(run / "last.ckpt", run / name)
        os.utime(run / name, (1, 1))
    kept = {path: path.read_bytes() for path in run.rglob("*.ckpt") if path != run / "last.ckpt"}
    assert len(kept) == 3
    assert command(*given, "seed=2").status == 0
    assert {path: path.read_bytes() for path in kept} == kept
    assert content(run / "last.ckpt")["hyper_parameters"]["seed"] == 2


@pytest.mark.further
def test_a_checkpoint_of_an_earlier_part_is_not_shown_as_the_end_of_the_run(command: Command, tmp_path: Path) -> None:
    here = (f"hydra.run.dir={tmp_path}/run", *NO_FIGURES)
    assert command(*here, "trainer.max_epochs=20").status == 0
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert command(*here, "trainer.max_epochs=40", "callbacks.checkpoint=null", f"ckpt_path={last}").status == 0
    refused = command(str(tmp_path / "run"), str(command(*SHORT).folder), script="compare.py")
    assert refused.last_line.endswith(
        f"{last} is of epoch 20, but the run ended at 40; use runs that end with a last.ckpt"
    )
    unbegun = command("trainer.max_time=00:00:00:00", *NO_FIGURES).folder  # with a curve of no point
    assert command(str(unbegun), str(command(*SHORT).folder), script="compare.py").status == 0
    sweep = command("-m", "seed=1,2", *SHORT)
    one = next(sweep.folder.glob("0_*"))
    assert [job.curve is None for job in read_jobs(sweep.folder)] == [False, False]
    longer = ("seed=1", "trainer.max_epochs=50", "callbacks.checkpoint=null", f"hydra.run.dir='{one}'", *NO_FIGURES)
    assert command(*longer, f"ckpt_path='{one}/checkpoints/last.ckpt'").status == 0
    assert [job.curve is None for job in read_jobs(sweep.folder)] == [True, False]


@pytest.mark.further
def test_a_job_is_resumed_from_its_newest_checkpoint_that_holds_more_than_weights(command: Command) -> None:
    place = ("callbacks.checkpoint.dirpath=kept", "hydra.job.chdir=true")
    weights = (*BEST, "+callbacks.best_checkpoint.save_weights_only=true")
    for given in (place, weights):
        sweep = ["-m", "seed=1,2", *given, *SHORT]
        run = command(*sweep)
        assert run.status == 0
        job = run.folder / "0_seed=1"
        (job / "metrics.json").unlink()
        if given is weights:
            best = next(job.rglob("best*.ckpt"))
            os.utime(best, (2e9, 2e9))
        again = command(*sweep, f"hydra.sweep.dir={run.folder}")
        assert again.status == 0, again.err
        assert "resumed: 0_seed=1" in again.err
