"""What a run keeps of its state, to be resumed from."""

from pathlib import Path

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

from xornet import validation
from xornet.engine.blocks import is_smoke_test
from xornet.runs.undo import expect


class LastCheckpoint(Checkpoint):
    """Keeps `last.ckpt`: the state every `every_n_epochs` epochs, and where training ends.

    It belongs behind every other checkpoint callback, since it saves what they have noted of an epoch too.

    Args:
        dirpath: the directory of `last.ckpt`.
        every_n_epochs: epochs between two saves.

    """

    def __init__(self, dirpath: str, every_n_epochs: int = 1000) -> None:
        self.every_n_epochs = validation.interval("checkpoint.every_n_epochs", every_n_epochs, example=1000)
        self.dirpath, self.path = dirpath, Path(dirpath) / "last.ckpt"
        self.is_saved = False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Make the directory, which goes again if nothing is saved."""
        expect(self.path.parent.absolute())
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.is_saved = False

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save every n epochs, but for the last: Lightning has not counted it yet, and the end is saved at once."""
        epochs = trainer.current_epoch + 1
        if epochs % self.every_n_epochs == 0 and epochs != trainer.max_epochs:
            self.save(trainer)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end."""
        self.save(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the end of a run that was resumed at its end, and so never trained."""
        if not self.is_saved:
            self.save(trainer)

    def save(self, trainer: Trainer) -> None:
        """Save the state, but not of a smoke test, in which Lightning's own ModelCheckpoint saves nothing either."""
        if not is_smoke_test(trainer):
            trainer.save_checkpoint(self.path)
        self.is_saved = True
