"""The pictures: data in, matplotlib Figure out, in a file for each kind.

`Figure` is used without pyplot, which keeps every figure alive and wants a display.
"""

import io

import numpy as np
import PIL.Image
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


def png(image: Image) -> bytes:
    """The image as a PNG file, compressed a little: thoroughly takes longer than drawing it."""
    file = io.BytesIO()
    PIL.Image.fromarray(image).save(file, "PNG", compress_level=3)
    return file.getvalue()
