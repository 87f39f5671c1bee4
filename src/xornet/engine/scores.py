"""How good networks are, computed from their errors ŷ - y, (..., P, O, N): the loss, correct points, solved."""

from torch import Tensor


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
    """The largest error of every network, nan where it has diverged: (..., P, O, N) to (..., N)."""
    return errors.abs().amax((-3, -2))
