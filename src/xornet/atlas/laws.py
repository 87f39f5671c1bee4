"""What follows from the tables of the claims: fitted laws, and networks that a larger learning rate frees."""

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xornet.atlas.fits import Fit, fit_logarithm, fit_power
from xornet.atlas.table import Table, number
from xornet.plots.render import Array
from xornet.runs.record import Run, read_jobs
from xornet.sweeps.naming import plain


@dataclass
class Law:
    """What the solving epochs of a table are fitted against."""

    key: str  # the column
    name: str  # what it is called, or its reciprocal
    is_reciprocal: bool = False
    largest: float = np.inf  # the last x that is fitted; later ones show how the law goes on


LAWS = {
    "width_law": Law("model.hidden", "hidden units", largest=32),  # the range of the source
    "saddle_escape": Law("model.init", "1/r", is_reciprocal=True),
    "parity_bits": Law("data.bits", "bits"),
}


def points(table: Table) -> Iterator[tuple[str, Array, Array]]:
    """Yield what distinguishes a curve, its x and its median solving epochs, where at least half of it is solved.

    Of several learning rates the best counts: the one with the largest share solved, then the fewest epochs.
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
    """The smaller, the better."""
    return -number(row["solved"]), number(row["solved_epoch"])


def laws(tables: Mapping[str, Table]) -> Table:
    """The table of both forms, fitted to every curve with at least three points."""
    rows = []
    for name in sorted(LAWS.keys() & tables.keys()):
        for cells, x, y in points(tables[name]):
            for fit in fits(LAWS[name], x, y):
                rows.append({"table": name, "cells": cells, "x": LAWS[name].name, **written(fit)})
    return Table("laws", ["table", "cells", "x", "form"], rows)


def fits(law: Law, x: Array, y: Array) -> tuple[Fit, ...]:
    """Both forms, fitted to y (n,) at x (n,); none to fewer than three points."""
    is_fitted = x <= law.largest
    x, y = x[is_fitted], y[is_fitted]
    return (fit_logarithm(x, y), fit_power(x, y)) if len(x) > 2 else ()


def written(fit: Fit) -> dict[str, str]:
    """The columns of a fit."""
    numbers = {"first": fit.first, "second": fit.second, "residual": fit.residual}
    return {"form": fit.form, **{name: f"{value:.4g}" for name, value in numbers.items()}}


def escapes(sweep: Path) -> Table:
    """Count how many of the networks that never solve the table at the smallest learning rate a larger one frees.

    Args:
        sweep: the directory of a sweep over `optimizer.lr`, all of whose jobs start from the same networks.

    Returns:
        a row a job: `stuck`, how many never solve the table at the smallest rate, and `freed`, how many of these here.

    """
    jobs = [job for job in read_jobs(sweep) if job.metrics]
    groups: dict[tuple[str, ...], list[Run]] = {}
    keys = ["optimizer.momentum", "model.init"]
    for job in jobs:
        groups.setdefault(tuple(plain(job.overrides[key]) for key in keys), []).append(job)
    rows = []
    for group, members in groups.items():
        by_rate = sorted(members, key=lambda job: float(job.overrides["optimizer.lr"]))
        stuck = ~ever_solved(by_rate[0])
        for job in by_rate[1:]:
            counts = {"stuck": str(stuck.sum()), "freed": str((stuck & ever_solved(job)).sum())}
            rows.append(
                {**dict(zip(keys, group, strict=True)), "optimizer.lr": job.overrides["optimizer.lr"], **counts}
            )
    return Table("escapes", [*keys, "optimizer.lr"], rows)


def ever_solved(job: Run) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Whether each network of a job has ever solved the table, (N,)."""
    with (job.folder / "networks.csv").open(encoding="utf-8", newline="") as file:
        return np.array([row["solved_epoch"] != "" for row in csv.DictReader(file)])
