"""The summary of a sweep: `sweep.csv`, a table on the console, `sweep.png`, and its own run in TensorBoard."""

import logging
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from torch.utils.tensorboard import SummaryWriter

from xornet import files
from xornet.cli.overrides import override
from xornet.plots.render import drawn, write_png
from xornet.plots.sweep import Outcomes, sweep_picture
from xornet.plots.swept import Axis
from xornet.runs.events import EVENTS
from xornet.runs.record import Run, read_jobs
from xornet.sweeps.command import unstarted
from xornet.sweeps.table import align, loss_words, solved_words, table, write_csv

SUFFIX = ".sweep"  # of the event files of the sweep itself

STILL_RUN = "Jobs that the launcher has started may still run: cancel them, or wait until they have ended."

log = logging.getLogger(__name__)


def write(
    folder: Path, keys: Sequence[str], start: float = 0, is_elsewhere: bool = False, is_stored: bool = False
) -> list[str]:
    """Write the summary of the sweep in `folder`, on disk and on the console.

    Args:
        folder: the sweep's directory.
        keys: what was swept.
        start: failures before this time, in the time of the file system, are of an earlier command.
        is_elsewhere: whether jobs run in processes that outlive this command, as on a cluster.
        is_stored: whether it is a search with a storage, which the same command extends by more trials.

    Returns:
        a line for each job that failed.

    """
    jobs = read_jobs(folder, and_refused=True)
    if not jobs:
        if is_elsewhere and unstarted(folder):
            print(STILL_RUN)
        return []
    files.write(folder / "sweep.csv", partial(write_csv, jobs, keys))
    cells = table(jobs, keys)
    print("\n".join(align(cells)))
    if answer := best(jobs, keys):
        print(answer)
    try:
        draw(folder, [job for job in jobs if job.metrics or job.curve], keys, cells)
    except Exception as error:  # a failed picture must not hide failed jobs
        log.warning("no sweep.png: %s", " ".join(str(error).split()))
    print(f"Summary: {folder}/sweep.csv" + ", sweep.png" * (folder / "sweep.png").exists())
    interrupted = [job for job in jobs if job.status == "interrupted"]
    if interrupted and is_elsewhere:
        print(STILL_RUN)
    if is_stored:
        if any(job.begun >= start for job in interrupted):
            print(f"The same command with {override('hydra.sweep.dir', folder)} adds trials; none is resumed.")
    elif unstarted(folder, and_interrupted=True) or any(job.begun >= start for job in interrupted):
        print(f"To continue, give the same command with {override('hydra.sweep.dir', folder)}")
    elif interrupted:
        names, where = ", ".join(job.folder.name for job in interrupted), override("hydra.sweep.dir", folder)
        print(f"This command does not continue {names}; give the command that it was started by with {where}")
    every = [job for job in jobs if job.cause]
    failed = [job for job in every if job.failed_at is None or job.failed_at >= start]
    lines = [f"error: {job.folder.name} {job.status}: {job.cause}" for job in failed]
    said = f"{len(every)} of {len(jobs)} jobs failed"
    said += f", {len(failed)} of them in this command" * (len(failed) < len(every))
    return [*lines, f"error: {said}"] if failed else []


def draw(folder: Path, jobs: list[Run], keys: Sequence[str], cells: list[list[str]]) -> None:
    """Draw the jobs that have results or curves, and write the sweep's own run `.` in TensorBoard."""
    for old in folder.glob(f"{EVENTS}*{SUFFIX}"):  # of an earlier part of this sweep
        old.unlink()
    heading, *rows = (f"| {' | '.join(row)} |" for row in cells)
    with SummaryWriter(str(folder), filename_suffix=SUFFIX) as writer:
        writer.add_text("sweep", "\n".join([heading, "|---" * len(cells[0]) + "|", *rows]))
        if jobs:
            swept = [Axis(key, [job.overrides.get(key, "default") for job in jobs]) for key in keys]
            losses = [np.nan if job.result("loss") is None else float(job.result("loss")) for job in jobs]
            many = any("solved_interval" in (job.metrics or {}) for job in jobs)
            outcomes = Outcomes(np.array(losses), np.array([job.share_solved for job in jobs]), many)
            picture = drawn(sweep_picture([job.curve for job in jobs], swept, outcomes))
            files.write(folder / "sweep.png", partial(write_png, picture))
            writer.add_image("sweep", np.asarray(picture), dataformats="HWC")


def best(jobs: list[Run], keys: Sequence[str]) -> str | None:
    """The best job of the sweep in words: with the lowest loss, or with the largest share solved.

    If a job has many networks, all jobs are compared by the share.
    """
    finished = [job for job in jobs if job.metrics]
    if not finished:
        return None
    lowest = min(finished, key=lambda job: float(job.result("loss")))
    lowest_loss = f"Lowest loss: {loss_words(lowest)} with {lowest.label(keys) or lowest.folder.name}"
    if all(job.result("solved_interval") is None for job in finished):
        return lowest_loss
    if all(job.share_solved[0] == 0 for job in finished):
        return f"No network solves the table. {lowest_loss}"

    def rank(job: Run) -> tuple[float, float, float]:
        solved_epoch = job.result("solved_epoch")
        return -job.share_solved[0], math.inf if solved_epoch is None else solved_epoch, job.result("loss")

    job = min(finished, key=rank)
    when = job.result("solved_epoch")
    at = "" if when is None else f", at epoch {when:,.0f} in the median"
    return f"Solved most often, then soonest: {solved_words(job)}{at}, with {job.label(keys) or job.folder.name}"
