"""What a process opens to write, and every look at the network, which is refused."""

import os
import socket
import sys
from pathlib import Path

NETWORK = ("socket.connect", "socket.bind", "socket.sendto", "socket.sendmsg", "socket.getaddrinfo")


def watch(report: str) -> None:
    """Note from now on, a line each, in the file `report`."""
    file = os.open(report, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event == "open" and isinstance(args[0], str | bytes) and int(str(args[2])) & (os.O_WRONLY | os.O_RDWR):
            os.write(file, f"write {Path(os.fsdecode(args[0])).resolve()}\n".encode())
        elif event in NETWORK and getattr(args[0], "family", None) != socket.AF_UNIX:
            os.write(file, f"{event} {args[1:]}\n".encode())
            raise OSError(f"no network here: {event} {args[1:]}")

    sys.addaudithook(hook)


def written(report: Path) -> set[Path]:
    """The files that were opened to write, if nobody looked at the network."""
    lines = [line.partition(" ") for line in report.read_text().splitlines()]
    assert {event for event, _, _ in lines} <= {"write"}, lines
    return {Path(path) for _, _, path in lines}
