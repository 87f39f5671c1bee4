"""Ctrl-C in a script, and a notebook's stop button: they wait until a block of epochs is whole."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


class Interrupt:
    """A KeyboardInterrupt that is raised between blocks, for within one it would leave networks between two epochs.

    Only where Python's own handler of SIGINT would raise it; a command has another one (callbacks/interruption.py).

    Args:
        may_raise: whether it may be raised at once after all.

    """

    def __init__(self, may_raise: Callable[[], bool]) -> None:
        self.may_raise = may_raise
        self.is_pending = False

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Defer it."""

        def handle(signum: int, frame: FrameType | None) -> None:
            self.is_pending = True
            if self.may_raise():
                self.raise_pending()

        is_python_s = signal.getsignal(signal.SIGINT) is signal.default_int_handler
        if not (is_python_s and threading.current_thread() is threading.main_thread()):
            yield
            return
        signal.signal(signal.SIGINT, handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def raise_pending(self) -> None:
        """Raise it, if it has come: again until somebody takes it, for Python ignores one within a destructor."""
        if self.is_pending:
            raise KeyboardInterrupt
