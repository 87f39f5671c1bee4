"""Ctrl-C in a script, and a notebook's stop button: they wait until a block of epochs is whole, with its hooks."""

import signal
import threading
from collections.abc import Callable
from types import FrameType


class Interrupt:
    """A KeyboardInterrupt that is raised before the next block of epochs.

    Within one it would leave networks between two epochs; in the hooks behind one, epochs that Lightning has not
    counted and some callbacks have not seen. A second one is raised at once. Only where Python's own handler of SIGINT
    would raise it; a command has another one (callbacks/interruption.py).

    Args:
        may_raise: whether it may be raised at once after all.

    """

    def __init__(self, may_raise: Callable[[], bool]) -> None:
        self.may_raise = may_raise
        self.is_pending = False

    def defer(self, is_over: Callable[[], bool]) -> None:
        """Defer it, until `end`; behind an error, Lightning puts back the handler that there was before training.

        Where another error keeps Lightning from that, `is_over` says that the run has ended, and nothing is deferred.
        """
        self.is_over = is_over
        now = signal.getsignal(signal.SIGINT)
        is_python_s = now is signal.default_int_handler or isinstance(getattr(now, "__self__", None), Interrupt)
        if is_python_s and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self.handle)

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Note it."""
        is_second, self.is_pending = self.is_pending, True
        if is_second or self.may_raise() or self.is_over():
            raise KeyboardInterrupt

    def end(self) -> None:
        """Defer it no longer."""
        if signal.getsignal(signal.SIGINT) == self.handle:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def raise_pending(self) -> None:
        """Raise it, if it has come: again until somebody takes it, for Python ignores one within a destructor."""
        if self.is_pending:
            raise KeyboardInterrupt
