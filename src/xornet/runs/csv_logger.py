"""What a run logs as a table: `csv/metrics.csv`, every step once, however often a run is killed and goes on."""

import csv
from argparse import Namespace
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.core.saving import save_hparams_to_yaml
from lightning.pytorch.loggers import Logger
from torch import Tensor

from xornet import files, validation

Row = dict[str, Any]


class CSVLogger(Logger):
    """Writes a row for everything that is logged: its step, and a column for each name.

    The table is that of Lightning's CSVLogger, which deletes an earlier one as soon as a run is set up. Here a run
    that goes on keeps the rows of its earlier part (see `resume`), one that begins anew replaces the file with its
    first rows, and one that is refused leaves it alone.

    Args:
        save_dir: the directory of the run.
        name: the directory in it.
        version: the directory in that.
        flush_logs_every_n_steps: steps after which rows are written, besides those before each checkpoint.

    """

    def __init__(
        self, save_dir: str, name: str = "csv", version: str = "", flush_logs_every_n_steps: int = 100
    ) -> None:
        key = "logger.flush_logs_every_n_steps"
        self.every = validation.integer(key, flush_logs_every_n_steps, 1, 10**9, f"use e.g. {key}=100")
        self._save_dir, self._name, self._version = save_dir, name, version
        self.path = Path(save_dir, name, version, "metrics.csv")
        self.hyperparameters: Row = {}
        self.saved: Row = {}  # of them
        self.rows: list[Row] = []  # that are not written yet
        self.kept: list[Row] | None = []  # of an earlier part; None once the file is this run's
        self.columns: set[str] = set()  # of the file
        self.is_waiting = False  # for the run to be accepted, before which nothing may be written
        self.first_step = 0  # the one after those that are kept

    @property
    def name(self) -> str:
        """The directory in `save_dir`."""
        return self._name

    @property
    def version(self) -> str:
        """The directory in that."""
        return self._version

    @property
    def save_dir(self) -> str:
        """The directory of the run."""
        return self._save_dir

    @property
    def log_dir(self) -> str:
        """The directory of the table."""
        return str(self.path.parent)

    def resume(self, step: int) -> None:
        """Keep the rows that an earlier part of this run has logged before `step`; change nothing yet."""
        self.kept = [row for row in read_rows(self.path) if row["step"] < step]
        self.first_step = max((int(row["step"]) for row in self.kept), default=-1) + 1

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add a row."""
        values = {name: value.item() if isinstance(value, Tensor) else value for name, value in metrics.items()}
        step = len(self.rows) if step is None else step
        self.rows.append({**values, "step": step})
        if not self.is_waiting and (step + 1) % self.every == 0:
            self.save()

    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Note what `hparams.yaml` is to hold."""
        self.hyperparameters.update(vars(params) if isinstance(params, Namespace) else params)

    def save(self) -> None:
        """Write what is not written yet: the hyperparameters, and rows if there are any."""
        if self.hyperparameters != self.saved:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            path = self.path.with_name("hparams.yaml")
            files.write(path, lambda path: save_hparams_to_yaml(path, self.hyperparameters))
            self.saved = dict(self.hyperparameters)
        if not self.rows:
            return
        columns = self.columns.union(*self.rows)
        if self.kept is None and columns == self.columns:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, sorted(columns)).writerows(self.rows)
        else:
            before = read_rows(self.path) if self.kept is None else self.kept
            columns = columns.union(*before)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            files.write(self.path, lambda path: write_rows(path, sorted(columns), [*before, *self.rows]))
        self.kept, self.columns, self.rows = None, columns, []

    def finalize(self, status: str) -> None:
        """Write what is left of a run that has begun; where it has failed, what cannot be written is not the cause."""
        if self.is_waiting:
            return
        with suppress(*([OSError] if status == "failed" else [])):
            self.save()


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a table, without empty cells, and without a last one that a killed process has torn.

    Raises:
        ValueError: there is a row without a step.

    """
    if not path.exists():
        return []
    with path.open(newline="") as file:
        lines = file.readlines()
    whole = lines if not lines or lines[-1].endswith("\n") else lines[:-1]
    rows = [{name: cell for name, cell in row.items() if cell} for row in csv.DictReader(whole)]
    try:
        return [{**row, "step": int(row["step"])} for row in rows]
    except (KeyError, ValueError) as error:
        raise ValueError(f"{path} has a row without a step; move it away, or use another hydra.run.dir") from error


def write_rows(path: Path, columns: list[str], rows: list[Row]) -> None:
    """Write a table."""
    with path.open("w", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        table.writerows(rows)
