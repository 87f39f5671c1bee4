import math
import statistics
from itertools import pairwise, product

import numpy as np
import pytest

from xornet.engine.box_counting import Cells, boundary, count_boxes, dimension

ROW, COLUMN = np.mgrid[:512, :512]


def koch(start: complex, end: complex, depth: int) -> list[complex]:
    """The corners of a Koch curve but its last."""
    if not depth:
        return [start]
    third = (end - start) / 3
    places = [start, start + third, start + third * (1 + np.exp(1j * np.pi / 3)), start + 2 * third, end]
    return [corner for k in range(4) for corner in koch(places[k], places[k + 1], depth - 1)]


def cells_of(corners: list[complex]) -> Cells:
    """The cells of a grid of 512 x 512 in which places of the unit square lie."""
    cells = np.zeros((512, 512), dtype=bool)
    places = 511 * np.array(corners)
    cells[places.imag.astype(int), places.real.astype(int)] = True
    return cells


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (np.eye(511, dtype=bool), 1),
        (boundary(0.37 * COLUMN + 37 < ROW), 1),
        (boundary((ROW - 256) ** 2 + (COLUMN - 256) ** 2 < 180**2), 1),
        (np.ones((511, 511), dtype=bool), 2),
        (boundary(np.random.default_rng(0).random((512, 512)) < 0.5), 2),
        ((ROW & COLUMN) == 0, np.log2(3)),  # Sierpinski's triangle: Pascal's, odd numbers
        (cells_of(koch(0, 1, 7)), np.log(4) / np.log(3)),
    ],
    ids=["diagonal", "line", "circle", "square", "noise", "Sierpinski", "Koch"],
)
def test_the_dimension_of_a_known_set_is_found_within_its_error(cells: Cells, expected: float) -> None:
    found, error = dimension(cells)
    assert found == pytest.approx(expected, abs=error + 1e-9)
    assert error < 0.15


def test_boundary_and_boxes_are_those_of_a_plain_loop() -> None:
    solved = np.random.default_rng(1).random((52, 45)) < 0.1
    edge = boundary(solved)
    assert edge.shape == (51, 44)
    for i, j in product(range(51), range(44)):
        assert edge[i, j] == (len(set(solved[i : i + 2, j : j + 2].flat)) == 2)
    sides, counts = count_boxes(edge)
    assert sides.tolist() == [1, 2, 4]
    for side, count in zip(sides, counts, strict=True):
        corners = product(range(0, 51, side), range(0, 44, side))
        assert count == sum(edge[i : i + side, j : j + side].any() for i, j in corners)
    slopes = [math.log2(more / fewer) for more, fewer in pairwise(counts)]
    # By least squares, with three sizes a factor apart, the slope is that between the first and the last.
    assert dimension(edge) == pytest.approx((statistics.mean(slopes), statistics.stdev(slopes)))


@pytest.mark.parametrize("cells", [np.zeros((511, 511), dtype=bool), np.ones((31, 31), dtype=bool)])
def test_an_empty_set_and_a_small_grid_have_no_dimension(cells: Cells) -> None:
    assert np.isnan(dimension(cells)).all()
