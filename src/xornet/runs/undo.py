"""What a command that came to nothing has made, or has had Hydra write: undone when it ends."""

import itertools
from contextlib import suppress
from pathlib import Path

SWEEP = "multirun.yaml"  # in a sweep's directory, what Hydra was told; it is written before the first job

made: list[Path] = []  # the directories that this process makes, or has Hydra make
told: dict[Path, tuple[bytes, set[tuple[str, int]]]] = {}  # of earlier sweeps: their SWEEP, and the files beside it


def expect(folder: Path) -> None:
    """Note that `folder` and those of its parents that are missing are about to be made."""
    missing = itertools.takewhile(lambda path: not path.exists(), [folder, *folder.parents])
    made.extend(path for path in missing if path not in made)


def expect_settings(folder: Path) -> None:
    """Note what the directory of a sweep holds, in which Hydra writes its settings before a job can be refused."""
    if (folder / SWEEP).exists():
        told[folder] = (folder / SWEEP).read_bytes(), files_beside(folder)


def files_beside(folder: Path) -> set[tuple[str, int]]:
    """The files of a sweep but for SWEEP, with when each was written."""
    found = (path for path in folder.rglob("*") if path != folder / SWEEP and path.is_file())
    return {(str(path), path.stat().st_mtime_ns) for path in found}


def is_untouched() -> bool:
    """Whether this process has begun a sweep in the directory of an earlier one, and changed nothing there."""
    return bool(told) and all(files_beside(folder) == files for folder, (_, files) in told.items())


def undo() -> None:
    """Undo what Hydra has written, where nothing came of it: directories, and the settings of a sweep."""
    for folder, (settings, files) in told.items():
        with suppress(OSError):
            if (folder / SWEEP).read_bytes() != settings and files_beside(folder) == files:
                (folder / SWEEP).write_bytes(settings)
    told.clear()
    for folder in sorted(made, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):  # it holds something, or was never made
            if [*folder.iterdir()] == [folder / SWEEP]:
                (folder / SWEEP).unlink()
            folder.rmdir()
    made.clear()
