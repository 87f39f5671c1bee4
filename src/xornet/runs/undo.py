"""Removes what a refused command has created, or what Hydra has written for it."""

import itertools
from contextlib import suppress
from pathlib import Path

SWEEP = "multirun.yaml"  # in the directory of a sweep: its settings, which Hydra writes before the first job

made: list[Path] = []  # directories that this process, or Hydra for it, may create
told: dict[Path, tuple[bytes | None, set[tuple[str, int]]]] = {}  # per sweep: its earlier SWEEP, its files


def expect(folder: Path) -> None:
    """Remember that `folder` and its missing parents are about to be created."""
    missing = itertools.takewhile(lambda path: not path.exists(), [folder, *folder.parents])
    made.extend(path for path in missing if path not in made)


def expect_settings(folder: Path) -> None:
    """Remember what the directory of a sweep holds, before Hydra writes its settings there."""
    told[folder] = settings(folder), files_beside(folder)


def settings(folder: Path) -> bytes | None:
    """The content of SWEEP; None if there is none, as for a search."""
    return (folder / SWEEP).read_bytes() if (folder / SWEEP).exists() else None


def files_beside(folder: Path) -> set[tuple[str, int]]:
    """The files of a sweep except SWEEP, with the time when each was written."""
    found = (path for path in folder.rglob("*") if path != folder / SWEEP and path.is_file())
    return {(str(path), path.stat().st_mtime_ns) for path in found}


def is_untouched() -> bool:
    """Whether this process has begun a sweep, and changed nothing in its directory."""
    return bool(told) and all(files_beside(folder) == files for folder, (_, files) in told.items())


def undo() -> None:
    """Remove empty directories, and restore the settings of a sweep in which nothing else has changed."""
    for folder, (earlier, files) in told.items():
        with suppress(OSError):
            if settings(folder) != earlier and files_beside(folder) == files:
                if earlier is None:
                    (folder / SWEEP).unlink()
                else:
                    (folder / SWEEP).write_bytes(earlier)
    told.clear()
    for folder in sorted(made, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):  # it is not empty, or was never created
            folder.rmdir()
    made.clear()
