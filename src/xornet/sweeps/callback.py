"""Sweeps: checked before anything runs, named after what is swept, and summed up however they end.

Hydra composes and launches the jobs, here or in other processes, so everything that they must know of each other
stands in the sweep's directory.
"""

import copy
import functools
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf, open_dict

from xornet.cli import errors, hydra_setup, streams
from xornet.runs.directory import check_holder, expect
from xornet.runs.record import differing, read_jobs
from xornet.sweeps import summary
from xornet.sweeps.naming import earlier_jobs, identity
from xornet.sweeps.plan import check_earlier, check_jobs, check_keys, composer, product, written

# here, for the processes of every launcher, which import this module
hydra_setup.register()
streams.make_usable(ends=False)  # nothing more to do where train.py has


@dataclass
class Running:
    """A sweep that this process is running.

    Args:
        folder: its directory.
        keys: what is swept.
        start: when it began, in seconds of time.time().

    """

    folder: Path
    keys: list[str]
    start: float


running: list[Running] = []


def ends_the_command(method: Callable[..., None]) -> Callable[..., None]:
    """Have an error of a Hydra callback end the command: Hydra itself would turn it into a warning and go on."""

    @functools.wraps(method)
    def checked(*args: Any, **kwargs: Any) -> None:
        try:
            method(*args, **kwargs)
        except Exception as error:
            disk = errors.DISK.replace("run.dir", "sweep.dir") if "multirun" in method.__name__ else errors.DISK
            print(f"error: {errors.report(error, sys.argv[1:], disk)}", file=sys.stderr)
            sys.exit(1)

    return checked


class DirectoryCallback(Callback):
    """Hydra's callback: a directory that holds something else is refused, and a new one goes again with its command."""

    @ends_the_command
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Note whether the directory is new."""
        expect(Path(config.hydra.run.dir).absolute())

    @ends_the_command
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Check the directory, into which Hydra writes before the first job begins."""
        check_holder(Path(config.hydra.sweep.dir), "a sweep of evaluations")


class SweepCallback(DirectoryCallback):
    """Hydra's callback for training: checks a sweep, names its jobs, and has `summed_up` know that it runs."""

    @ends_the_command
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse a single run in which something would be ignored."""
        check_keys(config)
        if params := config.hydra.sweeper.get("params"):
            raise ValueError(f"hydra.sweeper.params ({', '.join(params)}) is a sweep, but this is one run; add -m")
        super().on_run_start(config)

    @ends_the_command
    def on_multirun_start(self, config: DictConfig, config_name: str | None = None, **kwargs: Any) -> None:
        """Check all jobs before the first; leave what is not swept out of their names, and note the sweep."""
        folder = Path(config.hydra.sweep.dir)
        check_holder(folder, "a sweep")
        earlier, parsed = read_jobs(folder), parse(config)
        swept = [key for key, override in parsed.items() if override.is_sweep_override()]
        # A further value of what an earlier part has swept, given alone, is one more job.
        keys = swept + [key for key in differing(earlier) if key in parsed and key not in swept]
        is_plain = "hydra._internal" in config.hydra.sweeper._target_  # the others choose their jobs as they go
        if is_plain and "hydra._internal" in config.hydra.launcher._target_:  # others compose elsewhere
            loader: Any = GlobalHydra.instance().config_loader()  # Any: Hydra has no setting for what follows
            compose_once(loader)
            read_once(loader.repository)
        networks = parsed["networks"].input_line if "networks" in swept else None
        if not is_plain and networks and re.search(r"(?<![\d.])1(?![\d.])", networks):
            raise ValueError(f"{networks}: a search judges one network by its loss, many by the share; use 2 and more")
        compose = composer(config, config_name)
        fixed = [text for key, override in parsed.items() if key not in keys for text in written(override)]
        check_earlier(folder, earlier, keys, fixed, compose)
        jobs = product(parsed.values()) if is_plain else [fixed, fixed]
        check_jobs(jobs, folder, compose)

        constant = [key for key in parsed if key not in keys]
        taken = 1 + max((job.number for job in earlier), default=-1)
        known = earlier_jobs(str(folder), taken, tuple(constant))
        fresh = [number for number, job in enumerate(jobs) if identity(job, constant) not in known]
        if any(getattr(override.value(), "shuffle", False) for override in parsed.values()):
            known = {}  # Hydra will draw another order
        raw: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
        subdir = raw["subdir"].replace(",0,null}", f",{taken},{fresh if is_plain and known else 'null'}}}")
        with open_dict(config):
            config.hydra.overrides.hydra += [
                f"hydra.job.config.override_dirname.exclude_keys=[{','.join(map(repr, constant))}]",
                f"hydra.sweep.subdir='{subdir}'",
            ]
        if "max_failure_rate" in config.hydra.sweeper:  # Optuna's
            config.hydra.sweeper.max_failure_rate = 1.0  # a failed job ends no sweep (see targets.py)
            folder.mkdir(parents=True, exist_ok=True)  # where its storage may stand
        running.append(Running(folder, keys, time.time()))

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Forget the job's configuration, which Hydra would keep until the sweep ends."""
        job_return.cfg = job_return.hydra_cfg = None


def parse(config: DictConfig) -> dict[str, Override]:
    """The overrides of a sweep, those of its experiment file first, by their keys."""
    given = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
    task: Any = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
    parser = OverridesParser.create(config_loader=GlobalHydra.instance().config_loader())
    return {override.key_or_group: override for override in parser.parse_overrides([*given, *task])}


def compose_once(loader: Any) -> None:
    """Have Hydra's launcher take the configurations that its sweeper has composed to see whether they are allowed."""
    compose, composed = loader.load_sweep_config, dict[tuple[str, ...], DictConfig]()

    def load(master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        job = tuple(sweep_overrides)
        config = composed.pop(job, None)
        if config is None or OmegaConf.is_readonly(config.hydra):  # or used: of two jobs with the same overrides
            config = composed[job] = compose(master_config, sweep_overrides)
        return config

    loader.load_sweep_config = load


def read_once(repository: Any) -> None:
    """Have Hydra's loader read each file of the configuration once, not again for each job: half of composing one."""
    read, files = ConfigRepository.load_config, dict[tuple[str, ...], ConfigResult | None]()

    def load(self: ConfigRepository, config_path: str) -> ConfigResult | None:
        place = (config_path, *(source.path for source in self.get_sources()))
        if place not in files:
            files[place] = read(self, config_path)
        return copy.deepcopy(files[place])  # which Hydra changes

    repository.load_config = MethodType(load, repository)  # bound anew in the copies that Hydra makes


@contextmanager
def summed_up() -> Iterator[None]:
    """Sum a sweep up when it ends, in whichever way; exit with 1 if a job failed."""
    failed: list[str] = []
    unanswered: ValueError | None = None
    try:
        yield
    except ValueError as error:
        if "No trials are completed yet" not in str(error):
            raise
        unanswered = error  # of Optuna: a search without a best job, because of the failed ones named below
    finally:
        for sweep in running:
            failed += summary.write(sweep.folder, sweep.keys, sweep.start)
        if failed:
            print("\n".join(failed), file=sys.stderr)
        running.clear()
    if failed:
        sys.exit(1)
    if unanswered:
        raise unanswered
