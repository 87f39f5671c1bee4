"""Directories outside of a run directory that a run writes into: each belongs to the run that wrote there last."""

import uuid
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from xornet import files
from xornet.runs.settings import CONFIG

MARK = ".xornet_run"  # in such a directory, and in the `.hydra` of its run: the same random text


def owner(place: Path) -> str | None:
    """The text of the mark in a directory; None if there is none."""
    path = place / MARK
    return path.read_text("utf-8", errors="replace") if path.is_file() else None


def is_owned(place: Path, run: Path) -> bool:
    """Whether a directory belongs to the run in the directory `run`, also if both were moved."""
    found = owner(place)
    return found is not None and found == owner(run / CONFIG.parent)


def mark(places: Iterable[Path], run: Path) -> None:
    """Mark directories as those of the run in the directory `run`."""
    (run / CONFIG.parent).mkdir(exist_ok=True)
    text = owner(run / CONFIG.parent) or uuid.uuid4().hex
    for folder in (run / CONFIG.parent, *places):
        files.write(folder / MARK, partial(Path.write_text, data=text, encoding="utf-8"))
