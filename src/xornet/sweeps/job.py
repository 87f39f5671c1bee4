"""A run, on its own or as a job of a sweep: accepted or refused, resumed or skipped; a job's failure is its own."""

import logging
import math
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import DictConfig, OmegaConf

from xornet import files
from xornet.cli import errors
from xornet.runs.continuity import is_own, put_last
from xornet.runs.csv_logger import CSVLogger
from xornet.runs.directory import CONFIG, check_holder, record
from xornet.runs.events import EVENTS
from xornet.runs.hyperparameters import log_hyperparameters
from xornet.runs.metrics import discard, objective
from xornet.runs.record import error_files, flatten, read_metrics
from xornet.sweeps.isolation import process_left_as_found

REMEDY = "use another hydra.sweep.dir"


class RunDirectory(Callback):
    """Makes the directory this run's, once the run can no longer be refused: until then it has written nothing.

    That is when every callback has accepted the Trainer in its `on_train_start`; in a directory that holds results,
    when the first block of epochs is over too, for a stock callback may refuse only what it is shown then.

    Args:
        cfg: what the run was configured with.

    """

    every_n_epochs = math.inf  # the first is all that it needs

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = deepcopy(cfg)  # without the checkpoint of its own that a job is resumed from
        self.is_begun = self.has_trained = False
        output_dir = HydraConfig.get().runtime.output_dir
        self.folder = Path(OmegaConf.select(cfg, "trainer.default_root_dir") or output_dir)
        self.start = time.time()
        self.logged: list[Path] = []  # the directories of event files

    def check(self) -> None:
        """Refuse a directory that holds something else.

        Raises:
            ValueError: naming the directory and what it holds.

        """
        for folder in {self.folder, Path(HydraConfig.get().runtime.output_dir)}:
            check_holder(folder, "a run")
        if "networks" not in (read_metrics(self.folder) or {"networks": None}):
            raise ValueError(f"{self.folder}/metrics.json was not written by this project; use another directory")

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Note where event files are written, and have tables wait."""
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.is_waiting = True
        self.logged = [Path(logger.log_dir) for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin, with everything checked and restored."""
        if self.has_trained or not is_begun(self.folder):
            self.begin(trainer)
        self.has_trained = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Begin, before the first block's checkpoint is written."""
        self.begin(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin a run that ends in its first block, or was resumed at its end and so never trained."""
        self.begin(trainer)

    def begin(self, trainer: Trainer) -> None:
        """Take away the results of an earlier run, this one has not finished yet; write the configuration."""
        if self.is_begun:
            return
        put_last(trainer)
        discard(self.folder, before=None if is_own(trainer) else self.start)
        (self.folder / "metrics.json").unlink(missing_ok=True)
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            for path in error_files(Path(HydraConfig.get().runtime.output_dir)):
                path.unlink(missing_ok=True)
        record(self.cfg, self.folder)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler):  # train.log, which can be written now or never
                Path(handler.baseFilename).open("a", encoding="utf-8").close()
        log_hyperparameters(trainer)
        self.is_begun = True

    def undo(self) -> None:
        """Remove the event files of a run that was refused after all."""
        if not self.is_begun:
            for path in (path for folder in self.logged for path in folder.glob(f"{EVENTS}*.{os.getpid()}.*")):
                if path.stat().st_mtime >= self.start:  # ours, not that of an earlier job of this process
                    path.unlink()


def run(train: Callable[[DictConfig, RunDirectory], float], cfg: DictConfig) -> float | None:
    """Run `train`; as a job of a sweep, if it has not finished already, and from where it was interrupted.

    A job that fails leaves its cause in `error.txt`, and the next one begins.

    Returns:
        what `train` does; None for a job that failed, which Optuna takes for a failed trial in any direction.

    """
    folder, directory = Path(HydraConfig.get().runtime.output_dir), RunDirectory(cfg)
    if HydraConfig.get().mode != RunMode.MULTIRUN:
        try:
            directory.check()
            return train(cfg, directory)
        except BaseException:
            directory.undo()
            raise
    try:
        directory.check()
        check_same_job(folder, cfg)
        if results := read_metrics(folder):
            say("skipped, finished before", folder)
            return objective(results)
        is_known = (folder / CONFIG).exists()  # where it is not, others may share the place of its checkpoints
        if found := checkpoints(folder, cfg if is_known else None):
            say("resumed", folder)
            cfg.ckpt_path = str(found[-1])
        with process_left_as_found():
            return train(cfg, directory)
    except Exception as error:
        directory.undo()
        disk = errors.DISK.replace("run.dir", "sweep.dir")
        task: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        cause = errors.report(error, task, disk)
        print(f"{folder.name} failed: {cause}", file=sys.stderr)
        write_error(folder, directory, cause)
        return None


def say(what: str, folder: Path) -> None:
    """Say on the console what becomes of a job; its log is not touched."""
    print(f"{what}: {folder.name}", file=sys.stderr)


def write_error(folder: Path, directory: RunDirectory, cause: str) -> None:
    """Write why a job failed: into its directory, or beside one that holds an earlier run, which stays as it was."""
    inside, beside = error_files(folder)
    with suppress(OSError):  # where the directory is what failed
        if not directory.is_begun and not is_begun(folder):
            record(directory.cfg, folder)
        path = inside if directory.is_begun or not is_begun(folder) else beside
        files.write(path, lambda partial: partial.write_text(cause + "\n", encoding="utf-8"))


def check_same_job(folder: Path, cfg: DictConfig) -> None:
    """Refuse to resume, or to skip, a job that was configured differently.

    Raises:
        ValueError: naming the directory and the first key that differs.

    """
    if is_begun(folder):
        before, now = flatten(OmegaConf.load(folder / CONFIG)), flatten(cfg)
        for key in sorted(before.keys() | now.keys()):
            was, new = before.get(key), now.get(key)
            are_numbers = type(was) in (int, float) and type(new) in (int, float)
            if not (repr(was) == repr(new) or (are_numbers and was == new)):  # nan is not equal to itself
                raise ValueError(f"{folder} was run with {key}={was}, but this sweep has {key}={new}; {REMEDY}")


def is_begun(folder: Path) -> bool:
    """Whether a job's directory holds something that could be lost."""
    return (folder / "metrics.json").exists() or any(checkpoints(folder))


def checkpoints(folder: Path, cfg: DictConfig | None = None) -> list[Path]:
    """The checkpoints of a job, the newest last; not the neighbours of one that a killed process was writing.

    Args:
        folder: the job's directory, which keeps them in `checkpoints`.
        cfg: what the job was configured with, where a callback may have another directory.

    """
    folders = {folder / "checkpoints"}
    for name in cfg.callbacks if cfg else ():
        if dirpath := OmegaConf.select(cfg, f"callbacks.{name}.dirpath") if cfg else None:
            folders.add(Path(dirpath))
    found = [path for place in folders for path in place.glob("[!.]*.ckpt")]
    return sorted(found, key=lambda path: path.stat().st_mtime)
