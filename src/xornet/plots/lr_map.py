"""The map of learning rates: final loss and solving epoch against the rates of the hidden and the output layer."""

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
    """A grid of R x R networks; the hidden rate grows along columns, the output rate along rows, log-spaced.

    Args:
        losses: (R, R), nan for networks that have diverged.
        solved_epochs: (R, R), the first epoch that solved the table; nan for networks that do not solve it now.
        hidden: the lowest and the highest rate.
        output: the same.

    """

    losses: Array
    solved_epochs: Array
    hidden: Sequence[float]
    output: Sequence[float]


def lr_map(found: RateMap, title: str) -> Figure:
    """Draw the final loss and the solving epoch of every network.

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
    """Draw positive values (R, R) in logarithmic colours; nan is grey."""
    finite = values[np.isfinite(values)]
    low, high = (finite.min(), finite.max()) if len(finite) else (1.0, 1.0)
    norm = LogNorm(low, max(high, low * 1.01))
    across, up = edges(found.hidden, values.shape[1]), edges(found.output, values.shape[0])
    image = axes.imshow(  # on linear axes of the logarithms: logarithmic axes would distort the image
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
    """The logarithms of the outer edges of cells whose centres are evenly spaced between the ends of a range."""
    low, high = np.log10(ends)
    half = (high - low) / (cells - 1) / 2
    return low - half, high + half


def ticks(ends: Sequence[float]) -> Array:
    """The rates labelled on an axis: powers of ten; for a shorter range also 2 and 5 times these, or round numbers."""
    low, high = ends
    if high < 10 * low:
        rates = np.array(MaxNLocator(5).tick_values(low, high), dtype=np.float64)
    else:
        rates = np.outer(np.logspace(-30, 30, 61), [1.0] if high > 1000 * low else [1.0, 2.0, 5.0]).ravel()
    return rates[np.flatnonzero((rates >= low * (1 - 1e-9)) & (rates <= high * (1 + 1e-9)))]
