"""A sweep on a real cluster: Slurm with one node, this machine, where Debian's slurm-wlm and munge are installed."""

import csv
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from conftest import NO_FIGURES, SRC

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "scancel")
MISSING = [name for name in PROGRAMS if not shutil.which(name, path=f"{os.environ.get('PATH')}:/usr/sbin")]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"needs Debian's slurm-wlm and munge: no {', '.join(MISSING)}"),
    pytest.mark.skipif(os.geteuid() != 0, reason="slurmd starts jobs as root alone"),
]

CONF = """\
ClusterName=xornet
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmUser=root
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""
# Slurm's sacct needs a database; submitit asks it for the states of jobs, which the controller knows as well.
SACCT = """\
#!/bin/sh
echo 'JobID|State|NodeList'
scontrol --oneliner show jobs | sed -nE \\
    -e 's/^JobId=[0-9]+ ArrayJobId=([0-9]+) ArrayTaskId=([0-9]+) .* JobState=([A-Z_]+) .*/\\1_\\2|\\3|/p' \\
    -e 's/^JobId=([0-9]+) JobName.* JobState=([A-Z_]+) .*/\\1|\\2|/p'
"""


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def wait_for(happened: Callable[[], object], what: str) -> None:
    """Wait until something has happened, five minutes at most."""
    deadline = time.monotonic() + 300
    while not happened():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.2)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A cluster of one node, which the commands of a test find by their environment."""
    folder = tmp_path / "slurm"
    for name in ("bin", "state", "spool"):
        (folder / name).mkdir(parents=True)
    host = socket.gethostname().partition(".")[0]
    ports = {"controller": free_port(), "node": free_port()}
    (folder / "slurm.conf").write_text(CONF.format(host=host, folder=folder, cpus=os.cpu_count(), **ports))
    (folder / "cgroup.conf").write_text("CgroupAutomount=no\n")
    (folder / "bin" / "sacct").write_text(SACCT)
    (folder / "bin" / "sacct").chmod(0o755)
    (folder / "munge.key").write_bytes(os.urandom(128))
    (folder / "munge.key").chmod(0o600)
    monkeypatch.setenv("PATH", f"{folder}/bin:{os.environ['PATH']}:/usr/sbin")
    monkeypatch.setenv("SLURM_CONF", str(folder / "slurm.conf"))
    places = [f"--{name}={folder}/munge.{end}" for name, end in (("socket", "socket"), ("key-file", "key"))]
    places += [f"--{name}={folder}/munge.{end}" for name, end in (("pid-file", "pid"), ("log-file", "log"))]
    daemons = (
        ["munged", "--foreground", "--force", *places, f"--seed-file={folder}/munge.seed"],
        ["slurmctld", "-D", "-c"],
        ["slurmd", "-D", "-c"],
    )
    running = []
    try:
        for line in daemons:
            with (folder / f"{line[0]}.out").open("w") as out:
                running.append(subprocess.Popen(line, stdout=out, stderr=out))
            if line[0] == "munged":
                wait_for((folder / "munge.socket").exists, "munged")
            assert running[-1].poll() is None, (folder / f"{line[0]}.out").read_text()
        wait_for(lambda: "idle" in said("sinfo", "--noheader", "-o", "%T"), "a node that is idle")
        yield
    finally:
        said("scancel", "--user=root")
        if running[1:] and running[1].poll() is None:
            wait_for(lambda: not said("squeue", "--noheader"), "an empty queue")
        for daemon in reversed(running):
            daemon.terminate()
            daemon.wait(timeout=60)


def said(*line: str) -> str:
    return subprocess.run(line, capture_output=True, text=True, check=False).stdout


def sweep(folder: Path) -> "subprocess.Popen[str]":
    """Start a sweep on the cluster: a job that cannot work, one that is short, and one that never ends by itself."""
    launcher = ["hydra/launcher=submitit_slurm", "hydra.launcher.cpus_per_task=1", "hydra.launcher.timeout_min=30"]
    given = ["-m", "trainer.max_epochs=0,2000,1000000000", f"hydra.sweep.dir={folder}", *launcher, *NO_FIGURES]
    return subprocess.Popen([sys.executable, SRC / "train.py", *given], stdout=-1, stderr=-2, text=True)


def cancel(job: str) -> None:
    """Cancel the job of the cluster that trains one of a sweep's: the array task of that number."""
    (found,) = [line for line in said("squeue", "--noheader", "-o", "%i").split() if line.endswith(f"_{job}")]
    said("scancel", found)


def step(checkpoint: Path) -> int:
    epochs: int = torch.load(checkpoint, weights_only=True)["global_step"]
    return epochs


@pytest.mark.usefixtures("cluster")
def test_a_sweep_on_slurm_survives_a_failing_and_a_cancelled_job_and_is_resumed(tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    finished, kept = (
        folder / "1_trainer.max_epochs=2000" / "metrics.json",
        folder / "2_trainer.max_epochs=1000000000" / "checkpoints" / "last.ckpt",
    )
    written, epochs = None, 0
    for part in range(2):  # the same command again resumes
        running = sweep(folder)
        begun = time.time()
        try:
            wait_for(lambda: finished.exists() and kept.exists() and kept.stat().st_mtime > begun, "two jobs")  # noqa: B023
            cancel("2")
            out, _ = running.communicate(timeout=600)
        finally:
            running.kill()
        assert running.returncode == 1, out
        assert "Traceback" not in out
        assert "error: 1 of 3 jobs failed" in out
        assert re.search(r"error: .*ended without a result \(CANCELLED\); use the same command to resume", out), out
        with (folder / "sweep.csv").open(newline="") as file:
            assert [row["status"] for row in csv.DictReader(file)] == ["failed", "finished", "interrupted"]
        assert (written or finished.stat().st_mtime_ns) == finished.stat().st_mtime_ns  # skipped the second time
        assert step(kept) > epochs
        written, epochs = finished.stat().st_mtime_ns, step(kept)
        said_by_jobs = "".join(path.read_text() for path in folder.glob(".submitit/*/*_log.err"))
        assert ("resumed: 2_trainer" in said_by_jobs) is ("skipped, finished before: 1_" in said_by_jobs) is (part == 1)
