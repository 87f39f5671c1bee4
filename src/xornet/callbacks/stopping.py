"""Early stopping, and how a stopped run is resumed."""

from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping as LightningEarlyStopping
from lightning.pytorch.callbacks import Timer

from xornet import validation
from xornet.engine.blocks import callbacks_of


class EarlyStopping(LightningEarlyStopping):
    """Lightning's EarlyStopping, checking only every `every_n_epochs` epochs, so that blocks stay long.

    Args:
        every_n_epochs: epochs between two checks, which `patience` counts; a check of a metric that is not of training
            waits for the next validation.
        **kwargs: Lightning's own.

    """

    def __init__(self, monitor: str = "train/loss", every_n_epochs: int = 100, **kwargs: Any) -> None:
        for name in ("min_delta", "stopping_threshold", "divergence_threshold"):
            if kwargs.get(name) is not None:
                validation.number(f"callbacks.early_stopping.{name}", kwargs[name], f"use e.g. {name}=0.01")
        if "patience" in kwargs:
            validation.interval("early_stopping.patience", kwargs["patience"], example=10)
        if str(monitor).startswith(
            "train/"
        ):  # by default Lightning checks after validation, unless that is every epoch
            kwargs.setdefault("check_on_train_epoch_end", True)
        super().__init__(monitor, **kwargs)
        self.every_n_epochs = validation.interval("early_stopping.every_n_epochs", every_n_epochs, example=100)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check, if a check is due."""
        if (trainer.current_epoch + 1) % self.every_n_epochs == 0:
            super().on_train_epoch_end(trainer, pl_module)

    def on_validation_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Check, if this is the first validation since a check was due."""
        every = trainer.check_val_every_n_epoch or trainer.val_check_interval
        if (trainer.current_epoch + 1) % self.every_n_epochs < every:
            super().on_validation_end(trainer, pl_module)


class ResumeStopped(Callback):
    """Keeps a run ended that early stopping or `trainer.max_time` has ended, if it is resumed to write its results.

    Lightning would train one more block before checking again. If EarlyStopping has other arguments now, the run
    continues.
    """

    def __init__(self) -> None:
        self.saved: dict[str, Any] = {}  # settings of the EarlyStopping callbacks in the checkpoint
        self.epochs = -1  # of the checkpoint

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget an earlier checkpoint."""
        self.saved, self.epochs = {}, -1

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the settings of early stopping."""
        checkpoint["early_stopping"] = {stopper.state_key: settings(stopper) for stopper in stoppers(trainer)}

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Load the settings that early stopping had."""
        self.saved, self.epochs = checkpoint.get("early_stopping", {}), checkpoint["global_step"]

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """End the run without another epoch, if it had ended."""
        for stopper in stoppers(trainer):
            is_same = self.saved.get(stopper.state_key) == settings(stopper)
            # A stop request may have waited for these.
            least = max(trainer.min_epochs or 0, trainer.min_steps or 0)
            has_ended = stopper.stopped_epoch + 1 == self.epochs or stopper.stopped_epoch < self.epochs == least
            # A stopped_epoch of 0 means that it has not stopped the run.
            trainer.should_stop |= is_same and has_ended and stopper.stopped_epoch > 0
        for timer in (callback for callback in callbacks_of(trainer) if isinstance(callback, Timer)):
            remaining = timer.time_remaining()
            trainer.should_stop |= self.epochs >= 0 and remaining is not None and remaining <= 0


def stoppers(trainer: Trainer) -> list[LightningEarlyStopping]:
    """The EarlyStopping callbacks of a run, Lightning's and ours."""
    return [callback for callback in callbacks_of(trainer) if isinstance(callback, LightningEarlyStopping)]


def settings(stopper: LightningEarlyStopping) -> list[Any]:
    """The arguments that decide when an EarlyStopping callback stops, except the metric."""
    every = getattr(stopper, "every_n_epochs", 1)
    return [every, stopper.patience, stopper.min_delta, stopper.stopping_threshold, stopper.divergence_threshold]
