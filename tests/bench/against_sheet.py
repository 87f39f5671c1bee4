"""The speed claims of one run, against the lab sheet: python tests/bench/against_sheet.py [rounds].

Every figure is the median over the rounds; the commands of a round run one after the other, so that a machine that
drifts drifts for all of them. A ratio whose rounds lie too far apart is no result (machine.py).
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from machine import described, figure

HERE = Path(__file__).parent
TRAIN = HERE.parents[1] / "src" / "train.py"
NO_FIGURES = [f"callbacks.{name}=null" for name in ("loss_curve", "animation", "hidden_units")]
LENGTHS = (2_000, 20_000, 200_000)


@dataclass
class Measured:
    """One process: seconds of its training, of compiling in that, of all of it, and its peak memory in MiB."""

    training: float
    compiling: float
    whole: float
    memory: float


def measure(command: list[str], result: Path) -> Measured:
    """Run one command, which leaves its training time in `result`."""
    start = time.perf_counter()
    process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    whole = time.perf_counter() - start
    assert status == 0, command
    text = result.read_text()
    metrics = json.loads(text) if result.suffix == ".json" else {"seconds": float(text), "compile_seconds": 0}
    return Measured(metrics["seconds"], metrics["compile_seconds"], whole, usage.ru_maxrss / 1024)


def one_round() -> dict[str, Measured]:
    """Run every command once."""
    with tempfile.TemporaryDirectory() as folder:
        runs = {"sheet": measure([str(HERE / "sheet.py"), folder], Path(folder, "seconds"))}
        commands = {"default": [], "autograd": [*NO_FIGURES, "model.gradient=autograd"]}
        commands |= {f"{epochs}": [*NO_FIGURES, f"trainer.max_epochs={epochs}"] for epochs in LENGTHS}
        for name, overrides in commands.items():
            run = Path(folder, name)
            runs[name] = measure([str(TRAIN), f"hydra.run.dir={run}", *overrides], run / "metrics.json")
    return runs


def main() -> None:
    """Print the table."""
    rounds = [one_round() for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 5)]
    rows = [
        ("training, figures off ÷ the sheet's loop", "20000", "sheet", "training"),
        ("the same with model.gradient=autograd", "autograd", "sheet", "training"),
        ("training, pictures and all ÷ figures off", "default", "20000", "training"),
        ("whole process, pictures and all ÷ the whole sheet", "default", "sheet", "whole"),
        ("its peak memory ÷ the whole sheet's", "default", "sheet", "memory"),
    ]
    print(f"{described()}\nmedians of {len(rounds)} interleaved rounds")
    print(f"{'what':50} {'this':>8}     {'other':>8}       ratio")
    for what, name, against, measured in rows:
        ours, theirs = ([getattr(r[which], measured) for r in rounds] for which in (name, against))
        unit = "MiB" if measured == "memory" else "s"
        ratio = figure([a / b for a, b in zip(ours, theirs, strict=True)])
        print(f"{what:50} {median(ours):8.2f} {unit:3} {median(theirs):8.2f} {unit:5} {ratio}")
    for epochs in LENGTHS:
        each = median(r[str(epochs)].training / epochs * 1e6 for r in rounds)
        print(f"time per epoch of a run of {epochs:,} epochs".ljust(50), f"{each:6.0f} µs")


if __name__ == "__main__":
    main()
