"""The decision boundary."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure
from torch import Tensor

from xornet.plots import Array

Predict = Callable[[Tensor], Tensor]

BOUNDARY_TITLE = "Decision Boundary of Neural Network"
# The sheet's coolwarm at alpha 0.7, blended with white beforehand: transparent bands would show a seam at every level.
PALE = ListedColormap(0.7 * colormaps["coolwarm"](np.linspace(0, 1, 256)) + 0.3, name="coolwarm, alpha 0.7")
GRID = np.linspace(-0.5, 1.5, 200)  # the sheet's: 200 x 200 points over [-0.5, 1.5]²
TICKS = np.linspace(-0.5, 1.5, 5)


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
