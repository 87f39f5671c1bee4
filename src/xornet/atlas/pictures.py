"""The pictures of the tables of the atlas."""

from collections.abc import Iterator, Mapping, Set
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from xornet.atlas.derived import PLATEAUS
from xornet.atlas.laws import LAWS, fits, points
from xornet.atlas.networks import follow, shares
from xornet.atlas.table import Table, matrix, number
from xornet.plots.atlas import Curve, Panel, curves_picture, maps_picture
from xornet.plots.plateaus import plateaus_picture

DEFAULT_RANGE = 2**-0.5  # of 2-2-1 networks, both layers: 1/√2
GRIDS = {
    "grid": "sigmoid, momentum 0",
    "grid_momentum": "sigmoid, momentum 0.9",
    "grid_tanh": "tanh, momentum 0",
    "grid_relu": "relu, momentum 0",
    "grid_adam": "sigmoid, Adam",
}
STYLES = {"--": "dashed", ":": "dotted"}  # of the first and the second law of a table
MEDIAN_OF = 0.1  # the smallest share of solving networks whose median epoch is shown

TITLES = {
    "width_law": "Solving epoch of XOR against the number of hidden units, learning rate 0.5",
    "saddle_escape": "Time to leave the saddle at the origin, XOR, learning rate 3",
    "parity_bits": "Parity of N bits with 2N hidden units, each at its best learning rate",
    "initial_range": "XOR, 2-2-1, learning rate 1: 10,000 networks of each initial range",
    "parity_range": "Parity of four bits, 4-4-1, learning rate 4: 1,000 networks of each range",
}


def pictures(tables: Mapping[str, Table], whole: Set[str], sweeps: Path) -> Iterator[tuple[str, Figure]]:
    """Yield the name and the figure of every picture that can be drawn of these tables and whole sweeps."""
    for name, table in tables.items():
        if name in GRIDS:
            yield f"{name}_solved", grid_picture(table, "solved")
            if any(known(row)["solved_epoch"] for row in table.rows):
                yield f"{name}_epochs", grid_picture(table, "solved_epoch")
        elif name in TITLES:
            yield name, (law_picture if name in LAWS else range_picture)(table, TITLES[name])
        elif name == "momentum_speed":
            yield name, momentum_picture(table)
    if {"plateaus", "plateaus_by_init"} <= whole:
        yield "plateaus", plateau_picture(sweeps)


def grid_picture(table: Table, column: str) -> Figure:
    """A map of learning rate and initial range for each width."""
    is_share = column == "solved"
    shown = table if is_share else Table(table.name, table.keys, [known(row) for row in table.rows])
    ranges = sorted(table.values("model.init"), key=lambda r: DEFAULT_RANGE if r == "null" else number(r))
    up, across = ("model.init", ranges), ("optimizer.lr", table.values("optimizer.lr"))
    maps = [
        (f"2-{hidden.strip('[]')}-1", matrix(shown.where({"model.hidden": hidden}), up, across, column))
        for hidden in table.values("model.hidden")
    ]
    what = "Share solved (%)" if is_share else f"Median solving epoch, where at least {MEDIAN_OF:.0%} get there"
    networks, epochs = (int(table.rows[0][name]) for name in ("networks", "epochs"))
    title = f"{what}\n{networks:,} XOR networks in each cell, {epochs:,} epochs ({GRIDS[table.name]})"
    labels = ["default" if value == "null" else value for value in ranges]
    label = "share solved" if is_share else "median solving epoch"
    return maps_picture(title, maps, ("learning rate", across[1]), ("initial range ±r", labels), label, is_share)


def known(row: Mapping[str, str]) -> dict[str, str]:
    """The row, without its solving epoch if fewer than MEDIAN_OF of the networks ever solve the table."""
    ever = 1 - number(row["unsolved"]) / number(row["networks"])
    return dict(row) if ever >= MEDIAN_OF else dict(row) | {"solved_epoch": ""}


def law_picture(table: Table, title: str) -> Figure:
    """The median solving epochs of every curve, with the fitted laws."""
    law = LAWS[table.name]
    fitted = f", fitted up to {law.largest:g}" if np.isfinite(law.largest) else ""
    panel = Panel("", law.name, "median solving epoch")
    drawn: dict[str, str] = {}
    for color, (cells, x, y) in enumerate(points(table)):
        panel.curves.append(Curve(short(cells), x, y, style="o", color=color))
        for fit, (style, word) in zip(fits(law, x, y), STYLES.items(), strict=False):
            dense = np.geomspace(x[0], x[-1], 100)
            height = fit(dense)
            panel.curves.append(Curve("", dense, np.where(height > 0, height, np.nan), style=style, color=color))
            drawn[word] = fit.form
    panel.title = "; ".join(["Dots: medians", *(f"{word}: {form}" for word, form in drawn.items())]) + fitted
    figure = curves_picture(title, [panel])
    figure.set_size_inches(9, 6)
    return figure


def range_picture(table: Table, title: str) -> Figure:
    """The share solved and the solving epochs against the initial range, for each momentum."""
    shares = Panel("Share solved, 95% interval", "initial range ±r", "share solved", yscale="linear")
    epochs = Panel("Solving epoch: median and quartiles", "initial range ±r", "epoch")
    for color, momentum in enumerate(table.values("optimizer.momentum")):
        part = table.where({"optimizer.momentum": momentum})
        r, label = part.column("model.init"), f"momentum {momentum}"
        names = (("solved", "solved_low", "solved_high"), ("solved_epoch", "solved_epoch_q25", "solved_epoch_q75"))
        for panel, (middle, low, high) in zip((shares, epochs), names, strict=True):
            panel.curves.append(Curve(label, r, part.column(middle), part.column(low), part.column(high), color=color))
    return curves_picture(title, [shares, epochs])


def momentum_picture(table: Table) -> Figure:
    """The median solving epoch against the rate, and against the rate that momentum amounts to."""
    panels = []
    for hidden in table.values("model.hidden"):
        panel = Panel(f"2-{hidden.strip('[]')}-1", "learning rate / (1 - momentum)", "median solving epoch")
        for color, momentum in enumerate(table.values("optimizer.momentum")):
            part = table.where({"model.hidden": hidden, "optimizer.momentum": momentum})
            rate = part.column("optimizer.lr") / (1 - float(momentum))
            panel.curves.append(Curve(f"momentum {momentum}", rate, part.column("solved_epoch"), color=color))
        panels.append(panel)
    return curves_picture("XOR: how far momentum μ acts as a learning rate 1/(1 - μ) times as large", panels)


def plateau_picture(sweeps: Path) -> Figure:
    """The plateaus of the networks of each initial range, and the loss above its plateau of those that stay."""
    ranges, found = shares(sweeps / "plateaus_by_init", "model.init")
    order = np.argsort([DEFAULT_RANGE if value == "null" else float(value) for value in ranges])
    labels = [f"default\n({DEFAULT_RANGE:.2f})" if ranges[i] == "null" else ranges[i] for i in order]
    followed = follow(sweeps / "plateaus")
    titles = ("2-2-1 networks on XOR after 10,000 epochs", "From r = 2: those that stay, to a million epochs")
    excess = {place: followed.excess(place) for place in PLATEAUS}
    return plateaus_picture(
        labels, {place: row[order] for place, row in found.items()}, followed.epochs, excess, titles
    )


def short(cells: str) -> str:
    """A short label for a legend: `momentum=0 init=null`."""
    return cells.replace("optimizer.", "").replace("model.", "").replace("init=null", "init=default")
