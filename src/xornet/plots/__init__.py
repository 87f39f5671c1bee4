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


def gif(frames: Sequence[Image], milliseconds: int = 250) -> bytes:
    """The frames as an animation that loops and rests on the last one; all in the colours of three of them."""
    pictures = [PIL.Image.fromarray(frame) for frame in frames]
    some = PIL.Image.fromarray(np.concatenate([frames[0], frames[len(frames) // 2], frames[-1]]))
    colours = some.quantize(256, method=PIL.Image.Quantize.FASTOCTREE)
    first, *others = (picture.quantize(palette=colours, dither=PIL.Image.Dither.NONE) for picture in pictures)
    file = io.BytesIO()
    times = [milliseconds] * len(others) + [8 * milliseconds]
    first.save(file, "GIF", save_all=True, append_images=others, loop=0, duration=times)
    return file.getvalue()
