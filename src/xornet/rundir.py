"""The run directory: found, claimed for one run, and written so that a file under its final name is whole."""

import glob
import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]


def claim(parent: str) -> str:
    """Create `<project>/<parent>/<date>_<time>` and return its path; never one that exists.

    A second run in the same second gets `_2`, and so on: creating a directory succeeds for one process only.
    """
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    for number in itertools.count(1):
        folder = PROJECT / parent / (stamp if number == 1 else f"{stamp}_{number}")
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError:
            if not folder.exists():  # a file stands where a parent should
                raise
    return str(folder)


def write(path: str | Path, save: Callable[[Path], object]) -> None:
    """Let `save` write a neighbour of `path`, then rename it to `path`: readers see the old file or the new one, whole.

    Neighbours that killed processes have left go. The directory must exist: where somebody has removed a run's, a new
    one would hold a part of it.

    Raises:
        OSError: naming `path`; nothing of this attempt is left.

    """
    path = Path(path)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        for left in path.parent.glob(f".*.{glob.escape(path.name)}"):
            if not is_running(left.name.split(".")[1]):
                left.unlink(missing_ok=True)
        save(partial)
        with partial.open("r+b") as file:  # Windows flushes no file that is open for reading alone
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise OSError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        with suppress(OSError):  # of a directory that is gone, or turned into a file
            partial.unlink()


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
