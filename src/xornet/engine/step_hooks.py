"""Lightning's hooks of an optimizer step, called at every epoch if a callback or the module overrides one."""

from collections.abc import Callable
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from torch import Tensor
from torch.optim import Optimizer

from xornet.engine import scores
from xornet.engine.blocks import callbacks_of


def call_step_hooks(
    backward: Callable[[Tensor], None],
    trainer: Trainer,
    module: LightningModule,
    optimizer: Optimizer,
) -> Callable[[Tensor], None]:
    """Return a `backward` that calls the hooks too, in the order of Lightning's automatic optimisation.

    on_before_backward gets the sum of the losses of all networks, whose gradient is every network's own. A gradient
    tensor that it sets is added to in place, as `loss.backward()` does.
    """

    def call(hook: str, *args: Any) -> None:
        for callback in callbacks_of(trainer):
            getattr(callback, hook)(trainer, module, *args)
        getattr(module, hook)(*args)

    def surrounded(errors: Tensor) -> None:
        call("on_before_zero_grad", optimizer)
        optimizer.zero_grad()
        call("on_before_backward", scores.losses(errors).sum())
        given = [weight.grad for weight in module.parameters()]
        backward(errors)
        for weight, grad in zip(module.parameters(), given, strict=True):
            if grad is not None and weight.grad is not None:
                weight.grad = grad.add_(weight.grad)
        call("on_after_backward")
        call("on_before_optimizer_step", optimizer)

    return surrounded
