"""How a block of epochs is computed: PyTorch's operations one after the other, or one compiled function an epoch.

An epoch is a forward pass, its error, backpropagation and the weight update; both kinds of step note what happens at
every epoch (see history.py) and hand back the errors of those that the curve remembers.
"""

import inspect
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule
from torch.optim import Optimizer

from xornet.autograd import Autograd
from xornet.backprop import Backprop, backpropagate
from xornet.epochs import LARGEST_BLOCK
from xornet.history import Block, History

BLOCK_VALUES = 2**22  # an eager block keeps its errors until its end: at most this many numbers (16 MiB in float32)

# Measured by tests/bench/ensembles.py on 2 cores: what a compiled epoch saves, and what compiling costs.
SAVED_PER_EPOCH, SAVED_PER_NETWORK, COMPILE_TIME = 30e-6, 25e-9, 5.0  # seconds


def compiling_pays(networks: int, epochs: int) -> bool:
    """Whether `epochs` epochs of `networks` networks of the sheet's size win the compile time back."""
    return epochs * (SAVED_PER_EPOCH + networks * SAVED_PER_NETWORK) > COMPILE_TIME


def check_compile(compile: object, gradient: str) -> bool | str:
    """Return `compile` if it can be had with `gradient`, else raise ValueError."""
    if not (isinstance(compile, bool) or compile == "auto"):
        raise ValueError(f"model.compile must be true, false or auto, got {compile!r}; use model.compile=auto")
    if gradient == "backprop":
        return compile
    if compile is True:
        raise ValueError(f"model.compile=true cannot take model.gradient={gradient}; use model.gradient=backprop")
    return False


class Eager:
    """Epochs operation by operation, with the errors of a block in one buffer.

    Args:
        gradient: Backprop or Autograd.
        optimizer: steps the networks' weights.
        history: is told every epoch's errors.
        shape: of the errors of one epoch, (P, O, N).

    """

    def __init__(
        self, gradient: Backprop | Autograd, optimizer: Optimizer, history: History, shape: tuple[int, ...]
    ) -> None:
        self.gradient, self.optimizer, self.history = gradient, optimizer, history
        length = min(LARGEST_BLOCK, max(1, BLOCK_VALUES // math.prod(shape)))
        self.errors = gradient.x.new_empty(length, *shape)

    def run(self, start: int, length: int, is_over: Callable[[], bool]) -> Block:
        """Run `length` epochs, fewer where the buffer or `is_over` ends them; return what they were."""
        done = 0
        for error in self.errors[:length]:
            self.gradient.forward(error)  # forward pass, error
            self.gradient.backward(error)  # backpropagation
            self.optimizer.step()  # update weights
            done += 1
            if is_over():
                break
        errors = self.errors[:done]
        self.history.note(errors, start)
        remembered = errors[-start % self.history.every :: self.history.every]
        return Block(start, done, remembered.clone(), errors[-1].clone())


class Compiled:
    """Epochs as one function that `torch.compile` has made of the equations, the optimizer's step and the notes.

    Every block calls the compiled function once, which checks that nothing it was made for has changed (the learning
    rate, say) and compiles again if so. The other epochs replay its kernels on the same tensors: for 1,000 networks
    that check would be nearly half of the time.

    Args:
        weights: one (I + 1, H, N) parameter a layer.
        x: inputs (P, I).
        y: targets (P, O).
        activation: of the hidden layers.
        optimizer: must have made its first step, which is where it makes its state.
        history: is told every epoch's errors.

    """

    def __init__(
        self,
        weights: Sequence[Tensor],
        x: Tensor,
        y: Tensor,
        activation: str,
        optimizer: Optimizer,
        history: History,
    ) -> None:
        self.history = history
        self.error = x.new_empty(*y.shape, weights[0].shape[-1])
        self.epoch = torch.zeros((), dtype=torch.int32, device=x.device)
        # The methods that PyTorch wraps around `step` exist to keep it out of larger compiled functions.
        step = inspect.unwrap(type(optimizer).step)
        for weight in weights:
            weight.grad = torch.zeros_like(weight)

        def run_epoch() -> None:
            error, gradients = backpropagate(weights, x, y, activation)
            for weight, gradient in zip(weights, gradients, strict=True):
                weight.grad.copy_(gradient)  # type: ignore[union-attr] # made above
            step(optimizer)
            self.error.copy_(error)
            history.note(error[None], self.epoch)
            self.epoch.add_(1)

        torch.compiler.reset()  # PyTorch keeps eight versions of a function; in a sweep every run needs its own
        self.run_epoch = torch.compile(run_epoch, backend=self.backend, fullgraph=True, dynamic=False)

    def backend(self, graph: GraphModule, inputs: Sequence[Any]) -> Callable[..., Any]:
        """PyTorch's own backend, remembering the tensors that the kernels are run on."""
        from torch._inductor.compile_fx import compile_fx  # noqa: PLC0415 # two seconds, for those who compile

        kernels: Callable[..., Any] = compile_fx(graph, list(inputs))  # type: ignore[assignment]

        def first(*tensors: Any) -> Any:
            self.replay = partial(kernels, *tensors)
            return self.replay()

        return first

    def run(self, start: int, length: int, is_over: Callable[[], bool]) -> Block:
        """Run `length` epochs, fewer where `is_over` ends them; return what they were."""
        remembered: list[Tensor] = []
        self.epoch.fill_(start)
        for epoch in range(start, start + length):
            if epoch == start:
                self.run_epoch()
            else:
                self.replay()
            if epoch % self.history.every == 0:
                remembered.append(self.error.clone())
            if is_over():
                break
        errors = torch.stack(remembered) if remembered else self.error.new_empty(0, *self.error.shape)
        return Block(start, epoch + 1 - start, errors, self.error.clone())
