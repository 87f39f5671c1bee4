"""Any elementwise `torch.optim` optimizer: checked before a run, and named in its checkpoints."""

import inspect
import math
from collections.abc import Callable, Sequence
from functools import partial
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim import optimizer as base

from xornet import validation

# One learning rate or one norm for a whole tensor would couple the networks; LBFGS wants the loss as a function.
NOT_ELEMENTWISE = ("LBFGS", "Muon", "Adafactor", "SparseAdam")


def check_optimizer(optimizer: Any) -> "partial[Any]":
    """Return `optimizer`, a class of torch.optim or a partial of one, as a partial, if it can train the networks.

    Raises:
        ValueError: it is no torch.optim optimizer, not elementwise, or has an argument that it does not take.

    """
    kind = getattr(optimizer, "func", optimizer)
    if not (inspect.isclass(kind) and issubclass(kind, Optimizer)) or kind.__name__ in NOT_ELEMENTWISE:
        raise ValueError(
            f"optimizer._target_ must be an elementwise torch.optim class, got {getattr(kind, '__name__', kind)}; "
            "use e.g. optimizer=rmsprop"
        )
    optimizer = optimizer if isinstance(optimizer, partial) else partial(kind)
    if "lr" in optimizer.keywords:
        validation.number("optimizer.lr", optimizer.keywords["lr"], "use e.g. optimizer.lr=0.1")
    check_arguments("optimizer", optimizer)
    attempt = partial(fresh_states, scheduler=None, weights=[torch.zeros(1)])  # some are checked in the first step
    try:
        attempt(optimizer)
    except Exception as error:  # each class checks its arguments in its own way
        if kind.__module__.startswith("xornet."):  # ours names key and remedy
            raise
        given = to_blame("optimizer", optimizer, attempt)
        raise ValueError(f"{given}: {error}; use what torch.optim.{kind.__name__} takes") from error
    return optimizer


def to_blame(group: str, made: "partial[Any]", attempt: Callable[["partial[Any]"], object]) -> str:
    """Return the arguments without which an attempt fails no longer, or otherwise, as a command line has them."""

    def failure(arguments: dict[str, Any]) -> str:
        try:
            attempt(partial(made.func, **arguments))
        except Exception as error:  # each class checks its arguments in its own way
            return str(error)
        return ""

    given = made.keywords
    whole = failure(given)
    wrong = [key for key in given if failure({name: given[name] for name in given if name != key}) != whole]
    return " ".join(f"{group}.{key}={given[key]}" for key in wrong or given) or made.func.__name__


def check_arguments(group: str, made: "partial[Any]") -> None:
    """Check the arguments of an optimizer or a scheduler, as far as their kind goes.

    Args:
        group: `optimizer` or `scheduler`.
        made: the class with its arguments.

    Raises:
        ValueError: the class does not take one, or it is not finite.

    """
    known = inspect.signature(made.func).parameters
    allowed = list(known)[1:]  # what it is made for comes first
    for key, value in made.keywords.items():
        if key not in allowed:
            raise ValueError(
                f"{group}.{key}={value} is no argument of {made.func.__name__}; use one of {', '.join(allowed)}, "
                f"or a file of its own in conf/{group}"
            )
        kind, is_right = expected(known[key].default)
        if not is_right(value):
            example = known[key].default
            remedy = f"use e.g. {group}.{key}={example}" if type(example) in (int, float, str) else f"use {kind}"
            raise ValueError(f"{group}.{key} must be {kind}, got {value!r}; {remedy}")


def expected(default: object) -> tuple[str, Callable[[object], bool]]:
    """What an argument with this default has to be: in words, and a function that says whether a value is that."""
    if isinstance(default, bool):
        return "true or false", lambda value: isinstance(value, bool)
    if isinstance(default, str):
        return "a name", lambda value: isinstance(value, str)
    if isinstance(default, int | float):
        return "a finite number", is_number
    if isinstance(default, tuple):
        return "a list of finite numbers", lambda value: isinstance(value, list | tuple) and is_number(value)
    if default is None:
        return (
            "a number, true, false or null",
            lambda value: value is None or type(value) is bool or is_number(value),
        )
    return "a finite number", is_number  # it has no default


def is_number(value: object) -> bool:
    """Whether a value is a finite number, or a list of them."""
    if isinstance(value, list | tuple):
        return all(is_number(one) for one in value)
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


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


def describe(made: "partial[Any]") -> dict[str, Any]:
    """The class and the arguments of an optimizer or a scheduler, as plain values."""
    return {"_target_": f"{made.func.__module__}.{made.func.__name__}", **made.keywords}


def from_description(described: dict[str, Any], *modules: ModuleType) -> "partial[Any] | None":
    """What `describe` was given, if its class is one of `modules` (torch.optim, say): a name may stand for any code."""
    arguments = dict(described)
    package, _, name = str(arguments.pop("_target_")).rpartition(".")
    kind = next((vars(module).get(name) for module in modules if package.startswith(module.__name__)), None)
    is_its_own = inspect.isclass(kind) and kind.__module__.startswith(package)  # and not one that it has imported
    return partial(kind, **arguments) if kind and is_its_own else None


def fresh_states(
    optimizer: "partial[Any]", scheduler: "partial[Any] | None", weights: Sequence[Tensor]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the `state_dict` of an optimizer is after its first step, on parameters as large as `weights`.

    Returns:
        it, and a list of the scheduler's: none where there is none.

    """
    parameters = [torch.zeros_like(weight, requires_grad=True) for weight in weights]
    made: Optimizer = optimizer(parameters)
    schedulers = [scheduler(made)] if scheduler else []
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    with torch.no_grad():
        bare_step(made)()  # which calls no hook of the user's
    return made.state_dict(), [follower.state_dict() for follower in schedulers]
