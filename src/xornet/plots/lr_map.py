"""The map of learning rates: what a network becomes, against the rates of its hidden and of its output layer."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from xornet.plots.loss_curves import MAP
from xornet.plots.render import Array

LEAST_LOSS = 1e-6  # the darkest colour
UNSOLVED = "0.85"


@dataclass
class RateMap:
    """A grid of R x R networks; the hidden rate grows by the column, the output rate by the row, log-spaced.

    Args:
        losses: (R, R), nan where a network has diverged.
        solved_epochs: (R, R), when a network first solved the table; nan where it does not solve it now.
        hidden: the lowest and the highest rate.
        output: the same.

    """

    losses: Array
    solved_epochs: Array
    hidden: Sequence[float]
    output: Sequence[float]


def lr_map(found: RateMap, title: str) -> Figure:
    """Draw the final loss and the solving epoch of every network, each one pixel or more.

    Args:
        found: the grid.
        title: over both panels.

    """
    figure = Figure(figsize=(14.4, 6.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_grid(left, found, found.losses.clip(min=LEAST_LOSS), "Final Loss", "loss")
    draw_grid(right, found, found.solved_epochs.clip(min=1), "Solving Epoch (Grey: Not Solved)", "epochs until solved")
    figure.suptitle(title)
    return figure


def draw_grid(axes: Axes, found: RateMap, values: Array, title: str, label: str) -> None:
    """Draw values (R, R) above 0 in logarithmic colours; grey where they are nan."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) else (1.0, 1.0)
    norm = LogNorm(low, max(high, low * 1.01))
    across, up = edges(found.hidden, values.shape[1]), edges(found.output, values.shape[0])
    image = axes.imshow(  # on axes of logarithms: an image on logarithmic axes would be stretched
        values,
        cmap=MAP.with_extremes(bad=UNSOLVED),
        norm=norm,
        aspect="auto",
        interpolation="nearest",
        origin="lower",
        extent=(*across, *up),
    )
    axes.set(xlabel="Learning rate of the hidden layer", ylabel="Learning rate of the output layer", title=title)
    for axis, rates in ((axes.xaxis, ticks(found.hidden)), (axes.yaxis, ticks(found.output))):
        axis.set_ticks(np.log10(rates).tolist(), [f"{rate:g}" for rate in rates])
    axes.figure.colorbar(image, ax=axes, label=label)


def edges(ends: Sequence[float], cells: int) -> tuple[float, float]:
    """The logarithms of the outer edges of cells whose middles stand evenly from one end of a range to the other."""
    low, high = np.log10(ends)
    half = (high - low) / (cells - 1) / 2
    return low - half, high + half


def ticks(ends: Sequence[float]) -> Array:
    """The rates that an axis names: powers of ten; of a shorter range 1, 2 and 5 of each, or other round numbers."""
    low, high = ends
    if high < 10 * low:
        rates = np.array(MaxNLocator(5).tick_values(low, high), dtype=np.float64)
    else:
        rates = np.outer(np.logspace(-30, 30, 61), [1.0] if high > 1000 * low else [1.0, 2.0, 5.0]).ravel()
    return rates[np.flatnonzero((rates >= low * (1 - 1e-9)) & (rates <= high * (1 + 1e-9)))]
