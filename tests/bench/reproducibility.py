"""How far two ways to compute the same run drift apart: python tests/bench/reproducibility.py.

Each pair is two runs of the sheet's 20,000 epochs. Compared are network 0's predictions, at every epoch that the curve
remembers, and over all networks the epoch at which the table is solved and the final weights.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from against_sheet import NO_FIGURES, TRAIN
from torch import Tensor

UNTIL = (1_000, 5_000, 20_000)  # epochs
MANY, MOST = "networks=1000", "networks=10000"
ONE_THREAD, TWO_THREADS = "OMP_NUM_THREADS=1", "OMP_NUM_THREADS=2"
PAIRS = {
    "the same command twice, 1 network": ([], []),
    "the same command twice, 1,000 networks": ([MANY], [MANY]),
    "1 thread, 2 threads; 10,000 networks": ([ONE_THREAD, MOST], [TWO_THREADS, MOST]),
    "the same, eager": ([ONE_THREAD, MOST, "model.compile=false"], [TWO_THREADS, MOST, "model.compile=false"]),
    "compiled, eager; 1 network": (["model.compile=true"], ["model.compile=false"]),
    "compiled, eager; 1,000 networks": ([MANY, "model.compile=true"], [MANY, "model.compile=false"]),
    "network 0 of 1,000, the same alone": ([MANY], []),
    "by hand, by autograd; 1 network": ([], ["model.gradient=autograd"]),
}


def run(words: list[str], folder: Path) -> tuple[Tensor, Tensor, list[Tensor], Tensor]:
    """Train; return epochs (S,), errors of network 0 (S, P), weights, and solving epochs (N,)."""
    environment = dict(word.split("=") for word in words if word.startswith("OMP"))
    overrides = [word for word in words if not word.startswith("OMP")]
    command = [sys.executable, str(TRAIN), f"hydra.run.dir={folder}", *NO_FIGURES, *overrides]
    subprocess.run(command, capture_output=True, check=True, env=os.environ | environment)
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    history = checkpoint["history"]
    weights = [value for name, value in checkpoint["state_dict"].items() if "weights" in name]
    return history["curve"]["epochs"], history["curve"]["errors"], weights, history["solved_epoch"]


def main() -> None:
    """Print the table."""
    headings = [f"by {epochs:,}" for epochs in UNTIL]
    print(f"{'':40} {'weights':>9} {'largest difference of a prediction':>34} {'solved elsewhen':>18}")
    print(f"{'':40} {'':>9} {headings[0]:>10} {headings[1]:>11} {headings[2]:>11}")
    for what, pair in PAIRS.items():
        with tempfile.TemporaryDirectory() as folder:
            ours, theirs = (run(words, Path(folder, str(i))) for i, words in enumerate(pair))
        epochs, differences = ours[0], (ours[1] - theirs[1]).abs().amax(1)
        drift = [f"{differences[epochs < until].max():.0e}" for until in UNTIL]
        networks = min(len(ours[3]), len(theirs[3]))
        equal = all(torch.equal(a[..., :networks], b[..., :networks]) for a, b in zip(ours[2], theirs[2], strict=True))
        apart = (ours[3][:networks] - theirs[3][:networks]).abs()
        words = f"{(apart > 0).sum()} of {networks}, by {apart.max()}"
        print(f"{what:40} {'equal' if equal else 'differ':>9} {drift[0]:>10} {drift[1]:>11} {drift[2]:>11} {words:>18}")


if __name__ == "__main__":
    main()
