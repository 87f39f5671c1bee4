"""The log of this run, `train.log`, which Hydra has configured."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def handlers() -> list[logging.FileHandler]:
    """The handlers that write it."""
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, logging.FileHandler)]


def reject(record: logging.LogRecord) -> bool:
    """A filter that no record passes."""
    return False


@contextmanager
def paused() -> Iterator[None]:
    """Write nothing into it, because the run may yet be refused; the console shows everything."""
    held = handlers()
    for handler in held:
        handler.addFilter(reject)
    try:
        yield
    finally:
        for handler in held:
            handler.removeFilter(reject)


def check_writable() -> None:
    """Raise OSError if it cannot be written."""
    for handler in handlers():
        Path(handler.baseFilename).open("a", encoding="utf-8").close()
