"""The table of a sweep with one row per job, for `sweep.csv` and for the console."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from xornet.engine.scores import percent
from xornet.runs.record import Run

OUTCOME = ("loss", "solved", "solved_epoch")
RESULT_COLUMNS = ("loss", "solved", "solved_low", "solved_high", "solved_epoch", "epochs", "seconds", "status")


def write_csv(jobs: list[Run], keys: Sequence[str], path: Path) -> None:
    """Write one row per job."""
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["job", *keys, *RESULT_COLUMNS, "directory", "cause"])
        for job in jobs:
            values = [job.overrides.get(key) for key in keys]
            low, high = job.result("solved_interval") or (None, None)
            results = [job.result("loss"), job.result("solved"), low, high]
            results += [job.result(name) for name in ("solved_epoch", "epochs", "seconds")]
            rows.writerow([job.number, *values, *results, job.status, job.folder.name, job.cause])


def table(jobs: list[Run], keys: Sequence[str]) -> list[list[str]]:
    """The rows of the table for the console; the first is the heading."""
    rows = [["job", *keys, *OUTCOME, "seconds", "status"]]
    for job in jobs:
        values = [job.overrides.get(key, "") for key in keys]
        rows.append([str(job.number), *values, *outcome(job), cell(job.result("seconds"), ".1f"), job.status])
    return rows


def outcome(job: Run) -> list[str]:
    """The cells of the columns OUTCOME, empty for a job that has not finished."""
    return [loss_words(job), solved_words(job), cell(job.result("solved_epoch"), ",.0f")]


def cell(value: Any, form: str) -> str:
    """The value, formatted; empty for None."""
    return "" if value is None else format(value, form)


def loss_words(job: Run) -> str:
    """The loss as the sheet prints it, if that shows enough digits."""
    loss = job.result("loss")
    return "" if loss is None else f"{loss:.4f}" if loss >= 0.001 else f"{loss:.1e}"


def solved_words(job: Run) -> str:
    """`yes` or `no` for one network; for many the share with its 95% interval."""
    if not job.metrics:
        return ""
    if "solved_interval" not in job.metrics:
        return "yes" if job.metrics["solved"] else "no"
    share, low, high = job.share_solved
    return f"{percent(share)} ({low:.1%} to {high:.1%})"


def align(rows: list[list[str]]) -> list[str]:
    """The rows as lines with columns of equal width, right-aligned."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
