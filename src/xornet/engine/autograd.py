"""The gradient by `loss.backward()`: PyTorch's own, the oracle for backprop.py, with the same methods."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from xornet.backprop import predict


class Autograd:
    """Gradient of N stacked networks by automatic differentiation.

    Each network's loss depends on its own weights alone, so the gradient of their sum is every network's own.

    Args:
        weights: one (I + 1, H, N) parameter a layer; each gets a `.grad`.
        x: inputs (P, I).
        y: targets (P, O).
        activation: of the hidden layers.

    """

    def __init__(self, weights: Sequence[Tensor], x: Tensor, y: Tensor, activation: str = "sigmoid") -> None:
        self.weights, self.activation = weights, activation
        self.share = x.new_tensor(1 / len(x))
        self.x, self.y = x, y[:, :, None].expand(-1, -1, weights[0].shape[-1])

    def restore(self) -> None:
        """Do nothing: there are no buffers, every epoch reads the weights."""

    def attach(self) -> None:
        """Do nothing: autograd makes the weights' `.grad` anew."""

    def forward(self, error: Tensor) -> None:
        """Write ŷ - y into `error` (P, O, N)."""
        self.predictions = predict(self.weights, self.x, self.activation)
        torch.sub(self.predictions.detach(), self.y, out=error)

    def backward(self, error: Tensor) -> None:
        """Write the gradient of every network's own mean squared error into the weights' `.grad`."""
        for weight in self.weights:
            weight.grad = None
        # The mean over points, not over networks: the sum, whose own gradient is 1 / P.
        F.mse_loss(self.predictions, self.y, reduction="sum").backward(self.share)
