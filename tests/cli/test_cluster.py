"""A run on a cluster is the run that it is anywhere: what the machine has and says does not concern it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import events
import pytest
import torch
from conftest import NO_FIGURES, SRC, Command
from lightning.fabric.utilities import rank_zero_only

# What a process finds in its environment
MACHINES = {
    "a login node": {},
    "sbatch, several tasks": {"SLURM_JOB_ID": "123", "SLURM_NTASKS": "4", "SLURM_JOB_NAME": "job", "SLURM_PROCID": "0"},
    "srun, the second task of a node": {
        "SLURM_JOB_ID": "123",
        "SLURM_NTASKS": "4",
        "SLURM_NTASKS_PER_NODE": "2",
        "SLURM_NNODES": "2",
        "SLURM_PROCID": "1",
        "SLURM_LOCALID": "1",
        "SLURM_NODEID": "0",
        "SLURM_JOB_NAME": "job",
    },
    "an interactive shell of srun": {"SLURM_JOB_ID": "1", "SLURM_NTASKS": "2", "SLURM_JOB_NAME": "bash"},
    "a rank left in a shell": {"RANK": "1", "LOCAL_RANK": "1"},
    "torchrun, the second process": {
        "RANK": "1",
        "LOCAL_RANK": "1",
        "GROUP_RANK": "0",
        "LOCAL_WORLD_SIZE": "2",
        "WORLD_SIZE": "2",
        "TORCHELASTIC_RUN_ID": "1",
    },
    "LSF": {"LSB_JOBID": "1", "LSB_DJOB_RANKFILE": "/none", "JSM_NAMESPACE_LOCAL_RANK": "1", "JSM_NAMESPACE_SIZE": "2"},
}


@pytest.fixture
def srun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a command `srun` on the PATH."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "srun").touch(mode=0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin", prepend=os.pathsep)


@pytest.mark.usefixtures("srun")
@pytest.mark.parametrize("variables", MACHINES.values(), ids=MACHINES)
def test_a_run_on_a_cluster_is_the_run_that_it_is_anywhere(
    command: Command, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(rank_zero_only, "rank", int(variables.get("RANK", variables.get("SLURM_PROCID", "0"))))
    requeue = signal.getsignal(signal.SIGUSR1)
    run = command("trainer.max_epochs=30", *NO_FIGURES)
    assert run.status == 0, run.err
    assert run.err.count("\n") == 1, run.err
    assert run.metrics["loss"] == pytest.approx(0.2521, abs=1e-4)
    assert list(events.scalar(run.folder, "train/loss")) == list(range(30))
    assert (run.folder / "checkpoints" / "last.ckpt").exists()
    assert signal.getsignal(signal.SIGUSR1) is requeue
    assert vars(rank_zero_only)["rank"] == 0


@pytest.mark.further
def test_a_process_of_rank_1_trains_a_whole_run_and_says_nothing_of_the_machine(srun: None, tmp_path: Path) -> None:
    script = [sys.executable, "-W", "error::UserWarning", str(SRC / "train.py")]
    environment = os.environ | MACHINES["torchrun, the second process"]
    done = subprocess.run(
        [*script, f"hydra.run.dir={tmp_path}/run", "trainer.max_epochs=10", *NO_FIGURES],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stderr.count("\n") == 1, done.stderr
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["epochs"] == 10
    assert list(events.scalar(tmp_path / "run", "train/loss")) == list(range(10))


def test_a_gpu_that_is_not_used_is_no_news(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    run = command("trainer.max_epochs=3", *NO_FIGURES)
    assert run.status == 0, run.err
    assert run.err.count("\n") == 1, run.err


@pytest.mark.further
def test_a_stock_trainer_where_srun_is_says_nothing_either(srun: None, tmp_path: Path) -> None:
    script = "import xornet, lightning.pytorch as pl; pl.Trainer(accelerator='cpu', logger=False, barebones=True)"
    script = f"import torch; torch.cuda.device_count = lambda: 1; {script}"
    done = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "Warning" not in done.stderr
