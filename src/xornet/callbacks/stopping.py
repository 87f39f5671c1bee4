"""What ends a run before `trainer.max_epochs`."""

import os
import signal
from types import FrameType
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping

from xornet import checks


class EarlyStopping(LightningEarlyStopping):
    """Lightning's EarlyStopping, checking every `every_n_epochs` epochs so that the blocks in between stay long.

    Args:
        every_n_epochs: epochs between two checks; `patience` counts checks.
        **kwargs: Lightning's own.

    """

    def __init__(self, monitor: str = "train/loss", every_n_epochs: int = 100, **kwargs: Any) -> None:
        super().__init__(monitor, **kwargs)
        remedy = "use e.g. callbacks.early_stopping.every_n_epochs=100"
        self.every_n_epochs = checks.integer(
            "callbacks.early_stopping.every_n_epochs", every_n_epochs, 1, 10**9, remedy
        )

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check, if it is time."""
        if (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            super().on_train_epoch_end(trainer, pl_module)


class StopOnSignal(Callback):
    """Ctrl-C and SIGTERM: finish the block, let the checkpoint be written, exit with 130 or 143; a second one kills.

    Lightning would raise from wherever the block happens to be, which leaves networks between two epochs.
    """

    def __init__(self) -> None:
        self.received: int | None = None

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Replace the handlers; Lightning puts back its predecessors' when fit ends."""

        def stop(signum: int, frame: FrameType | None) -> None:
            if self.received is not None:
                signal.signal(signum, signal.SIG_DFL)
                os.kill(os.getpid(), signum)
            self.received = signum
            trainer.fit_loop.min_epochs = trainer.fit_loop.epoch_loop.min_steps = None
            trainer.should_stop = True

        signal.signal(signal.SIGINT, stop)
        signal.signal(signal.SIGTERM, stop)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Exit, before pictures are drawn and metrics.json says that the run finished."""
        if self.received is not None:
            raise SystemExit(128 + self.received)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Exit, for a signal that came while pictures were drawn."""
        if self.received is not None:
            raise SystemExit(128 + self.received)
