"""An experiment tracker and its logger, as W&B's are: one run is open for the process, and whoever comes uses it."""

import os
from dataclasses import dataclass, field
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger


@dataclass
class Tracked:
    """A run, as the tracker keeps it."""

    config: dict[str, Any] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)
    exit_code: int | None = None


run: Tracked | None = None  # the open one
runs: list[Tracked] = []


def init() -> Tracked:
    """Begin a run, unless one is open."""
    global run  # noqa: PLW0603, as W&B has it
    if run is None:
        run = Tracked()
        runs.append(run)
    return run


def finish(exit_code: int = 0) -> None:
    """End the open run."""
    global run
    if run is not None:
        run.exit_code, run = exit_code, None


class TrackerLogger(Logger):
    """Logs into the open run, and leaves it open."""

    name = version = "tracker"

    @property
    def experiment(self) -> Tracked:
        """The run."""
        return init()

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Add to its configuration."""
        self.experiment.config.update(params)

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        """Note that something was logged."""
        self.experiment.steps.append(step or 0)


class Signal(Callback):
    """Sends its process a signal at the end of an epoch."""

    def __init__(self, epoch: int, number: int) -> None:
        self.every_n_epochs, self.number = epoch, number

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Send it."""
        if trainer.current_epoch + 1 == self.every_n_epochs:
            os.kill(os.getpid(), self.number)


class Fault(Callback):
    """Fails at the end of an epoch."""

    def __init__(self, epoch: int) -> None:
        self.every_n_epochs = epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Fail."""
        if trainer.current_epoch + 1 == self.every_n_epochs:
            raise OSError("no space left")
