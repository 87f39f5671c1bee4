"""Checks of subclasses of XORModule."""

import inspect
import math
from typing import Any

import torch
from lightning.pytorch import LightningModule

from xornet.engine.blocks import overridden
from xornet.engine.own import base_of
from xornet.network import Ensemble

# Lightning calls these in automatic optimisation only.
_REFUSED_HOOKS = (
    "optimizer_step",
    "optimizer_zero_grad",
    "lr_scheduler_step",
    "backward",
    "configure_gradient_clipping",
)
# In these, XORModule does a part of the run.
_RUN_HOOKS = (
    *("setup", "teardown", "configure_callbacks", "on_train_start", "on_train_end"),
    *("on_train_epoch_start", "on_train_batch_start", "training_step"),
    *("on_save_checkpoint", "on_load_checkpoint"),
)


def check_overrides(module: LightningModule) -> None:
    """Refuse a subclass whose hook does not call that of XORModule.

    Raises:
        ValueError: naming the hook.

    """
    base = base_of(module)
    # on_train_batch_end checks what an overridden training_step returns.
    of_step = overridden(module, base, ["training_step"]) and ["on_train_batch_end"]
    for hook in overridden(module, base, [*_RUN_HOOKS, *of_step]):
        code = getattr(inspect.unwrap(getattr(type(module), hook)), "__code__", None)
        if code is None or hook not in code.co_names:
            raise ValueError(
                f"{type(module).__name__}.{hook} leaves out a part of the run that XORModule does there; "
                f"use super().{hook}(...) in it"
            )


def check_loss(module: LightningModule, outputs: Any, loss: float) -> None:
    """Refuse a subclass whose training step returns another loss: in manual optimisation, it is not trained with.

    Raises:
        ValueError: naming the class.

    """
    returned = outputs.get("loss") if isinstance(outputs, dict) else outputs
    if returned is None or not overridden(module, base_of(module), ["training_step"]):
        return
    if torch.as_tensor(returned).numel() != 1 or not math.isclose(returned, loss, rel_tol=1e-6):
        raise ValueError(
            f"{type(module).__name__}.training_step returns another loss than XORModule, but the gradient is that of "
            "the mean squared error; use super().training_step(...) alone"
        )


def check_module(module: LightningModule) -> None:
    """Refuse a subclass with hooks that would never be called, or with a state that checkpoints would not hold.

    Raises:
        ValueError: naming the hook or the state, and what to do instead.

    """
    name = type(module).__name__
    for hook in overridden(module, LightningModule, _REFUSED_HOOKS):
        raise ValueError(
            f"{name}.{hook} would never be called: XORModule steps its optimizer itself, many epochs in one "
            "training_step; use on_before_optimizer_step, or a hook of the optimizer"
        )
    if overridden(module, base_of(module), ["configure_optimizers"]):
        raise ValueError(
            f"{name}.configure_optimizers would not be what a checkpoint says; use {name}(optimizer=..., scheduler=...)"
        )
    for hook in ("training_step", "forward"):
        if hook in vars(module):
            raise ValueError(f"{hook} of this {name} has been replaced, as by torch.compile; use model.compile=true")
    if overridden(module, base_of(module), ["forward"]) or type(module.ensemble) is not Ensemble:
        raise ValueError(
            f"the forward pass of {name} is not that of Ensemble, whose gradient it is trained with; use a method of "
            "another name for other predictions"
        )
    if len({weight.data_ptr() for weight in module.ensemble.weights}) < len(list(module.ensemble.weights)):
        raise ValueError("two layers share one weight, whose gradient would be that of one of them; use a copy of it")
    if module.automatic_optimization:
        raise ValueError(f"{name}.automatic_optimization=True cannot work: a step is many epochs; leave it False")
    for own in (own for own in module.state_dict() if not own.startswith("ensemble.weights.")):
        raise ValueError(
            f"{own} of {name} would be lost: a checkpoint holds the weights of the networks, which alone are trained; "
            "use register_buffer(..., persistent=False), or keep it outside of the module"
        )
