"""The decision boundary along training: a frame when it has moved, for the loggers and the animation."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import LightningModule, Trainer
from PIL.Image import Image
from torch import Tensor

from xornet import files, validation
from xornet.backprop import predict
from xornet.callbacks.figures import log_image, publish
from xornet.callbacks.pictures import boundary_pictures, table
from xornet.callbacks.run_callback import RunCallback
from xornet.engine.blocks import is_smoke_test, run_length
from xornet.module import XORModule
from xornet.plots.decision_boundary import boundary_grid
from xornet.plots.frames import FrameRenderer
from xornet.plots.render import Array, write_gif

THRESHOLD = 0.06  # a prediction that changes by this much against the others makes a frame
LEAST_FRAMES = 5  # of a run in which the boundary does not move


class BoundaryAnimation(RunCallback):
    """Draws network 0's decision boundary: frames along training, and at the end the picture and the animation.

    A frame is drawn when a prediction on the table has changed by THRESHOLD against the others since the last frame,
    when a fifth of the run has passed without a frame, and at the start and the end. The files are
    `decision_boundary.png` and `.gif`, for N > 1 also `examples.png` with fast, slow and unsolved networks. The
    animation of a resumed run has the frames of its earlier parts too.

    Args:
        max_frames: the largest number of frames; the fewer are left, the larger a change must be.

    """

    def __init__(self, max_frames: int = 25) -> None:
        remedy = "use callbacks.animation=null for none"
        self.max_frames = validation.integer("callbacks.animation.max_frames", max_frames, 2, 1000, remedy)
        self.reset()

    def reset(self) -> None:
        """Discard all frames."""
        self.snapshots: list[tuple[int, list[Tensor]]] = []  # epoch and weights of each frame
        self.frames: list[Image] = []  # drawn from the snapshots; after training one more, of the trained network

    # Not in `state_dict`: Lightning warns when a run is resumed without a callback that has one.
    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Save the snapshots of the frames."""
        checkpoint["decision_boundary"] = self.snapshots

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Load the snapshots of the frames."""
        self.snapshots, self.frames = checkpoint.get("decision_boundary", []), []

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the frames of a resumed run again; nothing is drawn unless the networks have two inputs."""
        assert isinstance(pl_module, XORModule)
        self.renderer = FrameRenderer(*table(pl_module)) if pl_module.x.shape[1] == 2 else None
        if self.frames:  # this Trainer continues, and has logged them
            self.frames = self.frames[: len(self.snapshots)]
            self.errors = table_errors(pl_module, self.snapshots[-1][1])
            return
        earlier, self.snapshots = self.snapshots, []
        for epoch, weights in earlier:
            self.add(trainer, pl_module, epoch, weights)

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the initial network."""
        assert isinstance(pl_module, XORModule)
        if not self.snapshots:
            weights = [weight.clone() for weight in pl_module.ensemble.weights_of_first(1)]
            self.add(trainer, pl_module, trainer.current_epoch, weights)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Draw the snapshots of the block at which the boundary has moved."""
        assert isinstance(pl_module, XORModule)
        block = pl_module.block
        if not self.renderer:
            return
        taken, errors = block.snapshots, block.errors[:, :, 0, 0].cpu().numpy()
        for epoch, layers, error in zip(taken.epochs, taken.weights, errors, strict=True):
            if self.is_due(epoch, error, run_length(trainer)):
                self.add(trainer, pl_module, epoch, [weight[..., None] for weight in layers])

    def is_due(self, epoch: int, errors: Array, epochs: int) -> bool:
        """Whether to draw a frame: the first half of them at a change of THRESHOLD, later ones at larger changes."""
        used = len(self.frames) / (self.max_frames - 1)
        threshold = THRESHOLD * 2 ** max(0.0, 8 * (used - 0.5))
        change = errors - self.errors
        moved = abs(change - change.mean()).max() >= threshold  # where all predictions rise alike, the boundary stays
        return used < 1 and (moved or epoch - self.snapshots[-1][0] >= epochs / LEAST_FRAMES)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw the trained network, and write the animation."""
        assert isinstance(pl_module, XORModule)
        publish(boundary_pictures(pl_module, self.renderer), trainer)
        if self.renderer:
            self.draw(pl_module, trainer.current_epoch, pl_module.ensemble.weights_of_first(1))
            if not is_smoke_test(trainer):
                path = Path(trainer.default_root_dir, "decision_boundary.gif")
                files.write(path, partial(write_gif, self.frames))

    def add(self, trainer: Trainer, module: XORModule, epoch: int, weights: list[Tensor]) -> None:
        """Add a snapshot and its frame; log the frame, unless an earlier part of the run has (see `log_image`)."""
        if not self.renderer:
            return
        self.snapshots.append((epoch, weights))
        self.draw(module, epoch, weights)
        log_image(self.frames[-1], trainer, "decision_boundary", epoch)

    def draw(self, module: XORModule, epoch: int, weights: list[Tensor]) -> None:
        """Draw a frame: the boundary of these weights, with epoch and loss in its title."""
        assert self.renderer
        self.errors = table_errors(module, weights)
        on_cpu = [weight.cpu().float() for weight in weights]
        points, _ = table(module)
        z = boundary_grid(lambda x: predict(on_cpu, x, module.ensemble.activation)[..., 0], points)
        self.frames.append(self.renderer.frame(z, f"epoch {epoch:,}, loss {np.square(self.errors).mean():.4f}"))


def table_errors(module: XORModule, weights: list[Tensor]) -> Array:
    """Return ŷ - y (P,) for the weights of one network."""
    like = module.ensemble.weights[0]
    weights = [weight.to(like) for weight in weights]  # those of a checkpoint may be on another device
    predictions = predict(weights, module.x, module.ensemble.activation)[..., 0]
    return (predictions - module.y)[:, 0].cpu().numpy()
