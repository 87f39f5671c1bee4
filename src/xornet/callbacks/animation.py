"""The decision boundary along training: frames where it moves, in TensorBoard and as a film."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from lightning.pytorch import Callback, Trainer
from PIL.Image import Image
from torch import Tensor

from xornet import files, validation
from xornet.callbacks.figures import boundary_pictures, log_image, make_renderer, save
from xornet.engine.blocks import run_length
from xornet.engine.history import Block
from xornet.module import XORModule
from xornet.network import append_ones, predict
from xornet.plots.decision_boundary import boundary_grid
from xornet.plots.render import Array, gif, png
from xornet.runs.events import is_continued

MOVED = 0.06  # a frame for every such change of a prediction against the others
RESTS = 5  # frames of a run in which nothing moves


class BoundaryAnimation(Callback):
    """Draws network 0's decision boundary: frames where it moves, at the end the picture and the film of them.

    A frame is drawn when a prediction on the table has changed by MOVED against the others since the last one, when a
    fifth of the run has passed without, and at both ends. `decision_boundary.png` and `.gif`; for N > 1 also examples
    of fast, slow and unsolved networks: `examples.png`. The film of a resumed run begins where the run began.

    Args:
        max_frames: how many frames at most; as they run out, a frame takes a larger change.

    """

    every_n_epochs = math.inf  # the blocks tell where the weights have been

    def __init__(self, max_frames: int = 25) -> None:
        remedy = "use callbacks.animation=null for none"
        self.max_frames = validation.integer("callbacks.animation.max_frames", max_frames, 2, 1000, remedy)
        self.shown: list[tuple[int, list[Tensor]]] = []  # epoch and weights of each frame

    # Not by `state_dict`, of which Lightning warns when a run goes on without this callback.
    def on_save_checkpoint(self, trainer: Trainer, module: XORModule, checkpoint: dict[str, Any]) -> None:
        """Keep the frames, as the weights that they show."""
        checkpoint["decision_boundary"] = self.shown

    def on_load_checkpoint(self, trainer: Trainer, module: XORModule, checkpoint: dict[str, Any]) -> None:
        """Go on after the frames of a checkpoint."""
        self.shown = checkpoint.get("decision_boundary", [])

    def on_fit_start(self, trainer: Trainer, module: XORModule) -> None:
        """Begin, with the frames of the run that goes on; only two inputs make a plane to draw on."""
        self.film = make_renderer(module) if module.x.shape[1] == 2 else None
        self.frames: list[Image] = []
        earlier, self.shown = self.shown, []
        for epoch, weights in earlier:
            self.show(trainer, module, epoch, weights, is_new=not is_continued(trainer))

    def on_train_start(self, trainer: Trainer, module: XORModule) -> None:
        """Draw the networks as they start."""
        if not self.shown:
            weights = [weight.clone() for weight in module.ensemble.first(1)]
            self.show(trainer, module, trainer.current_epoch, weights)

    def on_train_batch_end(self, trainer: Trainer, module: XORModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Draw where it has moved."""
        block: Block = outputs["block"]
        if not self.film or not block.snapshots.epochs:
            return
        errors = block.errors[:, :, 0, 0].cpu().numpy()
        for epoch, layers in zip(block.snapshots.epochs, block.snapshots.weights, strict=True):
            if self.is_due(epoch, errors[block.epochs.index(epoch)], run_length(trainer)):
                self.show(trainer, module, epoch, [weight[..., None] for weight in layers])

    def is_due(self, epoch: int, errors: Array, epochs: int) -> bool:
        """Whether a frame is to be drawn: the first half of them at a change of MOVED, the others at more and more."""
        used = len(self.frames) / (self.max_frames - 1)
        threshold = MOVED * 2 ** max(0.0, 8 * (used - 0.5))
        change = errors - self.errors
        moved = abs(change - change.mean()).max() >= threshold  # a plane that only rises moves no line
        return used < 1 and (moved or epoch - self.shown[-1][0] >= epochs / RESTS)

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Draw the end, and the film."""
        folder = trainer.default_root_dir
        for name, file in save(boundary_pictures(module, self.film), folder).items():
            log_image(file, trainer, name, trainer.current_epoch)
        if self.film:
            self.draw(module, trainer.current_epoch, module.ensemble.first(1))
            files.write(Path(folder, "decision_boundary.gif"), partial(Path.write_bytes, data=gif(self.frames)))

    def show(self, trainer: Trainer, module: XORModule, epoch: int, weights: list[Tensor], is_new: bool = True) -> None:
        """Show the boundary that these weights make at `epoch`; in TensorBoard, if it is new there."""
        if not self.film:
            return
        self.shown.append((epoch, weights))
        self.draw(module, epoch, weights)
        if is_new:
            log_image(png(self.frames[-1]), trainer, "decision_boundary", epoch)

    def draw(self, module: XORModule, epoch: int, weights: list[Tensor]) -> None:
        """Add the boundary that these weights make to the frames, with epoch and loss in its title."""
        assert self.film
        self.errors = table_errors(module, weights)
        on_cpu = [weight.cpu().float() for weight in weights]
        z = boundary_grid(lambda x: predict(on_cpu, append_ones(x), module.ensemble.activation)[..., 0])
        self.frames.append(self.film.frame(z, f"epoch {epoch:,}, loss {np.square(self.errors).mean():.4f}"))


def table_errors(module: XORModule, weights: list[Tensor]) -> Array:
    """Return ŷ - y (P,) of one network's weights."""
    like = module.ensemble.weights[0]
    weights = [weight.to(like) for weight in weights]  # of a checkpoint, from another device
    predictions = predict(weights, append_ones(module.x), module.ensemble.activation)[..., 0]
    return (predictions - module.y)[:, 0].cpu().numpy()
