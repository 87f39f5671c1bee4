"""The base class of callbacks that record a run."""

import math
from abc import ABC, abstractmethod
from typing import Any
from weakref import ref

from lightning.pytorch import Callback, LightningModule, Trainer


class RunCallback(Callback, ABC):
    """A callback that records one run, from its start, and continues if its Trainer does.

    Evaluation in between does not change the record.
    """

    every_n_epochs = math.inf  # never ends a block: it finds what it needs in the blocks
    trainer: "ref[Trainer] | None" = None  # of the run

    def __getstate__(self) -> dict[str, Any]:
        """The state for copying and pickling, without the Trainer."""
        return {**vars(self), "trainer": None}

    @abstractmethod
    def reset(self) -> None:
        """Discard the record."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Discard the record, unless this Trainer continues its run.

        Raises:
            ValueError: it continues, but another Trainer has used the callback since.

        """
        if stage != "fit":
            return
        if trainer.current_epoch == trainer.global_step == 0:
            self.reset()
        elif self.trainer is not None and self.trainer() is not trainer:
            name = type(self).__name__
            raise ValueError(f"{name} has been used by another Trainer since; use a new {name}() for each Trainer")
        self.trainer = ref(trainer)


class LoggingCallback(RunCallback):
    """A callback that logs numbers of one run, each epoch once."""

    logged = -1  # the last epoch that was logged

    def reset(self) -> None:
        """Forget what has been logged."""
        self.logged = -1

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Log what follows the checkpoint, also if this Trainer has logged another continuation of it."""
        self.logged = min(self.logged, checkpoint["global_step"] - 1)
