"""Commands in processes of their own, forked from one that has imported everything: a start takes 0.1 s, not 4 s."""

import multiprocessing
import os
import runpy
import sys
import time
from collections.abc import Callable
from multiprocessing import forkserver
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import RLock
from typing import Any

import pytest
from conftest import SRC
from tqdm import tqdm

from xornet.callbacks.console import LossTable

HANGS = 300  # seconds after which a process hangs; of no other time does a test make anything
CONTEXT = multiprocessing.get_context("forkserver")
# With what these import, all that the commands do; the compiler comes with the first optimizer.
IMPORTS = [
    __name__,
    "xornet.sweeps.callback",
    "xornet.runs.compare",
    "xornet.callbacks.animation",
    "lightning.pytorch",
    "torch._dynamo",
]


def ready() -> None:
    """Start that one process, and wait until it has imported everything."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(SRC), str(Path(__file__).parent)]))
        CONTEXT.set_forkserver_preload(IMPORTS)
        forkserver.ensure_running()
    process = CONTEXT.Process(target=int)
    process.start()
    process.join()


def start(script: str, *overrides: str, output: Path, before: Callable[[], object] | None = None) -> BaseProcess:
    """Start `python src/<script> <overrides>`, its stdout and stderr in a file.

    Args:
        script: of src.
        overrides: its arguments.
        output: the file, to which is appended.
        before: what the process does first.

    """
    process = CONTEXT.Process(target=command, args=(script, overrides, output, before), daemon=True)
    process.start()
    return process


def command(script: str, overrides: tuple[str, ...], output: Path, before: Callable[[], object] | None) -> None:
    """Be that command."""
    to = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(to, stream.fileno())
    tqdm.set_lock(RLock())  # its own is a semaphore, which a killed process leaves behind
    sys.argv = [script, *overrides]
    if before:
        before()
    runpy.run_path(str(SRC / script), run_name="__main__")


def hold(hook: str, epoch: int, until: Path, before: Callable[[], object] | None = None) -> None:
    """Have a run wait in a hook, from an epoch on, until a file is there: what comes from outside then comes in time.

    Args:
        hook: of LossTable, one that runs when the table has been printed.
        epoch: the first at which to wait.
        until: the file; that of `held(until)` says that the run waits.
        before: what the process does besides.

    """
    theirs = getattr(LossTable, hook)

    def wait(self: LossTable, trainer: Any, *given: Any) -> None:
        theirs(self, trainer, *given)
        sys.stdout.flush()
        if trainer.current_epoch >= epoch:
            held(until).touch()
            while not until.exists():
                time.sleep(0.001)

    setattr(LossTable, hook, wait)
    if before:
        before()


def held(until: Path) -> Path:
    """The file that says that a run waits for another file."""
    return until.with_name(f"{until.name}.held")


def ended(
    process: BaseProcess, when: Callable[[], bool] = lambda: False, then: Callable[[], object] | None = None
) -> int:
    """Wait for a process, doing one thing `when` something is so: killing it; return its exit status, -9 if killed."""
    is_done, start = False, time.monotonic()
    while process.exitcode is None:
        if time.monotonic() > start + HANGS:
            process.kill()
            raise TimeoutError(f"{process} hangs")
        if not is_done and when():
            (then or process.kill)()
            is_done = True
        process.join(0.001)
    return process.exitcode
