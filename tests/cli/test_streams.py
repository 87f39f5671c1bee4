"""stdout and stderr, whatever they are: a run prints what it can, and does the rest as ever."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import NO_FIGURES, SRC, Command

SHORT = ["trainer.max_epochs=3000", *NO_FIGURES]
ASCII = {"PYTHONUTF8": "0", "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}


def shell(line: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run a line of the shell, in which "$@" is `python src/<script> <arguments>`."""
    script, *given = arguments
    command = ["bash", "-c", line, "bash", sys.executable, str(SRC / script), *given]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )


@pytest.mark.further
def test_a_closed_pipe_ends_a_run_as_it_ends_a_unix_tool(tmp_path: Path) -> None:
    run = shell('"$@" | head -2; exit ${PIPESTATUS[0]}', "train.py", *SHORT, f"hydra.run.dir={tmp_path}/run")
    assert (run.returncode, run.stderr) == (141, "")
    assert [line.split(",")[0] for line in run.stdout.splitlines()] == ["Epoch 0", "Epoch 1000"]
    assert (tmp_path / "run" / "checkpoints" / "last.ckpt").exists()
    assert not (tmp_path / "run" / "metrics.json").exists()


@pytest.mark.further
def test_a_closed_pipe_fails_no_job_of_a_sweep(tmp_path: Path) -> None:
    sweep = ["-m", *SHORT, "seed=1,2", f"hydra.sweep.dir={tmp_path}/sweep"]
    run = shell('"$@" | head -2; exit ${PIPESTATUS[0]}', "train.py", *sweep, "hydra/hydra_logging=disabled")
    assert (run.returncode, run.stderr) == (141, "")
    assert not list(tmp_path.rglob("error.txt"))
    assert "interrupted" in (tmp_path / "sweep" / "sweep.csv").read_text()


@pytest.mark.slow
def test_a_closed_pipe_fails_no_job_of_another_process(tmp_path: Path) -> None:
    sweep = ["-m", *SHORT, "seed=1,2", f"hydra.sweep.dir={tmp_path}/sweep"]
    joblib = shell('"$@" | head -1', "train.py", *sweep, "hydra/launcher=joblib", "hydra/job_logging=disabled")
    assert not list(tmp_path.rglob("error.txt")), joblib.stderr
    assert len(list(tmp_path.rglob("metrics.json"))) == 2


@pytest.mark.further
@pytest.mark.parametrize(
    "closed", ["<&- >&- 2>&-", *(pytest.param(one, marks=pytest.mark.further) for one in (">&-", "2>&-"))]
)
def test_what_is_closed_is_not_printed_to(tmp_path: Path, closed: str) -> None:
    run = shell(f'"$@" {closed}', "train.py", *SHORT, f"hydra.run.dir={tmp_path}/run")
    assert run.returncode == 0, run.stderr
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["epochs"] == 3000
    assert "Epoch" not in (tmp_path / "run" / "train.log").read_text()
    assert ("Final predictions" in run.stdout) == (closed == "2>&-")


@pytest.mark.slow
def test_jobs_in_other_processes_run_where_an_output_is_closed(tmp_path: Path) -> None:
    sweep = ["-m", *SHORT, "seed=1,2", f"hydra.sweep.dir={tmp_path}/sweep", "hydra/launcher=joblib"]
    assert shell('"$@" 2>&-', "train.py", *sweep).returncode == 0
    assert len(list(tmp_path.rglob("metrics.json"))) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full takes Linux")
@pytest.mark.further
def test_a_full_disk_under_stdout_is_not_taken_for_the_run_s(tmp_path: Path) -> None:
    run = shell('"$@" > /dev/full', "train.py", *SHORT, f"hydra.run.dir={tmp_path}/run")
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == (
        "error: cannot write stdout: No space left on device; redirect it to where there is space"
    )
    trained = shell('"$@" > /dev/null', "train.py", *SHORT, f"hydra.run.dir={tmp_path}/whole")
    assert trained.returncode == 0
    evaluated = [f"ckpt_path={tmp_path}/whole/checkpoints/last.ckpt", f"hydra.run.dir={tmp_path}/evaluation"]
    for script, given in (("eval.py", evaluated), ("check_gradients.py", ["-m", "seed=1,2"])):
        other = shell('"$@" > /dev/full', script, *given)  # where Hydra ignores the failure
        assert other.returncode == 1
        assert other.stderr.splitlines()[-1] == run.stderr.splitlines()[-1]


@pytest.mark.parametrize("script", [pytest.param("train.py", marks=pytest.mark.slow), "check_gradients.py"])
@pytest.mark.further
def test_letters_that_the_terminal_lacks_are_spelled_out(tmp_path: Path, script: str) -> None:
    variables = " ".join(f"{name}={value}" for name, value in ASCII.items())
    given = (
        [] if script == "check_gradients.py" else ["trainer.max_epochs=3", *NO_FIGURES, f"hydra.run.dir={tmp_path}/run"]
    )
    run = shell(f'{variables} "$@"', script, *given)
    assert run.returncode == 0, run.stderr
    assert ("\\u2202L" in run.stdout) == (script == "check_gradients.py")


@pytest.mark.further
@pytest.mark.parametrize(
    "logging",
    [
        "disabled",
        *(pytest.param(name, marks=pytest.mark.further) for name in ("none", "default", "stdout", "colorlog")),
    ],
)
def test_every_logging_of_hydra_makes_a_run(command: Command, logging: str) -> None:
    options = [f"hydra/job_logging={logging}"]
    options += ["hydra/hydra_logging=" + logging] if logging in ("disabled", "none") else []
    if logging == "colorlog":
        pytest.importorskip("hydra_plugins.hydra_colorlog")
    run = command("trainer.max_epochs=3", *NO_FIGURES, *options)
    assert run.status == 0, run.err
    assert run.metrics["epochs"] == 3
    sweep = command("-m", "seed=1,2", "trainer.max_epochs=3", *NO_FIGURES, *options)
    assert sweep.status == 0, sweep.err
    assert len(list(sweep.folder.glob("*/metrics.json"))) == 2


@pytest.mark.further
@pytest.mark.further
def test_a_cache_of_pytorch_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    environment = os.environ | {"TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "file")}
    command = [sys.executable, str(SRC / "train.py")]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.stderr.splitlines()[-1].endswith("; use TORCHINDUCTOR_CACHE_DIR=<a writable directory>")
    assert "Traceback" not in process.stderr
    assert process.returncode == 1


def test_a_notebooks_backend_of_matplotlib_stops_no_command() -> None:
    # it is exported by the kernel, and need not be installed here
    environment = os.environ | {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}
    command = [sys.executable, str(SRC / "compare.py")]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert process.stderr.startswith("error: a comparison takes at least 2 runs, got 0")
    assert process.returncode == 1
