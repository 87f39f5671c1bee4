"""Gradient descent in which every network has other learning rates: a map of learning rates in one run."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer


class RateGridSGD(Optimizer):
    """Gradient descent on a grid of √N x √N networks; the hidden rate grows along columns, the output rate along rows.

        W ← W - lr η ⊙ ∂L/∂W,   η_i = low (high / low)^(k / (√N - 1)),   k = 0, ..., √N - 1

    Network i is in row i // √N and column i % √N. For the last layer, k is its row; for all other layers, its column.
    With all rates equal this is torch.optim.SGD, to the same bits.

    Args:
        params: one (I + 1, H, N) weight a layer, the output's last.
        hidden: the lowest and the highest rate of the hidden layers.
        output: the same of the output layer.
        lr: multiplies all rates; schedulers change it.

    Raises:
        ValueError: a range is reversed, outside 1e-30 to 1e30, or too narrow for the precision; or N is no square.

    """

    def __init__(
        self,
        params: Iterable[Any],
        hidden: Sequence[float] = (0.01, 10_000.0),
        output: Sequence[float] = (0.01, 1000.0),
        lr: float = 1.0,
    ) -> None:
        super().__init__(params, {"lr": lr})
        self.hidden, self.output = tuple(hidden), tuple(output)
        weights = self.param_groups[0]["params"]
        across, up = grid("optimizer.hidden", hidden, weights[0]), grid("optimizer.output", output, weights[0])
        by_layer = [across.repeat(len(up))] * (len(weights) - 1) + [up.repeat_interleave(len(across))]
        self.rates = [rates.to(weight) for rates, weight in zip(by_layer, weights, strict=True)]  # (N,) each

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # PyTorch's takes a closure, which nothing here has
        """Update the weights."""
        (group,) = self.param_groups
        for weight, rates in zip(group["params"], self.rates, strict=True):
            if weight.grad is not None:
                # Rounds once, as SGD does: weight - rates * grad would round twice.
                weight.addcmul_(weight.grad, rates * group["lr"], value=-1)


def grid(key: str, ends: Sequence[float], weight: Tensor) -> Tensor:
    """The √N rates of a range, in float64, evenly spaced on a logarithmic scale, both ends among them."""
    if len(ends) != 2 or not 1e-30 <= ends[0] <= ends[1] <= 1e30:
        said = f"{key} must be two rates, the lower one first, from 1e-30 to 1e30, got {list(ends)}"
        raise ValueError(f"{said}; use e.g. {key}=[0.01,100]")
    networks, dtype = weight.shape[-1], weight.dtype
    side = math.isqrt(networks)
    if side * side != networks:
        raise ValueError(
            f"networks must be a square, side x side, for a grid of rates, got {networks}; use networks={side * side}"
        )
    rates = torch.from_numpy(np.geomspace(ends[0], ends[1], side))
    if ends[0] < ends[1] and len(rates.to(dtype).unique()) < side:  # equal rates would be drawn as stripes
        said = f"{key} must be a range of {side} different numbers in {dtype}, got {list(ends)}"
        raise ValueError(f"{said}; use a wider one, or trainer.precision=64-true")
    return rates
