from typing import Any

import numpy as np
import pytest

from xornet.plots.sweep import Outcomes, sweep_picture
from xornet.plots.swept import Axis

CURVE = np.arange(3.0), np.array([0.25, 0.1, 0.01])


def ends(losses: list[float], shares: list[tuple[float, float, float]] | None = None) -> Outcomes:
    """What jobs reached; without `shares` single networks, solved below a loss of 0.1."""
    single = [(float(loss < 0.1),) * 3 for loss in losses]
    return Outcomes(np.array(losses), np.array(shares or single), bool(shares))


@pytest.mark.parametrize(
    ("values", "scale"),
    [
        (["1.0", "0.01", "0.1"], "log"),
        (["2", "4", "8"], "linear"),
        (["sgd", "adam", "x"], "linear"),
        (["sgd", "inf", "1"], "linear"),
    ],
)
def test_final_losses_stand_over_what_was_swept(values: list[str], scale: str) -> None:
    figure = sweep_picture([CURVE] * 3, [Axis("key", values)], ends([0.01, 0.25, 0.002]))
    curves, losses = figure.axes
    assert (losses.get_xlabel(), losses.get_xscale(), losses.get_yscale()) == ("key", scale, "log")
    numeric = "sgd" not in values
    places = [float(value) for value in values] if numeric else [0, 1, 2]
    solved, unsolved = (np.asarray(points.get_offsets()).tolist() for points in losses.collections)
    assert solved == [[places[0], 0.01], [places[2], 0.002]]
    assert unsolved == [[places[1], 0.25]]
    if not numeric:
        assert [label.get_text() for label in losses.get_xticklabels()] == values
    assert (curves.get_title(), curves.get_yscale()) == ("Training Loss Curves", "log")
    legend = curves.get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == set(values)


def test_the_long_numbers_of_a_search_stand_in_their_order_under_short_names() -> None:
    values = ["0.17826497151386947", "1.4486833887239314", "0.010007903854326213", "2.4486833887239321"]
    figure = sweep_picture([CURVE] * 4, [Axis("lr", values)], ends([0.2, 0.01, 0.25, 0.02]))
    curves, losses = figure.axes
    (line,) = losses.lines
    assert np.asarray(line.get_xdata()).tolist() == sorted(map(float, values))
    assert np.asarray(line.get_ydata()).tolist() == [0.25, 0.2, 0.01, 0.02]
    legend = curves.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["0.01001", "0.1783", "1.449", "2.449"]
    across, up = Axis("lr", values), Axis("$x$", ["a_rather_long_word_for_a_tick", "$b$", "$b$", "$b$"])
    curves, panel, _ = sweep_picture([CURVE] * 4, [across, up], ends([0.2, 0.01, 0.25, 0.02])).axes
    legend = curves.get_legend()
    assert legend is not None
    assert legend.get_texts()[1].get_text() == r"lr=1.449 \$x\$=\$b\$"
    assert [label.get_text() for label in panel.get_xticklabels()] == ["0.01001", "0.1783", "1.449", "2.449"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["a_rat…for_a_tick", r"\$b\$"]


@pytest.mark.parametrize(
    ("values", "labels"),
    [
        (["12345678901234567890", "12345678901234567891"], ["12345678901234567890", "12345678901234567891"]),
        (
            [f"/long/path/runs/{name}/last.ckpt" for name in "ab"],
            ["/long/pa…uns/a/last.ckpt", "/long/pa…uns/b/last.ckpt"],
        ),
        (["x" * 60, "x" * 61], [f"{'x' * 8}…{'x' * 15} (1)", f"{'x' * 8}…{'x' * 15} (2)"]),
        ([f"[64,64,64,64,64,{units}]" for units in (8, 16)], ["[64,6…4,64,64,8]", "[64,6…,64,64,16]"]),
    ],
)
def test_long_values_that_look_alike_keep_short_names_that_differ(values: list[str], labels: list[str]) -> None:
    assert Axis("key", values).label_of_job == labels


def test_a_search_over_two_keys_is_drawn_as_points() -> None:
    rates, momenta = ["0.01", "0.5", "3.0", "0.2", "1.1"], ["0.5", "0.1", "0.9", "0.3", "0.7"]
    found = ends([0.2, 0.01, np.nan, 0.02, 0.25])
    panel = sweep_picture([CURVE] * 5, [Axis("lr", rates), Axis("momentum", momenta)], found).axes[1]
    points, without = panel.collections
    assert np.asarray(without.get_offsets()).tolist() == [[3.0, 0.9]]  # a job that has no loss
    given = [[float(rate), float(momentum)] for rate, momentum in zip(rates, momenta, strict=True)]
    assert np.asarray(points.get_offsets()).tolist() == given
    colours: Any = points.get_array()
    np.testing.assert_array_equal(colours.filled(np.nan), found.losses)
    assert (panel.get_xscale(), panel.get_yscale()) == ("log", "linear")


@pytest.mark.parametrize("value", ["0.5", "4.170220047025740"])
def test_a_sweep_none_of_whose_jobs_has_ended_is_drawn(value: str) -> None:
    figure = sweep_picture([CURVE], [Axis("lr", [value])], ends([np.nan]))
    figure.draw_without_rendering()
    assert figure.axes[1].get_yscale() == "linear"


def test_every_curve_is_the_jobs_own() -> None:
    other = np.arange(2.0), np.array([0.3, 0.2])
    figure = sweep_picture([CURVE, None, other], [Axis("key", ["a", "b", "c"])], ends([0.01, np.nan, 0.2]))
    panel = figure.axes[0]
    drawn = {line.get_label(): np.asarray(line.get_ydata()).tolist() for line in panel.lines}
    assert drawn == {"a": [0.25, 0.1, 0.01], "c": [0.3, 0.2]}


def test_shares_have_the_bars_of_their_interval() -> None:
    shares = [(0.5, 0.4, 0.7), (0.0, 0.0, 0.1)]
    figure = sweep_picture([CURVE] * 2, [Axis("lr", ["1", "2"])], ends([0.1, 0.2], shares))
    _, losses, panel = figure.axes
    assert losses.get_ylabel() == "Final loss (median)"
    bars: Any = panel.collections[0]
    spans = [segment[:, 1].tolist() for segment in bars.get_segments()]
    np.testing.assert_allclose(spans, [[40, 70], [0, 10]], atol=1e-9)


def test_two_swept_keys_make_a_map_in_the_order_of_their_numbers() -> None:
    rates, widths = Axis("lr", ["1", "0.1", "1", "0.1"]), Axis("hidden", ["[8]", "[8]", "[2]", "[2]"])
    shares = [(share, 0.0, 1.0) for share in (0.9, 0.4, 0.6, np.nan)]
    figure = sweep_picture([CURVE] * 4, [rates, widths], ends([0.1] * 4, shares))
    panel = figure.axes[1]
    assert [label.get_text() for label in panel.get_xticklabels()] == ["0.1", "1"]
    assert [label.get_text() for label in panel.get_yticklabels()] == ["[2]", "[8]"]
    (image,) = panel.images
    cells: Any = image.get_array()
    np.testing.assert_allclose(cells.filled(np.nan), [[np.nan, 0.6], [0.4, 0.9]])
    assert [text.get_text() for text in panel.texts] == ["–", "60%", "40%", "90%"]
