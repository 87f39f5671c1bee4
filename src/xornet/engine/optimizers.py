"""Elementwise `torch.optim` optimizers: checked before a run, stepped, and described in checkpoints."""

import inspect
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim import optimizer as base

from xornet import validation
from xornet.engine.arguments import as_partial, check_arguments, try_out

# A learning rate or a norm of a whole tensor would couple the networks; LBFGS needs the loss as a function.
NOT_ELEMENTWISE = ("LBFGS", "Muon", "Adafactor", "SparseAdam")


def check_optimizer(optimizer: Any) -> "partial[Any]":
    """Return `optimizer`, a class of torch.optim or a partial of one, as a partial, if it can train the networks.

    Raises:
        ValueError: it is no torch.optim optimizer, not elementwise, or has an argument that it does not take.

    """
    kind = "an elementwise torch.optim class"
    optimizer = as_partial("optimizer", optimizer, Optimizer, NOT_ELEMENTWISE, kind, example="rmsprop")
    if optimizer.keywords.get("differentiable"):
        raise ValueError("optimizer.differentiable=true has no use: nothing is differentiated through a step; drop it")
    if "lr" in optimizer.keywords:
        validation.number("optimizer.lr", optimizer.keywords["lr"], "use e.g. optimizer.lr=0.1")
    check_arguments("optimizer", optimizer)
    # Some arguments are checked in the first step only.
    attempt = partial(fresh_states, scheduler=None, weights=[torch.zeros(1)])
    try_out("optimizer", optimizer, "torch.optim", attempt)
    return optimizer


def has_hooks(optimizer: Optimizer) -> bool:
    """Whether a user has registered a hook of the step, on this optimizer or on all optimizers."""
    own = optimizer._optimizer_step_pre_hooks, optimizer._optimizer_step_post_hooks
    return any((*own, base._global_optimizer_pre_hooks, base._global_optimizer_post_hooks))


def bare_step(optimizer: Optimizer) -> Callable[[], object]:
    """Return the optimizer's step without PyTorch's wrapper, which calls hooks and records each call for a profiler.

    For one network that wrapper takes a fifth of an epoch, and it would keep the step out of compiled functions.
    Weights that require gradients need `torch.no_grad` around the step.
    """
    return partial(inspect.unwrap(type(optimizer).step), optimizer)


def copy_gradients(weights: Iterable[Tensor]) -> None:
    """Give weights copies of their gradients: the user's code may keep them, but the buffers are overwritten."""
    with torch.inference_mode(False):  # else `loss.backward()` in a callback could not add to them
        for weight in weights:
            weight.grad = None if weight.grad is None else weight.grad.clone()


def leave_inference_mode(optimizer: Optimizer) -> None:
    """Replace the gradients and the state, which were made in inference mode and cannot be used by autograd."""
    optimizer.zero_grad()
    for state in optimizer.state.values():
        state |= {name: value.clone() for name, value in state.items() if torch.is_tensor(value)}


def describe(made: "partial[Any]") -> dict[str, Any]:
    """The class and the arguments of an optimizer or a scheduler, as plain values."""
    return {"_target_": f"{made.func.__module__}.{made.func.__name__}", **made.keywords}


def from_description(described: dict[str, Any], *modules: ModuleType) -> "partial[Any] | None":
    """The reverse of `describe`, for classes of `modules` (such as torch.optim) only: a name could be of any code."""
    arguments = dict(described)
    package, _, name = str(arguments.pop("_target_")).rpartition(".")
    kind = next((vars(module).get(name) for module in modules if package.startswith(module.__name__)), None)
    is_its_own = inspect.isclass(kind) and kind.__module__.startswith(package)  # not one that the module has imported
    return partial(kind, **arguments) if kind and is_its_own else None


def fresh_states(
    optimizer: "partial[Any]",
    scheduler: "partial[Any] | None",
    weights: Sequence[Tensor],
    before: dict[str, Any] | None = None,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The `state_dict` of an optimizer after a step, for parameters of the sizes of `weights`.

    Args:
        optimizer: makes it.
        scheduler: makes its scheduler, if it has one.
        weights: one tensor per parameter.
        before: its `state_dict` before the step; None if the step is its first.

    Returns:
        it, and a list with that of the scheduler, empty without one.

    """
    # Not zeros: a user's scheduler may divide by the norm of the weights.
    parameters = [torch.ones_like(weight, requires_grad=True) for weight in weights]
    made: Optimizer = optimizer(parameters)
    schedulers = [scheduler(made)] if scheduler else []
    if before is not None:
        made.load_state_dict(deepcopy(before))  # the step changes it in place
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    with torch.no_grad():
        bare_step(made)()  # without hooks of the user
    return made.state_dict(), [follower.state_dict() for follower in schedulers]
