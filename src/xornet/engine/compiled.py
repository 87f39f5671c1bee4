"""A whole epoch as one compiled function: `model.compile`."""

import importlib
import inspect
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.optim import Optimizer

from xornet.backprop import backpropagate
from xornet.engine.compile_check import DiffersError, run_checked
from xornet.engine.history import History
from xornet.engine.optimizers import bare_step
from xornet.engine.stopwatch import Stopwatch

OPTIONS = {
    "cpp.vec_isa_ok": True,  # trust the CPU's own flags: testing its vector instructions takes a second
    "size_asserts": False,  # the kernels are replayed on the same tensors that they were made for
}


class CompiledEpochs:
    """Epochs as one compiled function: the equations, the optimizer's step and the milestones.

    Every block calls the compiled function once, in `begin`. PyTorch checks there whether something that was compiled
    in has changed (the learning rate, for example), and compiles again if so. The other epochs `replay` the kernels on
    the same tensors: for 1,000 networks that check would take nearly half of the time. Each epoch writes ŷ - y into
    `error`.

    With a scheduler, the learning rate is a tensor for the compiled function instead of a number in its code.

    Args:
        weights: one (I + 1, H, N) parameter a layer, with a `.grad`.
        x: inputs (P, I).
        y: targets (P, O).
        activation: of the hidden layers.
        optimizer: must have made its first step, which creates its state.
        history: records the milestones of every epoch.
        stopwatch: counts the seconds that compiling takes.

    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        x: Tensor,
        y: Tensor,
        activation: str,
        optimizer: Optimizer,
        history: History,
        stopwatch: Stopwatch,
    ) -> None:
        self.stopwatch = stopwatch
        self.is_compiling = False
        self.error = x.new_empty(*y.shape, weights[0].shape[-1])
        self.epoch = torch.zeros((), dtype=torch.int32, device=x.device)
        self.optimizer, self.groups = optimizer, optimizer.param_groups
        self.has_new_state = False  # whether the last `begin` was a first step, which must not be replayed
        self.rates = [torch.zeros((), dtype=torch.float64, device=x.device) for _ in self.groups]
        step = bare_step(optimizer)

        def run_epoch() -> None:
            error, gradients = backpropagate(weights, x, y, activation)
            for weight, gradient in zip(weights, gradients, strict=True):
                assert weight.grad is not None  # the first, eager epoch made it
                weight.grad.copy_(gradient)
            step()
            self.error.copy_(error)
            history.update_milestones(error[None], self.epoch)
            self.epoch.add_(1)

        torch.compiler.reset()  # PyTorch keeps eight versions of a function; each job of a sweep needs one
        self.plain, self.settings = run_epoch, list[dict[str, Any]]()  # with which it was compiled
        milestones = history.solved_epoch, history.diverged_epoch
        self.changed = [*weights, self.error, self.epoch, *milestones]
        self.run_epoch = torch.compile(run_epoch, backend=self.backend, fullgraph=True, dynamic=False)

    def backend(self, program: GraphModule, inputs: Sequence[Any]) -> Callable[..., Any]:
        """PyTorch's own backend; keeps its code and tensors: its wrapper takes 1/5 of an epoch of 1,000 networks."""
        inductor = importlib.import_module("torch._inductor.compile_fx")  # takes two seconds
        kernels: Callable[..., Any] = inductor.compile_fx(program, list(inputs), config_patches=OPTIONS)
        self.stopwatch.compile_seconds += time.perf_counter() - self.began
        graph = inspect.unwrap(kernels)

        def first(*tensors: Any) -> Any:
            self.is_compiling = False
            code = graph.current_callable

            def keep(inputs: list[Any]) -> Any:
                held = list(inputs)  # `code` empties the list that it is given
                self.replay = lambda: code(list(held))
                return self.replay()

            graph.current_callable = keep
            try:
                return kernels(*tensors)
            finally:
                graph.current_callable = code

        return first

    def begin(self, start: int, is_scheduled: bool) -> None:
        """Run the first epoch of a block by the compiled function; it is compiled first, if new or changed."""
        self.epoch.fill_(start)
        self.is_compiling, self.began = True, time.perf_counter()
        numbers = [group["lr"] for group in self.groups]
        if is_scheduled:
            self.read_rates()
            self.set_rates(self.rates)
        before = self.state_names()
        fixed = [{key: group[key] for key in group if key not in ("params", "lr")} for group in self.groups]
        settings = [*fixed, {"lr": "scheduled" if is_scheduled else numbers}]
        try:
            if settings == self.settings:
                self.run_epoch()
            else:
                run_checked(self.run_epoch, self.plain, self.changed, self.optimizer)
        except DiffersError:  # is handled like an optimizer that cannot be compiled
            self.is_compiling = True
            raise
        finally:
            self.set_rates(numbers)
        self.settings = settings
        self.has_new_state = self.state_names() != before

    def state_names(self) -> list[set[str]]:
        """The names of the optimizer's state for each parameter; a momentum that was just switched on has none yet."""
        states = list(self.optimizer.state.values())
        return [{name for name, value in state.items() if value is not None} for state in states]

    def set_rates(self, rates: Sequence[Any]) -> None:
        """Set these learning rates, one for each parameter group."""
        for group, rate in zip(self.groups, rates, strict=True):
            group["lr"] = rate

    def read_rates(self) -> None:
        """Copy the optimizer's current learning rates into the tensors that the compiled epochs read."""
        for group, rate in zip(self.groups, self.rates, strict=True):
            rate.fill_(group["lr"])
