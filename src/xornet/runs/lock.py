"""Locks: one command at a time in a directory, since two would mix their results."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, which locks no directory
    fcntl = None  # type: ignore[assignment]  # elsewhere a module


class InUseError(ValueError):
    """A directory is in use by another command."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"{folder} is in use by another command; wait until that has ended, or use another directory")
        self.folder = folder.resolve()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock an existing directory until the context or the process ends, without writing anything.

    Has no effect where there are no such locks, as on Windows and on some file systems of clusters.

    Raises:
        InUseError: another process has locked it.

    """
    if fcntl is None:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUseError(folder) from None
        except OSError:  # no locks on this file system
            pass
        yield
    finally:
        os.close(descriptor)
