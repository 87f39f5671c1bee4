"""The sheet's two pictures, into the run directory and into TensorBoard."""

import math
from collections.abc import Iterator
from pathlib import Path

from lightning.pytorch import Callback, Trainer
from matplotlib.figure import Figure

from xornet import checks, plots, rundir
from xornet.callbacks.curves import writers
from xornet.epochs import run_length
from xornet.module import XORModule
from xornet.results import per_network


class LossCurve(Callback):
    """Draws the loss curve when a run ends: `loss_curve.png`, and on two scales for TensorBoard.

    For N > 1 also the share of networks that solve the table: `solved.png`.
    """

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Draw."""
        curve = module.history.curve
        if not curve:
            return
        epochs, losses = curve["epochs"].numpy(), curve["losses"].numpy()
        save(plots.loss_curve(epochs, losses), trainer, "loss_curve.png")
        log_image(plots.loss_curve_two_scales(epochs, losses), trainer, "loss_curve", trainer.current_epoch)
        if len(module.ensemble) > 1:
            save(plots.solved_share(epochs, curve["solved"].numpy()), trainer, "solved.png")


class DecisionBoundary(Callback):
    """Draws network 0's decision boundary: along training for TensorBoard, at the end as `decision_boundary.png`.

    For N > 1 also examples of fast, slow and unsolved networks: `examples.png`.

    Args:
        images: how many for TensorBoard, evenly spaced, the first at epoch 0 and the last at the end.

    """

    def __init__(self, images: int = 11) -> None:
        remedy = "use callbacks.boundary=null for none"
        self.images = checks.integer("callbacks.boundary.images", images, 2, 1000, remedy)

    def on_fit_start(self, trainer: Trainer, module: XORModule) -> None:
        """Space the images; only two inputs make a plane to draw on."""
        self.every_n_epochs: float = math.inf
        self.drawable = module.x.shape[1] == 2
        if self.drawable and any(writers(trainer)):
            self.every_n_epochs = math.ceil(run_length(trainer) / (self.images - 1))

    def on_train_start(self, trainer: Trainer, module: XORModule) -> None:
        """Draw the networks as they start."""
        if self.every_n_epochs < math.inf:
            log_image(self.draw(module, trainer.current_epoch), trainer, "decision_boundary", trainer.current_epoch)

    def on_train_epoch_end(self, trainer: Trainer, module: XORModule) -> None:
        """Draw, if it is time; the end is drawn anyway."""
        epoch = trainer.current_epoch + 1
        if epoch % self.every_n_epochs == 0 and epoch != trainer.max_epochs:
            log_image(self.draw(module, epoch), trainer, "decision_boundary", epoch)

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Draw the end."""
        if self.drawable:
            figure = self.draw(module, trainer.current_epoch)
            log_image(figure, trainer, "decision_boundary", trainer.current_epoch)
            figure.axes[0].set_title(plots.BOUNDARY_TITLE)
            save(figure, trainer, "decision_boundary.png")
        if self.drawable and len(module.ensemble) > 1:
            panels = [(plots.boundary_grid(module.network(i).cpu().float()), title) for i, title in examples(module)]
            figure = plots.decision_boundaries(panels, module.x.cpu().numpy(), module.y.cpu().numpy())
            log_image(figure, trainer, "examples", trainer.current_epoch)
            save(figure, trainer, "examples.png")

    def draw(self, module: XORModule, epoch: int) -> Figure:
        """The present boundary of network 0."""
        z = plots.boundary_grid(module.network(0).cpu().float())
        title = f"{plots.BOUNDARY_TITLE}\nepoch {epoch:,}"
        return plots.decision_boundary(z, module.x.cpu().numpy(), module.y.cpu().numpy(), title)


def examples(module: XORModule) -> Iterator[tuple[int, str]]:
    """Yield the fastest, the median, the slowest and the worst unsolved network, each with a title that names its seed.

    With `seed=<that> networks=1` it can be run again alone.
    """
    when, seed = module.history.solved_epoch, module.hparams["seed"]
    solved = [i for i in when.argsort().tolist() if when[i] >= 0]
    places = {"fastest": 0, "median": (len(solved) - 1) // 2, "slowest": -1} if solved else {}
    for name, place in places.items():
        i = solved[place]
        yield i, f"{name}: seed {seed + i}\nsolved at epoch {when[i]:,}"
    _, losses, _ = per_network(module)
    worst = int(losses.cpu().where(when < 0, -1.0).nan_to_num(-1).argmax())
    if when[worst] < 0:
        yield worst, f"unsolved: seed {seed + worst}\nloss {losses[worst]:.4f}"


def save(figure: Figure, trainer: Trainer, name: str) -> None:
    """Write a picture into the run directory."""
    rundir.write(Path(trainer.default_root_dir, name), figure.savefig)


def log_image(figure: Figure, trainer: Trainer, tag: str, epoch: int) -> None:
    """Write a picture into TensorBoard, if it is a logger of this run."""
    for writer in writers(trainer):
        writer.add_image(tag, plots.pixels(figure), epoch, dataformats="HWC")
