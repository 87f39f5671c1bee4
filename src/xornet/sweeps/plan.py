"""Checks of the jobs of a sweep before anything is written.

A sweep that is refused, by a ValueError, leaves its directory as it was.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from xornet.cli import configuration
from xornet.cli.overrides import GLOBAL, NODES, chosen
from xornet.cli.paths import places_of_job
from xornet.runs.differing import distinguishing
from xornet.runs.directory import is_begun
from xornet.runs.record import Run
from xornet.runs.settings import flatten, key_of, read_lines
from xornet.sweeps.job import REMEDY, check_same_job, differences

KEYS = (*NODES, "question", "seed", "networks", "ckpt_path")
Compose = Callable[[Sequence[str]], DictConfig]


def check_earlier(
    folder: Path, earlier: list[Run], keys: Sequence[str], jobs: Sequence[Sequence[str]], compose: Compose
) -> None:
    """Refuse a directory that holds another sweep.

    Args:
        folder: the directory.
        earlier: the jobs that it holds.
        keys: what is swept.
        jobs: the overrides of each job of this command.
        compose: composes a job from its overrides.

    """
    names = {job.number: job.folder.name for job in earlier}
    if double := next((job for job in earlier if names[job.number] != job.folder.name), None):
        both = f"{double.folder.name} and {names[double.number]}"
        raise ValueError(f"{folder} holds job {double.number} twice, as {both}; move one of them out of it")
    kept = {key for job in earlier if is_begun(job.folder) for key in job.overrides}  # failed jobs may stay
    theirs = [key for key in distinguishing(earlier) if key in kept]
    for job in earlier:
        if not (set(keys) <= job.overrides.keys() and set(theirs) <= set(keys)):
            over, ours = (", ".join(names) or "nothing" for names in (theirs or job.overrides, keys))
            raise ValueError(f"{folder} holds a sweep over {over}, but this one is over {ours}; {REMEDY}")
    if begun := next((job.folder for job in earlier if is_begun(job.folder)), None):  # the others shared its settings
        values, shared = split(read_lines(begun), keys)
        remedy = REMEDY if keys else f"{REMEDY}, or one list of the old value and the new, which adds a job"
        check_same_job(begun, without_hydra(compose([*split(jobs[0], keys)[1], *values])), remedy)
        for planned in jobs:
            swept, fixed = split(planned, keys)
            if sorted(fixed) == sorted(shared):
                return
            before, now = (flatten(without_hydra(compose(part))) for part in ([*shared, *swept], planned))
            for key, was, new in differences(before, now):
                said = f"in {folder} {' '.join(swept)} means {key}={was}, but this sweep has {key}={new}"
                raise ValueError(f"{said}; {REMEDY}")


def split(lines: Sequence[str], keys: Sequence[str]) -> tuple[list[str], list[str]]:
    """The overrides of these keys, and the others."""
    return [line for line in lines if key_of(line) in keys], [line for line in lines if key_of(line) not in keys]


def check_jobs(jobs: Sequence[Sequence[str]], folder: Path, compose: Compose, keys: Sequence[str]) -> None:
    """Compose every job; refuse ignored settings, paths that two jobs would write, and errors that all jobs have.

    Args:
        jobs: the overrides of each.
        folder: the directory of the sweep.
        compose: composes a job from its overrides.
        keys: what is swept, or searched; the jobs of a search are composed without its values.

    """
    writers: dict[Path | str, int] = {}
    refusals: list[Exception] = []
    for number, overrides in enumerate(jobs):
        cfg = compose(overrides)
        check_keys(cfg)
        configuration.check(without_hydra(cfg), is_complete=False)
        configuration.check_networks(cfg)
        if len(refusals) == number and (refused := configuration.refusal(cfg)):  # like all jobs before it
            refusals.append(refused)
        own = {*keys, *map(key_of, overrides)}
        if ignored := [str(key) for key in cfg.hydra.sweeper.get("params") or {} if key not in own]:
            raise ValueError(
                f"{chosen(cfg.hydra.runtime.choices)} is itself a sweep, over {', '.join(ignored)}; use it alone"
            )
        for key, path in places_of_job(cfg, number, folder):
            if key == "trainer.default_root_dir" and path != folder.resolve() / str(number):
                raise ValueError(f"{key}={path} is not the directory of each job; use hydra.sweep.dir={path}")
            if writers.setdefault(path, number) != number:
                of_path = "use ${hydra:runtime.output_dir}, the directory of each job, in it"
                remedy = of_path if isinstance(path, Path) else "drop it, so that each job begins a run"
                raise ValueError(f"{key}={path} would be written by jobs {writers[path]} and {number}; {remedy}")
    if len(refusals) == len(jobs):  # else each such job fails alone
        raise refusals[0]


def without_hydra(cfg: DictConfig) -> DictConfig:
    """The composed configuration without its part `hydra`, as a run gets it."""
    return OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"])


def check_keys(cfg: DictConfig) -> None:
    """Refuse a configuration with keys that nothing reads, as an experiment file may have by mistake."""
    hydra: Any = OmegaConf.to_container(cfg.hydra, resolve=False)
    is_named = str(subdir := hydra["sweep"]["subdir"]).startswith("${job_name:")
    is_given = any(key_of(override) == "hydra.sweep.subdir" for override in hydra["overrides"]["hydra"])
    if not is_named and (is_given or cfg.hydra.mode == RunMode.MULTIRUN):
        said = f"hydra.sweep.subdir={subdir} is not allowed: jobs are named after what is swept"
        raise ValueError(f"{said}; drop it, or use that of conf/train.yaml in a file of your own")
    for group in (group for group in GLOBAL if group in cfg):
        choice = f"{group}={cfg.hydra.runtime.choices[group]}"
        raise ValueError(f"{choice} sets nothing; use # @package _global_ as the first line of its file")
    given = {key_of(override) for override in hydra["overrides"]["task"]}
    text, whole = OmegaConf.to_yaml(cfg), OmegaConf.to_container(cfg, resolve=False)
    for key, value in cast("dict[str, Any]", whole).items():
        is_note = key in given and not isinstance(value, dict)
        is_used = re.search(rf"\${{(\s*\.+|[^}}]*(?<![\w.])){re.escape(key)}\b", text)
        if not (key in (*KEYS, "hydra") or is_note or is_used):
            is_given = key in (override.partition(".")[0] for override in given)
            files = "" if is_given else f"{chosen(cfg.hydra.runtime.choices)}: ".removeprefix(": ")
            raise ValueError(f"{files}{key} is no key of the configuration; use one of {', '.join(KEYS)}")
