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
ROW = ".hparams-row"  # the end of the name of the event file that holds the HParams row


class EventLogger(TensorBoardLogger):
    """Lightning's TensorBoardLogger, with `hparams.yaml` whole or absent, and errors of the disk as they are.

    Its event file is the last of its directory, which TensorBoard therefore reads last (see `put_last`).

    Args:
        save_dir, name, version: the directory of the run, the one in it, and the one in that.
        default_hp_metric: false; callbacks.run_summary logs the results of HParams.
        max_queue: events that wait for the writer thread at most.
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
        if default_hp_metric:  # a second HParams row, whose columns can be of any type
            cause = "logger.tensorboard.default_hp_metric=true would log a result of -1"
            raise ValueError(f"{cause}; drop it: callbacks.run_summary logs real ones")
        super().__init__(save_dir, name, version, default_hp_metric=False)
        remedy = "use e.g. logger.tensorboard.max_queue=10000"
        self.options = {"max_queue": validation.integer("logger.tensorboard.max_queue", max_queue, 1, 10**9, remedy)}
        self.options |= kwargs
        self.writer: SummaryWriter | None = None
        self.path: Path | None = None  # of its event file
        self.earlier = self.event_files()
        self.first_step = 0  # the one after those that earlier files hold of this run
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
        if self.writer is not None and self.path is not None:
            self.writer.close()
            self.path.unlink()  # nothing has been logged
        self.writer = SummaryWriter(self.log_dir, purge_step=purge_step, **self.options)
        self.path = max(self.event_files() - self.earlier, default=None)

    def event_files(self) -> set[Path]:
        """The event files of the directory."""
        return set(Path(self.log_dir).glob(f"{EVENTS}*"))

    def put_last(self) -> None:
        """Rename those earlier event files whose names say that they were begun no earlier than ours.

        TensorBoard reads the event files of a directory in the order of their names, in which the second comes first
        and then the host, the process and a count. Within a second, or when the clock was put back, that is not the
        order in which they were written. Theirs becomes the second before, with a number that keeps them in order.
        """
        second = begun(self.path) if self.path else math.inf
        for number, path in enumerate(sorted(self.earlier)):
            if begun(path) >= second:
                rest = re.sub(r"^\d+(~\d+)?", "", path.name.removeprefix(EVENTS))
                path.rename(path.with_name(f"{EVENTS}{int(second) - 1:010d}~{number:06d}{rest}"))

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log the scalars of a step as one event, where Lightning makes one of each: a default run logs 6,400."""
        values = [Summary.Value(tag=name, simple_value=float(value)) for name, value in metrics.items()]
        assert self.experiment.file_writer is not None
        self.experiment.file_writer.add_summary(Summary(value=values), step)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Write `hparams.yaml`."""
        super().log_hyperparams(params, *args, **kwargs)
        files.write(Path(self.log_dir, "hparams.yaml"), lambda path: save_hparams_to_yaml(path, self.hparams))

    def save(self) -> None:
        """Write what is pending."""
        if self.writer is not None:
            self.writer.flush()

    def finalize(self, status: str) -> None:
        """Close the event file; where a run has failed, what cannot be written any more is not the cause.

        What is logged later, as by `Trainer.test`, begins another one.
        """
        with suppress(*([OSError] if status == "failed" else [])):
            if self.writer is not None:
                self.writer.close()
        self.writer, self.earlier = None, self.event_files()


def begun(path: Path) -> int:
    """The second in which an event file was begun, by its name."""
    second = re.match(r"\d+", path.name.removeprefix(EVENTS))
    return int(second[0]) if second else 0


def writers(trainer: Trainer) -> Iterator[SummaryWriter]:
    """Yield TensorBoard's writer, if TensorBoard is a logger of this run."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            yield logger.experiment
