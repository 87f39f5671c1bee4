"""Figures as images, and images as files.

`Figure` is used without pyplot, which keeps every figure alive and needs a display.
"""

from collections.abc import Sequence
from pathlib import Path

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
    """The content of a canvas, copied."""
    return PIL.Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def write_png(image: Image, path: Path) -> None:
    """Write the image as a PNG file, compressed fast: the smallest would take 4 to 12 times as long."""
    image.save(path, "PNG", compress_level=3)


def write_gif(frames: Sequence[Image], path: Path) -> None:
    """Write the frames as an animation that loops, 0.25 s each, and rests for 2 s on the last one.

    All frames have one palette, made from every third pixel: a palette for each would take four times as long.
    """
    sample = PIL.Image.fromarray(np.concatenate([np.asarray(frame)[::3, ::3] for frame in frames]))
    palette = sample.quantize(256)
    first, *others = (frame.quantize(palette=palette, dither=PIL.Image.Dither.NONE) for frame in frames)
    times = [250] * len(others) + [2000]
    first.save(path, "GIF", save_all=True, append_images=others, loop=0, duration=times)
