"""TensorBoard's event files: whole steps, each once, however often a run is killed and goes on; pictures and graphs."""

import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.core.saving import save_hparams_to_yaml
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard._pytorch_graph import graph

from xornet import files
from xornet.network import XORNet
from xornet.runs.csv_logger import CSVLogger
from xornet.runs.directory import expect

EVENTS = "events.out.tfevents."  # and the second in which the file was begun


class EventLogger(TensorBoardLogger):
    """Lightning's TensorBoardLogger, with `hparams.yaml` whole or absent, and what cannot be written told as it is.

    Its event file is the last of its directory, which TensorBoard therefore reads last (see `put_before`).
    """

    saved: Mapping[str, Any] = {}  # of the hyperparameters

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("default_hp_metric"):  # a second HParams row, whose columns can be of any type
            cause = "logger.default_hp_metric=true would log a result of -1"
            raise ValueError(f"{cause}; drop it: callbacks.run_summary logs real ones")
        super().__init__(*args, **{"default_hp_metric": False, **kwargs})
        self.earlier = set(Path(self.log_dir).glob(f"{EVENTS}*"))
        expect(Path(self.log_dir).absolute())

    def put_last(self) -> None:
        """Have TensorBoard read our event file after those that were there before."""
        ours = set(Path(self.log_dir).glob(f"{EVENTS}*")) - self.earlier
        put_before(self.earlier, min(map(begun, ours), default=math.inf))

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
        try:
            super().finalize(status)
        except OSError:
            if status != "failed":
                raise


def begun(path: Path) -> int:
    """The second in which an event file was begun, by its name."""
    second = re.match(r"\d+", path.name.removeprefix(EVENTS))
    return int(second[0]) if second else 0


def put_before(files: Iterable[Path], second: float) -> None:
    """Rename those event files whose names say that they were begun in `second` or later, so that they come before it.

    TensorBoard reads the event files of a directory in the order of their names, in which the second comes first and
    then the host, the process and a count. Within a second, or when the clock was put back, that is not the order in
    which they were written, and what a later part of a run has TensorBoard forget would be read only after it. Theirs
    becomes the second before, with their number, which keeps them in order behind all others of that second.
    """
    for number, path in enumerate(sorted(files)):
        if begun(path) >= second:
            rest = re.sub(r"^\d+(~\d+)?", "", path.name.removeprefix(EVENTS))
            path.rename(path.with_name(f"{EVENTS}{int(second) - 1:010d}~{number:06d}{rest}"))


class Continuity(Callback):
    """Has the event files and the table of a run hold each step once, if it was killed and goes on.

    Before a checkpoint is written, all that was logged is on disk. A run that begins, or goes on from a checkpoint, in
    a directory where steps were logged beyond it, tells TensorBoard to forget those, and its table to keep the others.
    """

    every_n_epochs = math.inf  # the first is all that it needs

    def __init__(self) -> None:
        self.held = 0  # the step up to which TensorBoard holds what earlier parts have logged

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin anew, unless a checkpoint has been loaded."""
        if not trainer.ckpt_path:
            forget(trainer, 0)

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self.held = held(checkpoint)
        forget(trainer, self.held if is_continued(trainer) else 0)
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


def forget(trainer: Trainer, step: int) -> None:
    """Have TensorBoard forget what earlier event files of this directory hold of `step` and later ones."""
    for writer in writers(trainer):
        assert writer.file_writer is not None
        writer.file_writer.add_event(Event(session_log=SessionLog(status=SessionLog.START)), step)


def writers(trainer: Trainer) -> Iterator[SummaryWriter]:
    """Yield TensorBoard's writer, if TensorBoard is a logger of this run."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            yield logger.experiment


def is_own(trainer: Trainer) -> bool:
    """Whether this run goes on from a checkpoint of its own: below its directory, or where it keeps its checkpoints."""
    if not trainer.ckpt_path:
        return False
    kept = [getattr(callback, "dirpath", None) for callback in trainer.checkpoint_callbacks]
    folders = {Path(folder).resolve() for folder in (trainer.default_root_dir, *kept) if folder}
    return not folders.isdisjoint(Path(str(trainer.ckpt_path)).resolve().parents)


def is_continued(trainer: Trainer) -> bool:
    """Whether this run goes on from a checkpoint of its own, and logs where an earlier part has."""
    folders = [logger.log_dir for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)]
    return is_own(trainer) and any(len(list(Path(folder).glob(f"{EVENTS}*"))) > 1 for folder in folders)


def first_step(logger: Logger, trainer: Trainer, step: int) -> int:
    """Return the first step that `logger` lacks in a run that goes on at `step`: 0 if it lacks them all."""
    if isinstance(logger, CSVLogger):
        return logger.first_step
    return step if isinstance(logger, TensorBoardLogger) and is_continued(trainer) else 0


def add_png(writer: SummaryWriter, tag: str, file: bytes, step: int = 0) -> None:
    """Write a PNG file as it is; SummaryWriter.add_image would compress it anew."""
    width, height = (int.from_bytes(file[start : start + 4]) for start in (16, 20))  # of the header
    image = Summary.Image(encoded_image_string=file, colorspace=3, width=width, height=height)
    assert writer.file_writer is not None  # open until the run ends
    writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)


def add_graph(writer: SummaryWriter, bits: int, hidden: tuple[int, ...], activation: str) -> None:
    """Write the graph of a network."""
    assert writer.file_writer is not None
    writer.file_writer.add_graph(trace(bits, hidden, activation))


@lru_cache
def trace(bits: int, hidden: tuple[int, ...], activation: str) -> Any:
    """The graph of a network, once for the jobs of a sweep: PyTorch never frees what it makes to trace one."""
    with torch.random.fork_rng(devices=[]):
        return graph(XORNet(bits, hidden, activation), torch.zeros(2**bits, bits))
