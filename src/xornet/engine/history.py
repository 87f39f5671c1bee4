"""The history of a run: a curve of at most 1,000 points, and the epoch at which each network solved the table."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from xornet.engine import scores
from xornet.engine.curve import CURVE_LOSSES, CURVE_POINTS, curve_rows, spacing, widen
from xornet.engine.snapshots import Snapshots


@dataclass
class Block:
    """The epochs of one training step: `start`, ..., `start + length - 1`.

    Args:
        start: the first epoch.
        length: the number of epochs.
        errors: ŷ - y before the update, at the S epochs of the block that belong to the curve, (S, P, O, N).
        last_errors: ŷ - y before the last update, (P, O, N).
        snapshots: the weights at these S epochs, and samples.

    """

    start: int
    length: int
    errors: Tensor
    last_errors: Tensor
    snapshots: Snapshots

    @cached_property
    def loss(self) -> float:
        """The median loss at the last epoch over the networks that have not diverged."""
        return scores.losses(self.last_errors).nanquantile(0.5).item()


class History:
    """The curve of a run, and the epochs at which each network first solved the table and diverged.

    The curve holds every n-th epoch. `spacing` chooses n so that there are at most CURVE_POINTS; for a very large
    ensemble at most CURVE_LOSSES / N, but at least 100.

    Args:
        networks: N.
        tolerance: a point is correct when its prediction is closer than this to its target.

    """

    def __init__(self, networks: int, tolerance: float) -> None:
        self.tolerance = tolerance
        self.epochs: int | None = 0  # of the networks so far; None within a block
        self.every = 1  # n
        self.most = min(CURVE_POINTS, max(100, CURVE_LOSSES // networks))
        self.solved_epoch = torch.full((networks,), -1, dtype=torch.int32)  # -1: never
        self.diverged_epoch = self.solved_epoch.clone()
        self.curve: dict[str, Tensor] = {}  # epochs (S,), and the results of `curve_rows`

    def set_length(self, epochs: int) -> None:
        """Choose n for a run of `epochs`; a run that continues gets no smaller n, or its points would be uneven."""
        self.every = max(self.every if self.curve else 1, spacing(epochs / self.most))

    def to(self, device: torch.device) -> None:
        """Move the milestones to the device of the networks."""
        self.solved_epoch, self.diverged_epoch = self.solved_epoch.to(device), self.diverged_epoch.to(device)

    def update_milestones(self, errors: Tensor, start: int | Tensor) -> None:
        """Record the first epoch at which each network solves the table, and at which it has diverged.

        Args:
            errors: ŷ - y at epochs start, start + 1, ..., (K, P, O, N).
            start: the first epoch.

        """
        worst = scores.largest(errors)  # (K, N)
        for first, happens in ((self.solved_epoch, worst < self.tolerance), (self.diverged_epoch, worst.isnan())):
            happened, k = happens.max(0)  # with the index of the first
            first.copy_(torch.where((first < 0) & happened, start + k.int(), first))

    def record(self, block: Block) -> None:
        """Add the epochs of a block to the curve."""
        if not len(block.errors):
            return
        new = {"epochs": torch.tensor(block.snapshots.epochs)} | curve_rows(block.errors, self.tolerance)
        for name, values in new.items():
            self.curve[name] = torch.cat([self.curve.get(name, values[:0]), values])
        self.thin()

    def thin(self) -> None:
        """Keep every n-th epoch of the curve; n grows if there are too many, as in an endless run."""
        if self.curve:
            epochs = self.curve["epochs"]
            self.every = widen(self.every, epochs.tolist(), self.most)
            self.curve = {name: values[epochs % self.every == 0] for name, values in self.curve.items()}

    def state_dict(self) -> dict[str, Any]:
        """Everything recorded, as plain tensors."""
        return {"solved_epoch": self.solved_epoch, "diverged_epoch": self.diverged_epoch, "curve": self.curve}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        self.solved_epoch.copy_(state["solved_epoch"])
        self.diverged_epoch.copy_(state["diverged_epoch"])
        self.curve = dict(state["curve"])
        self.thin()
