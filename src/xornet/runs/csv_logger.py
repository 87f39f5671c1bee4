"""The logger of `csv/metrics.csv`: a table with each step once, also if the run is killed and resumed."""

import csv
from argparse import Namespace
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
    """Lightning's CSVLogger, except that it does not delete an earlier table, but adds rows to it.

    In a command, a new run replaces the table with its first rows (see `replace`), a resumed run keeps the rows of its
    earlier part (see `resume`), and a run that is refused leaves it unchanged.

    Args:
        save_dir, name, version: the run directory, a directory in it, and one in that.
        flush_logs_every_n_steps: steps between two writes; rows are also written before each checkpoint.

    """

    def __init__(
        self, save_dir: str, name: str = "csv", version: str = "", flush_logs_every_n_steps: int = 100
    ) -> None:
        key = "logger.csv.flush_logs_every_n_steps"
        self.every_n_steps = validation.integer(key, flush_logs_every_n_steps, 1, 10**9, f"use e.g. {key}=100")
        super().__init__(save_dir, name, version)
        self.path = Path(self.log_dir, "metrics.csv")
        self.is_waiting = False  # until the run is accepted; nothing may be written before
        self.first_step = 0  # the first step that is not among the kept rows
        self.hparams: Row = {}
        self.rows: list[Row] = []  # that are not written yet
        self.kept: list[Row] | None = None  # what the first rows are written behind; None for what the file holds
        self.columns: set[str] = set()  # of the file

    @property
    def experiment(self) -> Any:
        """The logger itself; Lightning's object for writing would delete the table."""
        return self

    def replace(self) -> None:
        """Replace an earlier table by the first rows, once the run is accepted."""
        self.is_waiting, self.kept = True, []

    def resume(self, checkpoint: Mapping[str, Any]) -> None:
        """Keep the rows that an earlier part of this run has logged before the checkpoint; write nothing yet.

        The final results of that part (`final/...`) are not kept, because the run continues.
        """
        earlier = [row for row in read_rows(self.path) if row["step"] < checkpoint["global_step"]]
        rows = [{name: cell for name, cell in row.items() if not name.startswith("final/")} for row in earlier]
        self.kept = [row for row in rows if row.keys() != {"step"}]
        self.first_step = max((row["step"] for row in self.kept if "train/loss" in row), default=-1) + 1

    def log_hyperparams(self, params: Any = None) -> None:
        """Write `hparams.yaml`, and from now on rows: a run that logs its hyperparameters has been accepted."""
        self.is_waiting = False
        self.hparams.update(vars(params) if isinstance(params, Namespace) else params or {})
        self.path.parent.mkdir(parents=True, exist_ok=True)
        files.write(self.path.with_name("hparams.yaml"), lambda path: save_hparams_to_yaml(path, self.hparams))

    def log_metrics(self, metrics: Mapping[str, Any], step: int | None = None) -> None:
        """Add a row."""
        values = {name: value.item() if isinstance(value, Tensor) else value for name, value in metrics.items()}
        self.rows.append({**values, "step": len(self.rows) if step is None else step})
        if (self.rows[-1]["step"] + 1) % self.every_n_steps == 0:
            self.save()

    def save(self) -> None:
        """Append the new rows; write the whole file the first time, or if there is a new column."""
        if self.is_waiting or not self.rows:
            return
        columns = self.columns.union(*self.rows)
        if self.kept is None and columns == self.columns:
            with self.path.open("a", newline="") as file:
                csv.DictWriter(file, sorted(columns)).writerows(self.rows)
        else:
            rows = [*(read_rows(self.path) if self.kept is None else self.kept), *self.rows]
            columns = columns.union(*rows)
            self.path.parent.mkdir(parents=True, exist_ok=True)
            files.write(self.path, lambda path: write_rows(path, sorted(columns), rows))
        self.kept, self.columns, self.rows = None, columns, []

    def finalize(self, status: str) -> None:
        """Write the last rows; if the run has failed, ignore a failure to write, which is not the cause."""
        with suppress(*([OSError] if status == "failed" else [])):
            self.save()


def read_rows(path: Path) -> list[Row]:
    """Return the rows of a table without empty cells, and without an incomplete last row of a killed process."""
    if not path.exists():
        return []
    with path.open(newline="") as file:
        whole = [line for line in file if line.endswith("\n")]
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
