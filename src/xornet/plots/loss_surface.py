"""The loss over a plane of weights, and the trajectory on it."""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from xornet.plots.principal import Plane
from xornet.plots.render import Array

MARKS = 8  # epochs marked along the trajectory
MARGIN = 0.25  # around the trajectory, relative to its extent


def grid_around(places: Array, points: int) -> tuple[Array, Array]:
    """The coordinates of a square grid around places (S, 2), along both axes."""
    low, high = places.min(0), places.max(0)
    reach = (0.5 + MARGIN) * max(*(high - low), 1e-6)
    first, second = np.linspace((low + high) / 2 - reach, (low + high) / 2 + reach, points).T
    return first, second


def loss_surface(plane: Plane, epochs: Array, first: Array, second: Array, losses: Array) -> Figure:
    """Draw the loss as contours, and the trajectory with marked epochs at equal distances.

    Args:
        plane: of the trajectory.
        epochs: (S,), of the trajectory.
        first: (G,), coordinates along the first direction.
        second: (G,)
        losses: (G, G), rows along the second direction.

    """
    figure = Figure(figsize=(7.2, 5.4))
    axes = figure.subplots()
    levels = np.geomspace(losses.min(), losses.max() * (1 + 1e-6), 31)
    filled = axes.contourf(first, second, losses, levels, cmap="viridis", norm=LogNorm())
    axes.contour(first, second, losses, levels[::2], colors="white", linewidths=0.3)
    bar = figure.colorbar(filled, label="loss", format="%.3g")
    bar.set_ticks(levels[::6].tolist())
    bar.minorticks_off()
    axes.plot(*plane.places.T, color="white", linewidth=2.5)
    axes.plot(*plane.places.T, color="black", linewidth=1.2)
    for number, (place, epoch) in enumerate(marks(plane.places, epochs)):
        axes.plot(*place, "o", color="white", markeredgecolor="black", markersize=6)
        offset = (0, -17 if number % 2 else 8)  # alternately below and above
        label = axes.annotate(
            f"{epoch:,.0f}", tuple(place), offset, textcoords="offset points", ha="center", fontsize=9
        )
        label.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
    xlabel, ylabel = plane.labels
    axes.set(xlabel=xlabel, ylabel=ylabel, title="Loss Surface and Trajectory, Epochs Marked")
    return figure


def marks(trajectory: Array, epochs: Array) -> list[tuple[Array, float]]:
    """At most MARKS points of a trajectory (S, 2) with their epochs: both ends, and points at equal distances."""
    travelled = np.r_[0, np.hypot(*np.diff(trajectory, axis=0).T).cumsum()]
    apart = travelled[-1] / (MARKS - 1)
    chosen = [0]
    for s in range(len(trajectory)):
        if min(travelled[s] - travelled[chosen[-1]], travelled[-1] - travelled[s] + apart / 2) >= apart:
            chosen.append(s)
    return [(trajectory[s], epochs[s]) for s in (*chosen, len(trajectory) - 1)]
