"""What a run takes from outside (nothing), what it leaves outside its directory, and what it is installed from."""

import os
import re
import subprocess
import sys
import tomllib
from functools import partial
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import audit
import forks
import pytest
from conftest import SRC
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from xornet.runs import directory
from xornet.runs.directory import PROJECT

RUN = ["trainer.max_epochs=20", "callbacks.animation.max_frames=2"]


def confined(project: Path) -> None:
    """Have logs/ there, refuse the network, and note what is written."""
    directory.PROJECT = project
    audit.watch(str(project / "audit"))


@pytest.mark.further
def test_no_command_needs_a_network_or_writes_outside_its_directory(tmp_path: Path) -> None:
    forks.ready()
    commands = [
        ("train.py", *RUN),
        ("train.py", "-m", "seed=1,2", *RUN),
        ("eval.py", "ckpt_path={run}/checkpoints/last.ckpt"),
        ("compare.py", "{run}", "{run}/../../multiruns/*/0_seed=1"),
        ("check_gradients.py",),
    ]
    for number, (script, *overrides) in enumerate(commands):
        runs = sorted(tmp_path.glob("logs/train/runs/*"))
        given = [override.format(run=runs and runs[0]) for override in overrides]
        given = [str(*Path("/").glob(path[1:])) if "*" in path else path for path in given]
        output = tmp_path / f"{number}.out"
        assert forks.ended(forks.start(script, *given, output=output, before=partial(confined, tmp_path))) == 0
    for path in audit.written(tmp_path / "audit") - {Path(os.devnull)}:
        assert path.is_relative_to(tmp_path / "logs") or str(path).startswith("/dev/shm/"), path


def test_the_network_would_be_noticed(tmp_path: Path) -> None:
    look = "import audit, socket; audit.watch('report'); socket.create_connection(('127.0.0.1', 9), timeout=1)"
    done = subprocess.run(
        [sys.executable, "-c", look], cwd=tmp_path, env={"PYTHONPATH": str(Path(__file__).parent)}, check=False
    )
    assert done.returncode == 1
    with pytest.raises(AssertionError, match=r"socket\.getaddrinfo"):
        audit.written(tmp_path / "report")


@pytest.mark.parametrize(
    "compiles", [pytest.param("false", marks=pytest.mark.further), pytest.param("true", marks=pytest.mark.slow)]
)
def test_a_first_run_leaves_a_list_of_fonts_and_what_was_compiled(tmp_path: Path, compiles: str) -> None:
    for name in ("home", "tmp", "cwd", "site"):
        (tmp_path / name).mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(f"import audit\naudit.watch({str(tmp_path / 'audit')!r})\n")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path / "home"),
        "TMPDIR": str(tmp_path / "tmp"),
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), str(Path(__file__).parent)]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, f"{SRC}/train.py", f"hydra.run.dir={tmp_path}/run", *RUN, f"model.compile={compiles}"]
    done = subprocess.run(command, cwd=tmp_path / "cwd", env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    left = {str(path.relative_to(tmp_path)) for name in ("home", "tmp", "cwd") for path in (tmp_path / name).rglob("*")}
    files = {path for path in left if (tmp_path / path).is_file()}
    compiled = {path for path in files if path.startswith("tmp/torchinductor_")}
    assert [re.sub(r"-v[\d.]+json", "", path) for path in files - compiled] == ["home/.cache/matplotlib/fontlist"]
    assert bool(compiled) == (compiles == "true")
    for path in audit.written(tmp_path / "audit") - {Path(os.devnull)}:
        assert path.is_relative_to(tmp_path), path


def pins() -> dict[str, str]:
    """The versions of requirements.lock."""
    lines = [line for line in (PROJECT / "requirements.lock").read_text().splitlines() if line and line[0] != "#"]
    pinned = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines]
    assert all(pinned), lines
    return {canonicalize_name(match[1]): match[2] for match in pinned if match}


def test_everything_that_is_installed_with_the_project_is_locked() -> None:
    locked, seen = pins(), set[str]()
    todo = [Requirement("xornet[dev,mlflow,sweep,wandb]")]
    while todo:
        requirement = todo.pop()
        name = canonicalize_name(requirement.name)
        for extra in ("", *sorted(requirement.extras)):
            if (key := f"{name}[{extra}]") in seen:
                continue
            seen.add(key)
            try:
                wanted = [Requirement(line) for line in requires(name) or []]
            except PackageNotFoundError:  # for another platform, or another version of Python
                continue
            if name != "xornet":
                assert locked.get(name) == Version(version(name)).public, name
            todo += [want for want in wanted if not want.marker or want.marker.evaluate({"extra": extra})]
    assert len(seen) > 60
    assert locked["torch"] == "2.13.0"


def test_releases_known_to_be_malicious_cannot_be_installed() -> None:
    given = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["dependencies"]
    wanted = {requirement.name: requirement.specifier for requirement in map(Requirement, given)}
    for bad in ("2.6.2", "2.6.3"):
        assert bad not in wanted["lightning"]
    assert pins()["lightning"] in wanted["lightning"]
    for bad in ("1.3.2", "1.4.0"):
        assert bad not in wanted["hydra-core"]


def test_the_project_can_be_installed_into_any_directory() -> None:
    # pip takes a space in PIP_CONSTRAINT for the end of a path
    make = ["make", "--no-print-directory", "--dry-run", "--always-make", "setup"]
    steps = subprocess.run(make, check=True, cwd=PROJECT, capture_output=True, text=True)
    assert re.findall(r"PIP_CONSTRAINT=(\S+)", steps.stdout) == ["requirements.lock"]
    assert str(PROJECT) not in steps.stdout
