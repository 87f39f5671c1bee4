"""Learning rate schedulers of `torch.optim.lr_scheduler`: checked before a run, and stepped once an epoch."""

import inspect
from collections.abc import Iterable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from xornet.engine import scores
from xornet.engine.arguments import as_partial, check_arguments, try_out

# Their arguments are functions or other schedulers.
NOT_PLAIN = ("LambdaLR", "MultiplicativeLR", "SequentialLR", "ChainedScheduler")


def step_scheduler(scheduler: LRScheduler, errors: Tensor) -> None:
    """Step a scheduler after an update; ReduceLROnPlateau on the median loss of ŷ - y (P, O, N) before it."""
    if isinstance(scheduler, ReduceLROnPlateau):
        scheduler.step(scores.losses(errors).nanquantile(0.5).item())
    else:
        scheduler.step()


def check_scheduler(scheduler: Any, optimizer: "partial[Any]") -> "partial[Any]":
    """Return `scheduler`, a class of torch.optim.lr_scheduler or a partial of one, as a partial, if it can work.

    Raises:
        ValueError: it is not of torch.optim.lr_scheduler, takes functions, or has a wrong argument.

    """
    kind = "a class of torch.optim.lr_scheduler whose arguments are numbers"
    scheduler = as_partial("scheduler", scheduler, LRScheduler, NOT_PLAIN, kind, example="cosine")
    check_arguments("scheduler", scheduler)
    for key, value in scheduler.keywords.items():
        least = 1 if key == "T_max" else 0  # epochs
        if key != "last_epoch" and type(value) in (int, float) and value < least:
            raise ValueError(f"scheduler.{key} must be at least {least}, got {value}; use e.g. scheduler.{key}={least}")

    def attempt(scheduler: "partial[Any]") -> None:
        steps = optimizer([torch.ones(1, requires_grad=True)])
        follower = scheduler(steps)
        for _ in range(3):  # some errors show in a step only
            steps.step()
            step_scheduler(follower, torch.zeros(1, 1, 1))

    try_out("scheduler", scheduler, "torch.optim.lr_scheduler", attempt)
    return scheduler


def check_length(schedules: Iterable[tuple[LRScheduler, int]], epochs: int | None) -> None:
    """Refuse a scheduler that ends before the run, as OneCycleLR does with an error; `epochs` is None without a limit.

    Raises:
        ValueError: naming the argument, and what to use.

    """
    for scheduler, frequency in schedules:
        total = getattr(scheduler, "total_steps", None)
        if total is None:
            continue
        if epochs is None:
            raise ValueError(
                f"scheduler.total_steps={total}, but trainer.max_epochs=-1; use trainer.max_epochs={total}"
            )
        if total < (steps := epochs // frequency):
            said = f"scheduler.total_steps={total} is less than the {steps} steps of the run"
            raise ValueError(f"{said}; use scheduler.total_steps={steps}")


def changes_momentum(scheduler: "partial[Any]") -> bool:
    """Whether a scheduler changes the momentum too, as CyclicLR and OneCycleLR do."""
    arguments = inspect.signature(scheduler.func).bind(None, **scheduler.keywords)
    arguments.apply_defaults()
    return bool(arguments.arguments.get("cycle_momentum", False))
