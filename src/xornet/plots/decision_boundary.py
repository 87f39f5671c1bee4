"""The decision boundary."""

from collections.abc import Callable, Sequence

import numpy as np
import PIL.Image
import torch
from contourpy import contour_generator
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.figure import Figure, FigureBase
from matplotlib.image import AxesImage
from numpy.typing import NDArray
from PIL.Image import Dither, Image, Resampling
from torch import Tensor

from xornet.plots.render import Array, copied

Predict = Callable[[Tensor], Tensor]

BOUNDARY_TITLE = "Decision Boundary of Neural Network"
# The sheet's coolwarm in 50 bands at alpha 0.7, blended with white beforehand: transparent bands would show seams.
BANDS = ListedColormap(0.7 * colormaps["coolwarm"]((np.arange(50) + 0.5) / 50) + 0.3, name="coolwarm, alpha 0.7")
# What a frame needs: the bands, alone and mixed with the black line; greys for text; the points, and their rim.
MIXED = np.multiply.outer((1, 0.75, 0.5, 0.25), [*BANDS(np.arange(50)), *colormaps["coolwarm"]([0.0, 1.0])])
PALETTE = (255 * np.concatenate([*MIXED, colormaps["gray"](np.linspace(0, 1, 33))])[:, :3]).round().astype(np.uint8)
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
        draw_boundary(axes, z, title, x, y)
    draw_bar(figure, list(row))
    return figure


def draw_boundary(axes: Axes, z: Array, title: str, x: Array, y: Array) -> None:
    """Draw predictions over the grid, and the points of the table."""
    draw_predictions(axes, z, title)
    draw_plane(axes, x, y)


def draw_plane(axes: Axes, x: Array, y: Array) -> None:
    """Draw the points of the table, and the axes of the input plane."""
    draw_points(axes, x, y)
    axes.set(xlabel="$x_1$", ylabel="$x_2$", xticks=TICKS, yticks=TICKS, xlim=GRID[[0, -1]], ylim=GRID[[0, -1]])


def draw_points(axes: Axes, places: Array, y: Array) -> None:
    """Draw the points of the table at places (P, 2), in the colours of their targets."""
    first, second = places.T
    axes.scatter(first, second, c=y[:, 0], edgecolor="black", s=100, cmap="coolwarm", vmin=0, vmax=1, zorder=3)


def draw_bar(figure: FigureBase, panels: list[Axes]) -> None:
    """Draw the colour bar that all boundaries of a figure share."""
    figure.colorbar(panels[0].images[0], ax=panels, label="prediction", ticks=np.linspace(0, 1, 6))


def draw_predictions(axes: Axes, z: Array, title: str, across: Array = GRID, up: Array = GRID) -> None:
    """Draw predictions over a grid, and the line where they are 0.5."""
    image = Bands(axes, cmap=BANDS, norm=Normalize(0, 1), extent=(*across[[0, -1]], *up[[0, -1]]))
    image.set_data(z)
    axes.add_image(image)
    axes.add_collection(LineCollection(contour(z, across, up), colors="black", linewidths=1.5))
    axes.set_title(title)


class Bands(AxesImage):
    """Predictions over a grid as colours, smoothed by Pillow in a sixth of the time that matplotlib takes."""

    def make_image(
        self, renderer: RendererBase, magnification: float = 1.0, unsampled: bool = False
    ) -> tuple[NDArray[np.uint8], float, float, None]:
        """Return the pixels from the first point of the grid to the last, (height, width, 4), and where they begin."""
        left, bottom, right, top = np.rint(self.get_window_extent(renderer).extents).astype(int)
        z = np.ma.asarray(self.get_array()).filled(np.nan).astype(np.float32)
        rows, columns = z.shape
        box = (0.5, 0.5, columns - 0.5, rows - 0.5)  # between the middles of the outermost
        smooth = PIL.Image.fromarray(z).resize((right - left, top - bottom), Resampling.BILINEAR, box)
        return self.to_rgba(np.asarray(smooth), bytes=True, norm=False), left, bottom, None


def contour(z: Array, across: Array = GRID, up: Array = GRID) -> list[Array]:
    """The line where predictions over a grid are 0.5, in pieces (K, 2): none, if it does not cross the plane."""
    return [np.asarray(piece) for piece in contour_generator(across, up, z).lines(0.5)]


class FrameRenderer:
    """The decision boundary along training: only what moves is drawn for each frame, in a ninth of the time.

    Frames share a palette: their files are a third as large, and written in a seventh of the time.

    Args:
        x: (P, 2)
        y: (P, 1)

    """

    def __init__(self, x: Array, y: Array) -> None:
        figure = decision_boundaries([(np.full((len(GRID), len(GRID)), 0.0), "")], x, y)
        self.axes, self.canvas = figure.axes[0], FigureCanvasAgg(figure)
        (self.image,), (half, points) = self.axes.images, self.axes.collections
        assert isinstance(half, LineCollection)
        self.half = half
        self.palette = PIL.Image.new("P", (1, 1))
        self.palette.putpalette(PALETTE.tobytes())
        self.above = [half, points, *self.axes.spines.values(), self.axes.title]
        for artist in (self.image, *self.above):
            artist.set_animated(True)  # leaves it out of the next line
        self.canvas.draw()
        self.still = self.canvas.copy_from_bbox(figure.bbox)

    def frame(self, z: Array, title: str) -> Image:
        """Return the picture of predictions over the grid, as `decision_boundaries` would draw it."""
        self.canvas.restore_region(self.still)
        self.image.set_data(z)
        self.half.set_segments(contour(z))
        self.axes.set_title(title)
        for artist in (self.image, *self.above):
            self.axes.draw_artist(artist)
        return copied(self.canvas).quantize(palette=self.palette, dither=Dither.NONE)
