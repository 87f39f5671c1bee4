"""The gradient of backprop.py computed in place: into buffers allocated once, by operations bound beforehand.

For one network this takes a third of the time of the expressions in backprop.py, which allocate their results anew.
"""

from collections.abc import Callable, Sequence
from functools import partial
from itertools import pairwise

import torch
from torch import Tensor

from xornet.backprop import ACTIVATIONS, Activation, append_ones

Step = Callable[[], object]
aten = torch.ops.aten


# For activations that PyTorch computes in place: a function of (z, out=a) that writes σ(z) into a, and one of
# (δ, a, grad_input=δ) that writes δ ⊙ σ'(a) into δ.
INPLACE: dict[str, tuple[Callable[..., object], Callable[..., object]]] = {
    "sigmoid": (torch.sigmoid, aten.sigmoid_backward.grad_input),
    "tanh": (torch.tanh, aten.tanh_backward.grad_input),
    "relu": (partial(torch.clamp, min=0), partial(aten.threshold_backward.grad_input, threshold=0)),
}


def inplace(activation: Activation) -> tuple[Callable[..., object], Callable[..., object]]:
    """Return the two functions for an activation that PyTorch has no function of its own for."""

    def into(z: Tensor, out: Tensor) -> None:
        out.copy_(activation.sigma(z))

    def backward_into(delta: Tensor, a: Tensor, grad_input: Tensor) -> None:
        torch.mul(delta, activation.slope(a), out=grad_input)

    return into, backward_into


class Layer:
    """Buffers of one layer, and the steps that fill them.

    Args:
        weight: (I + 1, H, N).
        below: [a; 1] of the layer below, (P, I + 1, N), or (P, I + 1) where all networks share it.
        activation: one of ACTIVATIONS.

    """

    def __init__(self, weight: Tensor, below: Tensor, activation: str) -> None:
        self.weight = weight.detach()
        with torch.inference_mode(False):  # else `loss.backward()` in a callback could not add to it
            self.grad = torch.zeros_like(self.weight)
        _, units, networks = weight.shape
        z = weight.new_empty(len(below), units, networks)
        self.with_one = weight.new_ones(len(below), units + 1, networks)  # [a; 1]
        self.a = self.with_one[:, :units]
        self.delta = torch.empty_like(z)
        into, self.backward_into = INPLACE.get(activation) or inplace(ACTIVATIONS[activation])
        self.forward: list[Step] = [*multiply(below, self.weight, z), partial(into, z, out=self.a)]
        self.gradient: list[Step] = multiply(below.transpose(0, 1), self.delta, self.grad)

    def backward(self, above: "Layer") -> list[Step]:
        """δ_l = (W_{l+1} δ_{l+1}) ⊙ σ'(a_l)."""
        return [
            *multiply(above.delta, above.weight[:-1].transpose(0, 1), self.delta),
            partial(self.backward_into, self.delta, self.a, grad_input=self.delta),
        ]


class InplaceBackprop:
    """Forward pass and gradient for one truth table, as two lists of tensor operations that are run every epoch.

    Args:
        weights: one (I + 1, H, N) tensor a layer.
        x: inputs (P, I).
        y: targets (P, O).
        activation: of the hidden layers, one of ACTIVATIONS; the output is always a sigmoid.

    """

    def __init__(self, weights: Sequence[Tensor], x: Tensor, y: Tensor, activation: str = "sigmoid") -> None:
        self.x, self.weights = x, weights
        self.layers: list[Layer] = []
        below = append_ones(x)
        for weight in weights:
            self.layers.append(Layer(weight, below, "sigmoid" if weight is weights[-1] else activation))
            below = self.layers[-1].with_one
        self.output = self.layers[-1]
        self.target = y[:, :, None]
        self.scale = 2 / len(x)
        self.forward_plan = [step for layer in self.layers for step in layer.forward]
        self.backward_plan = self.output.gradient
        for layer, above in reversed(list(pairwise(self.layers))):
            self.backward_plan = self.backward_plan + layer.backward(above) + layer.gradient

    def restore(self) -> None:
        """Copy weights that were given new tensors back into their buffers.

        Raises:
            ValueError: a hook of a weight waits for autograd to compute its gradient.

        """
        for weight, layer in zip(self.weights, self.layers, strict=True):
            if weight._backward_hooks or weight._post_accumulate_grad_hooks:  # PyTorch has no public way to ask
                raise ValueError("a hook of a weight's gradient is autograd's to call; use model.gradient=autograd")
            if weight.data_ptr() != layer.weight.data_ptr() or not weight.is_contiguous():
                layer.weight.copy_(weight.detach().clone())
                weight.data = layer.weight

    def attach(self) -> None:
        """Make the buffers that `backward` writes into the weights' `.grad`."""
        for weight, layer in zip(self.weights, self.layers, strict=True):
            weight.grad = layer.grad

    def forward(self, error: Tensor) -> None:
        """Write ŷ - y into `error` (P, O, N)."""
        for step in self.forward_plan:
            step()
        torch.sub(self.output.a, self.target, out=error)

    def backward(self, error: Tensor) -> None:
        """Write the gradient of every network's own loss into the buffers, given `error` from `forward`."""
        delta = self.output.delta
        torch.mul(error, self.scale, out=delta)
        self.output.backward_into(delta, self.output.a, grad_input=delta)
        for step in self.backward_plan:
            step()


def multiply(a: Tensor, b: Tensor, out: Tensor) -> list[Step]:
    """Steps that write out = a b, network by network: (A, B, N) x (B, C, N) to (A, C, N); (A, B) is shared by all."""
    if a.ndim == 2:
        return [partial(torch.mm, a, b.flatten(1), out=out.flatten(1))]
    if a.shape[-1] == 1:
        return [partial(torch.mm, a[..., 0], b[..., 0], out=out[..., 0])]
    if a.shape[1] == 1:  # an outer product: one output's δ, carried back
        return [partial(torch.mul, a, b, out=out)]
    product = a.new_empty(*a.shape[:2], *b.shape[1:])
    return [partial(torch.mul, a[:, :, None], b, out=product), partial(torch.sum, product, 1, out=out)]
