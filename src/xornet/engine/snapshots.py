"""Where gradient descent has been: the weights at some epochs of a block."""

from collections.abc import Sequence

from torch import Tensor

from xornet.engine.blocks import LARGEST_BLOCK
from xornet.engine.spacing import spacing

SAMPLE = 500  # networks, the first ones, stand for a large ensemble where every one would cost more than it shows
LARGEST = 2**22  # numbers that a descent may hold for a block of 1,000 epochs (16 MiB in float32)


class Snapshots:
    """Network 0's weights at every n-th epoch, before its update, and those of SAMPLE networks at the last epoch.

    Args:
        weights: one (I + 1, H, N) tensor a layer.
        every: n, unless the networks are so large that n must be larger (see spacing.py).

    """

    def __init__(self, weights: Sequence[Tensor], every: int) -> None:
        self.live = [weight.detach() for weight in weights]
        most = max(1, LARGEST // max(1, sum(weight[..., 0].numel() for weight in weights)))
        self.every = spacing(max(every, LARGEST_BLOCK / most))
        self.epochs: list[int] = []
        self.weights: list[list[Tensor]] = []  # one (I + 1, H) a layer, at each of these
        self.last: list[Tensor] = []

    def note(self, epoch: int, is_last: bool) -> None:
        """Note the weights, before the update of `epoch`, if it is time."""
        if epoch % self.every == 0:
            self.epochs.append(epoch)
            self.weights.append([weight[..., 0].clone() for weight in self.live])
        if is_last:
            self.last = [weight[..., :SAMPLE].clone() for weight in self.live]
