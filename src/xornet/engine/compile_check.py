"""Whether a compiled epoch does the same as the uncompiled one.

PyTorch 2.13.0 drops the last update of a single number in double precision that nothing reads later: the learning rate
of ASGD, and the step counts of RMSprop, Adadelta and Rprop.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

# Relative, of the mean of a tensor and of a single number: rounding in one epoch changes far less.
TOLERANCES = {torch.float32: (1e-3, 1e-5), torch.float64: (1e-6, 1e-12)}


class DiffersError(RuntimeError):
    """A compiled epoch does not do what the same epoch does uncompiled."""


def run_checked(
    compiled: Callable[[], object], plain: Callable[[], object], tensors: Sequence[Tensor], optimizer: Optimizer
) -> None:
    """Run a compiled epoch, and compare everything that it changes with the result of the uncompiled epoch.

    Args:
        compiled: runs the epoch.
        plain: runs it uncompiled.
        tensors: everything that it changes, besides the state of the optimizer.
        optimizer: steps the weights.

    Raises:
        DiffersError: they differ; weights and state are restored.

    """
    states = {parameter: dict(state) for parameter, state in optimizer.state.items()}
    held = [*tensors, *tensors_of(optimizer)]
    before = [tensor.clone() for tensor in held]

    def restore() -> None:
        for parameter in list(optimizer.state):
            optimizer.state[parameter].clear()
            optimizer.state[parameter].update(states.get(parameter, {}))
        for tensor, value in zip(held, before, strict=True):
            tensor.copy_(value)

    plain()
    expected = [tensor.clone() for tensor in [*tensors, *tensors_of(optimizer)]]
    restore()
    compiled()
    found = [*tensors, *tensors_of(optimizer)]
    if len(found) != len(expected) or not all(map(agree, found, expected)):
        restore()
        raise DiffersError("its code does not compute what the optimizer does")


def tensors_of(optimizer: Optimizer) -> list[Tensor]:
    """The tensors in the state of an optimizer."""
    return [value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor)]


def agree(found: Tensor, expected: Tensor) -> bool:
    """Whether two tensors are equal on average, apart from rounding; integers are not compared."""
    differ = ~torch.isclose(found, expected, rtol=0, atol=0, equal_nan=True)
    if not expected.is_floating_point() or not differ.any():
        return True
    tolerance = TOLERANCES[expected.dtype][expected.dim() == 0]
    return bool((found - expected)[differ].abs().sum() <= (tolerance * expected.abs()).nansum() + 1e-15 * found.numel())
