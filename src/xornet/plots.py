"""The pictures: data in, matplotlib Figure out.

`Figure` is used without pyplot, which keeps every figure alive and wants a display.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from numpy.typing import NDArray
from torch import Tensor

Predict = Callable[[Tensor], Tensor]
Array = NDArray[np.float64]
Image = NDArray[np.uint8]

BOUNDARY_TITLE = "Decision Boundary of Neural Network"
# The sheet's coolwarm at alpha 0.7, blended with white beforehand: transparent bands would show a seam at every level.
PALE = ListedColormap(0.7 * colormaps["coolwarm"](np.linspace(0, 1, 256)) + 0.3, name="coolwarm, alpha 0.7")
GRID = np.linspace(-0.5, 1.5, 200)  # the sheet's: 200 x 200 points over [-0.5, 1.5]²
TICKS = np.linspace(-0.5, 1.5, 5)


def loss_curve(epochs: Array, losses: Array, singles: Array) -> Figure:
    """The sheet's first picture: loss against epoch.

    Args:
        epochs: (S,)
        losses: (S, 3), the 10%, 50% and 90% quantiles over the networks; all equal for one network.
        singles: (S, M), the losses of a few networks, drawn thinly through the band.

    """
    figure = Figure(figsize=(6.4, 4.8))
    draw_loss(figure.subplots(), epochs, losses, singles)
    return figure


def loss_curve_two_scales(epochs: Array, losses: Array, singles: Array) -> Figure:
    """The loss curve twice: on a linear axis, and on a logarithmic one where late progress shows."""
    figure = Figure(figsize=(10, 4))
    linear, logarithmic = figure.subplots(1, 2)
    draw_loss(linear, epochs, losses, singles)
    draw_loss(logarithmic, epochs, losses, singles)
    logarithmic.set_yscale("log")
    return figure


def draw_loss(axes: Axes, epochs: Array, losses: Array, singles: Array) -> None:
    """Draw the median and, where networks differ, the band from 10% to 90% and single networks."""
    low, median, high = losses.T
    line = axes.plot(epochs, median, label="median", zorder=3)[0]
    if (low < high).any():
        axes.fill_between(epochs, low, high, color=line.get_color(), alpha=0.25, linewidth=0, label="10% to 90%")
        thin = axes.plot(epochs, singles, color="0.35", linewidth=0.6)
        thin[0].set_label("single networks")
        axes.legend()
    axes.set(xlabel="Epochs", ylabel="Loss", title="Training Loss Curve")


def boundary_grid(predict: Predict) -> Array:
    """Predictions over the sheet's grid, (200, 200), rows along the second input.

    Args:
        predict: maps x (G, 2) to predictions (G, 1).

    """
    first, second = np.meshgrid(GRID, GRID)
    points = torch.tensor(np.c_[first.ravel(), second.ravel()], dtype=torch.float32)
    with torch.no_grad():
        return predict(points).double().cpu().numpy().reshape(first.shape)


def decision_boundaries(panels: Sequence[tuple[Array, str]], x: Array, y: Array) -> Figure:
    """The sheet's second picture: predictions over the input plane, and the points of the table; or several of it.

    The colours are fixed to 0 ... 1, so that pictures of different epochs can be compared; the black line is 0.5.

    Args:
        panels: predictions over the grid, from `boundary_grid`, and a title, for each.
        x: (P, 2)
        y: (P, 1)

    """
    width, height = (6.4, 4.8) if len(panels) == 1 else (1.4 + 3.2 * len(panels), 3.8)
    figure = Figure(figsize=(width, height), layout="constrained" if panels[1:] else None)
    row = figure.subplots(1, len(panels), squeeze=False)[0]
    for axes, (z, title) in zip(row, panels, strict=True):
        filled = draw_predictions(axes, z, title)
        axes.scatter(x[:, 0], x[:, 1], c=y[:, 0], edgecolor="black", s=100, cmap="coolwarm", vmin=0, vmax=1, zorder=3)
        axes.set(xlabel="$x_1$", ylabel="$x_2$", xticks=TICKS, yticks=TICKS)
    figure.colorbar(filled, ax=list(row), label="prediction", ticks=np.linspace(0, 1, 6))
    return figure


def draw_predictions(axes: Axes, z: Array, title: str) -> QuadContourSet:
    """Draw predictions over the grid, in place of those that `axes` may show already."""
    for old in [child for child in axes.collections if isinstance(child, QuadContourSet)]:
        old.remove()
    filled = axes.contourf(GRID, GRID, z, levels=np.linspace(0, 1, 51), cmap=PALE, vmin=0, vmax=1)
    if z.min() < 0.5 < z.max():
        axes.contour(GRID, GRID, z, levels=[0.5], colors="black", linewidths=1.5)
    axes.set_title(title)
    return filled


def solved_share(epochs: Array, share: Array) -> Figure:
    """The share of networks that solve the table, against epoch.

    Args:
        epochs: (S,)
        share: (S,), 0 to 1.

    """
    figure = Figure(figsize=(6.4, 4.8))
    axes = figure.subplots()
    axes.plot(epochs, 100 * share)
    axes.set(xlabel="Epochs", ylabel="Networks that solve the table (%)", title="Networks Solved", ylim=(-2, 102))
    return figure


def pixels(figure: Figure) -> Image:
    """The figure as an RGB image (height, width, 3)."""
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]
