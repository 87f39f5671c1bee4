import numpy as np
from matplotlib.patches import Rectangle

from xornet.plots.plateaus import plateaus_picture


def test_a_bar_for_each_range_is_as_high_as_the_shares_and_lines_show_what_is_left_above_the_plateau() -> None:
    shares = {"solved": np.array([0.5, 0.25]), "elsewhere": np.array([0.25, 0.0]), "1/8": np.array([0.25, 0.75])}
    excess = {"1/8": np.array([[4.0, 2.0], [0.4, 0.2]]), "1/6": np.zeros((2, 0))}
    figure = plateaus_picture(["0.1", "2"], shares, np.array([10.0, 100.0]), excess, ("left", "right"))
    bars, lines = figure.axes
    heights = [(bar.get_y(), bar.get_height()) for bar in bars.patches if isinstance(bar, Rectangle)]
    assert heights == [(0, 50), (0, 25), (50, 25), (25, 75), (75, 25), (100, 0)]  # solved, 1/8, other
    legend = bars.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["elsewhere", "near 1/8", "solved"]
    assert [label.get_text() for label in bars.get_xticklabels()] == ["0.1", "2"]
    first, second, guide = lines.lines
    assert np.asarray(first.get_ydata()).tolist() == [4, 0.4]
    assert np.asarray(second.get_ydata()).tolist() == [2, 0.2]
    above, below = np.asarray(guide.get_ydata())
    assert above / below == 10  # 1/epochs
    assert above < 2
    assert first.get_label() == "2 networks near 1/8"
    assert [axes.get_title() for axes in figure.axes] == ["left", "right"]
    assert (lines.get_xscale(), lines.get_yscale()) == ("log", "log")


def test_nothing_left_near_a_plateau_is_a_picture_too() -> None:
    figure = plateaus_picture(["1"], {"solved": np.ones(1)}, np.array([10.0]), {"1/8": np.zeros((1, 0))}, ("", ""))
    assert len(figure.axes[1].lines) == 0
