"""The keys of their command lines in which runs differ."""

from pathlib import Path

from xornet.runs.record import Run
from xornet.runs.settings import read_config


def distinguishing(jobs: list[Run]) -> list[str]:
    """Return the keys in which the jobs of a sweep differ.

    A key that only some jobs set counts only if it changes the configuration: the value that one job sets may be the
    default of the other.
    """
    keys = differing(jobs)
    named = [key for key in keys if all(key in job.overrides for job in jobs)]
    rest = [key for key in keys if key not in named]
    alike: dict[tuple[str, ...], list[Path]] = {}
    for job in jobs if rest else ():
        alike.setdefault(tuple(job.overrides[key] for key in named), []).append(job.folder)
    return named + [
        key for key in rest if any(len({effect(one, key) for one in each} - {None}) > 1 for each in alike.values())
    ]


def effect(folder: Path, key: str) -> str | None:
    """The configuration of a run at a key and below, with 0 and 0.0 equal; None if it cannot be read."""
    try:
        config = read_config(folder).items()
    except ValueError:
        return None
    found = {name: value for name, value in config if f"{name}.".startswith(f"{key}.")}
    return repr({name: float(value) if type(value) is int else value for name, value in found.items()})


def differing(jobs: list[Run]) -> list[str]:
    """Return the keys whose values differ between the jobs."""
    keys = list(dict.fromkeys(key for job in jobs for key in job.overrides))
    return [key for key in keys if len({job.overrides.get(key) for job in jobs}) > 1]
