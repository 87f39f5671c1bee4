"""A resumed run: what was logged before, kept once, in TensorBoard and in tables."""

import math
import os
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger, TensorBoardLogger

from xornet.runs.csv_logger import CSVLogger
from xornet.runs.events import EVENTS, EventLogger, writers
from xornet.runs.trackers import WaitingLogger, run_ids


class Continuity(Callback):
    """Has the event files and the table of a run hold each step once, if it was killed and is resumed.

    Before a checkpoint is written, all that was logged is on disk. A run that begins, or is resumed from a checkpoint,
    in a directory where later steps were logged, has TensorBoard forget those, and its table keep the others.
    """

    every_n_epochs = math.inf  # needs no block to end

    def __init__(self) -> None:
        self.held = 0  # the step up to which TensorBoard holds what earlier parts have logged

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin from the start, unless a checkpoint has been loaded."""
        if not trainer.ckpt_path:
            purge(trainer, 0)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep what was logged before the checkpoint."""
        self.held = held(checkpoint)
        purge(trainer, self.held if is_continued(trainer) else 0)
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger) and is_own(trainer):
                logger.resume(checkpoint["global_step"])
            is_finished = Path(trainer.default_root_dir, "metrics.json").exists()  # and has logged how it ended
            if isinstance(logger, WaitingLogger) and is_own(trainer) and not is_finished:
                logger.resume(checkpoint)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let nothing be in the checkpoint that is not on disk; note how much of the run TensorBoard holds."""
        for logger in trainer.loggers:
            logger.save()
        checkpoint["trackers"] = run_ids(trainer)
        checkpoint["tensorboard"] = checkpoint["global_step"] if any(writers(trainer)) else self.held

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Name the directory in an error of the writer, which names none; remove its file, if it is empty."""
        if isinstance(exception, OSError) and exception.errno:
            exception.filename = os.fsdecode(exception.filename or trainer.default_root_dir)
        for path in Path(trainer.default_root_dir).glob(f"{EVENTS}*.{os.getpid()}.*"):
            if path.stat().st_size == 0:
                path.unlink()


def put_last(trainer: Trainer) -> None:
    """Have TensorBoard read our event files after those that were there before, once the run is accepted."""
    for logger in trainer.loggers:
        if isinstance(logger, EventLogger):
            logger.put_last()


def held(checkpoint: dict[str, Any]) -> int:
    """The step up to which TensorBoard holds the run of a checkpoint: less where its last part has logged elsewhere."""
    step: int = min(checkpoint.get("tensorboard", checkpoint["global_step"]), checkpoint["global_step"])
    return step


def purge(trainer: Trainer, step: int) -> None:
    """Have TensorBoard forget what earlier event files of this directory hold of `step` and later steps."""
    for logger in trainer.loggers:
        if isinstance(logger, EventLogger) and logger.earlier:
            logger.begin(step)


def is_own(trainer: Trainer) -> bool:
    """Whether this run is resumed from a checkpoint of its own, in its directory or where it keeps its checkpoints."""
    if not trainer.ckpt_path:
        return False
    kept = [getattr(callback, "dirpath", None) for callback in trainer.checkpoint_callbacks]
    folders = {Path(folder).resolve() for folder in (trainer.default_root_dir, *kept) if folder}
    return not folders.isdisjoint(Path(str(trainer.ckpt_path)).resolve().parents)


def is_continued(trainer: Trainer) -> bool:
    """Whether this run is resumed from a checkpoint of its own, and logs where an earlier part has."""
    folders = [logger.log_dir for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return is_own(trainer) and any(len(list(Path(folder).glob(f"{EVENTS}*"))) > 1 for folder in folders)


def first_step(logger: Logger, trainer: Trainer, step: float) -> float:
    """Return the first step that `logger` lacks in a run that is resumed at `step`: 0 if it lacks them all."""
    first: float | None = vars(logger).get("first_step")  # of a table, and of a tracker; a DummyLogger has everything
    if first is not None:
        return first
    return step if isinstance(logger, TensorBoardLogger) and is_continued(trainer) else 0
