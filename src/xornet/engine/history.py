"""What a run remembers of its epochs: a curve of at most 1,000 points, and when each network solved the table."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xornet.engine.snapshots import Snapshots
from xornet.engine.spacing import spacing

CURVE_POINTS = 1000
QUANTILES = (0.1, 0.5, 0.9)
SINGLES = 5  # networks whose own curves are remembered, the first ones


@dataclass
class Block:
    """The epochs of one training step: `start`, ..., `start + length - 1`.

    Args:
        start: the first epoch.
        length: how many.
        epochs: those that the history remembers, S of them.
        errors: ŷ - y before the update of each of these, (S, P, O, N).
        last: the same of the last epoch, (P, O, N).
        snapshots: where the weights have been.

    """

    start: int
    length: int
    epochs: range
    errors: Tensor
    last: Tensor
    snapshots: Snapshots

    @cached_property
    def loss(self) -> float:
        """The median loss at the last epoch, over the networks that have not diverged."""
        return mean_square(self.last).nanquantile(0.5).item()


class History:
    """The curve of a run, and the epochs at which each network first solved the table and diverged.

    The curve holds every n-th epoch, with n (of spacing.py) so that a run has at most CURVE_POINTS of them: a long run
    remembers, logs and draws no more than a short one, and a run that was made longer what a long one does.

    Args:
        networks: N.
        tolerance: a point is correct when its prediction is closer than this to its target; a network has solved the
            table when every point is correct.

    """

    def __init__(self, networks: int, tolerance: float) -> None:
        self.tolerance = tolerance
        self.every = 1
        self.solved_epoch = torch.full((networks,), -1, dtype=torch.int32)  # -1: never
        self.diverged_epoch = self.solved_epoch.clone()
        # One row a remembered epoch: epochs (S,); losses (S, 3), QUANTILES over the networks; singles (S, SINGLES or
        # N), losses of single networks; accuracy (S,), share of points correct; solved (S,), share of networks; errors
        # (S, P) of network 0.
        self.curve: dict[str, Tensor] = {}

    def set_length(self, epochs: int) -> None:
        """Choose n for a run of `epochs`."""
        self.every = spacing(epochs / CURVE_POINTS)

    def remembered(self, start: int, length: int) -> range:
        """The epochs to remember of a block."""
        return range(start + -start % self.every, start + length, self.every)

    def to(self, device: torch.device) -> None:
        """Keep what is noted of each network where the networks are."""
        self.solved_epoch, self.diverged_epoch = self.solved_epoch.to(device), self.diverged_epoch.to(device)

    def note(self, errors: Tensor, start: int | Tensor) -> None:
        """Note which networks solved the table, or diverged, for the first time at epoch `start + k`.

        Args:
            errors: ŷ - y at epochs start, start + 1, ..., (K, P, O, N).
            start: the first epoch.

        """
        worst = errors.abs().amax((1, 2))  # (K, N); nan where any is
        for noted, happens in ((self.solved_epoch, worst < self.tolerance), (self.diverged_epoch, worst.isnan())):
            happened, k = happens.max(0)  # with the index of the first
            noted.copy_(torch.where((noted < 0) & happened, start + k.int(), noted))

    def record(self, block: Block) -> None:
        """Add the remembered epochs of a block to the curve."""
        if not len(block.errors):
            return
        losses = mean_square(block.errors).cpu().numpy()
        quantile = np.nanquantile if np.isnan(losses).any() else np.quantile  # the latter is faster
        correct = block.errors.abs() < self.tolerance
        new = {
            "epochs": torch.tensor(block.epochs),
            "losses": torch.from_numpy(quantile(losses, QUANTILES, axis=1).T).double(),
            "singles": torch.from_numpy(losses[:, :SINGLES]).double(),
            "accuracy": correct.double().mean((1, 2, 3)),
            "solved": correct.flatten(1, 2).all(1).double().mean(1),
            "errors": block.errors[:, :, 0, 0].double(),
        }
        for name, values in new.items():
            self.curve[name] = torch.cat([self.curve.get(name, values[:0].cpu()), values.cpu()])
        self.thin()

    def thin(self) -> None:
        """Keep every n-th epoch only, with a larger n where there are too many: an endless run comes to that."""
        while self.curve and (self.curve["epochs"] % self.every == 0).sum() > CURVE_POINTS:
            self.every = spacing(self.every + 1)
        self.curve = {name: values[self.curve["epochs"] % self.every == 0] for name, values in self.curve.items()}

    def state_dict(self) -> dict[str, Any]:
        """Everything recorded, as plain tensors."""
        return {"solved_epoch": self.solved_epoch, "diverged_epoch": self.diverged_epoch, "curve": self.curve}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.solved_epoch.copy_(state["solved_epoch"])
        self.diverged_epoch.copy_(state["diverged_epoch"])
        self.curve = dict(state["curve"])
        self.thin()


def mean_square(errors: Tensor) -> Tensor:
    """The loss of every network: (..., P, O, N) to (..., N)."""
    return errors.square().mean((-3, -2))
