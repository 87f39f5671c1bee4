"""The jobs that the command of a sweep asks for."""

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException

from xornet.runs.differing import distinguishing
from xornet.runs.directory import read_sweep
from xornet.runs.record import read_jobs
from xornet.runs.settings import read_lines
from xornet.sweeps.naming import identity


def parse(hydra: dict[str, Any]) -> dict[str, Override]:
    """The overrides of a sweep by key, those of its experiment file first."""
    given = [f"{key}={value}" for key, value in (hydra["sweeper"].get("params") or {}).items()]
    loader = GlobalHydra.instance().config_loader() if GlobalHydra.instance().is_initialized() else None
    parsed = OverridesParser.create(loader).parse_overrides([*given, *hydra["overrides"]["task"]])
    return {override.key_or_group: override for override in parsed}


def product(overrides: Iterable[Override]) -> list[list[str]]:
    """Return the overrides of each job, in the order in which Hydra's own sweeper runs them."""
    values: list[list[str]] = []
    for override in overrides:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            raise ValueError(f"{override.input_line} is an interval; use a list of values, or hydra/sweeper=optuna")
        values.append(list(written(override)))
        if not values[-1]:
            raise ValueError(f"{override.input_line} names no value; use a list of values")
    return [list(job) for job in itertools.product(*values)]


def written(override: Override) -> Iterator[str]:
    """Yield an override once for each of its values, as on a command line."""
    key = override.get_key_element()
    if override.is_sweep_override():
        yield from (f"{key}={value}" for value in override.sweep_string_iterator())
    else:
        yield f"{key}={override.get_value_element_as_str()}"


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
