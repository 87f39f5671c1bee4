"""A command that is sent signals."""

import os
import signal
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import forks
import torch

NOTED = "a signal has been noted"


class Signalled:
    """A command that is sent signals when something is so; its status and output.

    Args:
        folder: its directory.
        *overrides: its arguments.
        when: something of the directory; None for when the run waits.
        numbers: the signals; each but the first once the one before has been noted.
        script: the command.
        before: what the process does first.
        held_at: an epoch from which on a run waits until the signals have come: it does not end before.
        held_in: where it waits, see forks.hold.

    """

    def __init__(
        self,
        folder: Path,
        *overrides: str,
        when: Callable[[Path], bool] | None = None,
        numbers: tuple[signal.Signals, ...] = (signal.SIGTERM,),
        script: str = "train.py",
        before: Callable[[], object] | None = None,
        held_at: int | None = None,
        held_in: str = "on_train_batch_start",
    ) -> None:
        forks.ready()
        output, sent = (folder.with_name(f"{folder.name}.{name}") for name in ("out", "sent"))
        if held_at is not None:
            before = partial(forks.hold, held_in, held_at, sent, before)
        to = f"hydra.{'sweep' if '-m' in overrides else 'run'}.dir={folder}"
        process = forks.start(script, *overrides, to, output=output, before=before)

        def send() -> None:
            for number in numbers:
                os.kill(process.pid or 0, number)
                while number is not numbers[-1] and not printed(NOTED, folder):
                    assert process.exitcode is None, f"it ended at the first signal: {output.read_text()}"
                    time.sleep(0.001)
            sent.touch()

        self.status = forks.ended(process, partial(when, folder) if when else forks.held(sent).exists, send)
        self.output = output.read_text()
        assert "Traceback" not in self.output
        assert not list(folder.rglob("metrics.json"))

    def stopped(self, folder: Path) -> int:
        """The epoch at which it says that it stopped, which is its checkpoint's."""
        path = folder / "checkpoints" / "last.ckpt"
        epoch = int(torch.load(path, weights_only=True)["global_step"])
        assert self.output.endswith(f"interrupted at epoch {epoch}; resume with ckpt_path={path}\n")
        assert self.output.count("interrupted at") == 1
        return epoch


def printed(text: str, folder: Path) -> bool:
    """Whether a command has printed something."""
    output = folder.with_name(f"{folder.name}.out")
    return output.exists() and text in output.read_text()
