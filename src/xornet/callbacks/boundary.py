"""The decision boundary along training: frames where it moves, in TensorBoard and as a film."""

import math
from functools import partial
from pathlib import Path

from lightning.pytorch import Callback, Trainer
from torch import Tensor

from xornet import checks, rundir
from xornet.callbacks.pictures import boundary_pictures, grid, log_image, make_film, save
from xornet.epochs import run_length
from xornet.module import XORModule
from xornet.network import append_ones, predict
from xornet.plots import Image, boundary, gif, png

LOOKS = 100  # of a run, evenly spaced, while nothing moves; more where something does
MOVED = 0.05  # a frame for every such change of a prediction against the others


class DecisionBoundary(Callback):
    """Draws network 0's decision boundary: frames where it moves, at the end the picture and the film of them.

    A frame is drawn when a prediction on the table has changed by MOVED against the others since the last one, when a
    fifth of the run has passed without, and at both ends. `decision_boundary.png` and `.gif`; for N > 1 also examples
    of fast, slow and unsolved networks: `examples.png`.

    Args:
        images: how many frames at most; as they run out, a frame takes a larger change.

    """

    def __init__(self, images: int = 25) -> None:
        remedy = "use callbacks.boundary=null for none"
        self.images = checks.integer("callbacks.boundary.images", images, 2, 1000, remedy)

    def on_fit_start(self, trainer: Trainer, module: XORModule) -> None:
        """Begin; only two inputs make a plane to draw on."""
        self.film: boundary.Film | None = None
        self.frames: list[Image] = []
        self.every_n_epochs: float = math.inf
        if module.x.shape[1] == 2:
            self.film = make_film(module)
            self.longest = math.ceil(run_length(trainer) / LOOKS)
            self.halvings = int(math.log2(self.longest))
            self.every_n_epochs = max(1, self.longest >> self.halvings)

    def on_train_start(self, trainer: Trainer, module: XORModule) -> None:
        """Draw the networks as they start."""
        if self.film:
            self.show(trainer, module, trainer.current_epoch, self.predictions(module))

    def on_train_epoch_end(self, trainer: Trainer, module: XORModule) -> None:
        """Draw, if it has moved; look again sooner if it moves, later if not. The end is drawn anyway."""
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs or epoch == trainer.max_epochs:
            return
        now = self.predictions(module)
        change = now - self.shown
        moved = (change - change.mean()).abs().max().item() / self.threshold()  # a plane that only rises moves no line
        rests = epoch - self.shown_epoch >= self.longest * LOOKS / 5
        if len(self.frames) < self.images - 1 and (moved >= 1 or rests):
            self.show(trainer, module, epoch, now)
        # Halves of the longest interval: they end blocks where other callbacks, which look as often, end them anyway.
        self.halvings += math.ceil(math.log2(moved)) if moved > 1.5 else -1 if moved < 0.5 else 0
        early = math.ceil(math.log2(max(1, 8 * self.longest / epoch)))  # moves are short then
        self.halvings = min(max(self.halvings, early, 0), int(math.log2(self.longest)))
        self.every_n_epochs = max(1, self.longest >> self.halvings)

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Draw the end, and the film."""
        folder = trainer.default_root_dir
        for name, file in save(boundary_pictures(module, self.film), folder).items():
            log_image(file, trainer, name.removesuffix(".png"), trainer.current_epoch)
        if self.film:
            self.frames.append(self.draw(module, trainer.current_epoch, self.predictions(module)))
            rundir.write(Path(folder, "decision_boundary.gif"), partial(Path.write_bytes, data=gif(self.frames)))

    def threshold(self) -> float:
        """The change that makes a frame: MOVED for the first half of the frames, then more and more."""
        used = len(self.frames) / (self.images - 1)
        return MOVED * float(2 ** max(0.0, 8 * (used - 0.5)))

    def predictions(self, module: XORModule) -> Tensor:
        """What network 0 predicts on the table, (P, O)."""
        weights = [weight.detach()[..., :1] for weight in module.ensemble.weights]
        return predict(weights, append_ones(module.x), module.ensemble.activation)[..., 0]

    def show(self, trainer: Trainer, module: XORModule, epoch: int, predictions: Tensor) -> None:
        """Show the present boundary."""
        self.frames.append(self.draw(module, epoch, predictions))
        log_image(png(self.frames[-1]), trainer, "decision_boundary", epoch)
        self.shown, self.shown_epoch = predictions, epoch

    def draw(self, module: XORModule, epoch: int, predictions: Tensor) -> Image:
        """The present boundary, with epoch and loss in its title."""
        assert self.film
        loss = (predictions - module.y).square().mean().item()
        return self.film.frame(grid(module, 0), f"{boundary.BOUNDARY_TITLE}\nepoch {epoch:,}, loss {loss:.4f}")
