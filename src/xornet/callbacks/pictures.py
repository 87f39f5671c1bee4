"""The pictures of a module in its current state: curves, decision boundaries, hidden units."""

from collections.abc import Iterator

from matplotlib.figure import Figure
from PIL.Image import Image

from xornet.backprop import predict
from xornet.engine import plateaus
from xornet.module import XORModule
from xornet.plots.decision_boundary import BOUNDARY_TITLE, boundary_grid, decision_boundaries
from xornet.plots.frames import FrameRenderer
from xornet.plots.hidden_units import Units, hidden_units
from xornet.plots.loss_curves import loss_curve, solved_share
from xornet.plots.no_hidden_units import no_hidden_units
from xornet.plots.render import Array, drawn
from xornet.runs.metrics import evaluate_networks, places_of

PLACES = 5  # plateaus of which an example is drawn: as many as XOR has


def curve_figures(module: XORModule) -> dict[str, Figure]:
    """The figures of a run's curves by file name; empty if it has no curve."""
    curve = {name: values.numpy() for name, values in module.history.curve.items()}
    if not curve:
        return {}
    figures = {"loss_curve.png": loss_curve(curve["epochs"], curve["losses"], curve["singles"])}
    if len(module.ensemble) > 1:
        figures["solved.png"] = solved_share(curve["epochs"], curve["solved"])
    return figures


def unit_pictures(module: XORModule) -> dict[str, Image]:
    """The picture of network 0's hidden units by file name; empty unless it has two inputs and is finite."""
    if module.x.shape[1] != 2 or not all(weight.isfinite().all() for weight in module.ensemble.weights_of_first(1)):
        return {}
    x, y = table(module)
    if module.layer_names == ["output"]:
        (layer,) = module.ensemble.weights_of_first(1)
        return {"hidden_units.png": drawn(no_hidden_units(layer[:, 0, 0].cpu().numpy(), x, y))}
    return {"hidden_units.png": drawn(hidden_units(units_of(module), x, y))}


def units_of(module: XORModule) -> Units:
    """Network 0's hidden units."""
    layers = [weight.cpu().double() for weight in module.ensemble.weights_of_first(1)]
    onward = layers[1][:-1, :, 0]  # (H, O), or (H, H') if there is another hidden layer
    signed, activation = len(layers) == 2, module.ensemble.activation
    return Units(
        lines=layers[0][..., 0].T.numpy(),
        weights=(onward[:, 0] if signed else onward.norm(dim=1)).numpy(),
        space=predict(layers[:-1], module.x.cpu().double(), activation, activation)[..., 0].numpy(),
        output=layers[-1][:, 0, 0].numpy(),
        signed=signed,
    )


def boundary_pictures(module: XORModule, renderer: FrameRenderer | None = None) -> dict[str, Image]:
    """The pictures of the current decision boundaries by file name; empty unless there are two inputs."""
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
    """Yield the fastest, the median and the slowest network, and one unsolved network of each plateau.

    The title of each names its seed, to run it again alone with `seed=<seed> networks=1`; if several networks start
    from one seed, also its number, from 0 on. Of a plateau (engine/plateaus.py) it is the network with the median loss;
    of many plateaus the PLACES most frequent are shown.
    """
    when, ensemble, places = module.history.solved_epoch.cpu(), module.ensemble, places_of(module)

    def name(i: int) -> str:
        number = "" if ensemble.initialisations == len(ensemble) else f"network {i}, "
        return f"seed {ensemble.seed_of(i)}\n{number}"

    _, losses, now = (tensor.cpu() for tensor in evaluate_networks(module))
    solved = [i for i in when.argsort().tolist() if now[i]]
    # The last of equal ranks counts: of one or two solved networks none is shown twice.
    ranks = {(len(solved) - 1) // 2: "median", len(solved) - 1: "slowest", 0: "fastest"} if solved else {}
    for rank, which in sorted(ranks.items()):
        i = solved[rank]
        yield i, f"{which}: {name(i)}solved at epoch {when[i]:,}"
    by_loss = losses.argsort().tolist()
    for place in list(plateaus.count(places))[:PLACES]:
        alike = [i for i in by_loss if places[i] == place]
        i = alike[(len(alike) - 1) // 2]
        yield i, f"{plateaus.describe(place)}: {name(i)}unsolved, loss {losses[i]:.4f}"


def grid(module: XORModule, i: int) -> Array:
    """The current predictions of network i over the input plane."""
    return boundary_grid(module.ensemble.network(i).cpu().float(), table(module)[0])
