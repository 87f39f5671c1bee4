"""Sweeps: named after what is swept, composed once, and summed up however they end.

Hydra composes and launches the jobs, here or in other processes, so everything that they must know of each other
stands in the sweep's directory.
"""

import copy
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MethodType
from typing import Any

from hydra._internal.config_repository import ConfigRepository
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.plugins.config_source import ConfigResult
from omegaconf import DictConfig, OmegaConf, open_dict

from xornet import conf, streams, summary

# here, for the processes of every launcher, which import this module
conf.register()
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


class Sweep(Callback):
    """Hydra's callback: names the jobs after what is swept, and has `summed_up` know that a sweep runs."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Leave what is not swept out of the jobs' names, and note the sweep."""
        given = [f"{key}={value}" for key, value in (config.hydra.sweeper.get("params") or {}).items()]
        parsed = OverridesParser.create().parse_overrides([*given, *config.hydra.overrides.task])
        varies = {override.key_or_group: override.is_sweep_override() for override in parsed}
        constant = ",".join(repr(key) for key, is_swept in varies.items() if not is_swept)
        with open_dict(config):
            exclude = f"hydra.job.config.override_dirname.exclude_keys=[{constant}]"
            config.hydra.overrides.hydra.append(exclude)
        keys = [key for key, is_swept in varies.items() if is_swept]
        running.append(Running(Path(config.hydra.sweep.dir), keys, time.time()))
        plain = (config.hydra.sweeper._target_, config.hydra.launcher._target_)
        if all("hydra._internal" in target for target in plain):  # others compose differently, or elsewhere
            loader: Any = GlobalHydra.instance().config_loader()  # Any: Hydra has no setting for what follows
            compose_once(loader)
            read_once(loader.repository)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Forget the job's configuration, which Hydra would keep until the sweep ends."""
        job_return.cfg = job_return.hydra_cfg = None


def compose_once(loader: Any) -> None:
    """Have Hydra's launcher take the configurations that its sweeper has composed to see whether they are legal."""
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
    try:
        yield
    finally:
        for sweep in running:
            failed += summary.write(sweep.folder, sweep.keys, sweep.start)
        if failed:
            print("\n".join(failed), file=sys.stderr)
        running.clear()
    if failed:
        sys.exit(1)
