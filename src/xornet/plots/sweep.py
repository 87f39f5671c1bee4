"""A sweep in one picture: the loss curves of all jobs, and their results against the swept values."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import shorten
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PathCollection
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from xornet.engine.scores import percent
from xornet.plots.loss_curves import MAP, draw_curves
from xornet.plots.render import Array
from xornet.plots.swept import Axis, shown


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


def sweep_picture(curves: Sequence[tuple[Array, Array] | None], axes: Sequence[Axis], ends: Outcomes) -> Figure:
    """Draw the loss curves; next to them the results against one swept key, or against two.

    Args:
        curves: epochs (S,) and losses (S,) of each of J jobs, None if it has none.
        axes: the swept keys.
        ends: the results.

    """
    panels = {1: 2 + ends.many, 2: 2}.get(len(axes), 1)
    figure = Figure(figsize=(1.6 + 5.4 * panels, 4.8), layout="constrained")
    first, *rest = figure.subplots(1, panels, squeeze=False)[0]
    words = [[f"{shown(axis.key)}={label}" for label in axis.label_of_job] for axis in axes]
    labels = [shorten(" ".join(label), 60, placeholder=" …") for label in zip(*words, strict=True)]
    places, key = None, None
    if len(axes) == 1:
        labels, places, key = axes[0].label_of_job, axes[0].positions, shown(axes[0].key)
    draw_curves(first, curves, labels or [""] * len(curves), "Loss (median)" if ends.many else "Loss", places, key)
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
    scale = "log" if (ends.losses > 0).any() else "linear"  # matplotlib refuses to draw nothing on a logarithmic axis
    panel.set(ylabel="Final loss (median)" if ends.many else "Final loss", yscale=scale, title="Loss Reached")


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
    panel.set(xlabel=shown(axis.key), xscale=axis.scale)
    if not axis.is_numeric:
        panel.set_xticks(range(len(axis.order)), axis.labels, rotation=axis.rotation)


def draw_map(panel: Axes, across: Axis, up: Axis, ends: Outcomes) -> None:
    """Draw the results against two keys, for ensembles the share solved, else the final loss.

    Jobs that are most of a grid are its cells; the jobs of a search, whose numbers differ in every job, are points.
    """
    values = ends.shares[:, 0] if ends.many else ends.losses
    finite = values[np.isfinite(values)]
    logarithmic = not ends.many and len(finite) > 0 and 0 < finite.min() < finite.max()
    norm = LogNorm(finite.min(), finite.max()) if logarithmic else Normalize(0, 1 if ends.many else None)
    colours: dict[str, Any] = {"norm": norm, "cmap": MAP if ends.many else MAP.reversed()}
    image: AxesImage | PathCollection
    if across.is_numeric and up.is_numeric and len(across.order) * len(up.order) > 2 * len(values):
        image = panel.scatter(across.positions, up.positions, c=values, edgecolors="0.3", **colours)
        without = np.isnan(values)
        panel.scatter(across.positions[without], up.positions[without], facecolors="none", edgecolors="0.6")
        panel.set(xscale=across.scale, yscale=up.scale)
    else:
        cells = np.full((len(up.order), len(across.order)), np.nan)
        for row, column, value in zip(up.values, across.values, values, strict=True):
            cells[up.order.index(row), across.order.index(column)] = value
        image = panel.imshow(cells, origin="lower", aspect="auto", **colours)
        for (i, j), value in np.ndenumerate(cells):
            text = "–" if np.isnan(value) else percent(value, digits=0) if ends.many else f"{value:.2g}"
            light = np.mean(image.to_rgba(np.array(value))[:3]) > 0.45 or np.isnan(value)
            panel.text(j, i, text, ha="center", va="center", color="black" if light else "white", fontsize="small")
        panel.set_xticks(range(len(across.order)), across.labels, rotation=across.rotation)
        panel.set_yticks(range(len(up.order)), up.labels)
    title = "Networks Solved" if ends.many else "Loss Reached"
    panel.set(xlabel=shown(across.key), ylabel=shown(up.key), title=title)
    label = "Networks that solve the table (share)" if ends.many else "Final loss"
    panel.figure.colorbar(image, ax=panel, label=label)
