"""A resumed run: what was logged before, kept once, in TensorBoard, in tables and in trackers."""

import math
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import Logger

from xornet import files
from xornet.runs.csv_logger import CSVLogger, read_rows, write_rows
from xornet.runs.events import EVENTS, ROW, EventLogger, writers
from xornet.runs.trackers import WaitingLogger, run_ids


class ResumeLogs(Callback):
    """Has the event files and the table of a run hold each step once, if it was killed and is resumed.

    Before a checkpoint is written, all that was logged is on disk. A run that begins, or is resumed from a checkpoint,
    in a directory where later steps were logged, has TensorBoard forget those, and its table keep the others.
    """

    every_n_epochs = math.inf  # needs no block to end

    def __init__(self) -> None:
        self.held = 0  # the step up to which TensorBoard holds what earlier parts have logged

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Have loggers keep what an earlier part of this run, which is resumed where it was, has logged."""
        # Less than the whole run where its last part has logged elsewhere.
        self.held = checkpoint.get("tensorboard", checkpoint["global_step"])
        is_finished = Path(trainer.default_root_dir, "metrics.json").exists()  # and has logged how it ended
        is_here = checkpoint.get("trackers", {}).get("directory") == directory_of(trainer)  # and no copy of the run
        for logger in trainer.loggers if is_own(trainer) else []:
            if isinstance(logger, EventLogger) and logger.earlier:
                logger.first_step = self.held
            elif isinstance(logger, CSVLogger) or (isinstance(logger, WaitingLogger) and is_here and not is_finished):
                logger.resume(checkpoint)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have TensorBoard forget what earlier event files of this directory hold of the steps to come."""
        for logger in trainer.loggers:
            if isinstance(logger, EventLogger) and logger.earlier:
                logger.begin(logger.first_step)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let nothing be in the checkpoint that is not on disk; note how much of the run TensorBoard holds."""
        for logger in trainer.loggers:
            logger.save()
        begun = run_ids(trainer)
        checkpoint["trackers"] = begun and {**begun, "directory": directory_of(trainer)}
        checkpoint["tensorboard"] = checkpoint["global_step"] if any(writers(trainer)) else self.held

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Name the directory in an error of the writer, which names none."""
        if isinstance(exception, OSError) and exception.errno:
            exception.filename = os.fsdecode(exception.filename or trainer.default_root_dir)


def forget_ends(trainer: Trainer, folders: Iterable[Path], step: int) -> None:
    """Have logs that an earlier part of this run has written, and this one does not, say nothing of how it ended.

    What they hold of the steps before stays.

    Args:
        trainer: of this part.
        folders: where the earlier part has logged.
        step: the first one of this part.

    """
    ours = {Path(logger.log_dir).resolve() for logger in trainer.loggers if logger.log_dir}
    for folder in (folder for folder in folders if folder.resolve() not in ours):
        for path in (*folder.glob(f"{EVENTS}*{ROW}"), folder / "hparams.yaml"):
            path.unlink(missing_ok=True)
        if (logger := EventLogger(str(folder))).earlier:
            logger.begin(purge_step=step)
            logger.put_last()
            logger.finalize("success")
        if (folder / "metrics.csv").exists():
            rows = [row for row in read_rows(folder / "metrics.csv") if row["step"] < step]
            columns = sorted(set().union(*rows))
            files.write(folder / "metrics.csv", lambda path: write_rows(path, columns, rows))  # noqa: B023 - at once


def directory_of(trainer: Trainer) -> str:
    """The directory of a run."""
    return str(Path(trainer.default_root_dir).resolve())


def is_own(trainer: Trainer) -> bool:
    """Whether this run is resumed from a checkpoint of its own, in its directory or where it keeps its checkpoints."""
    if not trainer.ckpt_path:
        return False
    kept = [getattr(callback, "dirpath", None) for callback in trainer.checkpoint_callbacks]
    folders = {Path(folder).resolve() for folder in (trainer.default_root_dir, *kept) if folder}
    return not folders.isdisjoint(Path(str(trainer.ckpt_path)).resolve().parents)


def first_step(logger: Logger) -> int:
    """The first step that `logger` lacks: 0 unless it continues what an earlier part of the run has logged."""
    step: int = vars(logger).get("first_step", 0)  # and not by getattr, for a DummyLogger has everything
    return step
