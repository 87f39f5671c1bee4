"""Files written whole or not at all, and whether an archive still is."""

import glob
import os
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def write(path: str | Path, save: Callable[[Path], object]) -> None:
    """Let `save` write a neighbour of `path`, then rename it to `path`: readers see the old file or the new one, whole.

    Neighbours that killed processes have left go, so of two processes that write one file at once the first fails. The
    directory must exist: where somebody has removed a run's, a new one would hold a part of it. An OSError names
    `path`, and nothing of the attempt is left.
    """
    path = Path(path)
    neighbour = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        for left in path.parent.glob(f".[0-9]*.{glob.escape(path.name)}"):
            left.unlink(missing_ok=True)
        save(neighbour)
        with neighbour.open("r+b") as file:  # Windows flushes no file that is open for reading alone
            os.fsync(file.fileno())
        neighbour.replace(path)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # of a directory that is gone, or turned into a file
            neighbour.unlink()


def check_writable(folder: Path) -> None:
    """Raise OSError if a directory that exists takes no new file."""
    if folder.is_dir():
        try:
            tempfile.TemporaryFile(dir=folder).close()
        except OSError as error:
            raise OSError(f"cannot write into {folder}: {error.strerror or error}") from error


def check_archive(path: str) -> None:
    """Refuse a file in which a bit has changed: `torch.load` ignores the check sums that `torch.save` writes.

    `torch.save` compresses nothing, so a compressed archive is not one of its own.
    """
    # Opened here: a signal that comes while zipfile opens a file would have it print a traceback of its own.
    with Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
        if any(file.compress_type != zipfile.ZIP_STORED for file in archive.infolist()) or archive.testzip():
            raise ValueError(f"{path} is damaged")
