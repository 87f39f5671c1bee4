"""The moment from which a run replaces the earlier one in its directory."""

import math

from lightning.pytorch import Callback, LightningModule, Trainer

from xornet.cli.run_directory import RunDirectory


class BeginRun(Callback):
    """Claims a directory that holds results after the first block of epochs.

    It must be called after all other callbacks, which may refuse the run until then, except those that save
    checkpoints: their files would get other names beside those of the earlier run.

    Args:
        directory: the run directory.

    """

    every_n_epochs = math.inf  # never ends a block: it needs the first one only

    def __init__(self, directory: RunDirectory) -> None:
        self.directory = directory

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Claim the directory."""
        self.directory.begin(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Claim the directory, unless this is Lightning's check before the first epoch."""
        if not trainer.sanity_checking:
            self.directory.begin(trainer)
