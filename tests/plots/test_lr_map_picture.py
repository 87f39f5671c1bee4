import numpy as np
import pytest

from xornet.plots.lr_map import LEAST_LOSS, RateMap, lr_map, ticks

LOSSES = np.array([[0.2, np.nan, 0.0], [0.01, 0.3, 0.1], [0.25, 0.02, 0.03]])
EPOCHS = np.array([[np.nan, np.nan, 0.0], [9.0, np.nan, 99.0], [np.nan, 19.0, 4.0]])


def test_each_network_is_drawn_at_its_rates_and_an_unsolved_one_is_grey() -> None:
    figure = lr_map(RateMap(LOSSES, EPOCHS, (0.1, 10.0), (1.0, 100.0)), "A map")
    left, right = figure.axes[:2]
    assert figure.get_suptitle() == "A map"
    assert (left.get_title(), right.get_title()) == ("Final Loss", "Solving Epoch (Grey: Not Solved)")
    assert [bar.get_ylabel() for bar in figure.axes[2:]] == ["loss", "epochs until solved"]
    for axes, expected in ((left, LOSSES.clip(LEAST_LOSS)), (right, EPOCHS.clip(1))):
        (image,) = axes.images
        np.testing.assert_array_equal(np.ma.filled(np.ma.asarray(image.get_array()), np.nan), expected)
        assert image.origin == "lower"
        # A middle stands on its rate: the cells are one decade wide, half of one on each side of it.
        np.testing.assert_allclose(image.get_extent(), [-1.5, 1.5, -0.5, 2.5])
        labels = [label.get_text() for label in axes.get_xticklabels()]
        assert dict(zip(axes.get_xticks().tolist(), labels, strict=True))[0] == "1"
    grey = right.images[0].to_rgba(np.ma.masked_invalid(EPOCHS))[0, 0]
    np.testing.assert_allclose(grey, [0.85, 0.85, 0.85, 1])


def test_a_map_on_which_all_have_diverged_or_none_has_solved_is_drawn() -> None:
    nothing = np.full((3, 3), np.nan)
    assert len(lr_map(RateMap(nothing, nothing, (0.1, 1.0), (0.1, 1.0)), "").axes) == 4


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ((0.01, 10_000.0), [0.01, 0.1, 1, 10, 100, 1000, 10_000]),
        ((60.0, 600.0), [100, 200, 500]),
        ((150.0, 300.0), [150, 180, 210, 240, 270, 300]),
        ((9.1, 9.102), [9.1, 9.1005, 9.101, 9.1015, 9.102]),
    ],
)
def test_an_axis_names_round_rates_at_every_zoom(ends: tuple[float, float], expected: list[float]) -> None:
    np.testing.assert_allclose(ticks(ends), expected)
