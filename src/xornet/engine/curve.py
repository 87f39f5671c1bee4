"""The curve of a run: its epochs, and the numbers of each."""

from collections.abc import Sequence
from itertools import chain, count

import numpy as np
import torch
from torch import Tensor

from xornet.engine import scores

CURVE_POINTS = 1000
CURVE_LOSSES = 2**26  # losses whose quantiles a curve takes at most; more would take longer than the epochs
QUANTILES = (0.1, 0.5, 0.9)
SINGLES = 5  # the first few networks, whose own curves are recorded


def curve_rows(errors: Tensor, tolerance: float) -> dict[str, Tensor]:
    """Compute the rows of the curve for S epochs, in float64 on the CPU.

    Args:
        errors: ŷ - y, (S, P, O, N).
        tolerance: a point is correct when its error is smaller.

    Returns:
        `losses` (S, 3), QUANTILES over the networks; `singles` (S, SINGLES or N), losses of single networks; `accuracy`
        (S,), share of points correct; `solved` (S,), share of networks; `errors` (S, P) of network 0.

    """
    losses = scores.losses(errors).cpu().numpy()
    quantile = np.nanquantile if np.isnan(losses).any() else np.quantile  # the latter is faster
    rows = {
        "losses": torch.from_numpy(quantile(losses, QUANTILES, axis=1).T),
        "singles": torch.from_numpy(losses[:, :SINGLES]),
        "accuracy": scores.correct(errors, tolerance).double().mean((1, 2, 3)),
        "solved": scores.solved(errors, tolerance).double().mean(1),
        "errors": errors[:, :, 0, 0],
    }
    return {name: values.double().cpu() for name, values in rows.items()}


def spacing(least: float) -> int:
    """Return the smallest n of 1, 2, 10, 20, 40, 80, ... epochs that is at least `least`.

    Each divides the next, so the epochs that a long run keeps from its beginning are among those of a shorter run: a
    run that is resumed to more epochs ends with the same curve as one that was long from the start.
    """
    steps = chain((1, 2, 10), (20 * 2**k for k in count()))
    return next(step for step in steps if step >= least)


def widen(every: int, epochs: Sequence[int], most: int) -> int:
    """Return the smallest spacing n >= `every` for which at most `most` of the `epochs` are multiples of n."""
    while len(epochs) > most and sum(epoch % every == 0 for epoch in epochs) > most:
        every = spacing(every + 1)
    return every
