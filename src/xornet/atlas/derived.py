"""Tables that are computed from the single networks of sweeps: escapes, places, exponents."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from xornet.atlas.networks import Followed, follow, shares, unsolved
from xornet.atlas.table import Table
from xornet.runs.record import Run, read_jobs
from xornet.sweeps.naming import normalized

PLATEAUS = ("1/8", "1/6")  # on which networks stay


def escapes(sweep: Path) -> Table:
    """Count the networks that never solve the table at the smallest learning rate, but do at a larger one.

    Args:
        sweep: the directory of a sweep over `optimizer.lr`, all of whose jobs start from the same networks.

    Returns:
        one row per job: `stuck`, the networks that never solve the table at the smallest rate, and `freed`, how many of
        these do here.

    """
    jobs = [job for job in read_jobs(sweep) if job.metrics]
    groups: dict[tuple[str, ...], list[Run]] = {}
    keys = ["optimizer.momentum", "model.init"]
    for job in jobs:
        groups.setdefault(tuple(normalized(job.overrides[key]) for key in keys), []).append(job)
    rows = []
    for group, members in groups.items():
        by_rate = sorted(members, key=lambda job: float(job.overrides["optimizer.lr"]))
        stuck = unsolved(by_rate[0])
        for job in by_rate[1:]:
            cell = dict(zip(keys, group, strict=True)) | {"optimizer.lr": job.overrides["optimizer.lr"]}
            rows.append(cell | {"stuck": str(stuck.sum()), "freed": str((stuck & ~unsolved(job)).sum())})
    return Table("escapes", [*keys, "optimizer.lr"], rows)


def place_table(sweep: Path) -> Table:
    """A row for each initial range and plateau: the share of networks that never solve the table and stand there."""
    ranges, found = shares(sweep, "model.init")
    rows = [
        {"model.init": value, "place": place, "share": f"{found[place][k]:.4f}"}
        for place in list(found)[1:]
        for k, value in enumerate(ranges)
    ]
    return Table("places", ["model.init", "place"], rows)


def exponent_table(followed: Followed) -> Table:
    """A row for each plateau and time interval: the α of the loss above it, over the networks that stay."""
    rows = []
    for place in PLATEAUS:
        alphas = followed.exponents(place)
        for k, alpha in enumerate(alphas):
            quantiles = np.quantile(alpha, (0.05, 0.5, 0.95)) if alpha.size else ()
            low, middle, high = [f"{value:.3f}" for value in quantiles] or ["", "", ""]
            cell = {"place": place, "from": f"{followed.epochs[k]:.0f}", "to": f"{followed.epochs[k + 1]:.0f}"}
            rows.append(cell | {"stay": f"{alpha.size}", "exponent": middle, "exponent_q05": low, "exponent_q95": high})
    return Table("exponents", ["place", "from", "to"], rows)


def derived(tables: Mapping[str, Table], sweeps: Path) -> Iterator[Table]:
    """Yield the tables for those sweeps that are there."""
    if "local_minima" in tables:
        yield escapes(sweeps / "local_minima")
    if "plateaus_by_init" in tables:
        yield place_table(sweeps / "plateaus_by_init")
    if "plateaus" in tables:
        yield exponent_table(follow(sweeps / "plateaus"))
