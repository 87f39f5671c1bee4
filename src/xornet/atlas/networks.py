"""The unsolved networks of sweeps, read from the directories of jobs and followed from job to job."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from xornet.plots.render import Array
from xornet.runs.record import Run, read_jobs


@dataclass
class Followed:
    """The same N networks at E epochs, from the E jobs of a sweep over `trainer.max_epochs`.

    Args:
        epochs: (E,), ascending.
        places: (E, N), the plateau of each network (engine/plateaus.py), empty if it is solved.
        losses: (E, N)

    """

    epochs: Array
    places: "np.ndarray[tuple[int, int], np.dtype[np.str_]]"
    losses: Array

    def excess(self, place: str) -> Array:
        """The loss above the plateau, (E, M), of the M networks that stand near `place` (`1/8`) at all E epochs."""
        stay = (self.places == place).all(0)
        return self.losses[:, stay] - float(Fraction(place))

    def exponents(self, place: str) -> Array:
        """The α of loss - limit ~ epochs^-α between neighbouring epochs, (E - 1, M); nan if loss < limit.

        α = -log((L_2 - L) / (L_1 - L)) / log(t_2 / t_1)
        """
        excess = self.excess(place)
        with np.errstate(invalid="ignore", divide="ignore"):
            return -np.diff(np.log(excess), axis=0) / np.diff(np.log(self.epochs))[:, None]


def follow(sweep: Path) -> Followed:
    """Read a sweep over `trainer.max_epochs`; ValueError if its jobs did not train the same networks."""
    jobs = sorted(finished(sweep), key=lambda job: int(job.result("epochs")))
    tables = [networks(job) for job in jobs]
    if len({tuple(row["seed"] for row in table) for table in tables}) > 1:
        raise ValueError(f"the jobs of {sweep} trained different networks; use a sweep over trainer.max_epochs alone")
    return Followed(
        epochs=np.array([job.result("epochs") for job in jobs], dtype=float),
        places=np.array([[row["plateau"] for row in table] for table in tables]),
        losses=np.array([[float(row["loss"]) for row in table] for table in tables]),
    )


def shares(sweep: Path, key: str) -> tuple[list[str], dict[str, Array]]:
    """Read on which plateaus the networks of a sweep over `key` stand.

    Returns:
        the value of the key in each of J jobs; and for each place the share of networks, (J,), `solved` first.

    """
    jobs = finished(sweep)
    counts = [job.result("plateaus") for job in jobs]
    sizes = np.array([job.result("networks") for job in jobs], dtype=float)
    ever = sizes - [job.result("unsolved") for job in jobs]
    places = dict.fromkeys(place for each in counts for place in each)
    of_place = {place: np.array([each.get(place, 0) for each in counts]) / sizes for place in places}
    return [job.overrides.get(key, "") for job in jobs], {"solved": ever / sizes, **of_place}


def finished(sweep: Path) -> Sequence[Run]:
    """The finished jobs of a sweep of ensembles; ValueError if there are none."""
    jobs = [job for job in read_jobs(sweep) if job.result("plateaus") is not None]
    if not jobs:
        raise ValueError(f"{sweep} holds no finished job of many networks; use the directory of such a sweep")
    return jobs


def networks(job: Run) -> list[dict[str, str]]:
    """The rows of a job's networks.csv."""
    with (job.folder / "networks.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def unsolved(job: Run) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Whether each network of a job has never solved the table, (N,)."""
    return np.array([row["solved_epoch"] == "" for row in networks(job)])
