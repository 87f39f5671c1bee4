"""What a checkpoint must be to be resumed: of the same run, each state built as that at a beginning."""

import math
from collections.abc import Sequence
from typing import Any

from lightning.pytorch import Trainer
from torch import Tensor

from xornet.contents import is_count, is_list, is_tensor, need
from xornet.engine.blocks import PRECISIONS, callbacks_of

# Between a run and its resumption: what does not change what the networks become.
MAY_CHANGE = ("gradient", "compile", "tolerance")
KEYS = {"seed": "seed", "networks": "networks", "bits": "data.bits"}  # the others are below `model`


def check_same_run(checkpoint: dict[str, Any], ours: dict[str, Any]) -> None:
    """Refuse a checkpoint of a run that was configured differently.

    Args:
        checkpoint: one that passed contents.check.
        ours: the hyperparameters of the run that wants to go on.

    Raises:
        ValueError: naming the first difference.

    """
    theirs = with_optimizer(checkpoint["hyper_parameters"], checkpoint["optimizer"])
    given = [key for key in theirs if key.startswith("optimizer.") and "optimizer._target_" in ours]
    for key in dict.fromkeys([*ours, *given]):
        was, new = theirs.get(key), ours.get(key)
        if key not in MAY_CHANGE and was != new:
            name = KEYS.get(key, key if "." in key else f"model.{key}")
            raise ValueError(
                f"ckpt_path holds a run with {name}={was}, but this run has {name}={new}; "
                "resume with the configuration that the run was started with"
            )


def with_optimizer(hparams: dict[str, Any], optimizer: dict[str, Any]) -> dict[str, Any]:
    """The hyperparameters of a run, those of its optimizer as `optimizer.lr`."""
    return {**hparams, **{f"optimizer.{key}": value for key, value in optimizer.items()}}


def check_same_precision(checkpoint: dict[str, Any], trainer: Trainer) -> None:
    """Refuse a checkpoint whose numbers would be rounded, or widened, to those of this run.

    Raises:
        ValueError: naming both precisions.

    """
    dtype = checkpoint["state_dict"]["ensemble.weights.0"].dtype
    if PRECISIONS[trainer.precision] != dtype:
        theirs = next(name for name, known in PRECISIONS.items() if known == dtype)
        raise ValueError(
            f"ckpt_path holds a run with trainer.precision={theirs}, but this run has "
            f"trainer.precision={trainer.precision}; resume with the configuration that the run was started with"
        )


def check_resumable(checkpoint: Any, trainer: Trainer, fresh: dict[str, Any]) -> None:
    """Refuse a checkpoint that `trainer` cannot go on with.

    Args:
        checkpoint: one that passed contents.check.
        trainer: at the beginning of a run that is configured as the checkpoint's.
        fresh: the `state_dict` of its optimizer after a step on parameters of shape (1,).

    Raises:
        ValueError: naming what is missing or wrong.

    """
    loops, states, optimizers = (checkpoint.get(part) for part in ("loops", "callbacks", "optimizer_states"))
    need(isinstance(loops, dict), "loops")
    check_like(loops.get("fit_loop"), trainer.fit_loop.state_dict(), "loops")
    check_counts(loops["fit_loop"])
    need(isinstance(states, dict) and all(type(key) is str for key in states), "callbacks")
    for callback in callbacks_of(trainer):
        if callback.state_key in states:
            check_like(states[callback.state_key], callback.state_dict(), f"callbacks: {callback.state_key}", True)
    need(checkpoint.get("lr_schedulers") == [], "lr_schedulers")
    need(is_list(optimizers) and len(optimizers) == 1 and isinstance(optimizers[0], dict), "optimizer_states")
    check_optimizer_state(optimizers[0], fresh, list(checkpoint["state_dict"].values()), checkpoint["global_step"])


def check_counts(loop: dict[str, Any]) -> None:
    """Check that a loop counts what can be counted."""
    for value in loop.values():
        if isinstance(value, dict):
            check_counts(value)
        else:
            need(is_count(value) or type(value) is bool, "loops")


def check_optimizer_state(state: Any, fresh: Any, weights: Sequence[Tensor], steps: int) -> None:
    """Check an optimizer's `state_dict`: settings as a fresh one's, state tensors as large as the weights."""
    names = fresh["state"].get(0, {})
    groups, states = state.get("param_groups"), state.get("state")
    check_like(groups, fresh["param_groups"], "optimizer_states: param_groups")
    for key, value in fresh["param_groups"][0].items():
        is_free = type(value) in (int, float, tuple)  # a callback may have changed it
        need(is_free or groups[0][key] == value, f"optimizer_states: {key}")
    need(isinstance(states, dict), "optimizer_states: state")
    need(list(states) == list(fresh["state"]) or not (states or steps), "optimizer_states: state")
    for i, values in states.items():
        need(isinstance(values, dict) and values.keys() == names.keys(), "optimizer_states: state")
        for name, value in values.items():
            if isinstance(names[name], Tensor) and names[name].dim():
                need(is_tensor(value, weights[i].shape, weights[i].dtype), f"optimizer_states: {name}")
            else:  # a count, or a factor of all weights
                check_like(value, names[name], f"optimizer_states: {name}")
                need(value is None or 0 <= float(value) < math.inf, f"optimizer_states: {name}")


def check_like(value: Any, template: Any, part: str, loose: bool = False) -> None:
    """Check that `value` is built as `template`.

    Args:
        value: of a checkpoint.
        template: what a run that has only just begun has in its place.
        part: what it is.
        loose: whether what is empty or None at the beginning may have become anything.

    """
    if loose and template is None:
        return
    if isinstance(template, dict):
        is_open = loose and not template
        need(isinstance(value, dict) and (is_open or value.keys() == template.keys()), part)
        for key, inner in template.items():
            check_like(value[key], inner, f"{part}: {key}", loose)
    elif is_list(template):
        need(is_list(value) and (loose or len(value) == len(template)), part)
        for one, other in zip(value, template, strict=False):
            check_like(one, other, part, loose)
    elif isinstance(template, Tensor):
        need(is_tensor(value, template.shape) and value.is_floating_point() == template.is_floating_point(), part)
    elif type(template) in (int, float):
        need(type(value) in (int, float), part)
    else:
        need(type(value) is type(template), part)
