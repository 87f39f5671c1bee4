"""The speed claims of sweeps: python tests/bench/sweeps.py [rounds].

Every figure is the median over the rounds. A round is a sweep of JOBS default-length jobs in one process; half of its
jobs before and half after with figures off, which gives the training time of a job though a machine's speed drifts; and
the first one again, which skips what has finished.
"""

import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median

from against_sheet import NO_FIGURES, TRAIN
from machine import described, figure

JOBS = 30


@dataclass
class Swept:
    """One sweep: its whole time, and the seconds in which each job was trained and drawn."""

    whole: float
    jobs: list[float]


def sweep(folder: Path, seeds: str, *overrides: str) -> Swept:
    """Run one sweep."""
    start = time.perf_counter()
    command = [sys.executable, str(TRAIN), "-m", f"seed=range({seeds})", f"hydra.sweep.dir={folder}", *overrides]
    subprocess.run(command, capture_output=True, check=True)
    whole = time.perf_counter() - start
    return Swept(whole, [json.loads(p.read_text())["seconds"] for p in folder.glob("*/metrics.json")])


def main() -> None:
    """Print the table."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    ratios, per_job, drawing, hydra, skipping = [], [], [], [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            before = sweep(Path(folder, "before"), f"0,{JOBS // 2}", *NO_FIGURES)
            drawn = sweep(Path(folder, "drawn"), f"0,{JOBS}")
            after = sweep(Path(folder, "after"), f"{JOBS // 2},{JOBS}", *NO_FIGURES)
            skipping.append(sweep(Path(folder, "drawn"), f"0,{JOBS}").whole)
        training = mean([median(before.jobs), median(after.jobs)])
        ratios.append(drawn.whole / (JOBS * training))
        per_job.append(drawn.whole / JOBS)
        drawing.append((sum(drawn.jobs) - JOBS * training) / drawn.whole)
        hydra.append((drawn.whole - sum(drawn.jobs)) / drawn.whole)
    print(f"{described()}\nmedians of {rounds} interleaved rounds, {JOBS} jobs of 20,000 epochs")
    print(f"whole sweep ÷ {JOBS} times the training of one job, figures off: {figure(ratios)}")
    print(f"  of a sweep ({median(per_job):.1f} s a job): drawing {median(drawing):.0%}", end="")
    print(f", imports, Hydra and the summary {median(hydra):.0%}")
    print(f"skipping {JOBS} finished jobs: {median(skipping):.1f} s")


if __name__ == "__main__":
    main()
