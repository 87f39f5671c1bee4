"""What a run remembers of its epochs: a curve of about 1,000 points, and when each network solved the table."""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

CURVE_POINTS = 1000
QUANTILES = (0.1, 0.5, 0.9)


@dataclass
class Block:
    """The epochs of one training step: epoch `start + k` made `errors[k]`, before its update.

    Args:
        start: the first epoch.
        errors: ŷ - y, (K, P, O, N).

    """

    start: int
    errors: Tensor

    def losses(self, epochs: slice | int = slice(None)) -> Tensor:
        """The mean squared error of every network at some epochs of the block, (N,) or (..., N)."""
        return self.errors[epochs].square().mean((-3, -2))

    def median(self, k: int) -> float:
        """The median loss at the k-th epoch of the block, over the networks that are not lost to nan."""
        return self.losses(k).nanquantile(0.5).item()


class History:
    """The curve of a run, and the epoch at which each network solved the table.

    The curve holds every n-th epoch, with n so that a run has at most CURVE_POINTS of them: a long run remembers, logs
    and draws no more than a short one.

    Args:
        networks: N.
        tolerance: a point is learnt when its prediction is closer than this to its target; a network has solved the
            table when every point is learnt.

    """

    def __init__(self, networks: int, tolerance: float) -> None:
        self.tolerance = tolerance
        self.every = 1
        self.solved_epoch = torch.full((networks,), -1)  # -1: not yet
        # One row a remembered epoch: epochs (S,); losses (S, 3), QUANTILES over the networks; accuracy (S,), share of
        # points learnt; solved (S,), share of networks; errors (S, P) of network 0.
        self.curve: dict[str, Tensor] = {}

    def set_length(self, epochs: int) -> None:
        """Choose n for a run of `epochs`."""
        self.every = math.ceil(epochs / CURVE_POINTS)

    def record(self, block: Block) -> None:
        """Add a block."""
        self.note_solved(block)

        rows = slice(-block.start % self.every, None, self.every)
        quantiles = torch.tensor(QUANTILES, dtype=torch.float64)
        errors = block.errors[rows]
        if not len(errors):
            return
        learnt = errors.abs() < self.tolerance
        new = {
            "epochs": torch.arange(block.start, block.start + len(block.errors))[rows],
            "losses": block.losses(rows).double().nanquantile(quantiles.to(errors.device), 1).T,
            "accuracy": learnt.double().mean((1, 2, 3)),
            "solved": learnt.flatten(1, 2).all(1).double().mean(1),
            "errors": errors[:, :, 0, 0].double(),
        }
        for name, values in new.items():
            self.curve[name] = torch.cat([self.curve.get(name, values[:0].cpu()), values.cpu()])
        self.thin()

    def thin(self) -> None:
        """Keep every n-th epoch only; double n while there are too many: in an endless run, or a longer resumption."""
        while self.curve and (self.curve["epochs"] % self.every == 0).sum() > CURVE_POINTS:
            self.every *= 2
        self.curve = {name: values[self.curve["epochs"] % self.every == 0] for name, values in self.curve.items()}

    def note_solved(self, block: Block) -> None:
        """Note the first epoch at which each network had learnt every point."""
        solved = block.errors.abs().amax((1, 2)) < self.tolerance  # (K, N)
        first = block.start + solved.int().argmax(0).cpu()
        new = (self.solved_epoch < 0) & solved.any(0).cpu()
        self.solved_epoch = torch.where(new, first, self.solved_epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything recorded, as plain tensors."""
        return {"solved_epoch": self.solved_epoch, "curve": self.curve}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.solved_epoch, self.curve = state["solved_epoch"], dict(state["curve"])
        self.thin()
