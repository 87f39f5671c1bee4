"""The atlas: python src/atlas.py [table] [key=value ...] prints stored cells; alone, it makes them of the sweeps."""

from xornet.cli import startup  # noqa: F401 isort: skip - first: it sets signal handlers before the slow imports

import argparse
import sys
from functools import partial
from pathlib import Path

from xornet import files
from xornet.atlas.collect import from_sweep
from xornet.atlas.derived import derived
from xornet.atlas.laws import laws
from xornet.atlas.pictures import pictures
from xornet.atlas.store import read, write
from xornet.atlas.table import Table
from xornet.cli import errors
from xornet.plots.render import drawn, write_png
from xornet.runs import directory
from xornet.sweeps.command import unstarted
from xornet.sweeps.table import align

USAGE = "use python src/atlas.py [table] [key=value ...]"
REMEDY = "correct it, or delete it and give the command without its values"
STORED = Path(__file__).resolve().parents[1] / "docs" / "atlas"


def main() -> None:
    """Print the stored cells that the command line names; without arguments, make tables and pictures again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("word", nargs="*", help="a table of docs/atlas (grid, if none is given), or key=value of one")
    given, unknown = parser.parse_known_args()
    if unknown:
        raise ValueError(f"{unknown[0]} is no option of atlas.py; {USAGE}")
    if given.word:
        show(given.word)
    else:
        make(directory.PROJECT / "logs" / "atlas", directory.PROJECT / "docs" / "atlas")


def show(given: list[str]) -> None:
    """Print the stored cells that are named by a table and by values of its keys."""
    names = [word for word in given if "=" not in word]
    if len(names) > 1:
        raise ValueError(f"{names[-1]} is one word too many; {USAGE}")
    pairs = [word.split("=", 1) for word in given if "=" in word]
    if twice := [key for key, _ in pairs if [key for key, _ in pairs].count(key) > 1]:
        raise ValueError(f"{twice[0]} is given twice; use one value of it, or none for all")
    cells = read(names[0] if names else "grid", STORED).where(dict(pairs))
    print("\n".join(align([cells.columns, *(list(row.values()) for row in cells.rows)])))
    if len(cells.rows) == 1 and cells.is_swept:
        print(f"Again: {cells.command(cells.rows[0])}")


def make(sweeps: Path, docs: Path) -> None:
    """Write a table for each finished sweep, the tables computed from these, and the pictures."""
    folders = sorted(path for path in sweeps.glob("*") if (path / "sweep.csv").exists())
    if not folders:
        raise ValueError(f"{sweeps} holds no sweep; use make atlas")
    docs.mkdir(parents=True, exist_ok=True)
    tables: dict[str, Table] = {}
    whole: dict[str, Table] = {}
    are_finished = True
    for folder in folders:
        is_stored = (docs / f"{folder.name}.csv").exists()
        stored = read(folder.name, docs) if is_stored else None
        table, unfinished, is_whole = from_sweep(folder, stored)
        for job in unfinished:
            print(f"{job.folder}: {job.status}" + (f" ({job.cause}); {REMEDY}" if job.cause else ""))
            are_finished = False
        if left := unstarted(folder):
            print(f"{folder}: {left} of its jobs have not been started")
            are_finished = False
        if left or any(not job.cause for job in unfinished):
            resume = "make atlas resumes them, or the command that added them"
            print(f"{table.name}: not all jobs are finished, so no table is written; {resume}")
            continue
        tables[table.name] = table
        whole |= {table.name: table} if is_whole else {}
        before = stored.rows if stored else []
        if changed := sum(row not in table.rows for row in before):
            print(f"{table.name}: {changed} of its {len(before)} stored cells have other numbers here")
    stored_laws = read("laws", docs) if (docs / "laws.csv").exists() else None
    for table in [*tables.values(), laws(tables, stored_laws), *derived(whole, sweeps)]:
        if table.rows:
            write(table, docs)
            print(f"{table.name}: {len(table.rows)} rows, {docs}/{table.name}.csv")
    for name, figure in pictures(tables, whole.keys(), sweeps):
        files.write(docs / f"{name}.png", partial(write_png, drawn(figure)))
        print(f"{docs}/{name}.png")
    if not are_finished:
        sys.exit(1)


if __name__ == "__main__":
    with errors.one_line([], disk="make room there, or make it writable"):
        main()
