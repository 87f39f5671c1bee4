"""Runs side by side: their loss curves in one panel, and the decision boundary of each."""

import math
import textwrap
from collections.abc import Sequence

from matplotlib.figure import Figure

from xornet.plots.decision_boundary import ROW, draw_bar, draw_boundary
from xornet.plots.loss_curves import draw_curves, shade
from xornet.plots.render import Array

SIDE = 3.2  # inches, of a boundary with its axes
LETTERS = 30  # in a line of a label: no wider than a boundary
LINE = 0.16  # inches, height of a line


def comparison(
    curves: Sequence[tuple[Array, Array] | None],
    boundaries: Sequence[Array | None],
    labels: Sequence[str],
    tables: Sequence[tuple[Array, Array]],
    many: bool = False,
) -> Figure:
    """Draw the loss curves of J runs, and below them their boundaries, with borders in the colours of the curves.

    Args:
        curves: epochs (S,) and losses (S,) of each, None if it has none.
        boundaries: predictions over the plane, from `boundary_grid`, of each; None unless it has two inputs.
        labels: (J,)
        tables: x (P, 2) and y (P, 1) of each; not used without a boundary.
        many: whether there are ensembles; then losses are medians, and boundaries are of network 0.

    """
    wrapped = [textwrap.fill(label, LETTERS, break_on_hyphens=False) for label in labels]
    planes = [(i, z) for i, z in enumerate(boundaries) if z is not None]
    rows = 2 if len(planes) > ROW else 1
    columns = math.ceil(len(planes) / rows)
    lines = [label.count("\n") + 1 for label in wrapped]
    legend = LINE * (sum(lines) + 0.4 * len(lines)) + 0.4
    heights = [max(3.6, legend), 0.4 + rows * (SIDE - 0.2 + LINE * max(lines))][: 1 + bool(planes)]
    figure = Figure(figsize=(1.2 + SIDE * max(2, columns), sum(heights)), layout="constrained")
    above, *below = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    losses = above.subplots()
    draw_curves(losses, curves, wrapped, "Loss (median)" if many else "Loss")
    losses.locator_params(axis="x", nbins=6)  # beside a wide legend more would run together
    for part in below:
        part.suptitle("Decision Boundary of Network 0" if many else "Decision Boundary")
        grid = part.add_gridspec(rows, columns)
        panels = [part.add_subplot(grid[divmod(k, columns)]) for k in range(len(planes))]
        for panel, (i, z) in zip(panels, planes, strict=True):
            draw_boundary(panel, z, "", *tables[i])
            panel.set_title(wrapped[i], fontsize=9)
            panel.spines[:].set(color=shade(i, len(labels)), linewidth=3)
            panel.set_box_aspect(1)
        draw_bar(part, panels)
    return figure
