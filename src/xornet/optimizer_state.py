"""Checks of the state of an optimizer in a checkpoint."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from xornet.engine.optimizers import fresh_states
from xornet.schema import check_like, need


def check_optimizer_state(states: Any, optimizer: "partial[Any]", weights: Sequence[Tensor], steps: int) -> None:
    """Check the state of the only optimizer after `steps` steps; a callback may have changed its settings on the way.

    Args:
        states: of the checkpoint.
        optimizer: makes it.
        weights: one (I + 1, H, N) tensor per layer.
        steps: the number of updates.

    """
    need(len(states) == 1 and states[0].keys() == {"state", "param_groups"}, "optimizer_states")
    saved, (fresh, _) = states[0], fresh_states(optimizer, None, weights)
    groups, state = saved["param_groups"], saved["state"]
    is_grouped = [group["params"] for group in groups] == [group["params"] for group in fresh["param_groups"]]
    are_finite = all(is_finite(value) for group in groups for value in group.values())
    is_descent = all(group.get("lr", 0) >= 0 for group in groups)
    need(is_grouped and are_finite and is_descent, "optimizer_states: param_groups")
    need(bool(steps) or not state, "optimizer_states: state")
    changed, _ = fresh_states(optimizer, None, weights, {"state": {}, "param_groups": groups})
    for index, weight in enumerate(weights) if steps else ():
        held, before, after = (one.get(index, {}) for one in (state, fresh["state"], changed["state"]))
        # What it has with the settings of the module and with the saved ones.
        kept = {name: before[name] for name in before if name in after}
        check_like({name: held.get(name) for name in kept}, kept, "optimizer_states: state")
        others = (value for name, value in held.items() if name not in kept and isinstance(value, Tensor))
        need(all(value.dim() == 0 or value.shape == weight.shape for value in others), "optimizer_states: state")
    fresh_states(optimizer, None, weights, saved)  # a step with all of it works


def is_finite(value: Any) -> bool:
    """Whether a setting of an optimizer is finite: a number, or several; anything else is."""
    if isinstance(value, list | tuple):
        return all(map(is_finite, value))
    return bool(torch.as_tensor(value).isfinite().all()) if isinstance(value, int | float | Tensor) else True
