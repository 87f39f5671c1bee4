"""A table of the atlas: a row a cell, a cell one finished job of a sweep, as `docs/atlas` keeps it."""

import csv
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from xornet.plots.render import Array
from xornet.sweeps.naming import plain

RESULTS = (
    *("networks", "epochs", "solved", "solved_low", "solved_high", "solved_epoch", "solved_epoch_q25"),
    *("solved_epoch_q75", "unsolved", "diverged", "loss"),
)
EXPONENTS = ("exponent", "exponent_q05", "exponent_q95")
DERIVED = ("first", "second", "residual", "stuck", "freed", "share", "stay", *EXPONENTS)


@dataclass
class Table:
    """What the jobs of one sweep reached.

    Args:
        name: of the experiment, and of the file.
        keys: what was swept, as `optimizer.lr`.
        rows: the values of `keys` and of the results by their names, as they are written; empty where there is none.

    """

    name: str
    keys: list[str]
    rows: list[dict[str, str]]

    def column(self, name: str) -> Array:
        """The numbers of a column, (rows,); nan where there is none, as for `null`."""
        return np.array([number(row[name]) for row in self.rows])

    def values(self, key: str) -> list[str]:
        """The different values of a key, in their order."""
        return list(dict.fromkeys(row[key] for row in self.rows))

    def where(self, given: Mapping[str, str]) -> "Table":
        """The rows with these values: 1 and 1.0 are the same.

        Raises:
            ValueError: no row has them.

        """
        rows = self.rows
        for key, value in given.items():
            if key not in self.keys:
                raise ValueError(f"{key}={value}: {self.name}.csv has no such key; use one of {', '.join(self.keys)}")
            wanted = plain("null" if value == "default" else value)  # which the pictures have
            rows = [row for row in rows if plain(row[key]) == wanted or number(row[key]) == number(value)]
            if not rows:
                stored = ", ".join(self.values(key))
                said = f"{key}={value} is not stored in docs/atlas/{self.name}.csv, whose values are {stored}"
                words = [*run_command(self.name), f"hydra.sweep.dir=logs/atlas/{self.name}", f"{key}={value}"]
                is_addable = self.is_swept and np.isfinite(number(value))
                add = f", or add it: {shlex.join(words)} && python src/atlas.py" if is_addable else ""
                raise ValueError(f"{said}; use one of them{add}")
        return Table(self.name, self.keys, rows)

    @property
    def is_swept(self) -> bool:
        """Whether its rows are jobs of a sweep, not what follows from several."""
        return "networks" in self.columns

    @property
    def columns(self) -> list[str]:
        """The names of all columns, the keys first."""
        return list(self.rows[0])

    def command(self, row: Mapping[str, str]) -> str:
        """The command line that computes a row again."""
        return shlex.join([*run_command(self.name), *(f"{key}={row[key]}" for key in self.keys)])


def run_command(name: str) -> list[str]:
    """The words of the command that runs an experiment."""
    return ["python", "src/train.py", f"experiment={name}"]


def number(text: str) -> float:
    """The number that a cell holds, the one of `[4]` too; nan if it holds none."""
    try:
        return float(text.strip("[]"))
    except ValueError:
        return np.nan


def merged(table: Table, stored: Table | None) -> Table:
    """The table with those cells of a stored one that it does not have, in the order of their values."""
    rows = [*(stored.rows if stored else []), *table.rows]
    cells = {tuple(plain(row[key]) for key in table.keys): row for row in rows}
    ordered = sorted(cells.items(), key=lambda item: [place(value) for value in item[0]])
    return Table(table.name, table.keys, [row for _, row in ordered])


def place(value: str) -> tuple[float, str]:
    """Where a value stands among others: `null` first, numbers in their order, then words."""
    found = number(value)
    return (-np.inf if value == "null" else np.inf if np.isnan(found) else found), value


def write(table: Table, folder: Path) -> None:
    """Write `<name>.csv`."""
    with (folder / f"{table.name}.csv").open("w", encoding="utf-8", newline="") as file:
        rows = csv.DictWriter(file, table.columns, lineterminator="\n")
        rows.writeheader()
        rows.writerows(table.rows)


def read(name: str, folder: Path) -> Table:
    """Return a stored table.

    Raises:
        ValueError: there is none of this name.

    """
    path = folder / f"{name}.csv"
    if not path.exists():
        stored = ", ".join(sorted(file.stem for file in folder.glob("*.csv")))
        raise ValueError(f"{name} is no table of docs/atlas; use one of {stored}")
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        rows = list(reader)
    keys = [column for column in reader.fieldnames or [] if column not in (*RESULTS, *DERIVED)]
    return Table(name, keys, rows)


def matrix(table: Table, up: tuple[str, Sequence[str]], across: tuple[str, Sequence[str]], name: str) -> Array:
    """Return a column as a map, (values of a key `up`, values of a key `across`); nan where a cell is missing."""
    cells = np.full((len(up[1]), len(across[1])), np.nan)
    for row in table.rows:
        cells[up[1].index(row[up[0]]), across[1].index(row[across[0]])] = number(row[name])
    return cells
