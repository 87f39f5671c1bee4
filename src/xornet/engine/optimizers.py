"""Any elementwise `torch.optim` optimizer: checked before a run, and named in its checkpoints."""

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim import optimizer as base

from xornet import validation

# One learning rate or one norm for a whole tensor would couple the networks; LBFGS wants the loss as a function.
NOT_ELEMENTWISE = ("LBFGS", "Muon", "Adafactor", "SparseAdam")


def check_optimizer(optimizer: "partial[Any]") -> "partial[Any]":
    """Return `optimizer` if it can train the networks.

    Raises:
        ValueError: it is no torch.optim optimizer, not elementwise, or has an argument that it does not take.

    """
    kind = optimizer.func
    if not (inspect.isclass(kind) and issubclass(kind, Optimizer)) or kind.__name__ in NOT_ELEMENTWISE:
        raise ValueError(
            f"optimizer._target_ must be an elementwise torch.optim class, got {getattr(kind, '__name__', kind)}; "
            "use e.g. optimizer=rmsprop"
        )
    allowed = [name for name in inspect.signature(kind).parameters if name != "params"]
    for key, value in optimizer.keywords.items():
        if key not in allowed:
            raise ValueError(
                f"optimizer.{key}={value} is no argument of {kind.__name__}; use one of {', '.join(allowed)}, "
                "or a file of its own beside conf/optimizer/sgd.yaml"
            )
    if "lr" in optimizer.keywords:
        validation.number("optimizer.lr", optimizer.keywords["lr"], "use e.g. optimizer.lr=0.1")
    given = " ".join(f"optimizer.{key}={value}" for key, value in optimizer.keywords.items())
    if "nan" in given or "inf" in given:
        raise ValueError(f"{given}: arguments must be finite; use e.g. optimizer.lr=0.1")
    try:
        fresh_state(optimizer, [torch.zeros(1)])  # some are checked in the first step
    except Exception as error:  # each class checks its arguments in its own way
        raise ValueError(f"{given}: {error}; use what torch.optim.{kind.__name__} takes") from error
    return optimizer


def step_function(optimizer: Optimizer) -> Callable[[], object]:
    """Return the optimizer's step: the ordinary one if it has hooks, else the bare one, with the same result."""
    return optimizer.step if has_step_hooks(optimizer) else bare_step(optimizer)


def has_step_hooks(optimizer: Optimizer) -> bool:
    """Whether something is to run at every step: `register_step_pre_hook`, its global sister, and the post hooks."""
    own = optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks
    return any((*own, base._global_optimizer_pre_hooks, base._global_optimizer_post_hooks))


def bare_step(optimizer: Optimizer) -> Callable[[], object]:
    """Return the optimizer's step without what PyTorch wraps around it: hooks, and a profiler's record of each call.

    For one network that wrapping costs a fifth of an epoch, and it exists to keep the step out of compiled functions.
    Weights that require gradients need `torch.no_grad` around it.
    """
    return partial(inspect.unwrap(type(optimizer).step), optimizer)


def describe_optimizer(optimizer: "partial[Any]") -> dict[str, Any]:
    """The class and the arguments of `optimizer`, as plain values."""
    return {"_target_": f"{optimizer.func.__module__}.{optimizer.func.__name__}", **optimizer.keywords}


def fresh_state(optimizer: "partial[Any]", weights: Sequence[Tensor]) -> dict[str, Any]:
    """What an optimizer's `state_dict` is after its first step, on parameters as large as `weights`."""
    parameters = [torch.zeros_like(weight, requires_grad=True) for weight in weights]
    made: Optimizer = optimizer(parameters)
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    with torch.no_grad():
        bare_step(made)()  # which calls no hook of the user's
    return made.state_dict()
