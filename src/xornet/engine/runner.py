"""How a block of epochs is computed: PyTorch's operations one after the other, or one compiled function an epoch.

An epoch is a forward pass, its error, backpropagation and the weight update. Both kinds of step note what happens at
every epoch (see history.py) and hand back the errors of those that the curve remembers.
"""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch._dynamo.exc import TorchDynamoException
from torch.optim import Optimizer

from xornet.engine.autograd import Autograd
from xornet.engine.blocks import LARGEST_BLOCK
from xornet.engine.compiled import CompiledEpochs
from xornet.engine.history import Block, History
from xornet.engine.inplace import InplaceBackprop
from xornet.engine.optimizers import bare_step
from xornet.engine.snapshots import Snapshots

BLOCK_VALUES = 2**22  # an eager block keeps its errors until its end: at most this many numbers (16 MiB in float32)
GRADIENTS: dict[str, type[InplaceBackprop] | type[Autograd]] = {"backprop": InplaceBackprop, "autograd": Autograd}

log = logging.getLogger(__name__)


class EpochRunner:
    """The epochs of one run: eager, and from the second one compiled, if that is wanted and possible.

    An optimizer makes its state in its first step, which a compiled epoch needs; and on a machine without a C++
    compiler nothing but time is lost.

    Args:
        weights: one (I + 1, H, N) parameter a layer.
        x: inputs (P, I).
        y: targets (P, O).
        activation: of the hidden layers.
        optimizer: steps the networks' weights.
        history: is told every epoch's errors.
        gradient: one of GRADIENTS.
        compiles: whether to compile.

    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        x: Tensor,
        y: Tensor,
        activation: str,
        optimizer: Optimizer,
        history: History,
        gradient: str,
        compiles: bool,
    ) -> None:
        self.eager = EagerEpochs(GRADIENTS[gradient](weights, x, y, activation), weights, optimizer, history)
        self.compiled = CompiledEpochs(weights, x, y, activation, optimizer, history) if compiles else None

    def run(self, start: int, length: int, is_over: Callable[[], bool]) -> Block:
        """Run at most `length` epochs, fewer where `is_over`; return what they were."""
        if not self.compiled:
            return self.eager.run(start, length, is_over)
        if start == 0:
            return self.eager.run(start, 1, is_over)
        try:
            return self.compiled.run(start, length, is_over)
        except TorchDynamoException as error:  # no C++ compiler, or an optimizer that cannot be compiled
            cause = next(iter(str(error).splitlines()), type(error).__name__)
            log.warning("model.compile: going on without, slower: torch.compile failed (%s)", cause)
            self.compiled = None
            return self.eager.run(start, length, is_over)

    @property
    def compile_seconds(self) -> float:
        """How long compiling took."""
        return self.compiled.seconds if self.compiled else 0.0

    @property
    def is_compiling(self) -> bool:
        """Whether the next epoch is being compiled: the networks stand between two epochs."""
        return self.compiled is not None and self.compiled.is_compiling

    def check_finite(self, block: Block) -> None:
        """Refuse to go on, and so to save a checkpoint, when no network is left with finite weights and loss.

        Raises:
            ValueError: naming the epoch.

        """
        # A sum is finite only if everything in it is.
        sums = torch.stack([block.last.sum((0, 1)), *(weight.sum((0, 1)) for weight in self.eager.weights)])
        if sums.isfinite().all(0).any():
            return
        diverged = self.eager.history.diverged_epoch
        epoch = int(diverged.max()) if (diverged >= 0).all() else block.start + block.length
        raise ValueError(f"the loss became nan at epoch {epoch}; use a smaller optimizer.lr or model.init")


class EagerEpochs:
    """Epochs operation by operation, with the errors of a block in one buffer.

    Args:
        gradient: InplaceBackprop or Autograd.
        weights: one (I + 1, H, N) parameter a layer.
        optimizer: steps the networks' weights.
        history: is told every epoch's errors.

    """

    def __init__(
        self, gradient: InplaceBackprop | Autograd, weights: Sequence[Tensor], optimizer: Optimizer, history: History
    ) -> None:
        self.gradient, self.weights, self.history = gradient, weights, history
        self.step = torch.no_grad()(bare_step(optimizer))
        points, (_, outputs, networks) = len(gradient.x), weights[-1].shape
        length = min(LARGEST_BLOCK, max(1, BLOCK_VALUES // (points * outputs * networks)))
        self.errors = gradient.x.new_empty(length, points, outputs, networks)

    def run(self, start: int, length: int, is_over: Callable[[], bool]) -> Block:
        """Run `length` epochs, fewer where the buffer or `is_over` ends them; return what they were."""
        snapshots, end = Snapshots(self.weights, self.history.every), start + min(length, len(self.errors))
        for epoch, error in enumerate(self.errors[:length], start):
            is_last = epoch + 1 == end or is_over()
            snapshots.note(epoch, is_last)
            self.gradient.forward(error)  # forward pass, error
            self.gradient.backward(error)  # backpropagation
            self.step()  # update weights
            if is_last:
                break
        errors = self.errors[: epoch + 1 - start]
        self.history.note(errors, start)
        epochs = self.history.remembered(start, len(errors))
        remembered = errors[epochs.start - start :: epochs.step].clone()
        return Block(start, len(errors), epochs, remembered, errors[-1].clone(), snapshots)
