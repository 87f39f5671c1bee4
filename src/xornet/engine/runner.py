"""How a block of epochs is run: operation by operation, or by one compiled function per epoch."""

import logging
import sys
from collections.abc import Callable, Iterator
from itertools import repeat

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler

from xornet.engine.autograd import Autograd
from xornet.engine.compiled import CompiledEpochs
from xornet.engine.history import Block, History
from xornet.engine.inplace import InplaceBackprop
from xornet.engine.interrupt import Interrupt
from xornet.engine.optimizers import has_hooks
from xornet.engine.schedulers import step_scheduler
from xornet.engine.snapshots import Snapshots, max_block_length
from xornet.engine.steps import Backward, make_steps
from xornet.engine.stopwatch import Stopwatch
from xornet.network import Ensemble

MAX_BLOCK_EPOCHS = 1000  # epochs of a block
MAX_ERROR_VALUES = 2**22  # numbers in the errors of an uncompiled block (16 MiB in float32)
GRADIENTS: dict[str, type[InplaceBackprop] | type[Autograd]] = {"backprop": InplaceBackprop, "autograd": Autograd}

log = logging.getLogger(__name__)


class EpochRunner:
    """Runs the epochs of one run, block by block.

    They are compiled, if that is wanted and possible, from the second epoch on: the optimizer creates its state in the
    first one, which compiled epochs need.

    Args:
        ensemble: the networks.
        x: inputs (P, I).
        y: targets (P, O).
        optimizer: steps the networks' weights.
        history: records the epochs.
        gradient: one of GRADIENTS.
        compiles: whether to compile.
        stopwatch: counts the seconds that compiling takes.
        is_new: whether the optimizer has not made a step yet: the run begins, or was given another optimizer.
        samples_every: m, to sample the weights at epochs 0, m, 2m, ... and at the epochs before; 0 for none.

    Raises:
        ValueError: anomaly detection is on, which works in autograd only.

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
        is_new: bool = True,
        samples_every: int = 0,
    ) -> None:
        if torch.is_anomaly_enabled() and gradient == "backprop":
            raise ValueError("trainer.detect_anomaly=true looks at autograd; use model.gradient=autograd with it")
        self.weights, self.optimizer, self.history = list(ensemble.weights), optimizer, history
        for weight in self.weights:
            weight.data = weight.data.contiguous()  # a user may have set a transposed tensor
        history.to(x.device)
        method = GRADIENTS[gradient](self.weights, x, y, ensemble.activation)
        self.method, self.forward = method, method.forward
        self.surround: Callable[[Backward], Backward] | None = None  # with Lightning's hooks of an optimizer step
        numbers = len(x) * y.shape[1] * len(ensemble)
        self.errors = x.new_empty(min(MAX_BLOCK_EPOCHS, max(1, MAX_ERROR_VALUES // numbers)), *y.shape, len(ensemble))
        self.samples_every = samples_every or sys.maxsize
        args = (self.weights, x, y, ensemble.activation, optimizer, history, stopwatch)
        self.compiled = CompiledEpochs(*args) if compiles else None
        self.interrupt = Interrupt(may_raise=lambda: self.is_compiling)
        self.is_new = is_new
        self.schedules: list[tuple[LRScheduler, int]] = []  # as RunHooks.schedules returns them

    def epochs(self, start: int, length: float, should_stop: Callable[[], bool]) -> Iterator[Tensor]:
        """Run a block of at most `length` epochs, and store it as the attribute `block`.

        Yields, for each epoch, a buffer (P, O, N): the caller must call `forward` and `backward` with it, then
        `update`. Yields nothing for compiled epochs, which are run here.
        """
        self.method.restore()
        self.history.epochs = None
        is_first = self.compiled is not None and self.is_new  # the epoch in which the optimizer creates its state
        self.is_new = False
        every, sampled, curve = self.history.every, self.samples_every, list[Tensor]()
        length = 1 if is_first else int(min(length, MAX_BLOCK_EPOCHS, max_block_length(self.weights, every, sampled)))
        compiled = None if is_first or has_hooks(self.optimizer) else self.compiled
        self.backward, self.update = make_steps(self.method, self.optimizer, bool(self.schedules), self.surround)
        snapshots = Snapshots(self.weights)
        end = start + (length if compiled else min(length, len(self.errors)))
        buffers = repeat(compiled.error) if compiled else self.errors[: end - start]
        for epoch, error in zip(range(start, end), buffers, strict=False):
            is_last = epoch + 1 == end or should_stop()
            is_recorded = epoch % every == 0
            if is_recorded:
                snapshots.record(epoch)
            if (epoch + 1) % sampled < 2:
                snapshots.sample(epoch)
            if compiled is None:
                yield error
            elif epoch > start:
                if self.schedules:
                    compiled.read_rates()
                compiled.replay()
            elif not self.begin(compiled, start):
                yield from self.epochs(start, length, should_stop)  # uncompiled, as compiling has failed
                return
            # A compiled first step of the optimizer must not be replayed.
            is_last |= bool(compiled and compiled.has_new_state)
            for scheduler, frequency in self.schedules:
                if (epoch + 1) % frequency == 0:
                    step_scheduler(scheduler, error)
            if is_recorded:
                curve.append(error.clone())
            if is_last:
                break
        length = epoch + 1 - start
        if compiled is None:
            self.history.update_milestones(self.errors[:length], start)
        errors = torch.stack(curve) if curve else self.errors[:0].clone()
        self.block = Block(start, length, errors, error.clone(), snapshots)
        self.history.epochs = start + length

    def begin(self, compiled: CompiledEpochs, start: int) -> bool:
        """Run the first epoch of a compiled block; return whether compiling it has worked."""
        try:
            compiled.begin(start, bool(self.schedules))
        except BaseException as error:  # no C++ compiler, an optimizer that cannot be compiled, or an interrupt
            if compiled.is_compiling:
                self.history.epochs = start  # no weight has changed
            if not (compiled.is_compiling and isinstance(error, Exception)):
                raise
            lines = [line for line in str(error).splitlines() if not line.endswith(" raised:")]
            cause = next(iter(lines), type(error).__name__)
            log.warning("model.compile: training without it, slower, as torch.compile failed (%s)", cause)
            self.compiled = None
        return self.compiled is not None

    @property
    def is_compiling(self) -> bool:
        """Whether the next epoch is being compiled: no weight has changed since the last one."""
        return self.compiled is not None and self.compiled.is_compiling
