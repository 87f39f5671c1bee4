"""Blocks of epochs inside Lightning: where a block ends.

One `training_step` runs a block of epochs, because Lightning's own work for a step takes many times as long as an
epoch here. Callbacks still see the networks at every epoch that they ask for.
"""

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelSummary, ProgressBar, Timer

from xornet.engine.own import base_of

ENDLESS = 20000  # epochs that a run without a limit is taken to have
MAX_BLOCK_SECONDS = 0.5  # then signals, max_time and the progress bar are handled
PRECISIONS: dict[Any, torch.dtype] = {"32-true": torch.float32, "64-true": torch.float64}  # trainer.precision
# Lightning calls these at every optimizer step; a block has many.
STEP_HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")
EPOCH_HOOKS = ("on_train_epoch_start", "on_train_epoch_end", "on_train_batch_start", "on_train_batch_end")
_NOT_COUNTING_EPOCHS = (ModelSummary, Timer)  # ModelSummary works before training, Timer looks at the time


def next_due_epoch(callback: Callback, epoch: int) -> float:
    """Return the next epoch at whose start `callback` must see the networks, inf if there is none.

    A callback says so by an attribute `every_n_epochs`, as ModelCheckpoint has it (inf: it finds what it needs in the
    blocks). A callback without it that overrides a hook of the training loop sees every epoch: slower, never wrong.
    """
    every = getattr(callback, "every_n_epochs", None)
    if every:
        return epoch - epoch % every + every
    if isinstance(callback, ProgressBar):
        return math.inf
    base = next((kind for kind in _NOT_COUNTING_EPOCHS if isinstance(callback, kind)), Callback)
    return epoch + 1 if overridden(callback, base, EPOCH_HOOKS) else math.inf


def overridden(owner: object, base: type, hooks: Iterable[str]) -> list[str]:
    """Return the hooks of `base` that an instance overrides, in its class or, as LambdaCallback does, in itself."""
    return [hook for hook in hooks if getattr(getattr(owner, hook), "__func__", None) is not getattr(base, hook)]


def has_step_hooks(trainer: Trainer, module: LightningModule) -> bool:
    """Whether a callback or the module overrides a hook that is called at every optimizer step."""
    of_callbacks = (overridden(callback, Callback, STEP_HOOKS) for callback in callbacks_of(trainer))
    return any(of_callbacks) or bool(overridden(module, LightningModule, STEP_HOOKS))


def run_length(trainer: Trainer) -> int:
    """Return how many epochs a run will have, ENDLESS without a limit; what is drawn and logged is spaced by it."""
    limits = [limit for limit in (trainer.max_epochs, trainer.max_steps) if limit not in (None, -1)]
    return min(limits, default=ENDLESS)


def callbacks_of(trainer: Trainer) -> list[Callback]:
    """The callbacks of a Trainer, an attribute that Lightning documents but does not declare."""
    callbacks: list[Callback] = getattr(trainer, "callbacks", [])
    return callbacks


def is_smoke_test(trainer: Trainer) -> bool:
    """Whether a run only tries one epoch (`fast_dev_run`), of which Lightning saves nothing."""
    given: Any = trainer  # which documents this attribute, but does not declare it
    return bool(given.fast_dev_run)


def block_length(trainer: Trainer) -> float:
    """Return the number of epochs until something must see the networks, or a limit of the Trainer is reached."""
    epoch, module = trainer.current_epoch, trainer.lightning_module
    if has_step_hooks(trainer, module) or overridden(module, base_of(module), ("training_step", *EPOCH_HOOKS)):
        return 1
    ends = [next_due_epoch(callback, epoch) for callback in callbacks_of(trainer)]
    if trainer.enable_validation and any(trainer.num_val_batches):
        every = trainer.check_val_every_n_epoch or trainer.val_check_interval
        ends = [*ends, epoch - epoch % every + every]
    given: Any = trainer  # which documents this attribute, but does not declare it
    if reload := given.reload_dataloaders_every_n_epochs:  # the table must be the same then
        ends = [*ends, epoch - epoch % reload + reload]
    if trainer.max_epochs not in (None, -1):
        ends = [*ends, trainer.max_epochs]
    if trainer.max_steps != -1:
        ends = [*ends, epoch + trainer.max_steps - trainer.global_step]
    ends += [least for least in (trainer.min_epochs, trainer.min_steps) if least and least > epoch]
    return min(ends, default=math.inf) - epoch


def samples_every(trainer: Trainer) -> int:
    """Return the number of epochs between samples of the weights that callbacks ask for, 0 if none does.

    A callback asks by an attribute `samples_every_n_epochs`; for several it is their greatest common divisor.
    """
    return math.gcd(*(getattr(callback, "samples_every_n_epochs", 0) for callback in callbacks_of(trainer)))


def stop_request(trainer: Trainer) -> Callable[[], bool]:
    """Return a function that says whether a block that starts now must end: by request, or after MAX_BLOCK_SECONDS."""
    deadline = time.monotonic() + MAX_BLOCK_SECONDS

    def is_due() -> bool:  # a request that waits for min_epochs must not shorten the blocks until then
        may_stop = trainer.should_stop and trainer.current_epoch >= max(trainer.min_epochs or 0, trainer.min_steps or 0)
        return may_stop or time.monotonic() > deadline

    return is_due
