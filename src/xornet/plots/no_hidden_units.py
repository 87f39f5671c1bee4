"""A network without hidden units: its only line, and why no line can separate XOR."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xornet.plots.decision_boundary import draw_plane
from xornet.plots.hidden_units import LOWERS, RAISES, draw_line, sigmoid, two_panels
from xornet.plots.render import Array


def no_hidden_units(line: Array, x: Array, y: Array) -> Figure:
    """Draw the only line of a network without hidden units, and for XOR why no line can separate it.

    Args:
        line: (3,), the weights of x₁ and x₂, and the bias.
        x: (P, 2)
        y: (P, 1)

    """
    red, blue = x[y[:, 0] > 0.5], x[y[:, 0] <= 0.5]
    if len(red) == len(blue) == 2 and np.allclose(red.mean(0), blue.mean(0)):
        figure, left, right = two_panels()
        draw_reason(right, red, blue)
        draw_plane(right, x, y)
    else:  # of another table, which a line may separate
        figure = Figure()
        left = figure.subplots()
    draw_plane(left, x, y)
    draw_line(left, line, x, "black", 1.5)
    predictions = sigmoid(x @ line[:2] + line[2])
    left.set_title(f"Its Line: Predictions {predictions.min():.2f} to {predictions.max():.2f}")
    return figure


def draw_reason(axes: Axes, red: Array, blue: Array) -> None:
    """Draw why no line separates two points (2, 2) from two others whose middle is the same."""
    for ends, colour in ((red, RAISES), (blue, LOWERS)):
        axes.plot(*ends.T, color=colour, linewidth=2, linestyle="--")
    axes.plot(*red.mean(0), "kX", markersize=11)
    words = (
        "Halfway between the red points is halfway\n"
        "between the blue ones: one place, which\n"
        "no line can have on both of its sides."
    )
    axes.text(0.5, 0.015, words, ha="center", va="bottom", fontsize=9, transform=axes.transAxes)
    axes.set_title("Why No Line Can")
