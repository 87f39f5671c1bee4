"""Files written whole or not at all, and whether an archive still is."""

import glob
import os
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path


def write(path: str | Path, save: Callable[[Path], object]) -> None:
    """Let `save` write a neighbour of `path`, then rename it to `path`: readers see the old file or the new one, whole.

    Neighbours that killed processes have left go. The directory must exist: where somebody has removed a run's, a new
    one would hold a part of it.

    Raises:
        OSError: naming `path`; nothing of this attempt is left.

    """
    path = Path(path)
    neighbour = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        for left in path.parent.glob(f".*.{glob.escape(path.name)}"):
            if not is_running(left.name.split(".")[1]):
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


def is_running(pid: str) -> bool:
    """Whether a process of this number may run, on this machine; on Windows, where asking would end it, always."""
    if os.name == "nt":
        return True
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, OverflowError):
        return False
    except (ValueError, PermissionError):  # no number, so no neighbour of ours; or another user's process
        return True
    return True


def check_archive(path: str) -> None:
    """Refuse a file in which a bit has changed: `torch.load` ignores the check sums that `torch.save` writes.

    Raises:
        ValueError: a sum does not fit, or the archive is not one of `torch.save`, which compresses nothing.

    """
    # Opened here: a signal that comes while zipfile opens a file would have it print a traceback of its own.
    with Path(path).open("rb") as file, zipfile.ZipFile(file) as archive:
        if any(file.compress_type != zipfile.ZIP_STORED for file in archive.infolist()) or archive.testzip():
            raise ValueError(f"{path} is damaged")
