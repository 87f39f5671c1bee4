"""The learning rate as a curve."""

from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import LearningRateMonitor as LightningLearningRateMonitor

from xornet import validation


class LearningRateMonitor(LightningLearningRateMonitor):
    """Lightning's LearningRateMonitor, logging only every `every_n_epochs` epochs, so that blocks stay long.

    Args:
        every_n_epochs: epochs between two points of the curve.
        **kwargs: Lightning's `log_momentum` and `log_weight_decay`.

    """

    def __init__(self, every_n_epochs: int = 100, **kwargs: Any) -> None:
        super().__init__("epoch", **kwargs)
        self.every_n_epochs = validation.interval("lr_monitor.every_n_epochs", every_n_epochs, example=100)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log, if it is due."""
        if trainer.current_epoch % self.every_n_epochs == 0:
            super().on_train_epoch_start(trainer, pl_module)
