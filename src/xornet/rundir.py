"""The run directory: found, claimed for one run, and written so that a file under its final name is whole."""

import itertools
import os
from collections.abc import Callable
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

    Raises:
        OSError: naming `path`; nothing of this attempt is left.

    """
    path = Path(path)
    partial = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save(partial)
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save says RuntimeError when the disk is full
        raise OSError(f"cannot write {path}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
