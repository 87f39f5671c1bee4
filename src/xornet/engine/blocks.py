"""Epochs inside Lightning: where a block of them ends, and how the Trainer counts them.

One `training_step` runs a block of K epochs, because Lightning's own work for one step costs many times a whole
gradient step here. Nobody may notice: every callback sees the epochs it wants, and every counter is right.
"""

import math
from collections.abc import Iterable
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import (
    BaseFinetuning,
    BatchSizeFinder,
    GradientAccumulationScheduler,
    LearningRateFinder,
    ModelPruning,
    ModelSummary,
    ProgressBar,
    StochasticWeightAveraging,
    Timer,
    WeightAveraging,
)
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import SingleDeviceStrategy

LARGEST_BLOCK = 1000
ENDLESS = 20000
PRECISIONS: dict[Any, torch.dtype] = {"32-true": torch.float32, "64-true": torch.float64}
_EPOCH_HOOKS = ("on_train_epoch_start", "on_train_epoch_end", "on_train_batch_start", "on_train_batch_end")
_NOT_COUNTING_EPOCHS = (ModelSummary, ProgressBar, Timer)
# Lightning calls these once an optimizer step, of which a block has many.
_STEP_HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
_REFUSED_CALLBACKS: dict[type[Callback], str] = {
    StochasticWeightAveraging: "it anneals the learning rate by a scheduler, which is never stepped here; leave it out",
    WeightAveraging: "a finished run that is resumed would go on from the average; leave it out",
    BaseFinetuning: "every layer is trained from the first epoch on; leave it out",
    ModelPruning: "the networks are stacked tensors, no layers to prune; use a smaller model.hidden",
    GradientAccumulationScheduler: "an epoch is one batch, the whole table; leave it out",
    BatchSizeFinder: "an epoch is one batch, the whole table; leave it out",
    LearningRateFinder: "use a sweep to find one, e.g. -m optimizer.lr=0.01,0.1,1",
}


def next_logging_step(callback: Callback, epoch: int) -> float:
    """Return the first epoch after `epoch` before whose update `callback` must see the networks, inf if none.

    A callback says so with an attribute `every_n_epochs`, as ModelCheckpoint has it (inf: it reads what it needs out
    of the blocks). One that says nothing and overrides a hook of the training loop is shown every epoch: slower, never
    wrong.
    """
    every = getattr(callback, "every_n_epochs", None)
    if every:
        return epoch - epoch % every + every
    if isinstance(callback, _NOT_COUNTING_EPOCHS):
        return math.inf
    return epoch + 1 if overridden(callback, _EPOCH_HOOKS) else math.inf


def overridden(callback: Callback, hooks: Iterable[str]) -> list[str]:
    """Return those of the hooks that `callback` has of its own: the object, as LambdaCallback sets them there."""
    return [hook for hook in hooks if getattr(getattr(callback, hook), "__func__", None) is not getattr(Callback, hook)]


def run_length(trainer: Trainer) -> int:
    """Return how many epochs a run is to have, ENDLESS without a limit: for spacing what is drawn and logged."""
    limits = [limit for limit in (trainer.max_epochs, trainer.max_steps) if limit not in (None, -1)]
    return min(limits, default=ENDLESS)


def callbacks_of(trainer: Any) -> list[Callback]:
    """The callbacks of a Trainer, to which Lightning gives them without declaring them."""
    callbacks: list[Callback] = trainer.callbacks
    return callbacks


def block_length(trainer: Trainer, largest: int = LARGEST_BLOCK) -> int:
    """Return how many epochs to run before somebody must look: a callback, `max_epochs`, `max_steps` or `largest`."""
    epoch = trainer.current_epoch
    ends = [next_logging_step(callback, epoch) for callback in callbacks_of(trainer)]
    if trainer.max_epochs not in (None, -1):
        ends = [*ends, trainer.max_epochs]
    if trainer.max_steps != -1:
        ends = [*ends, epoch + trainer.max_steps - trainer.global_step]
    ends += [least for least in (trainer.min_epochs, trainer.min_steps) if least and least > epoch]
    return int(min([*ends, epoch + largest])) - epoch


def count_epochs(trainer: Trainer, epochs: int) -> None:
    """Tell the Trainer that the running step was `epochs` epochs with an optimizer step each, not one with none.

    Lightning will itself count one epoch and one batch; its manual optimisation counts optimizer steps only when they
    go through its wrapper, which costs more than the step. These are the counters behind `current_epoch`,
    `global_step`, the step of `self.log` and everything that a checkpoint says of progress (Lightning 2.6).
    """
    loop = trainer.fit_loop
    for tracker in (loop.epoch_progress.total, loop.epoch_progress.current, loop.epoch_loop.batch_progress.total):
        for counter in ("ready", "started", "processed", "completed"):
            setattr(tracker, counter, getattr(tracker, counter) + epochs - 1)
    steps = loop.epoch_loop.manual_optimization.optim_step_progress.total
    steps.ready += epochs
    steps.completed += epochs
    loop.epoch_loop._batches_that_stepped += epochs - 1


def check_trainer(trainer: Trainer) -> None:
    """Refuse what cannot work here, before anything starts.

    Raises:
        ValueError: naming the Trainer's argument and its value, or the callback, and what to do instead.

    """
    many = "the table fits one device; use networks=N to train many networks side by side"
    limits = {name: getattr(trainer, name) for name in ("max_epochs", "max_steps", "min_epochs", "min_steps")}
    profiler = vars(trainer)["profiler"]  # whatever the Trainer was given, which declares a Profiler
    overfit = vars(trainer)["overfit_batches"]  # which it sets without declaring it
    fast_dev_run: bool | int = vars(trainer)["fast_dev_run"]  # the same
    refused = {
        **{
            name: (limit, not is_limit(limit, least=name.startswith("min")), f"use e.g. trainer.{name}=20000")
            for name, limit in limits.items()
        },
        "devices": (trainer.num_devices, trainer.num_devices > 1, many),
        "num_nodes": (trainer.num_nodes, trainer.num_nodes > 1, many),
        "strategy": (
            type(trainer.strategy).__name__,
            not isinstance(trainer.strategy, SingleDeviceStrategy),
            "a run is one process on one device; leave it at auto",
        ),
        "precision": (trainer.precision, trainer.precision not in PRECISIONS, f"use one of {', '.join(PRECISIONS)}"),
        "gradient_clip_val": (
            trainer.gradient_clip_val,
            trainer.gradient_clip_val is not None,
            "the gradient is exact; use a smaller optimizer.lr",
        ),
        "accumulate_grad_batches": (
            trainer.accumulate_grad_batches,
            trainer.accumulate_grad_batches != 1,
            "an epoch is one batch, the whole table; leave it at 1",
        ),
        "profiler": (profiler, not isinstance(profiler, Profiler), "use simple, advanced or pytorch"),
        "logger": (
            trainer.loggers,
            not all(isinstance(logger, Logger) for logger in trainer.loggers),
            "use logger=tensorboard, logger=csv or trainer.logger=false",
        ),
        "overfit_batches": (
            overfit,
            overfit not in (0, 1),
            "an epoch is one batch, the whole table; leave it at 0.0",
        ),
        "fast_dev_run": (
            fast_dev_run,
            int(fast_dev_run) > 1,
            "an epoch is one batch, the whole table; use trainer.fast_dev_run=true",
        ),
        "limit_train_batches": (
            trainer.limit_train_batches,
            trainer.limit_train_batches not in (1, 1.0),
            "an epoch is one batch, the whole table; leave it at 1.0",
        ),
    }
    for name, (value, is_refused, remedy) in refused.items():
        if is_refused:
            raise ValueError(f"trainer.{name}={value} cannot work here: {remedy}")
    for callback in callbacks_of(trainer):
        check_callback(callback)


def check_callback(callback: Callback) -> None:
    """Refuse a callback that would do nothing here, or something else than in another run of Lightning.

    Raises:
        ValueError: naming its class and what to do instead.

    """
    reasons = [reason for kind, reason in _REFUSED_CALLBACKS.items() if isinstance(callback, kind)]
    reasons += [
        f"its {hook} would never be called, as many steps run at a time; use on_train_batch_end"
        for hook in overridden(callback, _STEP_HOOKS)
    ]
    if reasons:
        raise ValueError(f"the callback {type(callback).__name__} cannot work here: {reasons[0]}")


def is_limit(value: object, least: bool) -> bool:
    """Whether a run can have this as its least, or its largest, number of epochs or steps; -1 is an endless largest."""
    return value is None or (type(value) is int and (value >= 0 if least else value != 0))
