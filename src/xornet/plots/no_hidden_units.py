"""A network without hidden units: its only line, and why no line can separate XOR."""

from matplotlib.figure import Figure

from xornet.plots.decision_boundary import draw_plane
from xornet.plots.hidden_units import LOWERS, RAISES, draw_line, sigmoid, two_panels
from xornet.plots.render import Array


def no_hidden_units(line: Array, x: Array, y: Array) -> Figure:
    """Draw the only line of a network without hidden units, and why no line can separate XOR.

    Args:
        line: (3,), the weights of x₁ and x₂, and the bias.
        x: (P, 2)
        y: (P, 1)

    """
    figure, left, right = two_panels()
    draw_plane(left, x, y)
    draw_line(left, line, "black", 1.5)
    predictions = sigmoid(x @ line[:2] + line[2])
    left.set_title(f"Its Line: Predictions {predictions.min():.2f} to {predictions.max():.2f}")
    draw_plane(right, x, y)
    for target, colour in ((1, RAISES), (0, LOWERS)):
        ends = x[y[:, 0] == target]
        right.plot(*ends.T, color=colour, linewidth=2, linestyle="--")
    right.plot(0.5, 0.5, "kX", markersize=11)
    words = (
        "Halfway between the red points is halfway\n"
        "between the blue ones: one place, which\n"
        "no line can have on both of its sides."
    )
    right.text(0.5, -0.27, words, ha="center", va="center", fontsize=9)
    right.set_title("Why No Line Can")
    return figure
