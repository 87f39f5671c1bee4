"""The stored tables: one CSV file per table in `docs/atlas`."""

import csv
from pathlib import Path

from xornet import files
from xornet.atlas.table import DERIVED, RESULTS, Table


def write(table: Table, folder: Path) -> None:
    """Write `<name>.csv`."""

    def save(path: Path) -> None:
        with path.open("w", encoding="utf-8", newline="") as file:
            rows = csv.DictWriter(file, table.columns, lineterminator="\n")
            rows.writeheader()
            rows.writerows(table.rows)

    files.write(folder / f"{table.name}.csv", save)


def read(name: str, folder: Path) -> Table:
    """Return a stored table.

    Raises:
        ValueError: there is no table of this name, or its file is damaged.

    """
    path = folder / f"{name}.csv"
    if not path.exists():
        stored = ", ".join(sorted(file.stem for file in folder.glob("*.csv")))
        raise ValueError(f"{name} is no table of docs/atlas; use one of {stored}")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header, *rows = csv.reader(file)
        if not rows or any(len(row) != len(header) for row in rows):
            raise ValueError("not a table")
    except ValueError as error:  # also if the file is no text
        raise ValueError(f"{path} is damaged; restore it (git checkout), or delete it") from error
    keys = [column for column in header if column not in (*RESULTS, *DERIVED)]
    return Table(name, keys, [dict(zip(header, row, strict=True)) for row in rows])
