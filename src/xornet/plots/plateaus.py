"""The plateaus of unsolved networks against the range of their initial weights, and how their loss falls."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xornet.plots.render import Array

# C0, C1, ... are matplotlib's own colours, in their order
COLOURS = {"solved": "0.88", "1/8": "C0", "1/6": "C1", "1/4": "C2", "saturated": "C3", "elsewhere": "C4"}


def plateaus_picture(
    ranges: Sequence[str],
    shares: Mapping[str, Array],
    epochs: Array,
    excess: Mapping[str, Array],
    titles: tuple[str, str],
) -> Figure:
    """Draw a bar for each range of initial weights, and the loss above the plateau against epochs.

    Args:
        ranges: a label for each of J ranges.
        shares: for each place the share of networks there, (J,).
        epochs: (E,)
        excess: for each plateau (`1/8`) the loss above it, (E, M), of networks that stay near it.
        titles: of the two panels.

    """
    figure = Figure(figsize=(12, 4.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    draw_shares(left, ranges, shares)
    draw_excess(right, epochs, excess)
    for panel, title in zip((left, right), titles, strict=True):
        panel.set_title(title)
    return figure


def draw_shares(panel: Axes, ranges: Sequence[str], shares: Mapping[str, Array]) -> None:
    """Draw a stacked bar for each range."""
    below = np.zeros(len(ranges))
    order = [place for place in COLOURS if place in shares] + [place for place in shares if place not in COLOURS]
    for place in order:
        share = 100 * shares[place]
        label = f"near {place}" if "/" in place else place
        panel.bar(range(len(ranges)), share, bottom=below, width=0.8, color=COLOURS.get(place, "C5"), label=label)
        below = below + share
    panel.set_xticks(range(len(ranges)), ranges)
    panel.set(xlabel="Initial weights and biases uniform in ±r", ylabel="Networks (%)", ylim=(0, 100))
    panel.legend(loc="upper left", bbox_to_anchor=(1, 1), reverse=True)


def draw_excess(panel: Axes, epochs: Array, excess: Mapping[str, Array]) -> None:
    """Draw a line for each network that stays, and a line proportional to 1/epochs."""
    for place, above in excess.items():
        lines = panel.plot(epochs, above, color=COLOURS.get(place, "C5"), linewidth=0.6, alpha=0.6)
        for line in lines[:1]:
            line.set_label(f"{above.shape[1]:,} networks near {place}")
    start = np.concatenate(list(excess.values()), axis=1)[0]
    panel.set(xlabel="Epochs", ylabel="Loss above the plateau's value")
    if start.size:
        panel.plot(epochs, 0.6 * start.min() * epochs[0] / epochs, "k--", linewidth=1, label="∝ 1/epochs")
        panel.legend()
        panel.set(xscale="log", yscale="log")
