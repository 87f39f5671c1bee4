"""Run directories: what they hold, and how a new one is created.

A command that is refused leaves every file as it was. So a run writes nothing, not even its configuration, before it
starts to train (cli/run_directory.py), and directories created for nothing are removed (undo.py).
"""

import itertools
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import DictConfig

from xornet.runs.checkpoints import checkpoints
from xornet.runs.ownership import MARK
from xornet.runs.settings import CONFIG, load
from xornet.runs.undo import SWEEP, expect, made

PROJECT = Path(__file__).resolve().parents[3]
# Files of a run that must be deleted before another run in its directory, which may not write all of them.
RESULT_FILES = (
    *("metrics.json", "networks.csv", "xornet.pt", "error.txt", "loss_curve.png", "loss_surface.png", "solved.png"),
    *("decision_boundary.png", "decision_boundary.gif", "hidden_units.png", "examples.png", "lr_map.png"),
)
# Files that a resumed run needs.
STATE = ("hparams.yaml", "csv/hparams.yaml", "csv/metrics.csv", "checkpoints/last.ckpt", "checkpoints/interrupted.ckpt")
LEFT = (*RESULT_FILES, *STATE)
BESIDE = ".error.txt"  # the end of the name of a file beside a job


def claim(parent: str) -> str:
    """Create a new directory `<project>/<parent>/<date>_<time>` and return its path.

    A second run in the same second gets `_2`, and so on: only one process can create a directory.
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
    """Whether a run directory holds results or checkpoints."""
    return (folder / "metrics.json").exists() or bool(checkpoints(folder))


def check_holder(folder: Path, may_hold: str) -> None:
    """Refuse a directory with results of another kind, which would be mixed with those of this command.

    `may_hold` is `a run`, `an evaluation`, `a sweep` or `a sweep of evaluations`; an empty directory is accepted too.
    """
    config, table = folder / CONFIG, folder / "sweep.csv"
    holds = None
    if (folder / SWEEP).exists():
        sweep = read_sweep(folder)
        holds = "a sweep" if {"model", "trainer"} <= sweep.keys() else "a sweep of evaluations"
        holds = holds if "hydra" in sweep else f"a {SWEEP} of something else"
    elif (table.exists() and table.read_bytes().startswith(b"job,")) or job_folders(folder):
        holds = "a sweep"  # a search, for which Hydra writes no multirun.yaml
    elif config.exists():
        holds = holder(config)
    elif (folder / "metrics.json").exists():
        holds = "a run"
    elif any((folder / "checkpoints").glob("*")):
        holds = "checkpoints of something else"
    elif (folder / MARK).exists():
        holds = f"{MARK}, the mark of a run elsewhere that writes here"
    elif names := [name for name in ("sweep.csv", *LEFT) if (folder / name).exists()]:  # which would be overwritten
        holds = f"a {names[0]} of something else"
    if holds not in (None, may_hold):
        raise ValueError(f"{folder} holds {holds}; use another directory")


def holder(config: Path) -> str:
    """What a directory with this configuration holds, in words."""
    try:
        found = load(config, DictConfig)
    except ValueError:
        return f"a damaged {CONFIG}"
    if "_target_: xornet." not in config.read_text("utf-8"):
        return "a run of another project"
    return "a run" if "model" in found else "an evaluation" if "trainer" in found else f"a damaged {CONFIG}"


def job_folders(sweep: Path, and_refused: bool = False) -> list[Path]:
    """The directories of a sweep's jobs: those that start with a number and hold a configuration.

    With `and_refused`, also those with a file beside that says why a job has failed: they hold something else.
    """
    found = (path for path in sweep.glob("*") if re.match(r"\d+(_|$)", path.name))
    return [
        path
        for path in found
        if (path / CONFIG.parent / "overrides.yaml").exists()
        or (and_refused and path.with_name(path.name + BESIDE).exists())
    ]


def read_sweep(folder: Path) -> dict[str, Any]:
    """Return the settings of a sweep from its multirun.yaml; empty if that was not written by Hydra."""
    try:
        found: dict[str, Any] = load(folder / SWEEP, DictConfig)
        return {} if found["hydra"]["overrides"]["task"] is None else found
    except (ValueError, KeyError, TypeError):
        return {}
