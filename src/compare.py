"""Compare runs: python src/compare.py <run> <run> ..., the directories of runs or of jobs of a sweep."""

from xornet.cli import startup  # noqa: F401 isort: skip - first: it sets signal handlers before the slow imports

import argparse
from pathlib import Path

from xornet.callbacks.figures import save
from xornet.callbacks.pictures import grid
from xornet.cli import errors
from xornet.plots.comparison import comparison
from xornet.plots.render import drawn
from xornet.runs.compare import apart, labels, names, read_run
from xornet.runs.directory import claim
from xornet.sweeps.table import OUTCOME, align, outcome


def main() -> None:
    """Print the differing settings and the results of runs; draw their loss curves and decision boundaries."""
    whole, modules = zip(*map(read_run, folders()), strict=True)
    runs = apart(whole)
    heading = ["run", *runs[0].overrides, "epochs", *OUTCOME]
    rows = [
        [name, *run.overrides.values(), f"{run.result('epochs'):,}", *outcome(run)]
        for name, run in zip(names(runs), runs, strict=True)
    ]
    boundaries = [grid(module, 0) if module.hparams["bits"] == 2 else None for module in modules]
    many = any(len(module.ensemble) > 1 for module in modules)
    tables = [(module.x.numpy(), module.y.numpy()) for module in modules]
    picture = drawn(comparison([run.curve for run in runs], boundaries, labels(runs), tables, many))
    folder = claim("logs/compare/runs")
    save({"comparison.png": picture}, folder)
    print("\n".join(align([heading, *rows])))
    print(f"Comparison: {folder}/comparison.png")


def folders() -> list[Path]:
    """Return the directories on the command line: at least two, each once."""
    parser = argparse.ArgumentParser(description="Compare runs: their configurations, losses and decision boundaries.")
    parser.add_argument("run", nargs="*", type=Path, help="the directory of a run, or of one job of a sweep")
    given, unknown = parser.parse_known_args()
    found = [path.resolve() for path in given.run]
    usage = "use python src/compare.py <run> <run> ..."
    if unknown:
        raise ValueError(f"{unknown[0]} is no option of compare.py; {usage}")
    if len(found) < 2:
        raise ValueError(f"a comparison takes at least 2 runs, got {len(found)}; {usage}")
    if twice := [path for path in found if found.count(path) > 1]:
        raise ValueError(f"{twice[0]} is given twice; use each run once")
    return found


if __name__ == "__main__":
    with errors.one_line([], disk="make room there, or make it writable"):
        main()
