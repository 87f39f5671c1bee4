"""Gradient flow: the size of each layer's gradient, and of its updates relative to its weights."""

import math
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from xornet import validation
from xornet.callbacks.run_callback import LoggingCallback
from xornet.engine.blocks import run_length
from xornet.engine.curve import CURVE_POINTS, spacing
from xornet.engine.snapshots import SAMPLE
from xornet.module import XORModule
from xornet.runs.events import writers

BINS = 30  # as many as TensorBoard shows; the default writes hundreds of empty ones, 9 KB for 12 weights


class GradientMonitor(LoggingCallback):
    """Logs ‖∂L/∂W‖ of each layer and ‖ΔW‖ / ‖W‖ of its update; for TensorBoard also histograms of ∂L/∂W and W.

    On a plateau the loss hardly falls because the gradient nearly vanishes, not because the weights are right. For an
    ensemble these are means over its first SAMPLE networks.

    Args:
        every_n_epochs: epochs between two logging steps.
        histogram_every_n_epochs: epochs between two histograms, each logged at the next logging step.

    Both are increased in runs that would have more than CURVE_POINTS logging steps.

    """

    def __init__(self, every_n_epochs: int = 200, histogram_every_n_epochs: int = 1000) -> None:
        self.intervals = [
            validation.interval("gradient_monitor.every_n_epochs", every_n_epochs, example=200),
            validation.interval("gradient_monitor.histogram_every_n_epochs", histogram_every_n_epochs, example=1000),
        ]

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Space the logging steps."""
        super().setup(trainer, pl_module, stage)
        growth = spacing(run_length(trainer) / CURVE_POINTS / self.intervals[0])
        self.samples_every_n_epochs, self.histogram_every_n_epochs = (growth * every for every in self.intervals)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Log the gradients and updates of the block at its logging steps."""
        assert isinstance(pl_module, XORModule)
        block = pl_module.block
        samples = block.snapshots.samples
        for epoch, weights in samples.items():
            self.log_state(trainer, pl_module, epoch, weights)
            if (epoch + 1) % self.samples_every_n_epochs == 0:
                updated = samples.get(epoch + 1) or pl_module.ensemble.weights_of_first(SAMPLE)
                ratios = [mean(norm(b - a) / norm(a)) for a, b in zip(weights, updated, strict=True)]
                log(trainer, pl_module, "update/ratio", ratios, epoch)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log the gradients and weights of the trained networks."""
        assert isinstance(pl_module, XORModule)
        self.log_state(trainer, pl_module, trainer.current_epoch, pl_module.ensemble.weights_of_first(SAMPLE))

    def log_state(self, trainer: Trainer, module: XORModule, epoch: int, weights: list[Tensor]) -> None:
        """Log weights, those before the update of `epoch`, and their gradients, if `epoch` is a logging step."""
        if epoch % self.samples_every_n_epochs or epoch <= self.logged:
            return
        self.logged = epoch
        gradients = module.gradients(weights)
        log(trainer, module, "update/gradient_norm", [mean(norm(gradient)) for gradient in gradients], epoch)
        if epoch % self.histogram_every_n_epochs < self.samples_every_n_epochs:
            for writer in writers(trainer):
                for group, tensors in (("weights", weights), ("weights_gradients", gradients)):
                    for layer, tensor in zip(module.layer_names, tensors, strict=True):
                        finite = tensor[tensor.isfinite()]
                        if len(finite):
                            writer.add_histogram(f"{group}/{layer}", finite, epoch, bins=BINS)


def norm(layer: Tensor) -> Tensor:
    """The Euclidean norm of a layer (I + 1, H, N) for each network, (N,); in float64, since squares may overflow."""
    return layer.cpu().double().flatten(0, 1).norm(dim=0)


def mean(values: Tensor) -> float:
    """The mean over the networks that have not diverged."""
    return values[values.isfinite()].mean().item()


def log(trainer: Trainer, module: XORModule, group: str, values: list[float], epoch: int) -> None:
    """Log one value per layer; no value that is not finite, such as a change relative to weights of 0."""
    named = zip(module.layer_names, values, strict=True)
    metrics = {f"{group}/{layer}": value for layer, value in named if math.isfinite(value)}
    for logger in trainer.loggers:
        logger.log_metrics(metrics, epoch)
