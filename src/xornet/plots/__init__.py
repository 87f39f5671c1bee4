"""The pictures: data in, matplotlib Figure out, in a file for each kind.

`Figure` is used without pyplot, which keeps every figure alive and wants a display.
"""

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

Array = NDArray[np.float64]
Image = NDArray[np.uint8]


def pixels(figure: Figure) -> Image:
    """The figure as an RGB image (height, width, 3)."""
    canvas = figure.canvas if isinstance(figure.canvas, FigureCanvasAgg) else FigureCanvasAgg(figure)
    canvas.draw()
    return np.array(canvas.buffer_rgba())[..., :3]
