"""The curves of a run, for all loggers."""

from typing import Any

import torch
from lightning.pytorch import LightningModule, Trainer

from xornet.callbacks.run_callback import LoggingCallback
from xornet.data import point_names
from xornet.module import XORModule
from xornet.runs.events import writers
from xornet.runs.metrics import evaluate_networks
from xornet.runs.resumed_logs import first_step


class Metrics(LoggingCallback):
    """Logs the curve of a run: loss, accuracy, and for one network its prediction on each point.

    For N > 1 the loss is the median, and its 10% and 90% quantiles and the share of networks that solve the table at
    that epoch are logged too. A resumed run logs its whole curve, from epoch 0, unless a command resumes it in its own
    directory (runs/resumed_logs.py).
    """

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the new rows of the curve."""
        assert isinstance(pl_module, XORModule)
        self.log_rows(trainer, pl_module)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the rest of the curve, and for N > 1 histograms of the final losses and the solving epochs."""
        assert isinstance(pl_module, XORModule)
        self.log_rows(trainer, pl_module)  # the whole curve, if the run was resumed at its end and did not train
        _, losses, _ = evaluate_networks(pl_module)
        solved_epochs = pl_module.history.solved_epoch
        for writer in writers(trainer) if len(pl_module.ensemble) > 1 else ():
            writer.add_histogram("final/losses", losses[losses.isfinite()], trainer.current_epoch)
            if (solved_epochs >= 0).any():
                writer.add_histogram("final/solved_epochs", solved_epochs[solved_epochs >= 0], trainer.current_epoch)

    def log_rows(self, trainer: Trainer, module: XORModule) -> None:
        """Log the rows of the curve that have not been logged yet."""
        fresh = module.history.curve.get("epochs", torch.empty(0)) > self.logged
        curve = {name: values[fresh].tolist() for name, values in module.history.curve.items()}
        points = point_names(module.x)
        targets = module.y[:, 0].tolist()
        loggers = [(logger, first_step(logger)) for logger in trainer.loggers]
        for k, epoch in enumerate(curve.get("epochs", [])):
            self.logged = epoch
            low, median, high = curve["losses"][k]
            row = {"train/loss": median, "train/accuracy": curve["accuracy"][k]}
            if len(module.ensemble) == 1:
                errors = zip(points, curve["errors"][k], targets, strict=True)
                row |= {f"train/prediction_{point}": target + error for point, error, target in errors}
            else:
                row |= {"train/loss_q10": low, "train/loss_q90": high, "train/solved": curve["solved"][k]}
            for logger, first in loggers:
                if epoch >= first:  # an earlier part of the run has logged the others
                    logger.log_metrics(row, epoch)
