"""A table of the atlas: one row per finished job of a sweep."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from xornet.cli.hydra_run import CONF
from xornet.plots.render import Array
from xornet.sweeps.naming import normalized

RESULTS = (
    *("networks", "epochs", "solved", "solved_low", "solved_high", "solved_epoch", "solved_epoch_q25"),
    *("solved_epoch_q75", "unsolved", "diverged", "loss"),
)
SIZES = {"networks": "networks", "trainer.max_epochs": "epochs"}  # overrides that are columns of the results too
EXPONENTS = ("exponent", "exponent_q05", "exponent_q95")
DERIVED = ("first", "second", "residual", "stuck", "freed", "share", "stay", *EXPONENTS)


@dataclass
class Table:
    """The results of the jobs of one sweep.

    Args:
        name: of the experiment, and of the file.
        keys: the swept keys, such as `optimizer.lr`.
        rows: by column, the values of `keys` and the results, as texts; empty if there is none.

    """

    name: str
    keys: list[str]
    rows: list[dict[str, str]]

    def column(self, name: str) -> Array:
        """The numbers of a column, (rows,); nan if a cell holds none, such as `null`."""
        return np.array([number(row[name]) for row in self.rows])

    def values(self, key: str) -> list[str]:
        """The different values of a key, in the order of the rows."""
        return list(dict.fromkeys(row[key] for row in self.rows))

    def where(self, given: Mapping[str, str]) -> "Table":
        """The rows with these values; 1 and 1.0 are equal.

        Raises:
            ValueError: no row has them.

        """
        rows = self.rows
        for key, value in given.items():
            if key not in self.keys:
                raise ValueError(f"{key}={value}: {self.name}.csv has no such key; use one of {', '.join(self.keys)}")
            wanted = normalized("null" if value == "default" else value)  # as pictures call it
            rows = [row for row in rows if normalized(row[key]) == wanted or number(row[key]) == number(value)]
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
        """Whether its rows are jobs of a sweep, and not computed from several sweeps."""
        return "networks" in self.columns

    @property
    def columns(self) -> list[str]:
        """The names of all columns, the keys first."""
        return list(self.rows[0])

    def resembles(self, key: str, value: str) -> bool:
        """Whether a value could be added to a key: positive, an integer or a list if the stored values are."""
        stored = [one for one in self.values(key) if np.isfinite(number(one))]
        is_whole = all(number(one).is_integer() for one in stored)
        are_lists = {one.startswith("[") for one in [*stored, value]}
        return 0 < number(value) <= 1e30 and len(are_lists) == 1 and (number(value).is_integer() or not is_whole)

    def words(self) -> list[str]:
        """The arguments of the command of its sweep: the experiment, and the values that all rows share."""
        is_experiment = (CONF / "experiment" / f"{self.name}.yaml").exists()
        start = ["python", "src/train.py", f"experiment={self.name}" if is_experiment else "-m"]
        columns = {**SIZES, **{key: key for key in self.keys}}
        return start + [f"{key}={self.rows[0][name]}" for key, name in columns.items() if len(self.values(name)) == 1]

    def command(self, row: Mapping[str, str]) -> str:
        """The command line that computes a row again."""
        return shlex.join(Table(self.name, self.keys, [dict(row)]).words())


def number(text: str) -> float:
    """The number in a cell, also that of `[4]`; nan if there is none."""
    try:
        return float(text.strip("[]"))
    except ValueError:
        return np.nan


def merged(table: Table, stored: Table | None) -> Table:
    """The table together with the stored cells that it does not have, sorted by their values."""
    rows = [*(stored.rows if stored else []), *table.rows]
    cells = {tuple(normalized(row[key]) for key in table.keys): row for row in rows}
    ordered = sorted(cells.items(), key=lambda item: [place(value) for value in item[0]])
    return Table(table.name, table.keys, [row for _, row in ordered])


def place(value: str) -> tuple[float, str]:
    """A sort key for values: `null` first, then numbers, then words."""
    found = number(value)
    return (-np.inf if value == "null" else np.inf if np.isnan(found) else found), value


def matrix(table: Table, up: tuple[str, Sequence[str]], across: tuple[str, Sequence[str]], name: str) -> Array:
    """Return a column as a matrix, (values of the key `up`, values of the key `across`); nan for missing cells."""
    cells = np.full((len(up[1]), len(across[1])), np.nan)
    for row in table.rows:
        cells[up[1].index(row[up[0]]), across[1].index(row[across[0]])] = number(row[name])
    return cells
