"""A job of a sweep: run, passed over, gone on with, or refused; its failure is its own."""

import logging
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from xornet import errors, rundir
from xornet.isolation import process_left_as_found
from xornet.jobs import flatten, read_metrics
from xornet.results import objective

REMEDY = "use another hydra.sweep.dir"
LONGEST_NAME = 200  # bytes of a directory's name; file systems end at 255

log = logging.getLogger(__name__)


def run(train: Callable[[DictConfig], float], cfg: DictConfig) -> float:
    """Run `train`; as a job of a sweep, if it has not finished already, and from where it was stopped.

    A job that fails leaves its cause in `error.txt`, and the next one begins.

    Returns:
        what `train` does; inf for a job that failed: worse than any other.

    """
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        return train(cfg)
    folder = Path(HydraConfig.get().runtime.output_dir)
    try:
        (folder / "error.txt").unlink(missing_ok=True)
        check_same_job(folder, cfg)
        if results := read_metrics(folder):
            log.info("finished before: %s", folder.name)
            return objective(results)
        if found := checkpoints(folder):
            log.info("going on with %s", folder.name)
            cfg.ckpt_path = str(found[-1])
        with process_left_as_found():
            return train(cfg)
    except Exception as error:
        disk = errors.DISK.replace("run.dir", "sweep.dir")
        cause = errors.report(error, HydraConfig.get().overrides.task, disk)
        log.error("%s failed: %s", folder.name, cause)
        with suppress(OSError):  # where the directory is what failed
            rundir.write(folder / "error.txt", lambda path: path.write_text(cause + "\n", "utf-8"))
        return float("inf")


def check_same_job(folder: Path, cfg: DictConfig) -> None:
    """Refuse to go on with a job that was configured differently.

    Raises:
        ValueError: naming the directory and the first key that differs.

    """
    if is_begun(folder):
        before, now = flatten(OmegaConf.load(folder / ".hydra" / "config.yaml")), flatten(cfg)
        for key in sorted(before.keys() | now.keys()):
            was, new = before.get(key), now.get(key)
            if repr(was) != repr(new):  # nan is not equal to itself
                raise ValueError(f"{folder} was run with {key}={was}, but this sweep has {key}={new}; {REMEDY}")


def is_begun(folder: Path) -> bool:
    """Whether a job's directory holds something that could be lost."""
    return (folder / "metrics.json").exists() or any(checkpoints(folder))


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a job, the newest last; not the neighbours of one that a killed process was writing."""
    return sorted(folder.glob("checkpoints/[!.]*.ckpt"), key=lambda path: path.stat().st_mtime)


def hydra_files(mode: RunMode | None, folder: str | None) -> str | None:
    """Return `.hydra`, where Hydra writes a run's configuration; None for a job begun before, which has its own."""
    return None if mode == RunMode.MULTIRUN and folder and is_begun(Path(folder)) else ".hydra"


def job_name(number: int, overrides: str) -> str:
    """Return the directory of a job: `0_optimizer.lr=0.01`, `1_model.hidden=4-4`.

    Every character stays that neither a file system nor a shell minds; Hydra minds the `=`, which takes quotes there.
    """
    plain = re.sub(r"[^\w.=+-]+", "-", re.sub(r"[\[\]{}()'\"]", "", overrides))
    return f"{number}_{plain}".encode()[:LONGEST_NAME].decode(errors="ignore").rstrip("-_.")
