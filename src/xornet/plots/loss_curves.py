"""Loss curves, and the share of networks solved."""

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xornet.plots.render import Array

LEGEND_LINES = 12  # no legend for more lines
MAP = colormaps["viridis"]


def loss_curve(epochs: Array, losses: Array, singles: Array) -> Figure:
    """The sheet's first picture: loss against epoch; for an ensemble the median, a band, and some single networks.

    Args:
        epochs: (S,)
        losses: (S, 3), the 10%, 50% and 90% quantiles over the networks; all equal for one network.
        singles: (S, M), the losses of a few networks, drawn as thin lines.

    """
    figure = Figure(figsize=(6.4, 4.8))
    axes = figure.subplots()
    low, median, high = losses.T
    line = axes.plot(epochs, median, label="median", zorder=3, marker=marker(epochs))[0]
    if (low < high).any():
        axes.fill_between(epochs, low, high, color=line.get_color(), alpha=0.25, linewidth=0, label="10% to 90%")
        thin = axes.plot(epochs, singles, color="0.35", linewidth=0.6)
        thin[0].set_label("single networks")
        axes.legend()
    axes.set(xlabel="Epochs", ylabel="Loss", title="Training Loss Curve")
    return figure


def solved_share(epochs: Array, share: Array) -> Figure:
    """The share of networks that solve the table, against epoch.

    Args:
        epochs: (S,)
        share: (S,), 0 to 1.

    """
    figure = Figure(figsize=(6.4, 4.8))
    axes = figure.subplots()
    axes.plot(epochs, 100 * share)
    axes.set(xlabel="Epochs", ylabel="Networks that solve the table (%)", title="Networks Solved", ylim=(-2, 102))
    return figure


def draw_curves(
    panel: Axes,
    curves: Sequence[tuple[Array, Array] | None],
    labels: Sequence[str],
    ylabel: str,
    places: Array | None = None,
    key: str | None = None,
) -> None:
    """Draw the losses of several runs against epoch.

    Args:
        panel: the axes to draw in.
        curves: epochs (S,) and losses (S,) of each of J runs, None if it has none.
        labels: (J,)
        ylabel: of the losses.
        places: (J,), the runs are coloured in the order of these numbers; None for their own order.
        key: whose values the labels are.

    """
    ranks = np.argsort(np.argsort(range(len(curves)) if places is None else places, kind="stable"))
    for i in np.argsort(ranks):
        if (curve := curves[i]) is not None:
            line = panel.plot(*curve, color=shade(ranks[i], len(curves)), linewidth=1.5, label=labels[i] or "one job")
            line[0].set_marker(marker(curve[0]))
    panel.set(xlabel="Epochs", ylabel=ylabel, title="Training Loss Curves", yscale="log")
    if not panel.lines:
        panel.text(0.5, 0.5, "no checkpoint holds a curve", ha="center", va="center", transform=panel.transAxes)
    elif len(panel.lines) <= LEGEND_LINES:
        panel.legend(fontsize="small", title=key, title_fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))


def marker(epochs: Array) -> str:
    """The marker of a curve: a single epoch would show no line."""
    return "o" if len(epochs) == 1 else "none"


def shade(rank: int, count: int) -> tuple[float, float, float, float]:
    """The colour of one of `count` runs: viridis without its light end."""
    return MAP(0.85 * rank / max(1, count - 1))
