"""The scores of networks, computed from their errors ŷ - y, (..., P, O, N): loss, correct points, solved."""

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

Z = 1.959964  # 95% of a normal distribution lie within ±Z standard deviations


def summary(errors: Tensor, tolerance: float) -> dict[str, float]:
    """The scores of N networks: `loss` (median), `accuracy` (share of points correct), `solved` (share of networks).

    For N > 1 also `loss_q10` and `loss_q90`, quantiles of the loss, and `solved_low` and `solved_high`, the 95%
    interval of the share solved.

    Args:
        errors: ŷ - y, (P, O, N).
        tolerance: a point is correct when its error is smaller.

    """
    loss, is_solved = losses(errors).double(), solved(errors, tolerance)
    low, median, high = loss.nanquantile(loss.new_tensor([0.1, 0.5, 0.9])).tolist()
    accuracy = correct(errors, tolerance).double().mean().item()
    found = {"loss": median, "accuracy": accuracy, "solved": is_solved.double().mean().item()}
    if len(loss) > 1:
        least, most = wilson(int(is_solved.sum()), len(loss))
        found |= {"loss_q10": low, "loss_q90": high, "solved_low": least, "solved_high": most}
    return found


def losses(errors: Tensor) -> Tensor:
    """The loss of every network, its mean squared error: (..., P, O, N) to (..., N)."""
    return errors.square().mean((-3, -2))


def correct(errors: Tensor, tolerance: float) -> Tensor:
    """Whether each prediction is within `tolerance` of its target, (..., P, O, N)."""
    return errors.abs() < tolerance


def solved(errors: Tensor, tolerance: float) -> Tensor:
    """Whether each network has every point correct: (..., P, O, N) to (..., N)."""
    return largest(errors) < tolerance


def largest(errors: Tensor) -> Tensor:
    """The largest error of every network, nan if it has diverged: (..., P, O, N) to (..., N)."""
    return errors.abs().amax((-3, -2))


def finite(tensors: Iterable[Tensor]) -> Tensor:
    """Whether everything of each network is finite: tensors (..., ..., N) to (N,)."""
    return torch.stack([tensor.detach().isfinite().flatten(0, -2).all(0) for tensor in tensors]).all(0)


def check_finite(errors: Tensor, weights: Sequence[Tensor], diverged_epoch: Tensor, now: int) -> None:
    """Refuse to continue, and so to save a checkpoint, if no network has finite weights and a finite loss any more.

    Args:
        errors: ŷ - y, (P, O, N).
        weights: one (I + 1, H, N) tensor a layer.
        diverged_epoch: when each network's loss became nan, (N,), -1 where it has not.
        now: the epoch.

    Raises:
        ValueError: naming the epoch.

    """
    if not finite([errors, *weights]).any():
        said = f"no weights are finite any more at epoch {now}"
        if not finite([errors]).any():
            said = f"the loss became nan at epoch {int(diverged_epoch.where(diverged_epoch >= 0, now).max())}"
        raise ValueError(f"{said}; use a smaller optimizer.lr or model.init")


def wilson(successes: int, trials: int) -> tuple[float, float]:
    """Return the 95% interval of a share, which keeps its level near 0 and 1 and for few trials.

    (p + z²/2n ± z √(p(1 - p)/n + z²/4n²)) / (1 + z²/n),  p = successes / trials, n = trials.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    share, extra = successes / trials, Z * Z / trials
    middle = share + extra / 2
    half = Z * (share * (1 - share) / trials + extra / trials / 4) ** 0.5
    low, high = (middle - half) / (1 + extra), (middle + half) / (1 + extra)
    return low if successes else 0.0, high if successes < trials else 1.0  # exactly, without rounding errors


def percent(share: float, digits: int = 1) -> str:
    """Return a share in percent, rounded, but 100% for all alone."""
    return f"{share if share == 1 else min(share, 1 - 10 ** -(digits + 2)):.{digits}%}"
