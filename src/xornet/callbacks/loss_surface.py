"""The loss surface around the trajectory of the weights."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningModule, Trainer
from torch import Tensor

from xornet.backprop import predict
from xornet.callbacks.figures import publish
from xornet.callbacks.run_callback import RunCallback
from xornet.engine.curve import CURVE_POINTS, widen
from xornet.engine.snapshots import LARGEST
from xornet.module import XORModule
from xornet.plots.loss_surface import grid_around, loss_surface
from xornet.plots.principal import Plane, principal_plane
from xornet.plots.render import Array, drawn

GRID = 61  # points along each direction


class LossSurface(RunCallback):
    """Draws network 0's loss over the plane of its trajectory at the end of a run: `loss_surface.png`.

    The plane is spanned by the first two principal directions of the trajectory. The weights are not normalised, so
    plateaus and valleys are as wide as they were for gradient descent.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Discard the trajectory."""
        self.trajectory: dict[int, Tensor] = {}  # by epoch, every n-th: the weights (K,) before its update
        self.every = 1  # n

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the trajectory."""
        checkpoint["loss_surface"] = self.trajectory

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Load the trajectory."""
        self.trajectory = checkpoint.get("loss_surface", {})

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add the snapshots of the block."""
        assert isinstance(pl_module, XORModule)
        taken = pl_module.block.snapshots
        self.trajectory |= {epoch: flat(layers) for epoch, layers in zip(taken.epochs, taken.weights, strict=True)}
        numbers = len(flat(pl_module.ensemble.weights_of_first(1)))
        most = max(2, min(CURVE_POINTS, LARGEST // numbers))  # fewer of a large network
        self.every = widen(max(self.every, pl_module.history.every), list(self.trajectory), most)
        self.trajectory = {epoch: weights for epoch, weights in self.trajectory.items() if epoch % self.every == 0}

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        assert isinstance(pl_module, XORModule)
        trajectory = {**self.trajectory, trainer.current_epoch: flat(pl_module.ensemble.weights_of_first(1))}
        weights = torch.stack(list(trajectory.values())).double().numpy()
        if len(trajectory) < 3 or not np.isfinite(weights).all() or not np.ptp(weights, axis=0).any():
            return  # no movement: no plane
        plane = principal_plane(weights)
        first, second = grid_around(plane.places, GRID)
        losses = np.stack([row_losses(pl_module, plane, first, place) for place in second])
        losses = losses.clip(min=1e-12)  # the logarithm is drawn
        figure = loss_surface(plane, np.array(list(trajectory), dtype=float), first, second, losses)
        publish({"loss_surface.png": drawn(figure)}, trainer)


def flat(layers: Iterable[Tensor]) -> Tensor:
    """The weights of all layers in one row, (K,)."""
    return torch.cat([layer.flatten() for layer in layers]).cpu()


def row_losses(module: XORModule, plane: Plane, first: Array, second: float) -> Array:
    """The loss (G,) of the networks at `first` along one direction and `second` along the other."""
    weights = plane.centre + first[:, None] * plane.directions[0] + second * plane.directions[1]  # (G, K)
    shapes = [weight.shape[:2] for weight in module.ensemble.weights]
    layers = torch.from_numpy(weights.T).to(module.x).split([shape.numel() for shape in shapes])
    stacked = [layer.reshape(*shape, len(first)) for layer, shape in zip(layers, shapes, strict=True)]
    predictions = predict(stacked, module.x, module.ensemble.activation)
    return (predictions - module.y[:, :, None]).square().mean((0, 1)).double().cpu().numpy()
