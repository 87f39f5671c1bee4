"""The dimension of a boundary on a grid, by counting boxes."""

import numpy as np
from numpy.typing import NDArray

Cells = NDArray[np.bool_]
BOXES_ACROSS = 8  # of the largest boxes along a side; with fewer, nearly all hold a part of any set


def boundary(values: Cells) -> Cells:
    """Whether the four neighbours around each inner corner of a grid (R, C) have both values, (R - 1, C - 1)."""
    corners = np.stack([values[:-1, :-1], values[:-1, 1:], values[1:, :-1], values[1:, 1:]])
    return np.asarray(corners.any(0) & ~corners.all(0))


def count_boxes(cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sides s of boxes, 1, 2, 4, ... cells, and how many boxes of each side hold a cell of the set.

    Args:
        cells: the set, (R, C).

    """
    most = min(cells.shape) // BOXES_ACROSS
    sides, counts = [1], [cells.sum()]
    while 2 * sides[-1] <= most:
        cells = np.pad(cells, [(0, length % 2) for length in cells.shape])
        rows, columns = cells.shape
        cells = np.asarray(cells.reshape(rows // 2, 2, columns // 2, 2).any((1, 3)))
        sides.append(2 * sides[-1])
        counts.append(cells.sum())
    return np.array(sides), np.array(counts)


def dimension(cells: Cells) -> tuple[float, float]:
    """The box-counting dimension of a set on a grid, and its error.

        N(s) ~ s^-D,   D = slope of log N against log 1/s by least squares

    N(s) counts the boxes of s x s cells that hold a cell of the set, s = 1, 2, 4, ... up to an eighth of the grid. The
    error is the standard deviation of the slopes between successive s: how much D depends on the scale, which for a
    set that is no exact fractal is far more than its uncertainty at one scale.

    Args:
        cells: the set, (R, C).

    Returns:
        D and its error; nan where the set is empty, or the grid too small for three sizes of boxes.

    """
    sides, counts = count_boxes(cells)
    if len(sides) < 3 or not cells.any():
        return np.nan, np.nan
    x, y = -np.log2(sides), np.log2(counts)
    return float(np.polyfit(x, y, 1)[0]), float(np.std(np.diff(y) / np.diff(x), ddof=1))
