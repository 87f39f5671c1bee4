"""What callbacks have in common that keep something of a run."""

import math
from abc import ABC, abstractmethod
from typing import Any
from weakref import ref

from lightning.pytorch import Callback, LightningModule, Trainer


class RunCallback(Callback, ABC):
    """A callback that keeps something of a run, from its start, and while its Trainer continues it.

    Evaluating in between changes nothing. What it keeps is of one run at a time.
    """

    every_n_epochs = math.inf  # needs no block to end: the blocks hold what it needs
    trainer: "ref[Trainer] | None" = None  # of the run

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a file of it holds: not its Trainer."""
        return {**vars(self), "trainer": None}

    @abstractmethod
    def reset(self) -> None:
        """Keep nothing yet."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Start afresh, unless this Trainer goes on.

        Raises:
            ValueError: it goes on, but another Trainer has used the callback since.

        """
        if stage != "fit":
            return
        if trainer.current_epoch == trainer.global_step == 0:
            self.reset()
        elif self.trainer is not None and self.trainer() is not trainer:
            name = type(self).__name__
            raise ValueError(f"{name} has been used by another Trainer since; use a {name}() of its own for each")
        self.trainer = ref(trainer)
