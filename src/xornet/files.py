"""Files: written atomically, checked to be writable, checked for damage."""

import glob
import os
import tempfile
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def write(path: str | Path, save: Callable[[Path], object]) -> None:
    """Write a file atomically: `save` writes a temporary file next to `path`, which is then renamed to `path`.

    Temporary files of killed processes are removed, so if two processes write the same file at once, the first fails.
    The directory must exist: if a user has removed a run directory, a new one would hold only a part of the run. An
    OSError names `path`, and no temporary file is left.
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
        with suppress(OSError):  # the directory may be gone, or be a file now
            neighbour.unlink()


def check_writable(folder: Path) -> None:
    """Raise OSError if no file can be created in an existing directory."""
    if folder.is_dir():
        now(folder)


def now(folder: Path) -> float:
    """The time of a new file in a directory: the clock of its file system may be coarse, or that of another machine.

    Raises:
        OSError: no file can be created.

    """
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            return os.fstat(file.fileno()).st_mtime
    except OSError as error:
        raise OSError(f"cannot write into {folder}: {error.strerror or error}") from error


def check_archive(path: str) -> None:
    """Refuse a damaged file: `torch.load` ignores the checksums that `torch.save` writes.

    `torch.save` compresses nothing, so a compressed archive is refused too.
    """
    # Opened here: if a signal came while zipfile opened it, zipfile would print a traceback.
    with Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
        if any(file.compress_type != zipfile.ZIP_STORED for file in archive.infolist()) or archive.testzip():
            raise ValueError(f"{path} is damaged")
