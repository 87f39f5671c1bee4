"""The curves of a run, for every logger; histograms, graph and configuration for TensorBoard."""

import math
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

from xornet import checks
from xornet.descent import SAMPLE
from xornet.epochs import run_length
from xornet.history import CURVE_POINTS
from xornet.jobs import read_overrides
from xornet.module import XORModule
from xornet.results import evaluate, per_network
from xornet.tensorboard import add_graph, is_continued, writers


class Curves(Callback):
    """Logs what the module remembers: loss, accuracy, and for one network its prediction on each point.

    For N > 1 the loss is the median, with the 10% and 90% quantiles beside it, and the share of networks that solve the
    table at that epoch. A resumed run logs its whole curve, from epoch 0, unless it goes on in the same directory.
    """

    every_n_epochs = math.inf

    def __init__(self) -> None:
        self.logged = -1  # the last epoch logged

    def on_load_checkpoint(self, trainer: Trainer, module: XORModule, checkpoint: dict[str, Any]) -> None:
        """Pass over what an earlier part of this run has logged already."""
        if is_continued(trainer):
            self.logged = checkpoint["global_step"] - 1

    def on_train_batch_end(self, trainer: Trainer, module: XORModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log the new rows of the curve."""
        self.log_rows(trainer, module)

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Log what is left of the curve, and for N > 1 the histograms of final loss and of solving epoch."""
        self.log_rows(trainer, module)  # all of it in a run that was resumed at its end, and so never trained
        _, losses, _ = per_network(module)
        when = module.history.solved_epoch
        for writer in writers(trainer) if len(module.ensemble) > 1 else ():
            writer.add_histogram("networks/loss", losses[losses.isfinite()], trainer.current_epoch)
            if (when >= 0).any():
                writer.add_histogram("networks/solved_epoch", when[when >= 0], trainer.current_epoch)

    def log_rows(self, trainer: Trainer, module: XORModule) -> None:
        """Log the rows of the curve that have not been logged."""
        fresh = module.history.curve.get("epochs", torch.empty(0)) > self.logged
        curve = {name: values[fresh].tolist() for name, values in module.history.curve.items()}
        points = ["".join(str(int(bit)) for bit in point) for point in module.x.tolist()]
        targets = module.y[:, 0].tolist()
        for k, epoch in enumerate(curve.get("epochs", [])):
            self.logged = epoch
            low, median, high = curve["losses"][k]
            row = {"train/loss": median, "train/accuracy": curve["accuracy"][k]}
            if len(module.ensemble) == 1:
                errors = zip(points, curve["errors"][k], targets, strict=True)
                row |= {f"predictions/{point}": target + error for point, error, target in errors}
            else:
                row |= {"train/loss_q10": low, "train/loss_q90": high, "train/solved": curve["solved"][k]}
            for logger in trainer.loggers:
                logger.log_metrics(row, epoch)


class Gradients(Callback):
    """Logs the norm of the gradient of each layer, and TensorBoard histograms of its weights.

    Of a large ensemble, over its first SAMPLE networks.

    Args:
        every: epochs between two looks (more in runs so long that there would be over CURVE_POINTS looks).
        histograms_every: looks between two histograms.

    """

    def __init__(self, every: int = 200, histograms_every: int = 5) -> None:
        key = "callbacks.gradients"
        self.every = checks.integer(f"{key}.every", every, 1, 10**9, f"use e.g. {key}.every=200")
        remedy = f"use e.g. {key}.histograms_every=5"
        self.histograms_every = checks.integer(f"{key}.histograms_every", histograms_every, 1, 10**9, remedy)

    def setup(self, trainer: Trainer, module: XORModule, stage: str) -> None:
        """Space the looks."""
        self.every_n_epochs = max(self.every, math.ceil(run_length(trainer) / CURVE_POINTS))

    def on_train_batch_start(self, trainer: Trainer, module: XORModule, batch: Any, batch_idx: int) -> None:
        """Look, if it is time: after a checkpoint of the same epoch, so that a run that goes on from it looks again."""
        self.look(trainer, module, trainer.current_epoch)

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Look at what the networks have become."""
        self.look(trainer, module, trainer.current_epoch)

    def look(self, trainer: Trainer, module: XORModule, epoch: int) -> None:
        """Log the state before the update of `epoch`, if it is time."""
        if epoch % self.every_n_epochs:
            return
        norms = {f"gradients/{layer}": norm for layer, norm in module.gradient_norms().items()}
        for logger in trainer.loggers:
            logger.log_metrics(norms, epoch)
        if epoch % (self.every_n_epochs * self.histograms_every) == 0:
            for writer in writers(trainer):
                for layer, weight in zip(module.layers, module.ensemble.weights, strict=True):
                    shown = weight[..., :SAMPLE]
                    shown = shown[shown.abs() < 1e19]  # TensorBoard's bins end there
                    if len(shown):
                        writer.add_histogram(f"weights/{layer}", shown, epoch)


class Card(Callback):
    """TensorBoard's graph of the network, the composed configuration as text, and the HParams row of the run."""

    def on_fit_start(self, trainer: Trainer, module: XORModule) -> None:
        """Write the graph, and the configuration as Hydra composed it."""
        composed = Path(trainer.default_root_dir, ".hydra", "config.yaml")
        for writer in writers(trainer):
            add_graph(writer, module.hparams["bits"], tuple(module.hparams["hidden"]), module.hparams["activation"])
            if composed.exists():
                writer.add_text("config", f"```yaml\n{composed.read_text()}\n```")

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Write the HParams row: what a sweep may vary, and the final metrics."""
        results = evaluate(module)
        ends = {f"final/{name}": results[name] for name in ("loss", "accuracy", "solved", "solved_epoch")}
        metrics = {name: float(value) for name, value in ends.items() if value is not None}
        known = hyperparameters(module, trainer)
        for logger in trainer.loggers:
            if not isinstance(logger, TensorBoardLogger):
                logger.log_hyperparams(known)
                continue
            logger.hparams.update(known)  # for its hparams.yaml
            logger.log_metrics(metrics, trainer.current_epoch)
            # Without the list of columns that log_hyperparams writes: TensorBoard takes that of an arbitrary run for
            # all, where it would itself list the columns of every run, and those that differ first.
            for summary in hparams({key: plain(value) for key, value in known.items()}, metrics)[1:]:
                logger.experiment.file_writer.add_summary(summary)


def plain(value: Any) -> bool | float | str:
    """The value, in words where it is no number."""
    return value if isinstance(value, bool | int | float) else str(value)


def hyperparameters(module: XORModule, trainer: Trainer) -> dict[str, Any]:
    """What a sweep may vary, by the keys of the configuration: what makes the networks, and all that was overridden."""
    assert module.optimizer is not None
    ours = {key if key in ("seed", "networks") else f"model.{key}": value for key, value in module.hparams.items()}
    ours["data.bits"] = ours.pop("model.bits")
    theirs = {f"optimizer.{key}": value for key, value in module.optimizer.keywords.items()}
    known = {"optimizer": module.optimizer.func.__name__, "trainer.max_epochs": trainer.max_epochs}
    return read_overrides(Path(trainer.default_root_dir)) | ours | theirs | known
