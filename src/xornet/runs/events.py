"""TensorBoard's event files: each step once, however often a run is killed and resumed."""

import math
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.core.saving import save_hparams_to_yaml
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter

from xornet import files
from xornet.runs.csv_logger import CSVLogger
from xornet.runs.directory import expect

EVENTS = "events.out.tfevents."  # and the second in which the file was begun


class EventLogger(TensorBoardLogger):
    """Lightning's TensorBoardLogger, with `hparams.yaml` whole or absent, and errors of the disk as they are.

    Its event file is the last of its directory, which TensorBoard therefore reads last (see `put_last`).

    Args:
        save_dir: the directory of the run.
        name: the directory in it.
        version: the directory in that.
        default_hp_metric: false; callbacks.run_summary logs the results of HParams.
        **kwargs: of SummaryWriter.

    """

    saved: Mapping[str, Any] = {}  # of the hyperparameters

    def __init__(
        self, save_dir: str, name: str = "", version: str = "", default_hp_metric: bool = False, **kwargs: Any
    ) -> None:
        if default_hp_metric:  # a second HParams row, whose columns can be of any type
            cause = "logger.default_hp_metric=true would log a result of -1"
            raise ValueError(f"{cause}; drop it: callbacks.run_summary logs real ones")
        super().__init__(save_dir, name, version, default_hp_metric=False, **kwargs)
        self.options = kwargs
        self.writer: SummaryWriter | None = None
        self.earlier = set(Path(self.log_dir).glob(f"{EVENTS}*"))
        expect(Path(self.log_dir).absolute())

    @property
    def experiment(self) -> SummaryWriter:
        """TensorBoard's writer; Lightning makes it before it reads the checkpoint to resume from."""
        if self.writer is None:
            self.begin(purge_step=None if self.earlier else 0)
        assert self.writer is not None
        return self.writer

    def begin(self, purge_step: int | None) -> None:
        """Begin the event file; have TensorBoard forget what earlier ones hold of `purge_step` and later steps."""
        if self.writer is not None:
            self.writer.close()
            for path in self.ours():  # nothing has been logged
                path.unlink()
        self.writer = SummaryWriter(self.log_dir, purge_step=purge_step, **self.options)

    def ours(self) -> set[Path]:
        """The event files that this run has begun."""
        return set(Path(self.log_dir).glob(f"{EVENTS}*")) - self.earlier

    def put_last(self) -> None:
        """Rename those earlier event files whose names say that they were begun no earlier than ours.

        TensorBoard reads the event files of a directory in the order of their names, in which the second comes first
        and then the host, the process and a count. Within a second, or when the clock was put back, that is not the
        order in which they were written. Theirs becomes the second before, with a number that keeps them in order.
        """
        second = min(map(begun, self.ours()), default=math.inf)
        for number, path in enumerate(sorted(self.earlier)):
            if begun(path) >= second:
                rest = re.sub(r"^\d+(~\d+)?", "", path.name.removeprefix(EVENTS))
                path.rename(path.with_name(f"{EVENTS}{int(second) - 1:010d}~{number:06d}{rest}"))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log scalars; Lightning would call a full disk a value that cannot be logged."""
        try:
            super().log_metrics(metrics, step)
        except ValueError as error:
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from None
            raise

    def save(self) -> None:
        """Write what is pending, and `hparams.yaml` if it does not hold what this run has logged of them."""
        if self.hparams != self.saved:
            path = Path(self.log_dir, self.NAME_HPARAMS_FILE)
            files.write(path, lambda partial: save_hparams_to_yaml(partial, self.hparams))
            self.saved = dict(self.hparams)
        self.experiment.flush()

    def finalize(self, status: str) -> None:
        """Close the event file; where a run has failed, what cannot be written any more is not the cause."""
        with suppress(*([OSError] if status == "failed" else [])):
            if self.writer is not None:
                self.writer.close()


def begun(path: Path) -> int:
    """The second in which an event file was begun, by its name."""
    second = re.match(r"\d+", path.name.removeprefix(EVENTS))
    return int(second[0]) if second else 0


class Continuity(Callback):
    """Has the event files and the table of a run hold each step once, if it was killed and is resumed.

    Before a checkpoint is written, all that was logged is on disk. A run that begins, or is resumed from a checkpoint,
    in a directory where later steps were logged, has TensorBoard forget those, and its table keep the others.
    """

    every_n_epochs = math.inf  # needs no block to end

    def __init__(self) -> None:
        self.held = 0  # the step up to which TensorBoard holds what earlier parts have logged

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew, unless a checkpoint has been loaded."""
        if not trainer.ckpt_path:
            purge(trainer, 0)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Keep what was logged before the checkpoint."""
        self.held = held(checkpoint)
        purge(trainer, self.held if is_continued(trainer) else 0)
        for logger in trainer.loggers:
            if isinstance(logger, CSVLogger) and is_own(trainer):
                logger.resume(checkpoint["global_step"])

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Let nothing be in the checkpoint that is not on disk; note how much of the run TensorBoard holds."""
        for logger in trainer.loggers:
            logger.save()
        checkpoint["tensorboard"] = checkpoint["global_step"] if any(writers(trainer)) else self.held

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Name the directory in an error of the writer, which knows no name, and leave no empty file of it."""
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


def writers(trainer: Trainer) -> Iterator[SummaryWriter]:
    """Yield TensorBoard's writer, if TensorBoard is a logger of this run."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            yield logger.experiment


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


def first_step(logger: Logger, trainer: Trainer, step: int) -> int:
    """Return the first step that `logger` lacks in a run that is resumed at `step`: 0 if it lacks them all."""
    if isinstance(logger, CSVLogger):
        return logger.first_step
    return step if isinstance(logger, TensorBoardLogger) and is_continued(trainer) else 0
