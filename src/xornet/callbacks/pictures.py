"""The sheet's two pictures, into the run directory and into TensorBoard."""

from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

from lightning.pytorch import Callback, Trainer
from matplotlib.figure import Figure

from xornet import rundir
from xornet.module import XORModule
from xornet.plots import Array, Image, boundary, curves, pixels, png
from xornet.results import per_network
from xornet.tensorboard import add_png, writers


class LossCurve(Callback):
    """Draws the loss curve when a run ends: `loss_curve.png`, for TensorBoard on a logarithmic axis too.

    For N > 1 also the share of networks that solve the table: `solved.png`.
    """

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Draw."""
        files = save(curve_pictures(module), trainer.default_root_dir)
        if files and any(writers(trainer)):
            logarithmic = png(pixels(curves.loss_curve(*loss_arguments(module), yscale="log")))
            log_image(files["loss_curve.png"], trainer, "loss_curve", trainer.current_epoch)
            log_image(logarithmic, trainer, "loss_curve_log", trainer.current_epoch)


def loss_arguments(module: XORModule) -> tuple[Array, Array, Array]:
    """What a loss curve is drawn from."""
    epochs, losses, singles = (module.history.curve[name].numpy() for name in ("epochs", "losses", "singles"))
    return epochs, losses, singles


def curve_pictures(module: XORModule) -> dict[str, Image]:
    """The pictures of a run's curves, by file name: none if it has no curve."""
    curve = {name: values.numpy() for name, values in module.history.curve.items()}
    if not curve:
        return {}
    pictures = {"loss_curve.png": pixels(curves.loss_curve(*loss_arguments(module)))}
    if len(module.ensemble) > 1:
        pictures["solved.png"] = pixels(curves.solved_share(curve["epochs"], curve["solved"]))
    return pictures


def boundary_pictures(module: XORModule, film: boundary.Film | None = None) -> dict[str, Image]:
    """The pictures of the present decision boundaries, by file name: none if the inputs are not two."""
    if module.x.shape[1] != 2:
        return {}
    film = film or make_film(module)
    pictures = {"decision_boundary.png": film.frame(grid(module, 0), boundary.BOUNDARY_TITLE)}
    if len(module.ensemble) > 1:
        pictures["examples.png"] = pixels(boundaries(module, examples(module)))
    return pictures


def make_film(module: XORModule) -> boundary.Film:
    """What draws one boundary after another."""
    return boundary.Film(module.x.cpu().numpy(), module.y.cpu().numpy())


def boundaries(module: XORModule, networks: Iterable[tuple[int, str]]) -> Figure:
    """The present decision boundaries of some networks, each under its title."""
    panels = [(grid(module, i), title) for i, title in networks]
    return boundary.decision_boundaries(panels, module.x.cpu().numpy(), module.y.cpu().numpy())


def examples(module: XORModule) -> Iterator[tuple[int, str]]:
    """Yield the fastest, the median, the slowest and the worst unsolved network, each with a title that names its seed.

    With `seed=<that> networks=1` it can be run again alone.
    """
    when, seed = module.history.solved_epoch.cpu(), module.hparams["seed"]
    _, losses, now = (tensor.cpu() for tensor in per_network(module))
    solved = [i for i in when.argsort().tolist() if now[i]]
    places = {"fastest": 0, "median": (len(solved) - 1) // 2, "slowest": -1} if solved else {}
    for name, place in places.items():
        i = solved[place]
        yield i, f"{name}: seed {seed + i}\nsolved at epoch {when[i]:,}"
    worst = int(losses.where(~now, -1.0).nan_to_num(-1).argmax())
    if not now[worst]:
        yield worst, f"unsolved: seed {seed + worst}\nloss {losses[worst]:.4f}"


def grid(module: XORModule, i: int) -> Array:
    """The present predictions of network i over the input plane."""
    return boundary.boundary_grid(module.network(i).cpu().float())


def save(pictures: dict[str, Image], folder: str | Path) -> dict[str, bytes]:
    """Write pictures into a directory; return the files."""
    files = {name: png(picture) for name, picture in pictures.items()}
    for name, file in files.items():
        rundir.write(Path(folder, name), partial(Path.write_bytes, data=file))
    return files


def log_image(file: bytes, trainer: Trainer, tag: str, epoch: int) -> None:
    """Write a PNG file into TensorBoard, if it is a logger of this run."""
    for writer in writers(trainer):
        add_png(writer, tag, file, epoch)
