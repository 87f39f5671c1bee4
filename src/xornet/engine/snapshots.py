"""Snapshots of the weights during a block of epochs."""

from collections.abc import Sequence

from torch import Tensor

SAMPLE = 500  # the first networks, sampled for the whole ensemble: more would cost time and memory, and show the same
LARGEST = 2**22  # numbers that the snapshots of one block may hold (16 MiB in float32)


class Snapshots:
    """The weights of network 0 at the epochs of the curve, and of SAMPLE networks before and after chosen updates.

    The snapshot of an epoch is taken before its update.

    Args:
        weights: one (I + 1, H, N) tensor a layer.

    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self.live = list(weights)  # and no views: an optimizer of the user's may give them new tensors
        self.epochs: list[int] = []
        self.weights: list[list[Tensor]] = []  # one (I + 1, H) tensor a layer, at each of these epochs
        self.samples: dict[int, list[Tensor]] = {}  # by epoch, one (I + 1, H, SAMPLE or N) tensor a layer

    def record(self, epoch: int) -> None:
        """Copy the weights of network 0."""
        self.epochs.append(epoch)
        self.weights.append([weight.detach()[..., 0].clone() for weight in self.live])

    def sample(self, epoch: int) -> None:
        """Copy the weights of the first SAMPLE networks."""
        self.samples[epoch] = [weight.detach()[..., :SAMPLE].clone() for weight in self.live]


def max_block_length(weights: Sequence[Tensor], every: int, samples_every: int) -> int:
    """The longest block whose snapshots fit into memory: every `every`-th epoch, two samples in `samples_every`."""
    one, sample = (sum(weight[..., :size].numel() for weight in weights) for size in (1, SAMPLE))
    return min(max(1, LARGEST // one) * every, max(1, LARGEST // sample // 2) * samples_every)
