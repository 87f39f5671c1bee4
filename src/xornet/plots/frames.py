"""The frames of the animation of the decision boundary."""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL.Image import Image

from xornet.plots.decision_boundary import GRID, decision_boundaries, draw_contour, plane
from xornet.plots.render import Array, image_of


class FrameRenderer:
    """Draws the frames of the animation; by matplotlib's blitting, only what changes is drawn again.

    Args:
        x: (P, 2)
        y: (P, 1)

    """

    def __init__(self, x: Array, y: Array) -> None:
        self.plane = plane(x)
        figure = decision_boundaries([(np.zeros((GRID, GRID)), "")], x, y)
        self.axes, self.canvas = figure.axes[0], FigureCanvasAgg(figure)
        (self.image,), (self.points,) = self.axes.images, self.axes.collections
        for artist in (self.image, self.points, *self.axes.spines.values(), self.axes.title):
            artist.set_animated(True)  # not part of the background
        self.canvas.draw()
        self.background = self.canvas.copy_from_bbox(figure.bbox)

    def frame(self, z: Array, title: str) -> Image:
        """Return the picture of predictions over the plane, as `decision_boundaries` would draw it."""
        self.canvas.restore_region(self.background)
        self.image.set_data(z)
        self.axes.set_title(title)
        contour = draw_contour(self.axes, z, *self.plane)
        lines = [contour] if contour else []
        for artist in (self.image, *lines, self.points, *self.axes.spines.values(), self.axes.title):
            self.axes.draw_artist(artist)
        for line in lines:
            line.remove()
        return image_of(self.canvas)
