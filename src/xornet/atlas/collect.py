"""The table of a sweep, collected from the directories of its jobs; it may extend a stored table."""

from pathlib import Path

from xornet.atlas.table import RESULTS, SIZES, Table, merged
from xornet.cli.hydra_run import CONF
from xornet.runs.differing import distinguishing
from xornet.runs.record import Run, read_jobs
from xornet.runs.settings import key_of


def from_sweep(folder: Path, stored: Table | None = None) -> tuple[Table, list[Run], bool]:
    """Return the table of a sweep, sorted by its values, and the jobs that have not finished.

    The third result says whether all jobs have finished, and no cell comes from the stored table alone.

    Args:
        folder: the directory of the sweep.
        stored: a table to extend; its cells that the sweep does not have are kept.

    Raises:
        ValueError: the sweep is of single networks; or its keys, its numbers of networks or epochs, or other settings
            differ from the stored table.

    """
    jobs = read_jobs(folder)
    if stored and not stored.is_swept:
        raise ValueError(f"{folder} has the name of a table that is made of others; move it away")
    swept = distinguishing(jobs)
    if "networks" in swept:
        raise ValueError(f"{folder} is a sweep over networks, whose results have different errors; move it away")
    by_all = {key for key in jobs[0].overrides if all(key in job.overrides for job in jobs)} if jobs else set()
    constant = {f"{key}={jobs[0].overrides[key]}" for key in by_all - {*swept, *SIZES}}
    constant -= {f"experiment={folder.name}", "callbacks=null", "logger=null"}  # these come from ~callbacks, ~logger
    is_experiment = (CONF / "experiment" / f"{folder.name}.yaml").exists()
    if is_experiment and any(job.overrides.get("experiment") != folder.name for job in jobs):
        raise ValueError(f"{folder} is no sweep of experiment={folder.name}; use that, or another hydra.sweep.dir")
    known = swept + sorted(key_of(one) for one in constant)  # in a new table, each is a column
    keys = stored.keys if stored else known
    for job in (job for job in jobs if job.metrics and job.result("solved_interval") is None):
        raise ValueError(f"{job.folder} trained one network, which has no share of solved ones; move {folder} away")
    rows = [{**{key: job.overrides.get(key, "") for key in keys}, **results(job)} for job in jobs if job.metrics]
    if stored:
        sizes = {(row["networks"], row["epochs"]) for row in stored.rows}
        fit = all(row[key] for row in rows for key in keys) and set(swept) <= set(keys)
        others = [one for one in sorted(constant) if key_of(one) not in keys]
        if others or not fit or any((row["networks"], row["epochs"]) not in sizes for row in rows):
            raise ValueError(
                f"{folder}{''.join(f' has {one} and' for one in others[:1])} does not extend docs/atlas/"
                f"{stored.name}.csv, which has {', '.join(keys)} as its keys and its own numbers of networks and "
                "epochs; move one of the two away, or use another hydra.sweep.dir"
            )
    table, unfinished = merged(Table(folder.name, keys, rows), stored), [job for job in jobs if job.metrics is None]
    return table, unfinished, not unfinished and len(table.rows) == len(rows)


def results(job: Run) -> dict[str, str]:
    """The columns RESULTS of a finished job: shares with 4 digits, losses with 4 significant ones."""
    low, high = job.result("solved_interval")
    first, third = job.result("solved_epoch_quartiles") or (None, None)
    shares = [f"{share:.4f}" for share in (job.result("solved"), low, high)]
    times = ["" if epoch is None else f"{epoch:.8g}" for epoch in (job.result("solved_epoch"), first, third)]
    networks, total, unsolved, diverged = map(job.result, ("networks", "epochs", "unsolved", "diverged"))
    cells = [networks, total, *shares, *times, unsolved, diverged, f"{job.result('loss'):.4g}"]
    return dict(zip(RESULTS, map(str, cells), strict=True))
