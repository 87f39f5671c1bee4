"""A sweep in one picture: the loss curves of all jobs, and their results against the swept values."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from xornet.plots.loss_curves import MAP, draw_curves
from xornet.plots.render import Array


@dataclass
class Axis:
    """A swept key and its value in every job, as on the command line.

    Args:
        key: e.g. `optimizer.lr`.
        values: (J,), e.g. ["0.01", "0.1"]; a list of one number is drawn as that number.

    """

    key: str
    values: list[str]

    def __post_init__(self) -> None:
        names = list(dict.fromkeys(self.values))
        try:
            places, self.is_numeric = [float(value.strip("[]")) for value in self.values], True
        except ValueError:
            places, self.is_numeric = [float(names.index(value)) for value in self.values], False
        self.positions = np.array(places)  # (J,), the numbers, or for words their order
        self.order = sorted(names, key=lambda name: places[self.values.index(name)])  # the different values
        self.scale = "log" if self.is_numeric and 0 < 10 * min(places) <= max(places) else "linear"


@dataclass
class Outcomes:
    """The results of the jobs; nan for a job that has not finished.

    Args:
        losses: (J,)
        shares: (J, 3), the share of networks that solve the table, and the bounds of its interval.
        many: whether the jobs are ensembles; then the share is drawn too, or instead of the loss.

    """

    losses: Array
    shares: Array
    many: bool


def sweep_picture(
    curves: Sequence[tuple[Array, Array] | None], labels: Sequence[str], axes: Sequence[Axis], ends: Outcomes
) -> Figure:
    """Draw the loss curves; next to them the results against one swept key, or a heat map for two.

    Args:
        curves: epochs (S,) and losses (S,) of each of J jobs, None if it has none.
        labels: (J,), the swept values of each job.
        axes: the swept keys.
        ends: the results.

    """
    panels = {1: 2 + ends.many, 2: 2}.get(len(axes), 1)
    figure = Figure(figsize=(1.6 + 5.4 * panels, 4.8), layout="constrained")
    first, *rest = figure.subplots(1, panels, squeeze=False)[0]
    places, key = (axes[0].positions, axes[0].key) if len(axes) == 1 else (None, None)
    draw_curves(first, curves, labels, "Loss (median)" if ends.many else "Loss", places, key)
    if len(axes) == 1:
        draw_losses(rest[0], axes[0], ends)
        if ends.many:
            draw_shares(rest[1], axes[0], ends.shares)
    elif len(axes) == 2:
        draw_map(rest[0], axes[0], axes[1], ends)
    return figure


def draw_losses(panel: Axes, axis: Axis, ends: Outcomes) -> None:
    """Draw the final losses; for single networks, filled if the table is solved."""
    order = np.argsort(axis.positions)
    panel.plot(axis.positions[order], ends.losses[order], color="0.6", linewidth=1, zorder=1)
    finite, solved = np.isfinite(ends.losses), ends.shares[:, 0] == 1
    groups = [(finite & solved, "C0", "solved"), (finite & ~solved, "white", "not solved")]
    for group, face, label in [(finite, "C0", None)] if ends.many else groups:
        if group.any():
            panel.scatter(axis.positions[group], ends.losses[group], c=face, edgecolors="C0", label=label, zorder=2)
    if finite.any() and not ends.many:
        panel.legend()
    set_axis(panel, axis)
    panel.set(ylabel="Final loss (median)" if ends.many else "Final loss", yscale="log", title="Loss Reached")


def draw_shares(panel: Axes, axis: Axis, shares: Array) -> None:
    """Draw the share of networks that solve the table, with its 95% interval."""
    order = np.argsort(axis.positions)
    share, low, high = 100 * shares[order].T
    bars = np.maximum(0, [share - low, high - share])  # rounding could make it negative
    panel.errorbar(axis.positions[order], share, yerr=bars, fmt="o-", color="C0", ecolor="0.3", capsize=3)
    set_axis(panel, axis)
    panel.set(ylabel="Networks that solve the table (%)", ylim=(-3, 103), title="Networks Solved, 95% Interval")


def set_axis(panel: Axes, axis: Axis) -> None:
    """Label the axis of the swept key: logarithmic if it spans decades, with words if it is no number."""
    panel.set(xlabel=axis.key, xscale=axis.scale)
    if not axis.is_numeric:
        panel.set_xticks(range(len(axis.order)), axis.order, rotation=20 if len(axis.order) > 3 else 0)


def draw_map(panel: Axes, across: Axis, up: Axis, ends: Outcomes) -> None:
    """Draw a cell for each pair of values: for ensembles the share solved, else the final loss."""
    cells = np.full((len(up.order), len(across.order)), np.nan)
    values = ends.shares[:, 0] if ends.many else ends.losses
    for row, column, value in zip(up.values, across.values, values, strict=True):
        cells[up.order.index(row), across.order.index(column)] = value
    finite = cells[np.isfinite(cells)]
    logarithmic = not ends.many and len(finite) > 0 and 0 < finite.min() < finite.max()
    norm = LogNorm(finite.min(), finite.max()) if logarithmic else Normalize(0, 1 if ends.many else None)
    image = panel.imshow(cells, origin="lower", aspect="auto", norm=norm, cmap=MAP if ends.many else MAP.reversed())
    for (i, j), value in np.ndenumerate(cells):
        text = "–" if np.isnan(value) else f"{value:.0%}" if ends.many else f"{value:.2g}"
        light = np.mean(image.to_rgba(np.array(value))[:3]) > 0.45 or np.isnan(value)
        panel.text(j, i, text, ha="center", va="center", color="black" if light else "white", fontsize="small")
    panel.set(xlabel=across.key, ylabel=up.key, title="Networks Solved" if ends.many else "Loss Reached")
    panel.set_xticks(range(len(across.order)), across.order)
    panel.set_yticks(range(len(up.order)), up.order)
    label = "Networks that solve the table (share)" if ends.many else "Final loss"
    panel.figure.colorbar(image, ax=panel, label=label)
