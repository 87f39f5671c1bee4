"""The console of the lab sheet, and a progress bar for people who watch."""

import math
import sys
from typing import Any

from lightning.pytorch import Callback, Trainer
from tqdm import tqdm

from xornet import checks
from xornet.history import Block
from xornet.module import XORModule
from xornet.results import describe, evaluate

BAR_DELAY = 1  # seconds: a run that is over by then shows no bar


class LossTable(Callback):
    """Prints the sheet's table, `Epoch 0, Loss: 0.2595`, and its final predictions.

    The loss is the one before that epoch's update; for N > 1 the median over the networks, with the quantiles from 10%
    to 90% and the share of networks that solve the table.

    Args:
        every: epochs between two rows.

    """

    every_n_epochs = math.inf  # reads its epochs out of the blocks

    def __init__(self, every: int = 1000) -> None:
        self.every = checks.integer("callbacks.table.every", every, 1, 10**9, "use e.g. callbacks.table.every=1000")

    def on_train_batch_end(self, trainer: Trainer, module: XORModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Print the rows of a block."""
        block = outputs["block"]
        for k in range(-block.start % self.every, len(block.errors), self.every):
            # above the progress bar, where there is one
            tqdm.write(f"Epoch {block.start + k}, Loss: {block.median(k):.4f}{self.spread(module, block, k)}")
        sys.stdout.flush()

    def spread(self, module: XORModule, block: Block, k: int) -> str:
        """What a row adds for N > 1: quantiles 10% and 90% of the loss, and the share of networks that solve now."""
        if len(module.ensemble) == 1:
            return ""
        low, high = block.losses(k).double().nanquantile(block.errors.new_tensor([0.1, 0.9]).double()).tolist()
        solved = block.errors[k].abs().amax((0, 1)) < module.history.tolerance
        return f" ({low:.4f} to {high:.4f}), Solved: {solved.double().mean():.1%}"

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Print the predictions of the trained network, or how many networks solved the table and when."""
        if len(module.ensemble) == 1:
            print("Final predictions:")
            print(module.predictions()[..., 0].cpu())
        else:
            print(describe(evaluate(module), len(module.ensemble), trainer.current_epoch))


class EpochBar(Callback):
    """One bar over all epochs, with epochs per second, loss and time left; none where stderr is no terminal."""

    every_n_epochs = math.inf

    def on_train_start(self, trainer: Trainer, module: XORModule) -> None:
        """Show the bar, unless the run is over within a second."""
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

    def on_train_batch_end(self, trainer: Trainer, module: XORModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Move on by a block."""
        block = outputs["block"]
        self.bar.set_postfix(loss=f"{block.median(-1):.4f}", refresh=False)
        self.bar.update(len(block.errors))

    def on_train_end(self, trainer: Trainer, module: XORModule) -> None:
        """Take the bar away."""
        self.bar.close()

    def on_exception(self, trainer: Trainer, module: XORModule, exception: BaseException) -> None:
        """Take the bar away before an error is printed."""
        if hasattr(self, "bar"):
            self.bar.close()
