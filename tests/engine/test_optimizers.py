"""Steps of an optimizer: the bare one is the ordinary one, and what a user registers on it runs at every epoch."""

import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fit
from lightning.pytorch import Callback, LightningModule, Trainer
from oracle import SheetNet, X, Y
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_post_hook, register_optimizer_step_pre_hook

from xornet.callbacks.loss_surface import LossSurface
from xornet.engine.compile_choice import obstacle
from xornet.engine.optimizers import NOT_ELEMENTWISE, bare_step
from xornet.module import XORModule

CLASSES = [
    kind
    for name, kind in vars(torch.optim).items()
    if isinstance(kind, type) and issubclass(kind, Optimizer) and kind is not Optimizer and name not in NOT_ELEMENTWISE
]
EPOCHS = 60
Steps = list[tuple[str, int]]


@pytest.mark.parametrize(("wrong", "got"), [("adam", "adam"), (len, "len"), (torch.nn.Linear, "Linear")])
def test_what_is_no_optimizer_is_refused_in_one_line(wrong: Any, got: str) -> None:
    with pytest.raises(ValueError, match=rf"must be an elementwise torch\.optim class, got {got}; use e\.g\."):
        XORModule(wrong)


@pytest.mark.parametrize("kind", CLASSES)
def test_the_bare_step_of_an_optimizer_is_its_ordinary_step(kind: type[Any]) -> None:
    def run(is_bare: bool) -> torch.Tensor:
        weight = torch.linspace(-1, 1, 12).reshape(3, 4).requires_grad_()
        optimizer = kind([weight], lr=0.1)
        step = torch.no_grad()(bare_step(optimizer)) if is_bare else optimizer.step
        for k in range(5):
            weight.grad = torch.cos(k + torch.arange(12.0)).reshape(3, 4)
            step()
        return weight.detach()

    assert torch.equal(run(is_bare=True), run(is_bare=False))


def hooks(weights: Callable[[], list[torch.Tensor]], seen: Steps) -> tuple[Any, Any]:
    """A hook that halves the gradient before each step, and one that shrinks the weights after it."""

    def before(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        seen.append(("before", len(seen)))
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad.mul_(0.5)

    def after(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        seen.append(("after", len(seen)))
        with torch.no_grad():
            for weight in weights():
                weight.mul_(0.99)

    return before, after


def plain_loop(optimizer: "partial[Any]") -> tuple[SheetNet, Steps]:
    """The sheet's loop in plain PyTorch, with both hooks."""
    torch.manual_seed(7)
    model, seen = SheetNet(), Steps()
    sgd = optimizer(model.parameters())
    before, after = hooks(lambda: list(model.parameters()), seen)
    sgd.register_step_pre_hook(before)
    sgd.register_step_post_hook(after)
    for _ in range(EPOCHS):
        sgd.zero_grad()
        torch.nn.functional.mse_loss(model(X), Y).backward()
        sgd.step()
    return model, seen


class Register(Callback):
    """Registers both hooks, on the run's optimizer or on all of PyTorch's."""

    def __init__(self, is_global: bool) -> None:
        self.seen: Steps = []
        self.is_global = is_global
        self.handles: list[Any] = []

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        before, after = hooks(lambda: list(pl_module.parameters()), self.seen)
        if self.is_global:
            self.handles = [register_optimizer_step_pre_hook(before), register_optimizer_step_post_hook(after)]
        else:
            trainer.optimizers[0].register_step_pre_hook(before)
            trainer.optimizers[0].register_step_post_hook(after)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        for handle in self.handles:
            handle.remove()


@pytest.mark.parametrize("is_global", [False, True])
@pytest.mark.parametrize("model", [{}, {"gradient": "autograd"}, {"compile": True}], ids=str)
def test_hooks_that_a_user_registers_on_the_optimizer_run_at_every_epoch(
    tmp_path: Path, model: dict[str, Any], is_global: bool
) -> None:
    optimizer = partial(torch.optim.SGD, lr=2.0, momentum=0.9)
    sheet, expected = plain_loop(optimizer)
    assert len(expected) == 2 * EPOCHS
    register = Register(is_global)
    _, module = fit(tmp_path, EPOCHS, [register], optimizer=optimizer, seed=7, **model)
    assert register.seen == expected
    network = module.ensemble.network(0)
    for ours, theirs in zip(network.parameters(), sheet.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.further
@pytest.mark.usefixtures("compiler")
def test_a_hook_that_is_removed_lets_the_epochs_be_compiled_again(tmp_path: Path) -> None:
    class Once(Callback):
        every_n_epochs = 20
        calls = 0

        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            def count(*args: Any) -> None:
                self.calls += 1

            self.handle = trainer.optimizers[0].register_step_post_hook(count)

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            self.handle.remove()

    once, double = Once(), {"precision": "64-true"}
    _, module = fit(tmp_path, 60, [once], networks=3, compile=True, trainer=double)
    assert module.stopwatch.compile_seconds > 0
    assert 0 < once.calls <= 20
    _, straight = fit(tmp_path, 60, networks=3, compile=False, trainer=double)
    for ours, theirs in zip(module.ensemble.weights, straight.ensemble.weights, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


class Rebinds(torch.optim.Optimizer):
    """Gradient descent as tutorials write it: each step gives the weights new tensors, and clears the gradients."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # PyTorch's returns the loss of a closure
        for group in self.param_groups:
            for weight in group["params"]:
                weight.data = weight.data - group["lr"] * weight.grad
        self.zero_grad()


def test_an_optimizer_of_the_users_may_give_the_weights_new_tensors(tmp_path: Path) -> None:
    how: dict[str, Any] = {"networks": 3, "trainer": {"precision": "64-true"}}
    _, ours = fit(tmp_path, 300, optimizer=partial(Rebinds, lr=1.0), **how)
    _, stock = fit(tmp_path, 300, optimizer=partial(torch.optim.SGD, lr=1.0), **how)
    torch.testing.assert_close(ours(X.double()), stock(X.double()), rtol=0, atol=1e-12)
    curves = [module.history.curve["losses"] for module in (ours, stock)]
    torch.testing.assert_close(*curves, rtol=0, atol=1e-12)


def clear(optimizer: Optimizer, *_: Any) -> None:
    optimizer.zero_grad()


def halve(optimizer: Optimizer, *_: Any) -> None:
    for weight in optimizer.param_groups[0]["params"]:
        weight.grad = weight.grad * 0.5


def shrink(optimizer: Optimizer, *_: Any) -> None:
    for weight in optimizer.param_groups[0]["params"]:
        weight.data = weight.data * 0.99


@pytest.mark.parametrize("hook", [clear, halve, shrink])
def test_a_hook_of_the_optimizer_may_give_weights_and_gradients_new_tensors(tmp_path: Path, hook: Any) -> None:
    class Hooks(Callback):
        every_n_epochs = math.inf

        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            (optimizer,) = trainer.optimizers
            optimizer.register_step_pre_hook(hook) if hook is halve else optimizer.register_step_post_hook(hook)

    adam, how = partial(torch.optim.Adam, lr=0.05), {"precision": "64-true"}
    _, ours = fit(tmp_path, 200, [Hooks()], optimizer=adam, trainer=how)
    _, oracle = fit(tmp_path, 200, [Hooks()], optimizer=adam, trainer=how, gradient="autograd")
    torch.testing.assert_close(ours(X.double()), oracle(X.double()), rtol=0, atol=1e-10)


def test_an_optimizer_or_a_scheduler_of_the_users_is_not_compiled(tmp_path: Path) -> None:
    class Decays(torch.optim.lr_scheduler.StepLR):
        """Changes what a compiled epoch would read at the beginning of a block only."""

        def step(self, epoch: int | None = None) -> None:
            super().step(epoch)
            for group in self.optimizer.param_groups:
                group["weight_decay"] = 1e-2 * (self.last_epoch // 50)

    decays = partial(Decays, step_size=1000)
    for optimizer, scheduler in ((Rebinds, None), (torch.optim.SGD, decays)):
        with pytest.raises(ValueError, match=r"model\.compile=true cannot take (Rebinds|Decays), which is no class of"):
            XORModule(partial(optimizer, lr=1.0), scheduler, compile=True)
    assert obstacle(Rebinds, None)
    assert obstacle(torch.optim.SGD, decays)
    assert not obstacle(torch.optim.SGD, partial(torch.optim.lr_scheduler.StepLR, step_size=3))


class Extrapolates(torch.optim.SGD):
    """Keeps the gradient of the step before, as PyTorch makes a new one for each."""

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]  # PyTorch's returns the loss of a closure
        for weight in self.param_groups[0]["params"]:
            before = self.state[weight].get("before", weight.grad)
            weight.sub_(self.param_groups[0]["lr"] * (weight.grad + 5 * (weight.grad - before)))
            self.state[weight]["before"] = weight.grad


@pytest.mark.parametrize("gradient", ["backprop", "autograd"])
def test_an_optimizer_of_the_users_may_keep_a_gradient(tmp_path: Path, gradient: str) -> None:
    torch.manual_seed(7)
    model = SheetNet()
    optimizer = Extrapolates(model.parameters(), lr=1.0)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(model(X), Y).backward()
        optimizer.step()
    _, module = fit(tmp_path, EPOCHS, optimizer=partial(Extrapolates, lr=1.0), seed=7, gradient=gradient)
    for ours, theirs in zip(module.ensemble.network(0).parameters(), model.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-5)


@pytest.mark.parametrize("gradient", ["backprop", "autograd"])
def test_snapshots_are_of_the_weights_that_such_an_optimizer_makes(tmp_path: Path, gradient: str) -> None:
    surfaces = []
    for kind in (Rebinds, torch.optim.SGD):
        surface = LossSurface()
        fit(tmp_path, 200, [surface], optimizer=partial(kind, lr=1.0), gradient=gradient)
        surfaces.append(torch.stack(list(surface.trajectory.values())))
    torch.testing.assert_close(*surfaces, rtol=0, atol=1e-5)
