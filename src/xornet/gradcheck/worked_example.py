"""One step of one network by the equations of backprop.py, with every value under its name there."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from xornet.backprop import ACTIVATIONS, append_ones

ROWS, COLUMNS = 16, 8  # printed of a large tensor
SLOPES = {"sigmoid": "{0} ⊙ (1 - {0})", "tanh": "1 - {0} ⊙ {0}", "relu": "1 where {0} > 0, else 0"}  # of ACTIVATIONS


class Problem(NamedTuple):
    """A network, in float64, and its truth table.

    Args:
        weights: one (I + 1, H) tensor a layer.
        x: inputs (P, I).
        y: targets (P, O).
        activation: of the hidden layers.

    """

    weights: Sequence[Tensor]
    x: Tensor
    y: Tensor
    activation: str = "sigmoid"

    def layers(self) -> list[tuple[int, Tensor, str]]:
        """Number, weights and activation of each layer."""
        names = [self.activation] * (len(self.weights) - 1) + ["sigmoid"]
        return list(zip(range(1, len(names) + 1), self.weights, names, strict=True))

    def activations(self) -> list[Tensor]:
        """a_0 to a_L, each (P, units)."""
        a = [self.x]
        for _, weight, name in self.layers():
            a.append(ACTIVATIONS[name].sigma(append_ones(a[-1]) @ weight))
        return a

    def loss(self) -> Tensor:
        """L = (1/P) Σ_points (ŷ - y)²."""
        return (self.activations()[-1] - self.y).square().mean()


def work(problem: Problem, optimizer: Callable[[list[Tensor]], Optimizer]) -> Iterator[tuple[str, Tensor]]:
    """Yield every value of one step in the order of the equations, each with the line that defines it.

    Args:
        problem: is not changed.
        optimizer: makes an optimizer from the weights.

    """
    a, layers = problem.activations(), problem.layers()
    yield "a_0 = x", a[0]
    for i, weight, name in layers:
        yield f"W_{i}", weight
        yield f"z_{i} = W_{i}ᵀ [a_{i - 1}; 1]", append_ones(a[i - 1]) @ weight
        yield f"{'ŷ = ' if i == len(layers) else ''}a_{i} = σ(z_{i}), σ = {name}", a[i]
    error = a[-1] - problem.y
    yield "y", problem.y
    yield "ŷ - y", error
    yield "L = (1/P) Σ_points (ŷ - y)²", problem.loss()
    above, source, out = 2 / len(error) * error, "(2/P) (ŷ - y)", "ŷ"
    stacked = [weight[..., None].clone() for weight in problem.weights]  # an ensemble of one, for its optimizer
    for i, weight, name in reversed(layers):
        slope = ACTIVATIONS[name].slope(a[i]).to(above.dtype)
        yield f"σ'({out}) = {SLOPES.get(name, 'slope({0})').format(out)}", slope
        delta = above * slope
        yield f"δ_{i} = {source} ⊙ σ'({out})", delta
        gradient = append_ones(a[i - 1]).T @ delta
        stacked[i - 1].grad = gradient[..., None]
        yield f"∂L/∂W_{i} = Σ_points [a_{i - 1}; 1] δ_{i}ᵀ", gradient
        above, source, out = delta @ weight[:-1].T, f"(W_{i} δ_{i})", f"a_{i - 1}"
        if i > 1:
            yield f"W_{i} δ_{i} (bias row left out)", above
    method = optimizer(stacked)
    method.step()
    eta, updated = method.param_groups[0]["lr"], [weight[..., 0] for weight in stacked]
    for (i, weight, _), after, one in zip(layers, updated, stacked, strict=True):
        assert one.grad is not None
        descent = torch.allclose(after, weight - eta * one.grad[..., 0], rtol=1e-12, atol=0)
        yield f"W_{i} ← " + (f"W_{i} - η ∂L/∂W_{i}, η = {eta}" if descent else type(method).__name__), after
    yield "L after the update", problem._replace(weights=updated).loss()


def show(heading: str, value: Tensor) -> str:
    """Return `value` under its heading: a number, or a table of which at most ROWS by COLUMNS are shown."""
    if not value.ndim:
        return f"{heading} = {value:.6f}\n"
    shown, (rows, columns) = value[:ROWS, :COLUMNS], value.shape
    if rows > ROWS or columns > COLUMNS:
        heading += f" ({len(shown)} of {rows} rows, {shown.shape[1]} of {columns} columns shown)"
    form = ".0f" if torch.equal(shown, shown.round()) else ".6f" if 0.01 <= shown.abs().max() < 1000 else ".4e"
    return "\n".join([heading, *("".join(f"{number:12{form}}" for number in row) for row in shown.tolist()), ""])
