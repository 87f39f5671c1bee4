"""Ctrl-C in a script and the stop button of a notebook: they wait for the end of the block of epochs."""

import signal
import threading
from collections.abc import Callable
from types import FrameType


class Interrupt:
    """A KeyboardInterrupt that is raised before the next block of epochs.

    Raised within a block it would leave networks between two epochs; raised in the hooks after a block, it would leave
    epochs that Lightning has not counted and some callbacks have not seen. A second one is raised at once. It replaces
    Python's own handler of SIGINT only; the commands have their own (callbacks/interruption.py).

    Args:
        may_raise: says whether it may be raised at once, as while compiling.

    """

    def __init__(self, may_raise: Callable[[], bool]) -> None:
        self.may_raise = may_raise
        self.is_pending = False

    def defer(self, is_over: Callable[[], bool]) -> None:
        """Defer it until `end`; after an error, Lightning restores the handler from before the training.

        If another error keeps Lightning from that, `is_over` says that the run has ended, and it is raised at once.
        """
        self.is_over = is_over
        now = signal.getsignal(signal.SIGINT)
        is_python_s = now is signal.default_int_handler or isinstance(getattr(now, "__self__", None), Interrupt)
        if is_python_s and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self.handle)

    def handle(self, signum: int, frame: FrameType | None) -> None:
        """Remember it, or raise it."""
        is_second, self.is_pending = self.is_pending, True
        if is_second or self.may_raise() or self.is_over():
            raise KeyboardInterrupt

    def end(self) -> None:
        """Defer it no longer."""
        if signal.getsignal(signal.SIGINT) == self.handle:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    def raise_pending(self) -> None:
        """Raise it, if it is pending; it stays pending, because Python ignores an exception in a destructor."""
        if self.is_pending:
            raise KeyboardInterrupt
