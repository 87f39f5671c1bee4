"""The directory of this run: claimed, with its configuration written, once the run can no longer be refused."""

import math
import os
from contextlib import ExitStack
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import DictConfig

from xornet import files
from xornet.cli import run_log
from xornet.cli.hydra_run import ckpt_path, is_job, is_job_of, output_dir, record
from xornet.cli.paths import as_path, check_outside, check_root, outside
from xornet.engine.blocks import is_smoke_test
from xornet.runs.csv_logger import CSVLogger
from xornet.runs.directory import check_holder, is_begun
from xornet.runs.events import EVENTS, ROW, EventLogger
from xornet.runs.hyperparameters import hyperparameters
from xornet.runs.leftovers import discard, log_folders
from xornet.runs.lock import locked
from xornet.runs.ownership import mark
from xornet.runs.record import error_files, read_metrics
from xornet.runs.resumed_logs import forget_ends, is_own
from xornet.runs.settings import CONFIG
from xornet.runs.trackers import begin_trackers
from xornet.runs.undo import expect


class RunDirectory(Callback):
    """Claims the directory once the run can no longer be refused; writes nothing before.

    That is after every callback has accepted the run in `on_train_start`. In a directory that holds results, it is only
    after the first block of epochs, since a stock callback may refuse the run in its first hook of an epoch.

    Args:
        cfg: the configuration of the run.

    """

    every_n_epochs = math.inf  # never ends a block: it needs the first one only

    def __init__(self, cfg: DictConfig) -> None:
        self.cfg = deepcopy(cfg)  # before a job that is resumed sets ckpt_path
        self.is_begun = self.has_trained = False
        self.folder = as_path(cfg, "trainer.default_root_dir") or output_dir()
        self.start = math.inf  # in the time of the file system
        self.first_step = 0  # the step at which the run is resumed
        self.logged: list[Path] = []  # the directories of event files

    @cached_property
    def outside(self) -> dict[str, Path]:
        """The directories outside of the run directory that the run writes into, by their keys."""
        return outside(self.cfg, (output_dir(), self.folder))

    def lock(self, locks: ExitStack) -> None:
        """Lock the run directory and the outside directories; create missing ones, and refuse those of another run."""
        own = dict.fromkeys([output_dir().resolve(), self.folder.resolve()], "")
        for folder, key in (own | {folder: key for key, folder in self.outside.items()}).items():
            expect(folder)
            try:
                folder.mkdir(parents=True, exist_ok=True)
                locks.enter_context(locked(folder))
                if key:
                    files.check_writable(folder)
            except OSError as error:
                if not key:
                    raise
                raise ValueError(f"{key}: {error}; use another directory") from error
        self.start = files.now(self.folder)
        check_outside(self.outside, self.cfg, self.folder)

    def check(self) -> None:
        """Refuse a directory with other contents."""
        for folder in {self.folder, output_dir()}:
            check_holder(folder, "a run")
        places = {folder.resolve() for folder in (self.folder, output_dir(), *self.outside.values())}
        given = ckpt_path(self.cfg)
        is_resumed = bool(given) and not places.isdisjoint(Path(str(given)).resolve().parents)
        if not (is_job() or is_resumed) and any(map(is_job_of, (self.folder, output_dir()))):
            said = f"{output_dir()} holds a job of a sweep, whose summary would be wrong"
            raise ValueError(f"{said}; use another directory, or resume the job with ckpt_path")
        if not is_resumed:
            check_root(self.folder, output_dir(), self.cfg)
        read_metrics(self.folder)  # raises for those of another program

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Find out where loggers write, and pause CSV loggers; refuse directories that cannot be written."""
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.replace()
        self.logged, tables = (
            [Path(str(logger.log_dir)).resolve() for logger in trainer.loggers if isinstance(logger, kind)]
            for kind in (TensorBoardLogger, CSVLogger)
        )
        for places in (self.logged, tables):
            if twice := [place for place in places if places.count(place) > 1]:
                raise ValueError(f"two loggers would both write into {twice[0]}; use another name for one of them")
        kept = [getattr(callback, "dirpath", None) for callback in trainer.checkpoint_callbacks]
        earlier = (self.folder / CONFIG.parent, self.folder / "checkpoints", *log_folders(self.folder))
        for folder in (self.folder, *earlier, *self.logged, *tables, *kept):
            files.check_writable(Path(folder or self.folder))

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remember the step at which the run is resumed; refuse earlier log directories that cannot be written."""
        self.first_step = checkpoint["global_step"]
        for folder in log_folders(self.folder, outside=True):
            files.check_writable(folder)

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Claim the directory now that the run is accepted and restored; if it holds results, after the first block."""
        if self.has_trained or not is_begun(self.folder):
            self.begin(trainer)
        self.has_trained = True

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Claim the directory before a checkpoint of the first block is written."""
        self.begin(trainer)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Claim the directory for a run that ended in its first block, or was resumed at its end and did not train."""
        self.begin(trainer)

    def begin(self, trainer: Trainer) -> None:
        """Delete the results of an earlier run, and write the configuration of this one."""
        if self.is_begun:
            return
        # First everything that can still fail: a tracker that cannot be reached, a log that cannot be written.
        with run_log.paused():
            kept = begin_trackers(trainer)
        run_log.check_writable()
        if self.outside and not is_smoke_test(trainer):
            mark(self.outside.values(), self.folder)
        for logger in trainer.loggers:
            if isinstance(logger, EventLogger):
                logger.put_last()
        discard(self.folder, before=None if is_own(trainer) else self.start)
        if is_own(trainer):
            forget_ends(trainer, {self.folder, *log_folders(self.folder, outside=True)}, self.first_step)
        for path in (path for log in self.logged for path in log.glob(f"{EVENTS}*{ROW}")):
            path.unlink(missing_ok=True)
        if is_job():
            for path in error_files(output_dir()):
                path.unlink(missing_ok=True)
        record(self.cfg, self.folder, "train")
        # Lightning itself does this too early, before it loads the checkpoint, and without the optimizer.
        for logger in trainer.loggers:
            logger.log_hyperparams(hyperparameters(trainer.lightning_module, trainer))
        for call in kept:
            call()
        for logger in trainer.loggers:
            logger.save()
        self.is_begun = True

    def undo(self) -> None:
        """Remove the event files of a refused run, and those that a full disk has left empty."""
        for folder in {self.folder, *self.logged}:
            for path in folder.glob(f"{EVENTS}*.{os.getpid()}.*"):
                found = path.stat()
                is_refused = not self.is_begun and found.st_mtime >= self.start  # by this job
                if is_refused or found.st_size == 0:
                    path.unlink()
