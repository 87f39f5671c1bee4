"""The pictures: data in, matplotlib Figure out, in a file for each kind.

`Figure` is used without pyplot, which keeps every figure alive and wants a display.
"""

import io
from collections.abc import Sequence

import numpy as np
import PIL.Image
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL.Image import Image

Array = NDArray[np.float64]


def drawn(figure: Figure) -> Image:
    """The figure as an image."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return image_of(canvas)


def image_of(canvas: FigureCanvasAgg) -> Image:
    """A copy of what a canvas shows."""
    return PIL.Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def png(image: Image) -> bytes:
    """The image as a PNG file, compressed fast: the smallest would take 4 to 12 times as long."""
    file = io.BytesIO()
    image.save(file, "PNG", compress_level=3)
    return file.getvalue()


def gif(frames: Sequence[Image], milliseconds: int = 250) -> bytes:
    """The frames as an animation that loops and rests on the last one."""
    first, *others = frames
    file = io.BytesIO()
    times = [milliseconds] * len(others) + [8 * milliseconds]
    first.save(file, "GIF", save_all=True, append_images=others, loop=0, duration=times)
    return file.getvalue()
