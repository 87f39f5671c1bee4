"""The table of a sweep: a row a job, in `sweep.csv` and on the console."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xornet.runs.record import Run

RESULTS = ("loss", "solved", "solved_low", "solved_high", "solved_epoch", "epochs", "seconds", "status", "directory")
OUTCOME = ("loss", "solved", "solved_epoch")


def write_csv(jobs: list[Run], keys: Sequence[str], path: Path) -> None:
    """Write one row a job."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["job", *keys, *RESULTS, "cause"])
        for job in jobs:
            values = [job.overrides.get(key) for key in keys]
            low, high = job.result("solved_interval") or (None, None)
            results = [job.result("loss"), job.result("solved"), low, high]
            results += [job.result(name) for name in ("solved_epoch", "epochs", "seconds")]
            rows.writerow([job.number, *values, *results, job.status, job.folder.name, job.cause])


def table(jobs: list[Run], keys: Sequence[str]) -> list[list[str]]:
    """The rows of the console's table, the first its heading."""
    rows = [["job", *keys, *OUTCOME, "seconds", "status"]]
    for job in jobs:
        values = [job.overrides.get(key, "") for key in keys]
        rows.append([str(job.number), *values, *outcome(job), cell(job.result("seconds"), ".1f"), job.status])
    return rows


def outcome(job: Run) -> list[str]:
    """The cells under OUTCOME, empty where a job has not got so far."""
    return [loss_words(job), solved_words(job), cell(job.result("solved_epoch"), ",.0f")]


def cell(value: Any, form: str) -> str:
    """The value, or nothing."""
    return "" if value is None else format(value, form)


def loss_words(job: Run) -> str:
    """The loss as the sheet prints it, where that shows anything of it."""
    loss = job.result("loss")
    return "" if loss is None else f"{loss:.4f}" if loss >= 0.001 else f"{loss:.1e}"


def solved_words(job: Run) -> str:
    """`yes` or `no` for one network; the share of many with its 95% interval."""
    if not job.metrics:
        return ""
    if "solved_interval" not in job.metrics:
        return "yes" if job.metrics["solved"] else "no"
    share, low, high = job.share_solved
    return f"{share:.1%} ({low:.1%} to {high:.1%})"


def align(rows: list[list[str]]) -> list[str]:
    """Lines of equally wide columns, right-aligned but for the last."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
