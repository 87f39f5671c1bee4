"""What a command that came to nothing has made, or has had Hydra write: undone when it ends."""

import itertools
from contextlib import suppress
from pathlib import Path

SWEEP = "multirun.yaml"  # in a sweep's directory, what Hydra was told; it is written before the first job

made: list[Path] = []  # the directories that this process makes, or has Hydra make
told: dict[Path, tuple[bytes | None, set[tuple[str, int]]]] = {}  # of sweeps: their earlier SWEEP, the files beside it


def expect(folder: Path) -> None:
    """Note that `folder` and those of its parents that are missing are about to be made."""
    missing = itertools.takewhile(lambda path: not path.exists(), [folder, *folder.parents])
    made.extend(path for path in missing if path not in made)


def expect_settings(folder: Path) -> None:
    """Note what the directory of a sweep holds, in which Hydra writes its settings before a job can be refused."""
    told[folder] = settings(folder), files_beside(folder)


def settings(folder: Path) -> bytes | None:
    """What Hydra was told of a sweep; None where it has written nothing, as in a search."""
    return (folder / SWEEP).read_bytes() if (folder / SWEEP).exists() else None


def files_beside(folder: Path) -> set[tuple[str, int]]:
    """The files of a sweep but for SWEEP, with when each was written."""
    found = (path for path in folder.rglob("*") if path != folder / SWEEP and path.is_file())
    return {(str(path), path.stat().st_mtime_ns) for path in found}


def is_untouched() -> bool:
    """Whether this process has begun a sweep, and changed nothing in its directory."""
    return bool(told) and all(files_beside(folder) == files for folder, (_, files) in told.items())


def undo() -> None:
    """Undo what Hydra has written, where nothing came of it: directories, and the settings of a sweep."""
    for folder, (earlier, files) in told.items():
        with suppress(OSError):
            if settings(folder) != earlier and files_beside(folder) == files:
                if earlier is None:
                    (folder / SWEEP).unlink()
                else:
                    (folder / SWEEP).write_bytes(earlier)
    told.clear()
    for folder in sorted(made, key=lambda path: len(path.parts), reverse=True):
        with suppress(OSError):  # it holds something, or was never made
            folder.rmdir()
    made.clear()
