from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Command, fit
from matplotlib.axes import Axes
from oracle import X, Y

from xornet.callbacks.pictures import unit_pictures, units_of
from xornet.plots.hidden_units import LOWERS, RAISES, Units, hidden_plane, hidden_units, names
from xornet.plots.no_hidden_units import no_hidden_units

POINTS, TARGETS = X.numpy(), Y.numpy()
# By hand: unit 1 is on where x₁ + x₂ > 0.5, unit 2 where x₁ + x₂ > 1.5; XOR is the one without the other.
LINES = np.array([[20.0, 20, -10], [20, 20, -30]])
SPACE = 1 / (1 + np.exp(-(POINTS @ LINES[:, :2].T + LINES[:, 2])))
BY_HAND = Units(LINES, np.array([20.0, -20]), SPACE, np.array([20.0, -20, -10]), signed=True)


def drawn_lines(axes: Axes) -> list[tuple[float, float, str]]:
    """Of every infinite line a point, and its colour."""
    lines: list[Any] = list(axes.lines)  # each an AxLine, says axline, and a Line2D, say the lines of axes
    return [(*line.get_xy1(), line.get_color()) for line in lines]


def test_each_unit_has_its_line_in_the_colour_of_its_weights_sign() -> None:
    left, right = hidden_units(BY_HAND, POINTS, TARGETS).axes
    for (x1, x2, colour), middle, expected in zip(drawn_lines(left), (0.5, 1.5), (RAISES, LOWERS), strict=True):
        assert x1 + x2 == pytest.approx(middle)
        assert colour == expected
    legend = left.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["unit 1: +20.0", "unit 2: −20.0"]
    assert (right.get_xlabel(), right.get_ylabel()) == ("activation of unit 1", "activation of unit 2")


def test_in_hidden_space_one_line_separates_what_none_separates_in_the_plane() -> None:
    _, right = hidden_units(BY_HAND, POINTS, TARGETS).axes
    z = np.asarray(right.images[0].get_array())
    low, high, bottom, top = right.images[0].get_extent()
    for place, target in zip(SPACE, TARGETS[:, 0], strict=True):
        column, row = (place - (low, bottom)) / (high - low, top - bottom) * 199
        assert (z[round(row), round(column)] > 0.5) == (target == 1)


def test_points_that_lie_together_share_a_name() -> None:
    assert [name for _, name in names(SPACE, POINTS, 0.05)] == ["00", "01, 10", "11"]


def test_of_many_units_the_plane_is_that_of_the_two_principal_directions() -> None:
    flat = (
        np.random.default_rng(0).normal(size=(4, 2)) @ np.linalg.qr(np.random.default_rng(1).normal(size=(5, 2)))[0].T
    )
    found = hidden_plane(flat + 3)
    shown = found.places @ found.directions + found.centre
    np.testing.assert_allclose(shown, flat + 3, atol=1e-12)  # nothing is lost of a flat one
    np.testing.assert_allclose(found.directions @ found.directions.T, np.eye(2), atol=1e-12)
    shares = [float(label.partition("(")[2].partition("%")[0]) for label in found.labels]
    assert sum(shares) == pytest.approx(100, abs=0.15)
    assert shares[0] >= shares[1]


def test_the_units_are_those_of_the_network(tmp_path: Path) -> None:
    _, module = fit(tmp_path, 5, hidden=[3, 2], activation="tanh", seed=4)
    known, net = units_of(module), module.ensemble.network(0)
    first, second = net.hidden, net.hidden2
    assert isinstance(first, torch.nn.Linear)
    assert isinstance(second, torch.nn.Linear)
    np.testing.assert_allclose(known.lines, np.c_[first.weight.detach(), first.bias.detach()])
    np.testing.assert_allclose(known.weights, second.weight.detach().norm(dim=0), rtol=1e-6)
    with torch.no_grad():
        np.testing.assert_allclose(known.space, torch.tanh(second(torch.tanh(first(X)))), rtol=1e-5)
    assert not known.signed


def test_without_hidden_units_the_picture_says_why_no_line_can() -> None:
    left, right = no_hidden_units(np.array([1.0, 1.0, -0.5]), POINTS, TARGETS).axes
    ((x1, x2, _),) = drawn_lines(left)
    assert x1 + x2 == pytest.approx(0.5)
    red, blue, crossing = (np.asarray(line.get_xydata()) for line in right.lines)
    np.testing.assert_allclose(red.mean(0), blue.mean(0))
    np.testing.assert_allclose(red.mean(0), crossing[0])
    assert "no line" in right.texts[0].get_text()


def test_a_table_that_a_line_may_separate_has_no_reason_why_none_can() -> None:
    conjunction = POINTS.min(1, keepdims=True)
    (left,) = no_hidden_units(np.array([1.0, 1.0, -1.5]), POINTS, conjunction).axes
    assert "Its Line" in left.get_title()
    _, right = no_hidden_units(np.array([1.0, 1.0, -1.5]), 2 * POINTS - 1, 0.8 * TARGETS + 0.1).axes  # XOR as ±1
    np.testing.assert_allclose(np.asarray(right.lines[2].get_xydata()), [[0, 0]])


def test_the_lines_of_points_far_away_are_drawn_where_these_are() -> None:
    lines = np.array([[1.0, 0, -60], [0, 1, 40]])  # x₁ = 60 and x₂ = -40
    units = Units(lines, np.ones(2), SPACE, np.ones(3), signed=True)
    left, _ = hidden_units(units, 100 * POINTS - [0, 80], TARGETS).axes
    assert (left.get_xlim(), left.get_ylim()) == ((-25, 125), (-105, 45))
    places = [place for *place, _ in drawn_lines(left)]
    np.testing.assert_allclose(places, [(60, -30), (50, -40)])
    arrows: list[Any] = list(left.texts)
    np.testing.assert_allclose([arrow.xy for arrow in arrows], [(72, -30), (50, -28)])  # of 0.16 half planes


@pytest.mark.further
def test_only_two_inputs_have_a_picture_of_their_units(command: Command) -> None:
    two, three = (command("trainer.max_epochs=3", f"data.bits={bits}") for bits in (2, 3))
    assert (two.folder / "hidden_units.png").read_bytes().startswith(b"\x89PNG")
    assert not (three.folder / "hidden_units.png").exists()
    assert three.status == 0


def test_a_network_that_has_diverged_has_no_picture_and_one_with_huge_weights_has(tmp_path: Path) -> None:
    _, module = fit(tmp_path, 5, networks=2)
    with torch.no_grad():
        module.ensemble.weights[0][..., 0] = 1e30
        assert list(unit_pictures(module)) == ["hidden_units.png"]
        module.ensemble.weights[0][..., 0] = torch.nan
        assert unit_pictures(module) == {}


def test_a_line_too_far_away_to_be_drawn_is_left_out_with_its_place_in_the_legend() -> None:
    lines = np.array([[1.0, 0, -1e18], [1, 1, -0.5], [0, 0, 1]])
    units = Units(lines, np.ones(3), np.array([[0.0, 0, 1], [0, 1, 1], [1, 0, 1], [1, 1, 0]]), np.ones(4), True)
    left, _ = hidden_units(units, POINTS, TARGETS).axes[:2]
    legend = left.get_legend()
    assert legend
    assert [text.get_text() for text in legend.get_texts()] == ["unit 2: +1.0"]
    units.lines[1] = 0
    assert hidden_units(units, POINTS, TARGETS).axes[0].get_legend() is None
