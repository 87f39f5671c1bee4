"""The speed claims of ensembles: python tests/bench/ensembles.py [rounds] [picture.png]; needs the extra `bench`.

Every figure is the median over the rounds, every ratio the median of the rounds' ratios; what is compared runs one
after the other. A ratio whose rounds lie too far apart is no result (machine.py). The floor is floor.c, on one core.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

from against_sheet import HERE, NO_FIGURES, TRAIN, Measured, measure
from machine import described, figure
from matplotlib.figure import Figure

SIZES = (1, 10, 100, 1_000, 10_000, 100_000)
CORES = len(os.sched_getaffinity(0))
Way = tuple[str, int, int | None]  # way, networks, threads (None: the way's own choice)


def whole_runs(folder: Path) -> dict[str, Measured]:
    """Train one network by the sheet's script, and 10,000 as a user does: with everything on, and without figures."""
    runs = {"sheet": measure([str(HERE / "sheet.py"), str(folder)], folder / "seconds")}
    for name, overrides in {"everything on": [], "figures off": NO_FIGURES}.items():
        run = folder / name.replace(" ", "_")
        command = [str(TRAIN), "networks=10000", "seed=0", f"hydra.run.dir={run}", *overrides]
        runs[name] = measure(command, run / "metrics.json")
    return runs


def epoch(way: Way) -> float:
    """Return the seconds of an epoch."""
    name, networks, threads = way
    command = [sys.executable, str(HERE / "epoch.py"), name, str(networks), *([str(threads)] if threads else [])]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0])


def draw(cost: dict[Way, float], path: str) -> None:
    """Draw the cost of a network-epoch against N."""
    picture = Figure(figsize=(6.4, 4.8), layout="constrained")
    axes = picture.subplots()
    for name, style in (("eager", "o-"), ("compiled", "s-")):
        for threads, face in ((1, "white"), (CORES, None)):
            label = f"{name}, {threads} thread{'s' if threads > 1 else ''}"
            costs = [cost[name, size, threads] / size * 1e9 for size in SIZES]
            colour = "C0" if name == "eager" else "C1"
            axes.loglog(SIZES, costs, style, color=colour, markerfacecolor=face or colour, label=label)
    axes.set(xlabel="Networks, N", ylabel="Time per network and epoch (ns)", title="Cost of an Ensemble")
    axes.legend()
    picture.savefig(path)


def main() -> None:
    """Print the tables."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    table: list[Way] = [(w, n, t) for n in SIZES for w in ("eager", "compiled") for t in dict.fromkeys((1, CORES))]
    others: list[Way] = [(w, n, None) for n in (1_000, 10_000) for w in ("compiled", "floor", "jax", "vmap")]
    runs, epochs = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            runs.append(whole_runs(Path(folder)))
        epochs.append({way: epoch(way) for way in table + others})

    print(f"{described()}\nmedians of {rounds} interleaved rounds")
    print("training 10,000 networks for 20,000 epochs ÷ the sheet's loop on one")
    for name in ("everything on", "figures off"):
        print(f"  {name:14}", end="")
        for what, spared in (("compile time included", 0), ("excluded", 1)):
            seconds = [r[name].training - spared * r[name].compiling for r in runs]
            ratio = figure([s / r["sheet"].training for s, r in zip(seconds, runs, strict=True)])
            print(f"  {what} {ratio}, {median(seconds):.1f} s", end="")
        print()
    cost = {way: median(e[way] for e in epochs) for way in table}
    print(f"cost of a network-epoch, ns{'':12}" + "".join(f"{size:>10,}" for size in SIZES))
    for name, threads in dict.fromkeys((way, threads) for way, _, threads in table):
        values = "".join(f"{cost[name, size, threads] / size * 1e9:>10,.1f}" for size in SIZES)
        print(f"  {name}, threads: {threads}".ljust(38) + values)
    print("N = 100 ÷ N = 1, eager:", figure([e["eager", 100, 1] / e["eager", 1, 1] for e in epochs]))
    for other, threads in (("floor", 1), ("jax", None), ("vmap", None)):
        for size in (1_000, 10_000):
            ratio = figure([e["compiled", size, threads] / e[other, size, None] for e in epochs])
            theirs = median(e[other, size, None] for e in epochs) / size * 1e9
            print(f"compiled ÷ {other} at N = {size:,}: {ratio} (theirs {theirs:.1f} ns)")
    print(
        "2 threads ÷ 1, compiled, N = 10,000:",
        figure([e["compiled", 10_000, CORES] / e["compiled", 10_000, 1] for e in epochs]),
    )
    if len(sys.argv) > 2:
        draw(cost, sys.argv[2])


if __name__ == "__main__":
    main()
