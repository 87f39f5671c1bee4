"""The jobs of a sweep that have not started."""

from pathlib import Path

from hydra.errors import HydraException

from xornet.cli.planned import parse, product
from xornet.runs.differing import distinguishing
from xornet.runs.directory import read_sweep
from xornet.runs.record import read_jobs
from xornet.runs.settings import read_lines
from xornet.sweeps.naming import identity


def unstarted(folder: Path, and_interrupted: bool = False) -> int:
    """The number of jobs of the last command of a sweep that have no directory yet; 0 for a search.

    With `and_interrupted`, those that were interrupted are counted too.
    """
    command = read_sweep(folder)
    if "BasicSweeper" not in str(command.get("hydra", {}).get("sweeper", {}).get("_target_")):
        return 0
    try:
        parsed = parse(command["hydra"])
        planned = product(parsed.values())
    except HydraException:  # `glob(*)` needs the files of conf/
        return 0
    jobs = read_jobs(folder)
    swept = {key for key, override in parsed.items() if override.is_sweep_override()} | {*distinguishing(jobs)}
    constant = {*parsed, *(key for job in jobs for key in job.overrides)} - swept
    done = [job for job in jobs if not (and_interrupted and job.status == "interrupted")]
    return len(
        {identity(job, constant) for job in planned} - {identity(read_lines(job.folder), constant) for job in done}
    )
