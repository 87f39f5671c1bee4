"""The logs of a resumed run: each step is kept once, in TensorBoard, in tables and in trackers."""

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
    """Makes sure that event files and tables hold each step once, also after a run was killed and resumed.

    Everything logged is written to disk before a checkpoint is saved. If a run starts, or is resumed from a checkpoint,
    in a directory where later steps were logged, TensorBoard is told to drop those steps, and tables lose them.
    """

    every_n_epochs = math.inf  # never ends a block

    def __init__(self) -> None:
        self.held = 0  # the step up to which TensorBoard holds the earlier parts of the run

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Prepare the loggers of a run that is resumed in its own directory to keep the earlier steps."""
        # Fewer steps than the whole run, if its last part has logged elsewhere.
        self.held = checkpoint.get("tensorboard", checkpoint["global_step"])
        is_finished = Path(trainer.default_root_dir, "metrics.json").exists()  # and its final results were logged
        is_here = checkpoint.get("trackers", {}).get("directory") == directory_of(trainer)  # not in a copy of the run
        for logger in trainer.loggers if is_own(trainer) else []:
            if isinstance(logger, EventLogger) and logger.earlier:
                logger.first_step = self.held
            elif isinstance(logger, CSVLogger) or (isinstance(logger, WaitingLogger) and is_here and not is_finished):
                logger.resume(checkpoint)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Tell TensorBoard to drop the steps to come from earlier event files of this directory."""
        is_continued = trainer.global_step > 0 and not trainer.ckpt_path  # earlier files are of this very run
        for logger in trainer.loggers:
            if isinstance(logger, EventLogger) and logger.earlier and not is_continued:
                logger.begin(logger.first_step)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Write all logs to disk before the checkpoint; save how much of the run TensorBoard holds."""
        for logger in trainer.loggers:
            logger.save()
        begun = run_ids(trainer)
        checkpoint["trackers"] = begun and {**begun, "directory": directory_of(trainer)}
        checkpoint["tensorboard"] = checkpoint["global_step"] if any(writers(trainer)) else self.held

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Add the directory to an error of the event writer, which names none."""
        if isinstance(exception, OSError) and exception.errno:
            exception.filename = os.fsdecode(exception.filename or trainer.default_root_dir)


def forget_ends(trainer: Trainer, folders: Iterable[Path], step: int) -> None:
    """Remove the final results of an earlier part of this run from logs that this part does not write.

    The earlier steps stay.

    Args:
        trainer: of this part.
        folders: the log directories of the earlier part.
        step: the first step of this part.

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
    """The run directory as an absolute path."""
    return str(Path(trainer.default_root_dir).resolve())


def is_own(trainer: Trainer) -> bool:
    """Whether this run is resumed from a checkpoint in its own directory, or in the directory of its checkpoints."""
    if not trainer.ckpt_path:
        return False
    kept = [getattr(callback, "dirpath", None) for callback in trainer.checkpoint_callbacks]
    folders = {Path(folder).resolve() for folder in (trainer.default_root_dir, *kept) if folder}
    return not folders.isdisjoint(Path(str(trainer.ckpt_path)).resolve().parents)


def first_step(logger: Logger) -> int:
    """The first step that `logger` does not have: 0, unless it continues the log of an earlier part of the run."""
    step: int = vars(logger).get("first_step", 0)  # not getattr: a DummyLogger has every attribute
    return step
