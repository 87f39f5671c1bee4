"""The decision boundary."""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.contour import QuadContourSet
from matplotlib.figure import Figure, FigureBase
from torch import Tensor

from xornet.plots.render import Array

Predict = Callable[[Tensor], Tensor]

BOUNDARY_TITLE = "Decision Boundary of Neural Network"
# The sheet's coolwarm in 50 bands at alpha 0.7, blended with white beforehand: transparent bands would show seams.
BANDS = ListedColormap(0.7 * colormaps["coolwarm"]((np.arange(50) + 0.5) / 50) + 0.3, name="coolwarm, alpha 0.7")
GRID = 200  # points along each input
ROW = 4  # boundaries side by side


def plane(x: Array) -> tuple[Array, Array]:
    """Return the part of the input plane that is drawn, as GRID numbers along each input.

    Along each input it is the sheet's [-0.5, 1.5]; if points lie outside, their range and a quarter of it on each side.

    Args:
        x: (P, 2), the points of the table.

    """
    low, high = x.min(0), x.max(0)
    margin = np.where(high > low, (high - low) / 4, 1.0)
    is_sheet_s = (low >= -0.5) & (high <= 1.5)
    low, high = np.where(is_sheet_s, -0.5, low - margin), np.where(is_sheet_s, 1.5, high + margin)
    return np.linspace(low[0], high[0], GRID), np.linspace(low[1], high[1], GRID)


def boundary_grid(predict: Predict, x: Array) -> Array:
    """Predictions over the input plane, (200, 200), rows along the second input.

    Args:
        predict: maps x (G, 2) to predictions (G, 1).
        x: (P, 2), the points of the table.

    """
    first, second = np.meshgrid(*plane(x))
    points = torch.tensor(np.c_[first.ravel(), second.ravel()], dtype=torch.float32)
    with torch.no_grad():
        return predict(points).double().cpu().numpy().reshape(first.shape)


def decision_boundaries(panels: Sequence[tuple[Array, str]], x: Array, y: Array) -> Figure:
    """The sheet's second picture, once or several times: predictions over the input plane, and the points of the table.

    The colours always range from 0 to 1, so that pictures of different epochs can be compared; the contour is at 0.5.

    Args:
        panels: predictions over the plane, from `boundary_grid`, and a title, for each; more than ROW in two rows.
        x: (P, 2)
        y: (P, 1)

    """
    rows = 1 if len(panels) <= ROW else 2
    columns = math.ceil(len(panels) / rows)
    size = (6.4, 4.8) if len(panels) == 1 else (1.4 + 3.2 * columns, 3.8 * rows)
    figure = Figure(figsize=size, layout="constrained" if panels[1:] else None)
    grid = figure.add_gridspec(rows, columns)
    drawn = [figure.add_subplot(grid[divmod(i, columns)]) for i in range(len(panels))]
    for axes, (z, title) in zip(drawn, panels, strict=True):
        draw_boundary(axes, z, title, x, y)
    draw_bar(figure, drawn)
    return figure


def draw_boundary(axes: Axes, z: Array, title: str, x: Array, y: Array) -> None:
    """Draw predictions over the plane, and the points of the table."""
    draw_predictions(axes, z, title, *plane(x))
    draw_plane(axes, x, y)


def draw_plane(axes: Axes, x: Array, y: Array) -> None:
    """Draw the points of the table, and the axes of the input plane."""
    draw_points(axes, x, y)
    across, up = plane(x)
    axes.set(xlabel="x₁", ylabel="x₂", xlim=across[[0, -1]], ylim=up[[0, -1]])
    axes.locator_params(nbins=4)


def draw_points(axes: Axes, places: Array, y: Array) -> PathCollection:
    """Draw the points of the table at `places` (P, 2), in the colours of their targets."""
    first, second = places.T
    return axes.scatter(first, second, c=y[:, 0], edgecolor="black", s=100, cmap="coolwarm", vmin=0, vmax=1, zorder=3)


def draw_bar(figure: FigureBase, panels: list[Axes]) -> None:
    """Draw the colour bar that all boundaries of a figure share."""
    figure.colorbar(panels[0].images[0], ax=panels, label="prediction", ticks=np.linspace(0, 1, 6))


def draw_predictions(axes: Axes, z: Array, title: str, across: Array, up: Array) -> None:
    """Draw predictions over a grid, and their contour at 0.5."""
    dx, dy = (across[1] - across[0]) / 2, (up[1] - up[0]) / 2  # the points of the grid are the middles of pixels
    axes.imshow(
        z,
        cmap=BANDS,
        norm=Normalize(0, 1),
        aspect="auto",
        origin="lower",
        extent=(across[0] - dx, across[-1] + dx, up[0] - dy, up[-1] + dy),
        interpolation="bilinear",
        interpolation_stage="data",
    )
    draw_contour(axes, z, across, up)
    axes.set(title=title, xlim=across[[0, -1]], ylim=up[[0, -1]])


def draw_contour(axes: Axes, z: Array, across: Array, up: Array) -> QuadContourSet | None:
    """Draw the contour where predictions over a grid are 0.5, if there is one."""
    if not ((z < 0.5).any() and (z > 0.5).any()):
        return None
    return axes.contour(across, up, z, levels=[0.5], colors="black", linewidths=1.5)
