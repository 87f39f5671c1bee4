"""The loss surface around the path that gradient descent has taken."""

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor

from xornet.callbacks.figures import log_image, save
from xornet.engine.history import CURVE_POINTS
from xornet.engine.snapshots import LARGEST
from xornet.engine.spacing import spacing
from xornet.module import XORModule
from xornet.network import append_ones, predict
from xornet.plots import loss_surface as surface
from xornet.plots.render import Array, drawn

GRID = 61  # points along each direction


class LossSurface(Callback):
    """Draws network 0's loss over the plane of its path when a run ends, and the path on it: `loss_surface.png`.

    The plane is that of the two leading principal directions of the path, the weights as they are (no normalisation of
    filters): plateau and valley have the extent that descent has found them to have.
    """

    every_n_epochs = math.inf  # the blocks tell where the weights have been

    def __init__(self) -> None:
        self.path: dict[int, Tensor] = {}  # the weights (K,) before the update of every n-th epoch
        self.every = 1  # n

    def on_save_checkpoint(self, trainer: Trainer, module: XORModule, checkpoint: dict[str, Any]) -> None:
        """Keep the path."""
        checkpoint["loss_surface"] = self.path

    def on_load_checkpoint(self, trainer: Trainer, module: XORModule, checkpoint: dict[str, Any]) -> None:
        """Go on with the path of a checkpoint."""
        self.path = checkpoint.get("loss_surface", {})

    def on_train_batch_end(self, trainer: Trainer, module: XORModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Note where the weights have been."""
        snapshots = outputs["block"].snapshots
        self.path |= {epoch: flat(layers) for epoch, layers in zip(snapshots.epochs, snapshots.weights, strict=True)}
        most = max(2, min(CURVE_POINTS, LARGEST // len(flat(module.ensemble.first(1)))))  # fewer of a large network
        self.every = max(self.every, snapshots.every)
        self.thin()
        while len(self.path) > most:
            self.every = spacing(self.every + 1)
            self.thin()

    def thin(self) -> None:
        """Keep every n-th epoch only."""
        self.path = {epoch: weights for epoch, weights in self.path.items() if epoch % self.every == 0}

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Draw."""
        path = {**self.path, trainer.current_epoch: flat(module.ensemble.first(1))}
        weights = torch.stack(list(path.values())).double().numpy()
        if len(path) < 3 or not np.isfinite(weights).all() or not np.ptp(weights, axis=0).any():
            return  # no path, no plane
        plane = surface.plane(weights)
        first, second = plane.ticks(GRID)
        losses = np.stack([row_losses(module, plane, first, place) for place in second]).clip(min=1e-12)  # for its log
        figure = surface.loss_surface(plane, np.array(list(path), dtype=float), first, second, losses)
        for name, file in save({"loss_surface.png": drawn(figure)}, trainer.default_root_dir).items():
            log_image(file, trainer, name, trainer.current_epoch)


def flat(layers: Iterable[Tensor]) -> Tensor:
    """The weights of all layers in one row, (K,)."""
    return torch.cat([layer.flatten() for layer in layers]).cpu()


def row_losses(module: XORModule, plane: surface.Plane, first: Array, second: float) -> Array:
    """The loss (G,) of the networks at `first` along one direction and `second` along the other."""
    weights = plane.centre + first[:, None] * plane.directions[0] + second * plane.directions[1]  # (G, K)
    shapes = [weight.shape[:2] for weight in module.ensemble.weights]
    layers = torch.from_numpy(weights.T).to(module.x).split([shape.numel() for shape in shapes])
    stacked = [layer.reshape(*shape, len(first)) for layer, shape in zip(layers, shapes, strict=True)]
    predictions = predict(stacked, append_ones(module.x), module.ensemble.activation)
    return (predictions - module.y[:, :, None]).square().mean((0, 1)).double().cpu().numpy()
