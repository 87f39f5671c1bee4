"""Laws fitted to tables of the atlas."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from xornet.atlas.fits import Fit, fit_exponential, fit_logarithm, fit_power
from xornet.atlas.table import Table, number
from xornet.plots.render import Array


@dataclass
class Law:
    """What the solving epochs of a table are a function of, and the forms that are fitted."""

    key: str  # the column
    name: str  # of x in pictures
    forms: tuple[Callable[[Array, Array], Fit], ...] = (fit_logarithm, fit_power)
    is_reciprocal: bool = False
    largest: float = np.inf  # the largest x in the fit; beyond it, the picture shows the law extrapolated


LAWS = {
    "width_law": Law("model.hidden", "hidden units", largest=32),  # the range in the source
    "saddle_escape": Law("model.init", "1/r", is_reciprocal=True),
    "parity_bits": Law("data.bits", "bits", forms=(fit_power, fit_exponential)),
}


def points(table: Table) -> Iterator[tuple[str, Array, Array]]:
    """Yield the name of each curve, its x and its median solving epochs, for cells of which at least half is solved.

    Of several learning rates the best is taken: with the largest share solved, then with the fewest epochs.
    """
    law = LAWS[table.name]
    others = [key for key in table.keys if key not in (law.key, "optimizer.lr")]
    for cells in dict.fromkeys(tuple((key, row[key]) for key in others) for row in table.rows):
        best: dict[float, dict[str, str]] = {}
        for row in table.where(dict(cells)).rows:
            x = 1 / number(row[law.key]) if law.is_reciprocal else number(row[law.key])
            if number(row["solved"]) >= 0.5 and (x not in best or rank(row) < rank(best[x])):
                best[x] = row
        xs = np.array(sorted(best))
        yield (
            " ".join(f"{key}={value}" for key, value in cells),
            xs,
            np.array([number(best[x]["solved_epoch"]) for x in xs]),
        )


def rank(row: Mapping[str, str]) -> tuple[float, float]:
    """A sort key: the best row has the smallest."""
    return -number(row["solved"]), number(row["solved_epoch"])


def laws(tables: Mapping[str, Table], stored: Table | None = None) -> Table:
    """The table of the fits to every curve with at least three points; stored fits where a table is missing."""
    rows = []
    for name in sorted(LAWS):
        rows += [row for row in stored.rows if row["table"] == name and name not in tables] if stored else []
        for cells, x, y in points(tables[name]) if name in tables else ():
            for fit in fits(LAWS[name], x, y):
                numbers = {"first": fit.first, "second": fit.second, "residual": fit.residual}
                words = {column: f"{value:.4g}" for column, value in numbers.items()}
                rows.append({"table": name, "cells": cells, "x": LAWS[name].name, "form": fit.form, **words})
    return Table("laws", ["table", "cells", "x", "form"], rows)


def fits(law: Law, x: Array, y: Array) -> tuple[Fit, ...]:
    """The forms fitted to y (n,) at x (n,); none for fewer than three points."""
    is_fitted = x <= law.largest
    x, y = x[is_fitted], y[is_fitted]
    return tuple(fit(x, y) for fit in law.forms) if len(x) > 2 else ()
