"""A run that a signal interrupts: it ends with a block, resumable."""

import math
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.cli.overrides import override
from xornet.cli.signals import SIGNALS, end_if_received, handle, taken_by_run
from xornet.module import XORModule


class StopOnSignal(Callback):
    """Ctrl-C, SIGTERM and SIGHUP: finish the block, let the checkpoint be written, exit with 130, 143 or 129.

    A second one kills. Lightning would raise from wherever the block happens to be, which leaves networks between two
    epochs. Compiling is no epoch, and takes seconds: there the run ends where it is.
    """

    every_n_epochs = math.inf  # needs no block to end

    def __init__(self) -> None:
        self.received: int | None = None
        self.may_stop = False
        self.before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace Lightning's handlers, which it puts back when training ends."""
        end_if_received()  # while the run was set up
        self.handle(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have a signal wait for this epoch's batch: Lightning would end the epoch without, and count it."""
        self.may_stop = False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Ask for an end behind this batch, if a signal has come."""
        self.may_stop = True
        trainer.should_stop |= self.received is not None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Keep the last completed block of a run that was stopped while it compiled."""
        if self.received is not None and is_compiling(pl_module):
            self.leave(trainer, is_saved=False)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Exit, before pictures are drawn and metrics.json says that the run finished."""
        self.leave(trainer)
        self.before = {number: signal.getsignal(number) for number in SIGNALS}
        self.handle(trainer, pl_module)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Put the handlers back; exit for a signal that came while pictures were drawn."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.leave(trainer)

    def handle(self, trainer: Trainer, module: LightningModule) -> None:
        """Take SIGINT, SIGTERM and SIGHUP."""

        def stop(signum: int, frame: FrameType | None) -> None:
            if self.received is not None:
                os._exit(128 + signum)
            self.received = signum
            taken_by_run.append(signum)
            trainer.fit_loop.min_epochs = trainer.fit_loop.epoch_loop.min_steps = None
            trainer.should_stop |= self.may_stop
            if is_compiling(module):
                raise SystemExit(128 + signum)

        handle(stop)

    def leave(self, trainer: Trainer, is_saved: bool = True) -> None:
        """Exit as a process does that a signal has ended, if one has come.

        Args:
            trainer: of the run.
            is_saved: whether our own checkpoint holds the state in which the run is left; others' never do.

        """
        if self.received is not None:
            path, is_ours = checkpoint_path(trainer)
            if path and not (is_ours and is_saved):
                trainer.save_checkpoint(path)
            how = f"; resume with {override('ckpt_path', path)}" if path else ""
            print(f"interrupted at epoch {trainer.current_epoch}{how}", file=sys.stderr)
            raise SystemExit(128 + self.received)


def is_compiling(module: LightningModule) -> bool:
    """Whether the networks' epoch is being compiled."""
    return isinstance(module, XORModule) and module.runner is not None and module.runner.is_compiling


def checkpoint_path(trainer: Trainer) -> tuple[Path | None, bool]:
    """Return the checkpoint with which an interrupted run can be resumed, and whether it is our own, `last.ckpt`.

    Lightning's ModelCheckpoint saves at its own epochs, not where a run is interrupted: `interrupted.ckpt` lies beside
    its files. None where a run has no checkpoints.
    """
    callbacks = trainer.checkpoint_callbacks
    ours = [callback.path for callback in callbacks if isinstance(callback, LastCheckpoint)]
    folders = [getattr(callback, "dirpath", None) for callback in callbacks]
    others = [Path(folder, "interrupted.ckpt") for folder in folders if folder]
    return next(iter([*ours, *others]), None), bool(ours)
