"""The map of learning rates for a run with `optimizer=rate_grid`."""

import math
from typing import Any

import numpy as np
from lightning.pytorch import Callback, LightningModule, Trainer
from numpy.typing import NDArray

from xornet.callbacks.figures import publish
from xornet.engine.box_counting import boundary, dimension
from xornet.engine.rate_grid import RateGridSGD
from xornet.module import XORModule
from xornet.plots.lr_map import RateMap, lr_map
from xornet.plots.render import drawn
from xornet.runs.metrics import evaluate_networks


class LearningRateMap(Callback):
    """Draws the final loss and the solving epoch of each network of a grid of learning rates: `lr_map.png`.

    It prints the box-counting dimension (engine/box_counting.py) of the boundary between networks that solve the table
    and networks that do not, and logs it as `final/boundary_dimension`.
    """

    every_n_epochs = math.inf  # never ends a block

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse a run without a grid of learning rates.

        Raises:
            ValueError: another optimizer, or a range of one rate.

        """
        (optimizer,) = trainer.optimizers
        if not isinstance(optimizer, RateGridSGD):
            kind = type(optimizer).__name__
            raise ValueError(f"callbacks.lr_map draws a grid of learning rates, got {kind}; use optimizer=rate_grid")
        for key, (low, high) in (("hidden", optimizer.hidden), ("output", optimizer.output)):
            if low == high or len(optimizer.rates[0]) < 4:
                said = f"callbacks.lr_map draws two rates and more, got one of optimizer.{key}=[{low},{high}]"
                raise ValueError(f"{said} and {len(optimizer.rates[0])} networks; use a range, and networks=1024")

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw, print and log."""
        assert isinstance(pl_module, XORModule)
        found, solved = rate_map(pl_module, trainer.optimizers[0])
        measured, error = dimension(boundary(solved))
        words = f"{measured:.2f} ± {error:.2f}" if math.isfinite(measured) else "none to be measured"
        line = f"Boundary between solved and unsolved networks: dimension {words} (box counting)"
        print(line, flush=True)
        publish({"lr_map.png": drawn(lr_map(found, f"{heading(pl_module, trainer.current_epoch)}\n{line}"))}, trainer)
        if math.isfinite(measured):
            for logger in trainer.loggers:
                logger.log_metrics({"final/boundary_dimension": measured}, trainer.current_epoch)


def rate_map(module: XORModule, optimizer: Any) -> tuple[RateMap, NDArray[np.bool_]]:
    """The results of the networks as a map, and which of them solve the table now, (R, R)."""
    _, losses, now = (tensor.cpu().numpy() for tensor in evaluate_networks(module))
    when = np.where(now, module.history.solved_epoch.cpu().numpy(), np.nan)
    losses, when, solved = (row.reshape(math.isqrt(len(row)), -1) for row in (losses, when, now))
    return RateMap(losses, when, optimizer.hidden, optimizer.output), solved


def heading(module: XORModule, epochs: int) -> str:
    """What the map shows, in one line."""
    ensemble = module.ensemble
    sizes = "-".join(str(size) for size in (ensemble.inputs, *ensemble.hidden, 1))
    side, seeds = math.isqrt(len(ensemble)), ensemble.initialisations
    start = f"one initialisation (seed {ensemble.seed})" if seeds == 1 else f"{seeds:,} initialisations"
    problem = "XOR" if ensemble.inputs == 2 else f"{ensemble.inputs}-bit parity"
    return f"{problem}, {sizes} {ensemble.activation}: {side} x {side} networks from {start}, {epochs:,} epochs"
