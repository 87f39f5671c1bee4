"""The console of the lab sheet, and a progress bar."""

import math
import sys
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from tqdm import tqdm

from xornet import validation
from xornet.module import XORModule
from xornet.runs.metrics import evaluate
from xornet.runs.verdict import describe, describe_now

BAR_DELAY = 1  # seconds; a shorter run shows no bar


class LossTable(Callback):
    """Prints the loss table of the sheet, `Epoch 0, Loss: 0.2595`, and the final predictions.

    The loss is that before the update of the epoch; for N > 1 the median over the networks, with the 10% and 90%
    quantiles and the share of networks that solve the table.

    Args:
        every_n_epochs: epochs between two rows.

    """

    def __init__(self, every_n_epochs: int = 1000) -> None:
        self.every_n_epochs = validation.interval("loss_table.every_n_epochs", every_n_epochs, example=1000)

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Print a row, if one is due."""
        assert isinstance(pl_module, XORModule)
        if trainer.current_epoch % self.every_n_epochs == 0:
            row = f"Epoch {trainer.current_epoch}, {describe_now(pl_module)}"
            tqdm.write(row)  # above the progress bar, where there is one
            sys.stdout.flush()

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the predictions of the trained network; for N > 1 how many networks solved the table, and when."""
        assert isinstance(pl_module, XORModule)
        if len(pl_module.ensemble) == 1:
            print("Final predictions:")
            print(pl_module.predictions()[..., 0].cpu(), flush=True)
        else:
            print(describe(evaluate(pl_module), len(pl_module.ensemble), trainer.current_epoch), flush=True)


class EpochProgressBar(Callback):
    """One progress bar for all epochs, with epochs per second, loss and time left; only if stderr is a terminal."""

    every_n_epochs = math.inf

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Show the bar, if the run takes longer than a second."""
        total = None if trainer.max_epochs == -1 else trainer.max_epochs
        self.bar = tqdm(
            total=total,
            initial=trainer.current_epoch,
            unit="epoch",
            delay=BAR_DELAY,
            leave=False,
            dynamic_ncols=True,
            disable=not sys.stderr.isatty(),
        )

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Advance by a block."""
        assert isinstance(pl_module, XORModule)
        block = pl_module.block
        self.bar.set_postfix(loss=f"{block.loss:.4f}", refresh=False)
        self.bar.update(block.length)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Remove the bar."""
        self.bar.close()

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Remove the bar before an error is printed."""
        if hasattr(self, "bar"):
            self.bar.close()
