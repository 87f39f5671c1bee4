"""The gradient of one network by hand, against autograd and against central differences.

Two right answers in float64, whose rounding unit is ε = 2.2e-16, are no further apart than this. With

    S_l = Σ_points [|a_{l-1}|; 1] D_lᵀ,   D_L = (2/P) |ŷ - y|,   D_l = |W_{l+1}| D_{l+1}   (bias row left out),

which ∂L/∂W_l would be if nothing cancelled and every slope were 1, rounding moves L by about ε R, as if each weight
changed by ε of itself, R = L + Σ_l Σ |W_l| ⊙ S_l, and ∂L/∂W_l by about ε S_l Z, Z = 1 + Σ_l max |W_l|ᵀ [|a_{l-1}|; 1].
The central difference D(h) = (L(w + h) - L(w - h)) / 2h is off by h² L'''/6 and by ε R / h; with h = ∛ε both are small,
and D(2h) - D(h) = h² L'''/2 measures the first, three times over. Where relu switches a unit between w - 2h and w + 2h,
L has a kink and D no meaning: such weights are counted, and compared with autograd alone.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from xornet.backprop import append_ones, backpropagate
from xornet.engine.autograd import Autograd
from xornet.engine.inplace import InplaceBackprop
from xornet.gradcheck.worked_example import ROWS, Problem

EPSILON = torch.finfo(torch.float64).eps
STEP = EPSILON ** (1 / 3)  # h of a weight up to 1; of a larger one, this share of it
ROUNDINGS = 4  # how many ε; of 756 networks, 0 to 6 hidden layers, model.init from 0 to 1e20, none needed 0.6


class Comparison(NamedTuple):
    """The gradients of one layer, each (I + 1, H), and their allowed differences.

    Args:
        found: by `backpropagate` (which is compiled), by InplaceBackprop (for uncompiled runs), and by autograd.
        slopes: D(h).
        smooth: where D(h) is defined.
        rounding: the allowed difference between two of `found`.
        error: the allowed difference between one of `found` and `slopes`.

    """

    found: dict[str, Tensor]
    slopes: Tensor
    smooth: Tensor
    rounding: float
    error: float

    def from_autograd(self) -> list[float]:
        """The largest difference of each."""
        return [(gradient - self.found["Autograd"]).abs().max().item() for gradient in self.found.values()]

    def from_slopes(self) -> list[float]:
        """The largest difference of each, where L is smooth."""
        return [
            torch.where(self.smooth, gradient - self.slopes, 0).abs().max().item() for gradient in self.found.values()
        ]

    def agree(self) -> bool:
        """Whether all are right; a nan never is."""
        by_autograd = all(difference <= self.rounding for difference in self.from_autograd())
        return by_autograd and all(difference <= self.error for difference in self.from_slopes())


def compare(problem: Problem) -> Iterator[Comparison]:
    """Yield the gradients of each layer."""
    stacked = [weight[..., None] for weight in problem.weights]
    found = {"backpropagate": backpropagate(stacked, *problem[1:])[1]}
    for kind in (InplaceBackprop, Autograd):
        copies = [weight.clone().requires_grad_() for weight in stacked]
        way, error = kind(copies, *problem[1:]), torch.empty_like(problem.y)[..., None]
        way.attach()
        way.forward(error)
        way.backward(error)
        found[kind.__name__] = [copy.grad for copy in copies if copy.grad is not None]
    a, z, r = problem.activations(), 1.0, problem.loss().item()
    sizes: list[Tensor] = []
    above = 2 / len(problem.y) * (a[-1] - problem.y).abs()
    for i, weight, _ in reversed(problem.layers()):
        below = append_ones(a[i - 1].abs())
        sizes.insert(0, below.T @ above)
        z += (below @ weight.abs()).max().item()
        r += (weight.abs() * sizes[0]).sum().item()
        above = above @ weight[:-1].abs().T
    for i, (slopes, twice, smooth) in enumerate(differences(problem)):
        rounding = ROUNDINGS * EPSILON * sizes[i].max().item() * z
        error = torch.where(smooth, twice - slopes, 0).abs().max().item() + ROUNDINGS * EPSILON * r / STEP
        yield Comparison({way: layers[i][..., 0] for way, layers in found.items()}, slopes, smooth, rounding, error)


def differences(problem: Problem) -> Iterator[tuple[Tensor, Tensor, Tensor]]:
    """Yield, for each layer, D(h), D(2h) and whether L is smooth between w - 2h and w + 2h, for every weight."""
    problem = problem._replace(weights=[weight.clone() for weight in problem.weights])
    for _, weight, _ in problem.layers():
        numbers, rows = weight.view(-1), []
        for i, w in enumerate(numbers.tolist()):
            h, losses, on = STEP * max(1, abs(w)), [], []
            moved = [w + h, w - h, w + 2 * h, w - 2 * h]
            for value in moved:
                numbers[i] = value
                a = problem.activations()
                losses.append((a[-1] - problem.y).square().mean().item())
                on.append(torch.cat([layer.flatten() > 0 for layer in a[1:]]))
            numbers[i] = w
            slopes = [(losses[j] - losses[j + 1]) / (moved[j] - moved[j + 1]) for j in (0, 2)]
            smooth = problem.activation != "relu" or all(torch.equal(on[0], other) for other in on)
            rows.append((*slopes, smooth))
        slope, twice, smooth_ones = torch.tensor(rows, dtype=weight.dtype).T.reshape(3, *weight.shape)
        yield slope, twice, smooth_ones > 0


def tabulate(heading: str, layer: Comparison) -> str:
    """Return the gradients of one layer side by side, weight by weight, with their largest differences."""
    weights, width = layer.slopes.numel(), layer.slopes.shape[1]
    heading += f": {weights} weights" + (f", {ROWS} shown, all compared" if weights > ROWS else "")
    lines = [heading, " row column   " + "".join(f"{name:>19}" for name in (*layer.found, "D(h)"))]
    columns = [gradient.flatten()[:ROWS].tolist() for gradient in (*layer.found.values(), layer.slopes)]
    for i, row in enumerate(zip(*columns, strict=True)):
        lines.append(f"{i // width + 1:4}{i % width + 1:7}   " + "".join(f"{number:19.10e}" for number in row))
    lines.append("largest difference")
    largest = max(gradient.abs().max().item() for gradient in layer.found.values())
    for name, apart, allowed in (
        ("Autograd", layer.from_autograd(), layer.rounding),
        ("D(h)", layer.from_slopes(), layer.error),
    ):
        verdict = "" if all(difference <= allowed for difference in apart) else ": DISAGREE"
        verdict = verdict or (", of a gradient too small to tell" if allowed > largest / 100 else "")
        numbers = "".join(f"{difference:19.1e}" for difference in apart)
        lines.append(f" from {name:8}{numbers}   allowed {allowed:.1e}{verdict}")
    if kinks := int((~layer.smooth).sum()):
        lines.append(f" not compared with D(h), for relu has a kink within 2h: {kinks}")
    return "\n".join([*lines, ""])
