"""SIGINT, SIGTERM and SIGHUP: exit with 130, 143 and 129, after cleaning up where there is anything to clean up.

A SIGHUP that the process was started to ignore, as by nohup, stays ignored; Windows has none.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

received: list[int] = []  # by `exit_status`
taken_by_run: list[int] = []  # by callbacks/interruption.py, which itself ends a run that no error ends
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def taken() -> list[int]:
    """The signals that end a command. A shell that starts one in the background has it ignore SIGINT: not here."""
    return [number for number in SIGNALS if number in SIGNALS[:2] or signal.getsignal(number) is not signal.SIG_IGN]


def exit_at_once() -> None:
    """Have signals end the process wherever it is: while it imports, or when a second one comes.

    Python's own KeyboardInterrupt is caught by what is being imported, and comes out as another error, or not at all.
    """
    handle(lambda signum, frame: os._exit(128 + signum))


def handle(handler: Callable[[int, FrameType | None], Any]) -> None:
    """Have a function called for every signal that ends a command."""
    for number in taken():
        signal.signal(number, handler)


@contextmanager
def exit_status() -> Iterator[None]:
    """Have a signal raise SystemExit, so that no temporary file stays; and the second one end the process at once."""
    received.clear()
    taken_by_run.clear()

    def stop(signum: int, frame: FrameType | None) -> None:
        exit_at_once()
        received.append(signum)
        sys.exit(128 + signum)

    try:
        handle(stop)
        yield
        end_if_received()
    except BaseException:
        end_if_received()
        raise
    finally:  # Python's own
        for number in taken():
            signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)


def end_if_received(numbers: list[int] = received) -> None:
    """Exit for a signal whose SystemExit went lost: OmegaConf, where it comes to a list, makes another error of it."""
    if numbers:
        sys.exit(128 + numbers[0])
