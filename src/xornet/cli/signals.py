"""SIGINT, SIGTERM and SIGHUP: clean up, then exit with 130, 143 or 129.

A SIGHUP that was ignored at the start of the process, as by nohup, stays ignored; Windows has none.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

received: list[int] = []  # by `exit_status`
taken_by_run: list[int] = []  # by callbacks/interruption.py, which ends the run itself, unless an error does
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


def taken() -> list[int]:
    """The signals that end a command: SIGINT too, although a shell ignores it for background commands."""
    return [number for number in SIGNALS if number in SIGNALS[:2] or signal.getsignal(number) is not signal.SIG_IGN]


def exit_at_once() -> None:
    """End the process immediately on a signal: during imports, on a second signal, and while the process ends.

    Python's own KeyboardInterrupt may be caught during an import, and be raised as another error or not at all.
    """
    handle(lambda signum, frame: os._exit(128 + signum))


def handle(handler: Callable[[int, FrameType | None], Any]) -> None:
    """Set the handler of every signal that ends a command."""
    for number in taken():
        signal.signal(number, handler)


@contextmanager
def exit_status() -> Iterator[None]:
    """Raise SystemExit on a signal, so that temporary files are removed; end the process on a second one."""
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
    finally:
        exit_at_once()  # while the process ends


def end_if_received(numbers: list[int] = received) -> None:
    """Exit if a signal has come: its SystemExit can get lost, as OmegaConf turns it into another error."""
    if numbers:
        sys.exit(128 + numbers[0])
