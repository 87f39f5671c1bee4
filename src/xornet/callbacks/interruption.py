"""Interruption of a run by a signal: it ends after a block, and can be resumed."""

import math
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer

from xornet.callbacks.checkpoint import LastCheckpoint, save_or_warn
from xornet.cli.overrides import override
from xornet.cli.signals import SIGNALS, end_if_received, handle, taken_by_run
from xornet.module import XORModule


class StopOnSignal(Callback):
    """On Ctrl-C, SIGTERM or SIGHUP: finish the block, save the checkpoint, exit with 130, 143 or 129.

    A second signal ends the process at once. Lightning's own handlers would raise in the middle of a block, which would
    leave networks between two epochs. While an epoch is compiled, which takes seconds, the run ends immediately.
    """

    every_n_epochs = math.inf  # never ends a block

    def __init__(self) -> None:
        self.received: int | None = None
        self.may_stop = False
        self.before: dict[signal.Signals, Any] = {}

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace Lightning's handlers; Lightning restores the earlier ones when training ends."""
        end_if_received()  # a signal may have come during setup
        self.received = None  # by an earlier run
        self.handle(trainer, pl_module)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Delay a signal until this epoch's batch: Lightning would skip the batch, but count the epoch."""
        self.may_stop = False

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Request a stop after this batch, if a signal has come."""
        self.may_stop = True
        trainer.should_stop |= self.received is not None

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Save the last completed block of a run that was interrupted while compiling."""
        if self.received is not None and is_compiling(pl_module):
            self.leave(trainer, is_saved=False)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Exit, before pictures are drawn and metrics.json is written."""
        self.leave(trainer)
        self.before = {number: signal.getsignal(number) for number in SIGNALS}
        self.handle(trainer, pl_module)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Restore the handlers; exit if a signal came while pictures were drawn."""
        for number, handler in self.before.items():
            signal.signal(number, handler)
        self.leave(trainer)

    def handle(self, trainer: Trainer, module: LightningModule) -> None:
        """Handle SIGINT, SIGTERM and SIGHUP."""

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
        """Exit with the status of the signal, if one has come; save a checkpoint first, if there is none of this state.

        Args:
            trainer: of the run.
            is_saved: whether `last.ckpt` already holds the current state; other checkpoints never do.

        """
        if self.received is not None:
            path, is_ours = checkpoint_path(trainer)
            if path and not (is_ours and is_saved):
                save_or_warn(trainer, path)
            how = f"; resume with {override('ckpt_path', path.absolute())}" if path and path.exists() else ""
            print(f"interrupted at epoch {trainer.current_epoch}{how}", file=sys.stderr)
            raise SystemExit(128 + self.received)


def is_compiling(module: LightningModule) -> bool:
    """Whether an epoch is being compiled now."""
    return isinstance(module, XORModule) and module.runner is not None and module.runner.is_compiling


def checkpoint_path(trainer: Trainer) -> tuple[Path | None, bool]:
    """Return the checkpoint from which an interrupted run is resumed, and whether it is our `last.ckpt`.

    Lightning's ModelCheckpoint does not save when a run is interrupted, so `interrupted.ckpt` is saved next to its
    files. None if the run saves no checkpoints.
    """
    callbacks = trainer.checkpoint_callbacks
    ours = [callback.path for callback in callbacks if isinstance(callback, LastCheckpoint)]
    folders = [getattr(callback, "dirpath", None) for callback in callbacks]
    others = [Path(folder, "interrupted.ckpt") for folder in folders if folder]
    return next(iter([*ours, *others]), None), bool(ours)
