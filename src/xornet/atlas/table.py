"""A table of the atlas: a row a cell, a cell one finished job of a sweep."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xornet.cli.hydra_run import CONF
from xornet.plots.render import Array
from xornet.sweeps.naming import plain

RESULTS = (
    *("networks", "epochs", "solved", "solved_low", "solved_high", "solved_epoch", "solved_epoch_q25"),
    *("solved_epoch_q75", "unsolved", "diverged", "loss"),
)
SIZES = {"networks": "networks", "trainer.max_epochs": "epochs"}  # what these overrides are called among the results
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
                words = [*self.words(), f"hydra.sweep.dir=logs/atlas/{self.name}", f"{key}={value}"]
                is_addable = self.is_swept and self.resembles(key, value)
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

    def resembles(self, key: str, value: str) -> bool:
        """Whether a value may be one more of a key: positive, and whole or in brackets where the stored ones are."""
        stored = [one for one in self.values(key) if np.isfinite(number(one))]
        is_whole = all(number(one).is_integer() for one in stored)
        are_lists = {one.startswith("[") for one in [*stored, value]}
        return 0 < number(value) <= 1e30 and len(are_lists) == 1 and (number(value).is_integer() or not is_whole)

    def words(self) -> list[str]:
        """The words of the command of its sweep: the experiment that it is named after, and what all rows share."""
        is_experiment = (CONF / "experiment" / f"{self.name}.yaml").exists()
        start = ["python", "src/train.py", f"experiment={self.name}" if is_experiment else "-m"]
        columns = {**SIZES, **{key: key for key in self.keys}}
        return start + [f"{key}={self.rows[0][name]}" for key, name in columns.items() if len(self.values(name)) == 1]

    def command(self, row: Mapping[str, str]) -> str:
        """The command line that computes a row again."""
        return shlex.join(Table(self.name, self.keys, [dict(row)]).words())


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


def matrix(table: Table, up: tuple[str, Sequence[str]], across: tuple[str, Sequence[str]], name: str) -> Array:
    """Return a column as a map, (values of a key `up`, values of a key `across`); nan where a cell is missing."""
    cells = np.full((len(up[1]), len(across[1])), np.nan)
    for row in table.rows:
        cells[up[1].index(row[up[0]]), across[1].index(row[across[0]])] = number(row[name])
    return cells
