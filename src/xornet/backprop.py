"""The predictions of N stacked networks and the gradients of their losses by hand: backpropagation.

[a; 1] is an activation with a constant 1 appended, σ the activation function of the layer, and its slope σ' is
written in terms of the activation:

    forward    a_0 = x,   z_l = W_lᵀ [a_{l-1}; 1],   a_l = σ(z_l),   ŷ = a_L
    loss       L = (1/P) Σ_points (ŷ - y)²                                (every network has its own)
    backward   δ_L = (2/P) (ŷ - y) ⊙ σ'(ŷ),   δ_l = (W_{l+1} δ_{l+1}) ⊙ σ'(a_l)   (bias row left out)
    gradient   ∂L/∂W_l = Σ_points [a_{l-1}; 1] δ_lᵀ

`torch.compile` compiles `backpropagate` (engine/compiled.py); uncompiled runs compute the same in reused buffers
(engine/inplace.py). Axes as in network.py; weights are (I + 1, H, N). Source: Rumelhart, Hinton and Williams,
Learning internal representations by error propagation, 1986.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class Activation(NamedTuple):
    """An activation function.

    Args:
        sigma: z -> a = σ(z)
        slope: a -> σ'(z), written in terms of the activation

    """

    sigma: Callable[[Tensor], Tensor]
    slope: Callable[[Tensor], Tensor]


ACTIVATIONS = {
    "sigmoid": Activation(torch.sigmoid, lambda a: a * (1 - a)),
    "tanh": Activation(torch.tanh, lambda a: 1 - a * a),
    "relu": Activation(torch.relu, lambda a: a > 0),  # true counts as 1
}


def append_ones(a: Tensor) -> Tensor:
    """[a; 1] along axis 1: (P, I, ...) to (P, I + 1, ...)."""
    return torch.cat([a, a.new_ones(a.shape[0], 1, *a.shape[2:])], 1)


def predict(weights: Sequence[Tensor], x: Tensor, activation: str, output_activation: str = "sigmoid") -> Tensor:
    """Return the predictions (P, O, N) of the stacked `weights` at x (P, I).

    The forward pass of `backpropagate`, by matrix products where possible: four times as fast for many points.
    """
    first, *rest = weights
    # The first layer's inputs are the same for all networks: one matrix product.
    z = (append_ones(x) @ first.flatten(1)).view(len(x), *first.shape[1:])
    for weight in rest:
        a = append_ones(ACTIVATIONS[activation].sigma(z))
        if weight.shape[-1] == 1:  # one network: a matrix product
            z = (a.squeeze(-1) @ weight.squeeze(-1)).unsqueeze(-1)
        else:
            z = (a[:, :, None] * weight).sum(1)
    return ACTIVATIONS[output_activation].sigma(z)


def backpropagate(
    weights: Sequence[Tensor], x: Tensor, y: Tensor, activation: str = "sigmoid"
) -> tuple[Tensor, list[Tensor]]:
    """Return ŷ - y (P, O, N) and ∂L/∂W of every layer, by the equations above and in their order.

    Args:
        weights: one (I + 1, H, N) tensor a layer.
        x: inputs (P, I).
        y: targets (P, O).
        activation: of the hidden layers, one of ACTIVATIONS; the output is always a sigmoid.

    """
    activations = [*[ACTIVATIONS[activation]] * (len(weights) - 1), ACTIVATIONS["sigmoid"]]
    a = [x[:, :, None]]
    for weight, (sigma, _) in zip(weights, activations, strict=True):
        z = (a[-1][:, :, None] * weight[:-1]).sum(1) + weight[-1]
        a.append(sigma(z))
    error = a[-1] - y[:, :, None]
    grad_a = 2 / len(x) * error  # ∂L/∂a_L
    gradients: list[Tensor] = []
    for weight, (_, slope), a_in, a_out in reversed(list(zip(weights, activations, a[:-1], a[1:], strict=True))):
        delta = grad_a * slope(a_out)
        grad_weight = (a_in[:, :, None] * delta[:, None]).sum(0)
        grad_bias = delta.sum(0, keepdim=True)
        gradients.insert(0, torch.cat([grad_weight, grad_bias]))
        grad_a = (weight[:-1] * delta[:, None]).sum(2)  # of the layer below
    return error, gradients
