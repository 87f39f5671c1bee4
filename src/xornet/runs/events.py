"""TensorBoard's event files."""

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.core.saving import save_hparams_to_yaml
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter

from xornet import files, validation
from xornet.runs.undo import expect

EVENTS = "events.out.tfevents."  # and the second in which the file was begun
ROW = ".hparams-row"  # how the name of the event file with the HParams row ends


class EventLogger(TensorBoardLogger):
    """Lightning's TensorBoardLogger, which here writes `hparams.yaml` atomically, and raises errors of the disk.

    Its event file is the last of its directory by name, so that TensorBoard reads it last (see `put_last`).

    Args:
        save_dir, name, version: the run directory, a directory in it, and one in that.
        default_hp_metric: false; callbacks.run_summary logs the results of HParams.
        max_queue: the largest number of events that wait for the writer thread.
        **kwargs: of SummaryWriter.

    """

    def __init__(
        self,
        save_dir: str,
        name: str = "",
        version: str = "",
        default_hp_metric: bool = False,
        max_queue: int = 10,
        **kwargs: Any,
    ) -> None:
        if default_hp_metric:  # it would write a second HParams row, with columns of mixed types
            cause = "logger.tensorboard.default_hp_metric=true would log a result of -1"
            raise ValueError(f"{cause}; drop it: callbacks.run_summary logs real ones")
        super().__init__(save_dir, name, version, default_hp_metric=False)
        remedy = "use e.g. logger.tensorboard.max_queue=10000"
        self.options = {"max_queue": validation.integer("logger.tensorboard.max_queue", max_queue, 1, 10**9, remedy)}
        self.options |= kwargs
        self.writer: SummaryWriter | None = None
        self.path: Path | None = None  # of its event file
        self.earlier = self.event_files()
        self.first_step = 0  # the first step of this run that earlier files do not hold
        self.is_reopened = False  # whether the last of the earlier files is its own
        expect(Path(self.log_dir).absolute())

    @property
    def experiment(self) -> SummaryWriter:
        """TensorBoard's writer; Lightning asks for it before it loads the checkpoint to resume from."""
        if self.writer is None:
            self.begin(purge_step=None if self.earlier else 0)
            if self.is_reopened:
                self.put_last()
        assert self.writer is not None
        return self.writer

    def begin(self, purge_step: int | None) -> None:
        """Begin the event file; it tells TensorBoard to drop `purge_step` and later steps of earlier files."""
        if self.writer is not None and self.path is not None:
            self.writer.close()
            self.path.unlink()  # nothing has been logged
        self.writer = SummaryWriter(self.log_dir, purge_step=purge_step, **self.options)
        self.path = max(self.event_files() - self.earlier, default=None)

    def event_files(self) -> set[Path]:
        """The event files of the directory."""
        return set(Path(self.log_dir).glob(f"{EVENTS}*"))

    def put_last(self) -> None:
        """Rename earlier event files whose names would come after ours.

        TensorBoard reads the event files of a directory in the order of their names: by second, host, process and a
        count. Within one second, or if the clock was set back, that is not the order in which they were written. Their
        names get the second before ours, with a number that keeps their order.
        """
        second = begun(self.path) if self.path else math.inf
        for number, path in enumerate(sorted(self.earlier)):
            if begun(path) >= second:
                rest = re.sub(r"^\d+(~\d+)?", "", path.name.removeprefix(EVENTS))
                path.rename(path.with_name(f"{EVENTS}{int(second) - 1:010d}~{number:06d}{rest}"))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the scalars of a step as one event; Lightning writes one per scalar, 6,400 in a default run."""
        values = [Summary.Value(tag=name, simple_value=float(value)) for name, value in metrics.items()]
        assert self.experiment.file_writer is not None
        self.experiment.file_writer.add_summary(Summary(value=values), step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Write `hparams.yaml`."""
        super().log_hyperparams(params, *args, **kwargs)
        files.write(Path(self.log_dir, "hparams.yaml"), lambda path: save_hparams_to_yaml(path, self.hparams))

    def save(self) -> None:
        """Write pending events."""
        if self.writer is not None:
            self.writer.flush()

    def finalize(self, status: str) -> None:
        """Close the event file; if the run has failed, ignore a failure to write, which is not the cause.

        Logging after that, such as by `Trainer.test`, begins another file.
        """
        with suppress(*([OSError] if status == "failed" else [])):
            if self.writer is not None:
                self.writer.close()
        self.writer, self.earlier, self.is_reopened = None, self.event_files(), True


def begun(path: Path) -> int:
    """The second in which an event file was begun, from its name."""
    second = re.match(r"\d+", path.name.removeprefix(EVENTS))
    return int(second[0]) if second else 0


def writers(trainer: Trainer) -> Iterator[SummaryWriter]:
    """Yield the writer of each TensorBoard logger of this run."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            yield logger.experiment
