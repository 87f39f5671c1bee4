"""Pictures of the atlas: maps side by side, and curves."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure

from xornet.plots.loss_curves import MAP
from xornet.plots.render import Array


@dataclass
class Curve:
    """One curve of a panel.

    Args:
        label: in the legend; empty for none.
        x, y: (n,), nan for missing points.
        low, high: (n,), an interval of y, drawn as a band.
        style: matplotlib's format of the line, `o-` for measured points.
        color: the number of a matplotlib colour, 0 for C0.

    """

    label: str
    x: Array
    y: Array
    low: Array | None = None
    high: Array | None = None
    style: str = "o-"
    color: int = 0


@dataclass
class Panel:
    """Axes with curves."""

    title: str
    xlabel: str
    ylabel: str
    curves: list[Curve] = field(default_factory=list)
    yscale: str = "log"


def curves_picture(title: str, panels: Sequence[Panel]) -> Figure:
    """Draw panels side by side."""
    figure = Figure(figsize=(1 + 5.2 * len(panels), 4.8), layout="constrained")
    figure.suptitle(title)
    for axes, panel in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        for curve in panel.curves:
            color = f"C{curve.color}"
            axes.plot(curve.x, curve.y, curve.style, color=color, label=curve.label or None, markersize=4)
            if curve.low is not None and curve.high is not None:
                axes.fill_between(curve.x, curve.low, curve.high, color=color, alpha=0.15, linewidth=0)
        axes.set(title=panel.title, xlabel=panel.xlabel, ylabel=panel.ylabel)
        if any(np.isfinite(curve.y).any() for curve in panel.curves):  # else nothing can be drawn
            axes.set(xscale="log", yscale=panel.yscale)
        measured = sorted({x for curve in panel.curves if "o" in curve.style for x in curve.x[np.isfinite(curve.x)]})
        if len(measured) < 10:  # powers of ten would run into each other
            axes.set_xticks(measured, [f"{x:.3g}" for x in measured])
            axes.minorticks_off()
        if any(curve.label for curve in panel.curves):
            axes.legend(fontsize="small")
    return figure


def maps_picture(
    title: str,
    maps: Sequence[tuple[str, Array]],
    across: tuple[str, Sequence[str]],
    up: tuple[str, Sequence[str]],
    label: str,
    is_share: bool,
) -> Figure:
    """Draw maps side by side with one colour bar; each cell shows its number.

    Args:
        title: of the picture.
        maps: the title and the cells (U, A) of each, nan for missing cells.
        across: the name of the horizontal axis, and its A values.
        up: the name of the vertical axis, and its U values.
        label: of the colour bar.
        is_share: whether the cells are shares; else they are epochs, on a logarithmic scale.

    """
    columns = min(4, len(maps))
    lines = -(-len(maps) // columns)
    figure = Figure(figsize=(1.5 + 4.2 * columns, 0.6 + 3.7 * lines), layout="constrained")
    figure.suptitle(title)
    grid = figure.subplots(lines, columns, squeeze=False, sharex=True, sharey=True)
    every = np.concatenate([cells.ravel() for _, cells in maps])
    finite = every[np.isfinite(every)]
    norm = Normalize(0, 1) if is_share else LogNorm(max(1.0, finite.min()), finite.max(), clip=True)
    cmap = MAP if is_share else MAP.reversed()
    for axes, (name, cells) in zip(grid.flat, maps, strict=False):
        image = axes.imshow(cells, origin="lower", aspect="auto", norm=norm, cmap=cmap)
        for (i, j), value in np.ndenumerate(cells):
            light = np.isnan(value) or np.mean(image.to_rgba(np.array(value))[:3]) > 0.45
            axes.text(
                *(j, i, words(float(value), is_share)),
                **{"ha": "center", "va": "center", "fontsize": 6.5, "color": "black" if light else "white"},
            )
        axes.set(title=name)
        axes.set_xticks(range(len(across[1])), across[1])
        axes.set_yticks(range(len(up[1])), up[1])
    for axes in grid[-1]:
        axes.set_xlabel(across[0])
    for axes in grid[:, 0]:
        axes.set_ylabel(up[0])
    for axes in grid.flat[len(maps) :]:
        axes.set_visible(False)
    for axes in grid[-2, columns - (lines * columns - len(maps)) :] if lines > 1 else ():
        axes.tick_params(labelbottom=True)
        axes.set_xlabel(across[0])
    figure.colorbar(image, ax=grid, label=label)
    return figure


def words(value: float, is_share: bool) -> str:
    """The number of a cell in few characters: 98, 850, 12k."""
    if np.isnan(value):
        return "–"
    if is_share:
        return f"{100 * value:.0f}" if value in (0, 1) or 0.005 <= value < 0.995 else f"{100 * value:.1f}"
    return f"{value:.0f}" if value < 9950 else f"{value / 1000:.0f}k"
