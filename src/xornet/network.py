"""XORNet, the network of the lab sheet, and Ensemble, N of them side by side.

One letter for each axis of a tensor:

    N   networks
    P   points, the rows of the truth table
    I   inputs of a layer
    H   units of a hidden layer
    O   outputs

A stacked layer is one tensor (I + 1, H, N): its last row is the bias, because inputs carry a constant 1; the network
axis is last, so that the values of all networks lie next to each other in memory.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from xornet import validation
from xornet.backprop import ACTIVATIONS, predict


class XORNet(nn.Module):
    """The sheet's network: ŷ = σ(output(σ(hidden(x)))).

    Args:
        inputs: number of input bits.
        hidden: units of each hidden layer, named `hidden`, `hidden2`, ...; empty for a single layer.
        activation: of the hidden layers, one of ACTIVATIONS; the output is always a sigmoid.

    """

    def __init__(self, inputs: int = 2, hidden: Sequence[int] = (4,), activation: str = "sigmoid") -> None:
        super().__init__()
        self.activation = activation
        for name, (fan_in, units) in zip(layer_names(hidden), layer_shapes(inputs, hidden), strict=True):
            self.add_module(name, nn.Linear(fan_in, units))

    def forward(self, x: Tensor) -> Tensor:
        """Map x (P, I) to predictions (P, 1) in (0, 1)."""
        *hidden, output = self.children()
        for layer in hidden:
            x = ACTIVATIONS[self.activation].sigma(layer(x))
        return torch.sigmoid(output(x))


class Ensemble(nn.Module):
    """N XORNets stacked into one tensor per layer; network i starts as `torch.manual_seed(seed_of(i)); XORNet()` would.

    Args:
        inputs, hidden, activation: as in XORNet.
        networks: N.
        seed: seed of network 0.
        init: None to draw as nn.Linear does; a number r to draw every weight and bias uniformly from ±r.
        initialisations: M, the number of different initialisations: network i starts from seed + i % M; None for N.

    """

    def __init__(
        self,
        inputs: int = 2,
        hidden: Sequence[int] = (4,),
        activation: str = "sigmoid",
        networks: int = 1,
        seed: int = 0,
        init: float | None = None,
        initialisations: int | None = None,
    ) -> None:
        super().__init__()
        validation.size(inputs, hidden, networks)
        validation.integer("seed", seed, 0, 2**63 - networks, "use e.g. seed=0")
        if init is not None:
            validation.number("model.init", init, "use model.init=null for PyTorch's default")
        self.initialisations = networks if initialisations is None else initialisations
        validation.integer("model.initialisations", self.initialisations, 1, networks, "use null for one each")
        self.inputs, self.hidden, self.seed = inputs, list(hidden), seed
        self.activation = validation.choice("model.activation", activation, ACTIVATIONS)
        drawn = draw_weights(layer_shapes(inputs, hidden), self.initialisations, seed, init)
        which = torch.arange(networks) % self.initialisations  # network i is a copy of initialisation i % M
        self.weights = nn.ParameterList(weight[..., which] for weight in drawn)

    def __len__(self) -> int:
        return self.weights[0].shape[-1]

    def forward(self, x: Tensor) -> Tensor:
        """Map x (P, I) to every network's predictions (P, O, N)."""
        return predict(list(self.weights), x, self.activation)

    def seed_of(self, i: int) -> int:
        """The seed of network i; -1 is the last network."""
        return self.seed + range(len(self))[i] % self.initialisations

    def weights_of_first(self, networks: int) -> list[Tensor]:
        """The current weights of the first few networks, one (I + 1, H, `networks`) tensor per layer."""
        return [weight.detach()[..., :networks] for weight in self.weights]

    def network(self, i: int) -> XORNet:
        """Return network i as an XORNet with a copy of its weights."""
        with torch.device("meta"):  # draws nothing from the global generator
            net = XORNet(self.inputs, self.hidden, self.activation)
        stacked = [weight.detach()[..., i].clone() for weight in self.weights]
        state = [part for w in stacked for part in (w[:-1].T.contiguous(), w[-1].clone())]
        net.load_state_dict(dict(zip(net.state_dict(), state, strict=True)), assign=True)
        return net


def layer_names(hidden: Sequence[int]) -> list[str]:
    """`hidden`, `hidden2`, ..., `output`."""
    return ["hidden" if i == 0 else f"hidden{i + 1}" for i in range(len(hidden))] + ["output"]


def layer_shapes(inputs: int, hidden: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield (fan in, units) of every layer."""
    return pairwise([inputs, *hidden, 1])


def draw_weights(
    shapes: Iterable[tuple[int, int]], initialisations: int, seed: int, init: float | None
) -> Iterator[Tensor]:
    """Yield one (I + 1, H, M) tensor per layer; initialisation i is drawn by a generator seeded with seed + i.

    Order and bounds are those of nn.Linear: weight, then bias, layer by layer; uniform in ±√3 gain/√I (Kaiming with
    a = √5) and in ±1/√I. Both are the same number, computed as PyTorch does, to the same bits. With `init`, all in
    ±init.
    """
    gain = nn.init.calculate_gain("leaky_relu", math.sqrt(5))
    parts: list[tuple[Tensor, float]] = []  # (M, H, I) or (M, H), and its bound
    for fan_in, units in shapes:
        weight_bound, bias_bound = math.sqrt(3) * (gain / math.sqrt(fan_in)), 1 / math.sqrt(fan_in)
        parts.append((torch.empty(initialisations, units, fan_in), weight_bound if init is None else init))
        parts.append((torch.empty(initialisations, units), bias_bound if init is None else init))
    generator = torch.Generator()
    for i in range(initialisations):
        generator.manual_seed(seed + i)
        for part, bound in parts:
            part[i].uniform_(-bound, bound, generator=generator)
    for (weight, _), (bias, _) in zip(parts[::2], parts[1::2], strict=True):
        yield torch.cat([weight.permute(2, 1, 0), bias.T[None]])
