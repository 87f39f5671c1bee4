"""The run directory: found, and claimed for one run or sweep.

Whatever is refused leaves every file as it was. So a run writes nothing, its configuration included, before it starts
to train (see cli/run_directory.py), and what this process has made for nothing is undone (see undo.py).
"""

import itertools
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from xornet.runs.settings import CONFIG, load
from xornet.runs.undo import SWEEP, expect, made

PROJECT = Path(__file__).resolve().parents[3]
# What a run may leave that the next one in its directory need not replace: that one may be of one network, log
# elsewhere, draw nothing, or end early.
RESULTS = (
    *("metrics.json", "networks.csv", "xornet.pt", "error.txt", "loss_curve.png", "loss_surface.png", "solved.png"),
    *("decision_boundary.png", "decision_boundary.gif", "hidden_units.png", "examples.png", "lr_map.png"),
)
# What a resumed run needs.
STATE = ("hparams.yaml", "csv/hparams.yaml", "csv/metrics.csv", "checkpoints/last.ckpt", "checkpoints/interrupted.ckpt")
LEFT = (*RESULTS, *STATE)


def claim(parent: str) -> str:
    """Create `<project>/<parent>/<date>_<time>` and return its path; never one that exists.

    A second run in the same second gets `_2`, and so on: creating a directory succeeds for one process only.
    """
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for number in itertools.count(1):
        folder = PROJECT / parent / (stamp if number == 1 else f"{stamp}_{number}")
        if folder.exists():
            continue
        expect(folder)
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            made.remove(folder)
            if not folder.exists():  # a file stands where a parent should
                raise
    return str(folder)


def is_begun(folder: Path) -> bool:
    """Whether a run's directory holds something that could be lost."""
    return (folder / "metrics.json").exists() or any(checkpoints(folder / "checkpoints"))


def checkpoints(*folders: Path) -> list[Path]:
    """The checkpoints in directories, the newest last; not the neighbours of one that a killed process was writing."""
    found = {path for folder in folders for path in folder.glob("[!.]*.ckpt")}
    return sorted(found, key=lambda path: path.stat().st_mtime)


def check_holder(folder: Path, may_hold: str) -> None:
    """Refuse a directory that holds the results of something else, which would be mixed with those of this command.

    It may hold `a run`, `an evaluation`, `a sweep` or `a sweep of evaluations`, or nothing.
    """
    config, table = folder / CONFIG, folder / "sweep.csv"
    holds = None
    if (folder / SWEEP).exists():
        sweep = read_sweep(folder)
        holds = "a sweep" if {"model", "trainer"} <= sweep.keys() else "a sweep of evaluations"
        holds = holds if "hydra" in sweep else f"a {SWEEP} of something else"
    elif (table.exists() and table.read_bytes().startswith(b"job,")) or job_folders(folder):
        holds = "a sweep"  # a search, for which Hydra writes no such file
    elif config.exists():
        holds = holder(config)
    elif (folder / "metrics.json").exists():
        holds = "a run"
    elif any((folder / "checkpoints").glob("*")):
        holds = "checkpoints of something else"
    elif names := [name for name in ("sweep.csv", *LEFT) if (folder / name).exists()]:  # which would be written over
        holds = f"a {names[0]} of something else"
    if holds not in (None, may_hold):
        raise ValueError(f"{folder} holds {holds}; use another directory")


def holder(config: Path) -> str:
    """What the directory with this configuration holds."""
    try:
        found = load(config, DictConfig)
    except ValueError:
        return f"a damaged {CONFIG}"
    if "_target_: xornet." not in config.read_text("utf-8"):
        return "a run of another project"
    return "a run" if "model" in found else "an evaluation" if "trainer" in found else f"a damaged {CONFIG}"


def job_folders(sweep: Path) -> list[Path]:
    """The directories of the jobs of a sweep: those with a number that a run has written its configuration into."""
    found = (path for path in sweep.glob("*") if re.match(r"\d+(_|$)", path.name))
    return [path for path in found if (path / CONFIG.parent / "overrides.yaml").exists()]


def read_sweep(folder: Path) -> dict[str, Any]:
    """Return what Hydra was told of a sweep; empty, if its file is none of Hydra's."""
    try:
        found: dict[str, Any] = load(folder / SWEEP, DictConfig)
        return {} if found["hydra"]["overrides"]["task"] is None else found
    except (ValueError, KeyError, TypeError):
        return {}
