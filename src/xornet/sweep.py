"""Sweeps: where a job is kept, how a stopped sweep goes on, and that one failed job does not stop the others.

Hydra composes and launches the jobs, here or in other processes, so everything that they must know of each other
stands in the sweep's directory.
"""

import logging
import re
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.utils import JobReturn
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict

from xornet import errors, rundir, summary
from xornet.isolation import process_left_as_found
from xornet.jobs import read_metrics
from xornet.results import objective

LONGEST_NAME = 200  # bytes of a directory's name; file systems end at 255
REMEDY = "use another hydra.sweep.dir"

log = logging.getLogger(__name__)
unfinished: list[Path] = []  # the sweep that this process is running


def job_name(number: int, overrides: str) -> str:
    """Return the directory of a job: `0_optimizer.lr=0.01`, `1_model.hidden=4-4`.

    Every character stays that neither a file system, a shell nor a further Hydra override minds.
    """
    plain = re.sub(r"[^\w.=+-]+", "-", re.sub(r"[\[\]{}()'\"]", "", overrides))
    return f"{number}_{plain}".encode()[:LONGEST_NAME].decode(errors="ignore").rstrip("-_")


def hydra_files(mode: RunMode | None, folder: str | None) -> str | None:
    """Return `.hydra`, where Hydra writes a run's configuration; None for a job begun before, which has its own."""
    return None if mode == RunMode.MULTIRUN and folder and is_begun(Path(folder)) else ".hydra"


def is_begun(folder: Path) -> bool:
    """Whether a job's directory holds something that could be lost."""
    return (folder / "metrics.json").exists() or any(folder.glob("checkpoints/*.ckpt"))


# Registered here, they are known in the processes of every launcher, which import this module.
OmegaConf.register_new_resolver("job_name", job_name, replace=True)
OmegaConf.register_new_resolver("hydra_files", hydra_files, replace=True)


class Sweep(Callback):
    """Hydra's callback: names the jobs after what is swept, and has `summed_up` know that a sweep runs."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Begin."""
        parsed = OverridesParser.create().parse_overrides(list(config.hydra.overrides.task))
        constant = ",".join(repr(o.key_or_group) for o in parsed if not o.is_sweep_override())
        with open_dict(config):
            exclude = f"hydra.job.config.override_dirname.exclude_keys=[{constant}]"
            config.hydra.overrides.hydra.append(exclude)
        unfinished.append(Path(config.hydra.sweep.dir))
        if "BasicLauncher" in config.hydra.launcher._target_:  # others compose in processes of their own
            compose_once(GlobalHydra.instance().config_loader())

        def stop(signum: int, frame: FrameType | None) -> None:  # between two jobs; in a job StopOnSignal has its own
            sys.exit(128 + signum)

        signal.signal(signal.SIGTERM, stop)  # until the end of `summed_up`

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Forget the job's configuration, which Hydra would keep until the sweep ends."""
        job_return.cfg = job_return.hydra_cfg = None


def compose_once(loader: ConfigLoader) -> None:
    """Have Hydra's launcher take the configurations that its sweeper has composed to see whether they are legal."""
    compose, composed = loader.load_sweep_config, dict[tuple[str, ...], DictConfig]()

    def load(master_config: DictConfig, sweep_overrides: list[str]) -> DictConfig:
        job = tuple(sweep_overrides)
        if job in composed:
            return composed.pop(job)
        return composed.setdefault(job, compose(master_config, sweep_overrides))

    loader.load_sweep_config = load  # type: ignore[method-assign]


@contextmanager
def summed_up() -> Iterator[None]:
    """Sum a sweep up when it ends, in whichever way; exit with 1 if a job failed."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    except BaseException:
        for folder in unfinished:
            summary.write(folder)
        raise
    else:
        if failed := [line for folder in unfinished for line in summary.write(folder)]:
            print("\n".join(failed), file=sys.stderr)
            sys.exit(1)
    finally:
        unfinished.clear()
        signal.signal(signal.SIGTERM, before)


def run_job(train: Callable[[DictConfig], float], cfg: DictConfig) -> float:
    """Run `train` as a job of a sweep, if it has not finished already; go on where it was stopped.

    A job that fails leaves its cause in `error.txt`, and the next one begins.

    Returns:
        what `train` does; nan for a job that failed.

    """
    folder = Path(HydraConfig.get().runtime.output_dir)
    (folder / "error.txt").unlink(missing_ok=True)
    try:
        check_same_job(folder, cfg)
        if results := read_metrics(folder):
            log.info("finished before: %s", folder.name)
            return objective(results)
        if checkpoints := sorted(folder.glob("checkpoints/*.ckpt"), key=lambda path: path.stat().st_mtime):
            log.info("going on with %s", folder.name)
            cfg.ckpt_path = str(checkpoints[-1])
        with process_left_as_found():
            return train(cfg)
    except Exception as error:
        overrides = HydraConfig.get().overrides.task
        cause = errors.report(error, overrides)
        log.error("%s failed: %s", folder.name, cause)
        rundir.write(folder / "error.txt", lambda path: path.write_text(cause + "\n"))
        return float("nan")


def check_same_job(folder: Path, cfg: DictConfig) -> None:
    """Refuse to go on with a job that was configured differently.

    Raises:
        ValueError: naming the directory and the first key that differs.

    """
    if is_begun(folder):
        before, now = flatten(OmegaConf.load(folder / ".hydra" / "config.yaml")), flatten(cfg)
        for key in sorted(before.keys() | now.keys()):
            if (was := before.get(key)) != (new := now.get(key)):
                raise ValueError(f"{folder} was run with {key}={was}, but this sweep has {key}={new}; {REMEDY}")


def flatten(cfg: Any) -> dict[str, Any]:
    """The leaves of a configuration, uninterpolated, by their full keys."""
    leaves: dict[str, Any] = {}

    def descend(node: Any, prefix: str) -> None:
        if isinstance(node, dict) and node:
            for key, child in node.items():
                descend(child, f"{prefix}.{key}" if prefix else str(key))
        else:
            leaves[prefix] = node

    descend(OmegaConf.to_container(cfg, resolve=False), "")
    return leaves
