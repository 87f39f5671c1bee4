"""The log of this run, `train.log`, which Hydra has configured."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path


def handlers() -> list[logging.FileHandler]:
    """The handlers that write it."""
    return [handler for handler in logging.getLogger().handlers if isinstance(handler, logging.FileHandler)]


def keep(
    handler: logging.Handler, records: list[tuple[logging.Handler, logging.LogRecord]], record: logging.LogRecord
) -> bool:
    """A filter that keeps the records of a handler, and lets none pass."""
    records.append((handler, record))
    return False


@contextmanager
def paused() -> Iterator[None]:
    """Write nothing into it yet, because the run may be refused by an error; the console shows everything at once."""
    records: list[tuple[logging.Handler, logging.LogRecord]] = []
    held = [(handler, partial(keep, handler, records)) for handler in handlers()]
    for handler, keeping in held:
        handler.addFilter(keeping)
    try:
        yield
    finally:
        for handler, keeping in held:
            handler.removeFilter(keeping)
    for writer, record in records:
        writer.handle(record)


def check_writable() -> None:
    """Raise OSError if it cannot be written."""
    for handler in handlers():
        Path(handler.baseFilename).open("a", encoding="utf-8").close()
