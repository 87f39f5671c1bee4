"""stdout and stderr, whatever they are: closed, a pipe that nobody reads, a full disk, or of an encoding without σ."""

import io
import os
import sys
from pathlib import Path
from typing import Any

CLOSED_PIPE = 128 + 13  # as a process ends that SIGPIPE kills


def make_usable(ends: bool = True) -> None:
    """Have everything that is printed go somewhere.

    Args:
        ends: whether a pipe that nobody reads any more ends the process, as it ends a Unix tool.

    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream: Any = getattr(sys, name)
        if stream is None:  # closed: the next file that is opened would take its place
            stream = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - open as long as the process
        elif stream is getattr(sys, f"__{name}__") and not stream.isatty():
            raw = io.BufferedWriter(Output(number, ends))
            stream = io.TextIOWrapper(raw, stream.encoding, line_buffering=number == 2)
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # as stderr's already are
        setattr(sys, name, stream)


class Output(io.FileIO):
    """A file descriptor that is printed to; for the arguments, see `make_usable`."""

    def __init__(self, number: int, ends: bool) -> None:
        super().__init__(number, "w", closefd=False)
        self.ends = ends

    def write(self, data: Any) -> Any:
        """Write, and end the process where nobody reads any more; an OSError names this output."""
        try:
            return super().write(data)
        except BrokenPipeError:
            self.discard()
            if self.ends:
                raise SystemExit(CLOSED_PIPE) from None
            return len(data)
        except OSError as error:
            self.discard()
            name = "stdout" if self.fileno() == 1 else "stderr"
            raise OSError(f"cannot write {name}: {error.strerror}; redirect it to where there is space") from error

    def discard(self) -> None:
        """Let what is printed from now on, while the process ends, go nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)
