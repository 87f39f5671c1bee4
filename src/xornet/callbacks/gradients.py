"""Gradient flow: how large the gradient of each layer is, and how far an update moves its weights."""

from typing import Any

from lightning.pytorch import Callback, Trainer
from torch import Tensor

from xornet import checks
from xornet.descent import SAMPLE
from xornet.epochs import run_length
from xornet.history import CURVE_POINTS, Block
from xornet.module import XORModule
from xornet.spacing import spacing
from xornet.tensorboard import writers

BINS = 30  # as many as TensorBoard shows; by default it gets hundreds of empty ones, 9 KB of them for 12 weights


class Gradients(Callback):
    """Logs ‖∂L/∂W‖ of each layer and ‖ΔW‖ / ‖W‖ of its update; in TensorBoard histograms of ∂L/∂W and W.

    On the plateau the loss of XOR stands still because the gradient nearly vanishes, not because the weights are right.
    Of an ensemble the mean over its first SAMPLE networks.

    Args:
        every: epochs between two looks (a multiple in runs so long that there would be over CURVE_POINTS looks).
        histograms_every: looks between two histograms.

    """

    def __init__(self, every: int = 200, histograms_every: int = 5) -> None:
        key = "callbacks.gradients"
        self.every = checks.integer(f"{key}.every", every, 1, 10**9, f"use e.g. {key}.every=200")
        remedy = f"use e.g. {key}.histograms_every=5"
        self.histograms_every = checks.integer(f"{key}.histograms_every", histograms_every, 1, 10**9, remedy)

    def setup(self, trainer: Trainer, module: XORModule, stage: str) -> None:
        """Space the looks."""
        self.every_n_epochs = self.every * spacing(run_length(trainer) / CURVE_POINTS / self.every)

    def on_train_batch_start(self, trainer: Trainer, module: XORModule, batch: Any, batch_idx: int) -> None:
        """Look, if it is time: after a checkpoint of the same epoch, so that a run that goes on from it looks again."""
        self.look(trainer, module, trainer.current_epoch)

    def on_train_batch_end(self, trainer: Trainer, module: XORModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Look, if it is time, at the last update."""
        block: Block = outputs["block"]
        if (end := block.start + block.length) % self.every_n_epochs == 0:
            before, now = block.descent.last, module.ensemble.first(SAMPLE)
            ratios = [mean(norm(b - a) / norm(a)) for a, b in zip(before, now, strict=True)]
            log(trainer, module, "update/ratio", ratios, end - 1)

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Look at what the networks have become."""
        self.look(trainer, module, trainer.current_epoch)

    def look(self, trainer: Trainer, module: XORModule, epoch: int) -> None:
        """Log the state before the update of `epoch`, if it is time."""
        if epoch % self.every_n_epochs:
            return
        weights, gradients = module.ensemble.first(SAMPLE), module.gradients(SAMPLE)
        log(trainer, module, "update/gradient_norm", [mean(norm(gradient)) for gradient in gradients], epoch)
        if epoch % (self.every_n_epochs * self.histograms_every) == 0:
            for writer in writers(trainer):
                for group, tensors in (("weights", weights), ("weights_gradients", gradients)):
                    for layer, tensor in zip(module.layers, tensors, strict=True):
                        shown = tensor[tensor.isfinite()]
                        if len(shown):
                            writer.add_histogram(f"{group}/{layer}", shown, epoch, bins=BINS)


def norm(layer: Tensor) -> Tensor:
    """The Euclidean norm of a layer (I + 1, H, N) of each network, (N,)."""
    return layer.flatten(0, 1).norm(dim=0)


def mean(values: Tensor) -> float:
    """The mean over the networks that are not lost to nan."""
    return values[values.isfinite()].mean().item()


def log(trainer: Trainer, module: XORModule, group: str, values: list[float], epoch: int) -> None:
    """Log one value a layer."""
    metrics = {f"{group}/{layer}": value for layer, value in zip(module.layers, values, strict=True)}
    for logger in trainer.loggers:
        logger.log_metrics(metrics, epoch)
