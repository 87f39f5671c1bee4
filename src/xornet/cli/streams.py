"""stdout and stderr that work if they are closed, a closed pipe, on a full disk, or in an encoding without σ."""

import io
import os
import sys
from typing import Any

CLOSED_PIPE = 128 + 13  # as a process ends that SIGPIPE kills

failures: list[str] = []  # to write stdout; logging ignores them


def make_usable(ends: bool = True) -> None:
    """Make sure that printing works.

    Args:
        ends: whether a closed pipe ends the process, as it ends a Unix tool.

    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream: Any = getattr(sys, name)
        is_closed = stream is None
        if is_closed:  # the next file that is opened would take its place
            discard(number)
        if is_closed or (stream is getattr(sys, f"__{name}__") and not stream.isatty()):
            raw = io.BufferedWriter(Output(number, ends))
            stream = io.TextIOWrapper(raw, "utf-8" if is_closed else stream.encoding, line_buffering=number == 2)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # as stderr's already are
        setattr(sys, name, stream)


class Output(io.FileIO):
    """stdout or stderr by its file descriptor; `ends` as in `make_usable`."""

    def __init__(self, number: int, ends: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self.ends = ends

    def write(self, data: Any) -> Any:
        """Write; end the process if the pipe is closed; an OSError names this output."""
        try:
            return super().write(data)
        except BrokenPipeError:
            discard(self.fileno())
            if self.ends:
                raise SystemExit(CLOSED_PIPE) from None
            return len(data)
        except OSError as error:
            discard(self.fileno())
            name = "stdout" if self.fileno() == 1 else "stderr"
            said = f"cannot write {name}: {error.strerror}; redirect it to where there is space"
            if self.fileno() == 1:
                failures.append(said)
            raise OSError(said) from error


def discard(number: int) -> None:
    """Discard what this process, and those that it starts, write to a file descriptor from now on."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    if nowhere == number:  # it was closed
        os.set_inheritable(number, True)
    else:
        os.dup2(nowhere, number)
        os.close(nowhere)
