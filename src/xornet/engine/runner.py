"""How a block of epochs is run: PyTorch's operations one after the other, or one compiled function an epoch."""

import logging
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.optim import Optimizer

from xornet.engine.autograd import Autograd
from xornet.engine.compiled import CompiledEpochs
from xornet.engine.history import Block, History
from xornet.engine.inplace import InplaceBackprop
from xornet.engine.optimizers import has_step_hooks, step_function
from xornet.engine.snapshots import LARGEST, Snapshots
from xornet.engine.stopwatch import Stopwatch
from xornet.network import Ensemble

LONGEST = 1000  # epochs of a block
BLOCK_VALUES = 2**22  # numbers in the errors of a block, unless it is compiled (16 MiB in float32)
GRADIENTS: dict[str, type[InplaceBackprop] | type[Autograd]] = {"backprop": InplaceBackprop, "autograd": Autograd}

log = logging.getLogger(__name__)


class EpochRunner:
    """The epochs of one run, block by block; see `epochs`.

    From the second epoch on they are compiled, if that is wanted and possible: an optimizer makes its state in its
    first step, which a compiled epoch needs.

    Args:
        ensemble: the networks.
        x: inputs (P, I).
        y: targets (P, O).
        optimizer: steps the networks' weights.
        history: records the epochs.
        gradient: one of GRADIENTS.
        compiles: whether to compile.
        stopwatch: is given the seconds that compiling takes.

    Raises:
        ValueError: PyTorch is to detect anomalies, which it does in autograd alone.

    """

    def __init__(
        self,
        ensemble: Ensemble,
        x: Tensor,
        y: Tensor,
        optimizer: Optimizer,
        history: History,
        gradient: str,
        compiles: bool,
        stopwatch: Stopwatch,
    ) -> None:
        if torch.is_anomaly_enabled() and gradient == "backprop":
            raise ValueError("trainer.detect_anomaly=true looks at autograd; use model.gradient=autograd with it")
        self.weights, self.optimizer, self.history = list(ensemble.weights), optimizer, history
        history.to(x.device)
        method = GRADIENTS[gradient](self.weights, x, y, ensemble.activation)
        self.forward, self.backward = method.forward, method.backward
        numbers = len(x) * y.shape[1] * len(ensemble)
        self.errors = x.new_empty(min(LONGEST, max(1, BLOCK_VALUES // numbers)), *y.shape, len(ensemble))
        self.most_snapshots = max(1, LARGEST // sum(weight[..., 0].numel() for weight in self.weights))
        args = (self.weights, x, y, ensemble.activation, optimizer, history, stopwatch)
        self.compiled = CompiledEpochs(*args) if compiles else None

    def epochs(self, start: int, length: float, should_stop: Callable[[], bool]) -> Iterator[Tensor]:
        """Run a block of at most `length` epochs, which is then the attribute `block`.

        Yields, for each epoch, an empty buffer (P, O, N): who asks for it must call `forward` and `backward` with it,
        then `update`. Yields nothing where the epochs are compiled, as they are run here.

        Raises:
            ValueError: no network is left with finite weights and loss.

        """
        is_first = self.compiled is not None and start == 0  # the epoch in which the optimizer makes its state
        length = 1 if is_first else int(min(length, LONGEST, self.most_snapshots * self.history.every))
        block = self.run_compiled(start, length, should_stop)
        if block is None:
            step = step_function(self.optimizer)
            self.update = torch.no_grad()(step) if torch.is_grad_enabled() else step
            snapshots, end = Snapshots(self.weights, self.history.every), start + min(length, len(self.errors))
            for epoch, error in enumerate(self.errors[:length], start):
                is_last = epoch + 1 == end or should_stop()
                snapshots.record(epoch, is_last)
                yield error
                if is_last:
                    break
            errors = self.errors[: epoch + 1 - start]
            self.history.update_milestones(errors, start)
            epochs = self.history.curve_epochs(start, len(errors))
            curve = errors[epochs.start - start :: epochs.step].clone()
            block = Block(start, len(errors), epochs, curve, errors[-1].clone(), snapshots)
        self.check_finite(block)
        self.history.record(block)
        self.block = block

    def run_compiled(self, start: int, length: int, should_stop: Callable[[], bool]) -> Block | None:
        """Run the compiled epochs of a block; None where they are not compiled, or are not to be here."""
        if self.compiled is None or start == 0 or has_step_hooks(self.optimizer):
            return None
        try:
            return self.compiled.run(start, length, should_stop)
        except Exception as error:  # no C++ compiler, or an optimizer that cannot be compiled
            if not self.compiled.is_compiling:
                raise
            cause = next(iter(str(error).splitlines()), type(error).__name__)
            log.warning("model.compile: training without it, slower, as torch.compile failed (%s)", cause)
            self.compiled = None
            return None

    @property
    def is_compiling(self) -> bool:
        """Whether the next epoch is being compiled: no weight has changed since the last one."""
        return self.compiled is not None and self.compiled.is_compiling

    def check_finite(self, block: Block) -> None:
        """Refuse to continue, and so to save a checkpoint, when no network is left with finite weights and loss.

        Raises:
            ValueError: naming the epoch.

        """
        # A sum is finite only if everything in it is.
        sums = torch.stack([block.last.sum((0, 1)), *(weight.sum((0, 1)) for weight in self.weights)])
        if sums.isfinite().all(0).any():
            return
        diverged = self.history.diverged_epoch
        epoch = int(diverged.max()) if (diverged >= 0).all() else block.start + block.length
        raise ValueError(f"the loss became nan at epoch {epoch}; use a smaller optimizer.lr or model.init")
