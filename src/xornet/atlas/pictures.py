"""Which picture is drawn of which table of the atlas."""

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure

from xornet.atlas.laws import LAWS, fits, points
from xornet.atlas.table import Table, matrix
from xornet.plots.atlas import Curve, Panel, curves_picture, maps_picture

GRIDS = {
    "grid": "sigmoid, momentum 0",
    "grid_momentum": "sigmoid, momentum 0.9",
    "grid_tanh": "tanh, momentum 0",
    "grid_relu": "relu, momentum 0",
    "grid_adam": "sigmoid, Adam",
}


def pictures(tables: Mapping[str, Table]) -> Iterator[tuple[str, Figure]]:
    """Yield every picture that these tables allow, and its name."""
    for name in GRIDS.keys() & tables.keys():
        yield f"{name}_solved", grid_picture(tables[name], "solved")
        if np.isfinite(tables[name].column("solved_epoch")).any():
            yield f"{name}_epochs", grid_picture(tables[name], "solved_epoch")
    if table := tables.get("width_law"):
        yield (
            "width_law",
            law_picture(table, "Solving epoch of XOR against the number of hidden units, learning rate 0.5"),
        )
    if table := tables.get("saddle_escape"):
        yield "saddle_escape", law_picture(table, "Time to leave the saddle at the origin, XOR, learning rate 3")
    if table := tables.get("initial_range"):
        yield (
            "initial_range",
            range_picture(table, "XOR, 2-2-1, learning rate 1: 10,000 networks of each initial range"),
        )
    if table := tables.get("parity_range"):
        yield (
            "parity_range",
            range_picture(table, "Parity of four bits, 4-4-1, learning rate 4: 1,000 networks of each range"),
        )
    if table := tables.get("parity_bits"):
        yield "parity_bits", law_picture(table, "Parity of N bits with 2N hidden units, each at its best learning rate")
    if table := tables.get("momentum_speed"):
        yield "momentum_speed", momentum_picture(table)


def grid_picture(table: Table, column: str) -> Figure:
    """A map of learning rate and initial range for each width."""
    is_share = column == "solved"
    up, across = (("model.init", table.values("model.init")), ("optimizer.lr", table.values("optimizer.lr")))
    maps = [
        (f"2-{hidden.strip('[]')}-1", matrix(table.where({"model.hidden": hidden}), up, across, column))
        for hidden in table.values("model.hidden")
    ]
    what = "Share solved (%)" if is_share else "Median solving epoch"
    networks, epochs = (int(table.rows[0][name]) for name in ("networks", "epochs"))
    title = f"{what} of {networks:,} XOR networks in each cell, {epochs:,} epochs ({GRIDS[table.name]})"
    ranges = ["default" if value == "null" else value for value in up[1]]
    label = "share solved" if is_share else "median solving epoch"
    return maps_picture(title, maps, ("learning rate", across[1]), ("initial range ±r", ranges), label, is_share)


def law_picture(table: Table, title: str) -> Figure:
    """The median solving epochs of every curve, and both laws fitted to them."""
    law = LAWS[table.name]
    fitted = f", fitted up to {law.largest:g}" if np.isfinite(law.largest) else ""
    panel = Panel(f"Dots: medians; dashed: a + b log2 x; dotted: c x^d{fitted}", law.name, "median solving epoch")
    for color, (cells, x, y) in enumerate(points(table)):
        panel.curves.append(Curve(short(cells), x, y, style="o", color=color))
        for fit, style in zip(fits(law, x, y), ("--", ":"), strict=False):
            dense = np.geomspace(x[0], x[-1], 100)
            height = fit(dense)
            panel.curves.append(Curve("", dense, np.where(height > 0, height, np.nan), style=style, color=color))
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


def short(cells: str) -> str:
    """The words of a legend: `momentum=0 init=null`."""
    return cells.replace("optimizer.", "").replace("model.", "").replace("init=null", "init=default")
