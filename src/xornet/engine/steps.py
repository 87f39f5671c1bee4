"""The backward pass and the update of an uncompiled epoch, as a block of epochs calls them."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.optim import Optimizer

from xornet.engine.autograd import Autograd
from xornet.engine.inplace import InplaceBackprop
from xornet.engine.optimizers import bare_step, copy_gradients, has_hooks
from xornet.engine.own import is_stock

Backward = Callable[[Tensor], None]


def make_steps(
    method: InplaceBackprop | Autograd,
    optimizer: Optimizer,
    is_scheduled: bool,
    surround: Callable[[Backward], Backward] | None,
) -> tuple[Backward, Callable[[], object]]:
    """Return the backward pass and the update.

    Where code of the user's runs in between, every epoch's gradients are the weights' own: it may keep and change them,
    and give the weights new tensors. Else the weights have the buffers that the backward pass overwrites.

    Args:
        method: computes the gradients.
        optimizer: steps the weights.
        is_scheduled: whether it has a scheduler, which counts the calls of its step.
        surround: adds Lightning's hooks of an optimizer step to the backward pass; None if nothing overrides one.

    """
    step = optimizer.step if has_hooks(optimizer) or is_scheduled else bare_step(optimizer)
    step = torch.no_grad()(step) if torch.is_grad_enabled() else step
    if not surround and not has_hooks(optimizer) and is_stock(type(optimizer)):
        method.attach()
        return method.backward, step

    def backward(errors: Tensor) -> None:
        method.backward(errors)
        method.attach()
        copy_gradients(method.weights)

    def update() -> None:
        step()
        method.restore()

    return surround(backward) if surround else backward, update
