"""SIGINT and SIGTERM: exit with 130 and 143, after cleaning up where there is anything to clean up."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def exit_at_once() -> None:
    """Have signals end the process wherever it is: while it imports, or when a second one comes.

    Python's own KeyboardInterrupt is caught by what is being imported, and comes out as another error, or not at all.
    """
    for number in SIGNALS:
        signal.signal(number, lambda signum, frame: os._exit(128 + signum))


@contextmanager
def exit_status() -> Iterator[None]:
    """Have a signal raise SystemExit, so that no temporary file stays; and the second one end the process at once."""

    def stop(signum: int, frame: FrameType | None) -> None:
        exit_at_once()
        sys.exit(128 + signum)

    try:
        for number in SIGNALS:
            signal.signal(number, stop)
        yield
    finally:  # Python's own
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
