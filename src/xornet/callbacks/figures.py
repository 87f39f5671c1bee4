"""The pictures of a run, into its directory and to the loggers that take pictures."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

from lightning.pytorch import Callback, LightningModule, Trainer
from matplotlib.figure import Figure
from PIL.Image import Image

from xornet import files
from xornet.backprop import ACTIVATIONS, append_ones, preactivation
from xornet.engine import plateaus
from xornet.module import XORModule
from xornet.plots.decision_boundary import BOUNDARY_TITLE, boundary_grid, decision_boundaries
from xornet.plots.frames import FrameRenderer
from xornet.plots.hidden_units import Units, hidden_units
from xornet.plots.loss_curves import loss_curve, solved_share
from xornet.plots.no_hidden_units import no_hidden_units
from xornet.plots.render import Array, drawn, png
from xornet.runs.continuity import first_step
from xornet.runs.metrics import evaluate_networks, places_of
from xornet.runs.trackers import PICTURED, log_picture

PLACES = 5  # where unsolved networks stand, each with an example: as many as there are on XOR


class LossCurve(Callback):
    """Draws the loss curve when a run ends: `loss_curve.png`, for loggers on a logarithmic axis too.

    For N > 1 also the share of networks that solve the table: `solved.png`.
    """

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        assert isinstance(pl_module, XORModule)
        figures = curve_figures(pl_module)
        publish({name: drawn(figure) for name, figure in figures.items()}, trainer)
        if figures and any(isinstance(logger, PICTURED) for logger in trainer.loggers):
            axes = figures["loss_curve.png"].axes[0]
            axes.set_yscale("log")  # where late progress shows
            axes.yaxis.set_major_formatter("{x:g}")  # powers would take as long again as all the rest
            log_image(drawn(figures["loss_curve.png"]), trainer, "loss_curve_log", trainer.current_epoch)


def curve_figures(module: XORModule) -> dict[str, Figure]:
    """The figures of a run's curves, by file name: none if it has no curve."""
    curve = {name: values.numpy() for name, values in module.history.curve.items()}
    if not curve:
        return {}
    figures = {"loss_curve.png": loss_curve(curve["epochs"], curve["losses"], curve["singles"])}
    if len(module.ensemble) > 1:
        figures["solved.png"] = solved_share(curve["epochs"], curve["solved"])
    return figures


class HiddenUnits(Callback):
    """Draws what each hidden unit of network 0 does when a run ends: `hidden_units.png`."""

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Draw."""
        assert isinstance(pl_module, XORModule)
        publish(unit_pictures(pl_module), trainer)


def unit_pictures(module: XORModule) -> dict[str, Image]:
    """The picture of network 0's hidden units, by file name: none if the inputs are not two, or it has diverged."""
    if module.x.shape[1] != 2 or not all(weight.isfinite().all() for weight in module.ensemble.first(1)):
        return {}
    x, y = table(module)
    if module.layers == ["output"]:
        (layer,) = module.ensemble.first(1)
        return {"hidden_units.png": drawn(no_hidden_units(layer[:, 0, 0].cpu().numpy(), x, y))}
    return {"hidden_units.png": drawn(hidden_units(units_of(module), x, y))}


def units_of(module: XORModule) -> Units:
    """Network 0's hidden units."""
    layers = [weight.cpu().double() for weight in module.ensemble.first(1)]
    onward = layers[1][:-1, :, 0]  # (H, O), or (H, H') where there is another hidden layer
    signed = len(layers) == 2
    z = preactivation(layers[:-1], append_ones(module.x.cpu().double()), module.ensemble.activation)
    return Units(
        lines=layers[0][..., 0].T.numpy(),
        weights=(onward[:, 0] if signed else onward.norm(dim=1)).numpy(),
        space=ACTIVATIONS[module.ensemble.activation].sigma(z)[..., 0].numpy(),
        output=layers[-1][:, 0, 0].numpy(),
        signed=signed,
    )


def boundary_pictures(module: XORModule, renderer: FrameRenderer | None = None) -> dict[str, Image]:
    """The pictures of the present decision boundaries, by file name: none if the inputs are not two."""
    if module.x.shape[1] != 2:
        return {}
    renderer = renderer or FrameRenderer(*table(module))
    pictures = {"decision_boundary.png": renderer.frame(grid(module, 0), BOUNDARY_TITLE)}
    if len(module.ensemble) > 1:
        panels = [(grid(module, i), title) for i, title in examples(module)]
        pictures["examples.png"] = drawn(decision_boundaries(panels, *table(module)))
    return pictures


def table(module: XORModule) -> tuple[Array, Array]:
    """The truth table, x (P, I) and y (P, O)."""
    return module.x.cpu().numpy(), module.y.cpu().numpy()


def examples(module: XORModule) -> Iterator[tuple[int, str]]:
    """Yield the fastest, the median and the slowest network, and an unsolved one of each place where such stand.

    Each has a title that names its seed: with `seed=<that> networks=1` it can be run again alone. Of the networks at
    one place (engine/plateaus.py) it is that with the median loss; of many places the PLACES most frequent are shown.
    """
    when, seed_of, places = module.history.solved_epoch.cpu(), module.ensemble.seed_of, places_of(module)
    _, losses, now = (tensor.cpu() for tensor in evaluate_networks(module))
    solved = [i for i in when.argsort().tolist() if now[i]]
    ranks = {"fastest": 0, "median": (len(solved) - 1) // 2, "slowest": -1} if solved else {}
    for name, rank in ranks.items():
        i = solved[rank]
        yield i, f"{name}: seed {seed_of(i)}\nsolved at epoch {when[i]:,}"
    by_loss = losses.argsort().tolist()
    for place in list(plateaus.count(places))[:PLACES]:
        alike = [i for i in by_loss if places[i] == place]
        i = alike[(len(alike) - 1) // 2]
        yield i, f"{plateaus.describe(place)}: seed {seed_of(i)}\nunsolved, loss {losses[i]:.4f}"


def grid(module: XORModule, i: int) -> Array:
    """The present predictions of network i over the input plane."""
    return boundary_grid(module.ensemble.network(i).cpu().float(), table(module)[0])


def save(pictures: dict[str, Image], folder: str | Path) -> None:
    """Write pictures into a directory, by their file names."""
    for name, picture in pictures.items():
        files.write(Path(folder, name), partial(Path.write_bytes, data=png(picture)))


def publish(pictures: dict[str, Image], trainer: Trainer) -> None:
    """Write pictures into the run directory, and give them to the loggers."""
    Path(trainer.default_root_dir).mkdir(parents=True, exist_ok=True)  # a Trainer of a notebook has not made it yet
    save(pictures, trainer.default_root_dir)
    for name, picture in pictures.items():
        log_image(picture, trainer, name.removesuffix(".png"), trainer.current_epoch)


def log_image(picture: Image, trainer: Trainer, name: str, epoch: int) -> None:
    """Give a picture to every logger that an earlier part of the run has not given it to."""
    for logger in trainer.loggers:
        if epoch >= first_step(logger):
            log_picture(logger, picture, f"plots/{name}", epoch)
