"""The directory of this run, as Hydra names it: taken once the run is accepted, with its configuration written."""

import logging
import math
import os
import time
from contextlib import ExitStack
from copy import deepcopy
from functools import cached_property
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from omegaconf import DictConfig, OmegaConf

from xornet import files
from xornet.cli.hydra_run import is_job, output_dir, record
from xornet.cli.paths import check_outside, outside
from xornet.runs.csv_logger import CSVLogger
from xornet.runs.directory import check_holder, is_begun
from xornet.runs.events import EVENTS, ROW, EventLogger
from xornet.runs.hyperparameters import hyperparameters
from xornet.runs.leftovers import discard, log_folders
from xornet.runs.lock import locked
from xornet.runs.record import error_files, read_metrics
from xornet.runs.resumed_logs import forget_ends, is_own
from xornet.runs.settings import CONFIG
from xornet.runs.trackers import begin_trackers
from xornet.runs.undo import expect


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
        self.folder = Path(OmegaConf.select(cfg, "trainer.default_root_dir") or output_dir())
        self.start = time.time()
        self.first_step = 0  # the one after the checkpoint that the run is resumed from
        self.logged: list[Path] = []  # the directories of event files

    @cached_property
    def outside(self) -> dict[str, Path]:
        """The directories outside of its own that the run writes into, by their keys."""
        return outside(self.cfg, (output_dir(), self.folder))

    def lock(self, locks: ExitStack) -> None:
        """Lock the directories that the run writes into, its own and those outside of it, and make those that lack."""
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

    def check(self) -> None:
        """Refuse a directory that holds something else, and one outside that holds what another run has left."""
        for folder in {self.folder, output_dir()}:
            check_holder(folder, "a run")
        check_outside(self.outside, self.cfg, self.folder)
        read_metrics(self.folder)  # refuses those of another program

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Note where event files are written, and have tables wait; refuse what cannot be written."""
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger):
                logger.is_waiting = True
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
        """Note where the run goes on; refuse what it could not have forget how an earlier part ended."""
        self.first_step = checkpoint["global_step"]
        for folder in log_folders(self.folder, outside=True):
            files.check_writable(folder)

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
        # First what may refuse the run yet: a tracker that cannot be reached, a log that cannot be written.
        begin_trackers(trainer)
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.FileHandler):
                Path(handler.baseFilename).open("a", encoding="utf-8").close()
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
        # Lightning itself does this before it reads the checkpoint to resume from, and without the optimizer.
        for logger in trainer.loggers:
            logger.log_hyperparams(hyperparameters(trainer.lightning_module, trainer))
            logger.save()
        self.is_begun = True

    def undo(self) -> None:
        """Remove the event files of a run that was refused after all, and those that a full disk has left empty."""
        for folder in {self.folder, *self.logged}:
            for path in folder.glob(f"{EVENTS}*.{os.getpid()}.*"):
                found = path.stat()
                is_refused = not self.is_begun and found.st_mtime >= self.start  # of this job, not of an earlier one
                if is_refused or found.st_size == 0:
                    path.unlink()
