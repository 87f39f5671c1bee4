"""The checkpoint that a run is resumed from."""

import logging
from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from xornet import validation
from xornet.checkpoint import UnsafeStateError, in_memory
from xornet.engine.blocks import callbacks_of, is_smoke_test
from xornet.runs.undo import expect
from xornet.validation import plain

log = logging.getLogger(__name__)


class LastCheckpoint(Checkpoint):
    """Saves `last.ckpt` every `every_n_epochs` epochs, and when training ends.

    It must be called after all other checkpoint callbacks, because it saves their state too.

    Args:
        dirpath: the directory of `last.ckpt`.
        every_n_epochs: epochs between two saves.

    """

    def __init__(self, dirpath: str, every_n_epochs: int = 1000) -> None:
        self.every_n_epochs = validation.interval("checkpoint.every_n_epochs", every_n_epochs, example=1000)
        self.dirpath, self.path = dirpath, Path(dirpath) / "last.ckpt"

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the directory; it is removed again if nothing is saved."""
        expect(self.path.parent.absolute())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.is_saved = self.is_warned = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse states that a checkpoint cannot hold before anything is trained."""
        if is_smoke_test(trainer):
            return
        data = [one for one in (getattr(trainer, "datamodule", None),) if one is not None]
        owners = [*callbacks_of(trainer), *data]
        states = [(f"the state of {type(one).__name__}", one.state_dict()) for one in owners]
        states += [(f"{type(one).__name__}.hparams", dict(one.hparams)) for one in (pl_module, *data)]
        for owner, state in states:
            in_memory(owner, plain(state))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save every n epochs, except after the last: `on_train_end` saves that, once Lightning has counted it."""
        epochs = trainer.current_epoch + 1
        if epochs % self.every_n_epochs == 0 and epochs != trainer.max_epochs:
            self.save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final state."""
        self.save(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the final state of a run that was resumed at its end, and so did not train.

        An optimizer that was chosen since and has made no step has no state to resume from: the older file stays.
        """
        if not (self.is_saved or getattr(pl_module, "has_new_optimizer", False)):
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Save the state; not with `fast_dev_run`, as Lightning's own ModelCheckpoint does not either."""
        if not is_smoke_test(trainer):
            self.is_warned |= save_or_warn(trainer, self.path, is_warned=self.is_warned)
        self.is_saved = True


def save_or_warn(trainer: Trainer, path: Path, is_warned: bool = False) -> bool:
    """Save a checkpoint; only warn if a callback has come to a state that no checkpoint can hold.

    An older file stays as it is, and the run goes on to its results.

    Args:
        trainer: of the run.
        path: of the checkpoint.
        is_warned: whether the user knows already.

    Returns:
        whether the state was such.

    """
    try:
        trainer.save_checkpoint(path)
    except UnsafeStateError as error:
        if not is_warned:
            log.warning("%s is not written, and an older one stays as it is: %s", path, error)
        return True
    return False
