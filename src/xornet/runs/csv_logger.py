"""What a run logs as a table: `csv/metrics.csv`, every step once, however often a run is killed and resumed."""

import csv
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lightning.pytorch.core.saving import save_hparams_to_yaml
from lightning.pytorch.loggers import CSVLogger as LightningCSVLogger
from torch import Tensor

from xornet import files, validation

Row = dict[str, Any]


class CSVLogger(LightningCSVLogger):
    """Lightning's CSVLogger, which here does not delete an earlier table as soon as a run is set up.

    A resumed run keeps the rows of its earlier part (see `resume`), one that begins anew replaces the table with its
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
        key = "logger.csv.flush_logs_every_n_steps"
        validation.integer(key, flush_logs_every_n_steps, 1, 10**9, f"use e.g. {key}=100")
        super().__init__(save_dir, name, version, flush_logs_every_n_steps=flush_logs_every_n_steps)
        self.table = Table(Path(self.log_dir, "metrics.csv"))
        self.is_waiting = False  # for the run to be accepted, before which nothing may be written
        self.first_step = 0  # the one after those that are kept

    @property
    def experiment(self) -> Any:
        """What Lightning's CSVLogger writes with."""
        return self.table

    def resume(self, step: int) -> None:
        """Keep the rows that an earlier part of this run has logged before `step`; change nothing yet."""
        self.table.kept = [row for row in read_rows(self.table.path) if row["step"] < step]
        self.first_step = max((int(row["step"]) for row in self.table.kept), default=-1) + 1

    def save(self) -> None:
        """Write the rows that are not written yet."""
        if not self.is_waiting:
            self.table.save()

    def finalize(self, status: str) -> None:
        """Write the last rows; where the run has failed, what cannot be written is not the cause."""
        with suppress(*([OSError] if status == "failed" else [])):
            self.save()


class Table:
    """The rows of a CSV file, with a column for each name, and the hyperparameters beside it.

    Args:
        path: the file, which exists once there are rows.

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.hparams: Row = {}
        self.metrics: list[Row] = []  # the rows that are not written yet
        self.kept: list[Row] | None = []  # of an earlier part; None once the file is this run's
        self.columns: set[str] = set()  # of the file

    def log_hparams(self, params: Row) -> None:
        """Write `hparams.yaml`."""
        self.hparams.update(params)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        files.write(self.path.with_name("hparams.yaml"), lambda path: save_hparams_to_yaml(path, self.hparams))

    def log_metrics(self, metrics: Mapping[str, Any], step: int) -> None:
        """Add a row."""
        values = {name: value.item() if isinstance(value, Tensor) else value for name, value in metrics.items()}
        self.metrics.append({**values, "step": step})

    def save(self) -> None:
        """Append the new rows; write the whole file where it is not this run's yet, or there is a new column."""
        if not self.metrics:
            return
        columns = self.columns.union(*self.metrics)
        if self.kept is None and columns == self.columns:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, sorted(columns)).writerows(self.metrics)
        else:
            rows = [*(read_rows(self.path) if self.kept is None else self.kept), *self.metrics]
            columns = columns.union(*rows)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            files.write(self.path, lambda path: write_rows(path, sorted(columns), rows))
        self.kept, self.columns, self.metrics = None, columns, []


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a table, without empty cells, and without the torn last one of a killed process.

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
