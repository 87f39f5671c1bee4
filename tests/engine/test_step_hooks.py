"""Hooks of an optimizer step, of a callback or of a subclass: called at every epoch, in Lightning's order."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fit
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback
from oracle import SheetNet, X, Y
from torch import Tensor
from torch.optim import Optimizer
from torch.utils.data import DataLoader, Dataset, TensorDataset

from xornet.callbacks.animation import BoundaryAnimation
from xornet.callbacks.console import EpochProgressBar
from xornet.callbacks.gradient_monitor import GradientMonitor
from xornet.callbacks.loss_surface import LossSurface
from xornet.data import XORDataModule
from xornet.engine.blocks import EPOCH_HOOKS, STEP_HOOKS
from xornet.engine.runner import GRADIENTS
from xornet.hooks import RunHooks
from xornet.module import XORModule
from xornet.network import Ensemble

EPOCHS = 60
QUIET: dict[str, Any] = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}


def plain_loop(factor: float = 0.5) -> torch.Tensor:
    """The sheet's loop with its gradient multiplied by `factor`, in plain PyTorch: its hidden weights (4, 2)."""
    torch.manual_seed(7)
    network = SheetNet()
    optimizer = torch.optim.SGD(network.parameters(), lr=2.0)
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(network(X), Y).backward()
        halve(network, factor)
        optimizer.step()
    return network.hidden.weight.detach()


def extending(hook: str, first: Callable[[XORModule], object]) -> XORModule:
    """A module of a subclass with a hook that does something first, then what it extends does."""
    code = f"""
class Mine(XORModule):
    def {hook}(self, *args, **kwargs):
        first(self)
        return super().{hook}(*args, **kwargs)
"""
    made: dict[str, Any] = {"XORModule": XORModule, "first": first}
    exec(code, made)
    module: XORModule = made["Mine"]()
    return module


def train(module: XORModule) -> None:
    """Train as in a notebook."""
    Trainer(max_epochs=EPOCHS, accelerator="cpu", enable_model_summary=False, **QUIET).fit(module, XORDataModule())


def halve(module: torch.nn.Module, factor: float = 0.5) -> None:
    """Multiply a gradient."""
    for parameter in module.parameters():
        assert parameter.grad is not None
        parameter.grad.mul_(factor)


def hidden_weights(module: XORModule) -> torch.Tensor:
    weights: torch.Tensor = module.ensemble.network(0).state_dict()["hidden.weight"]
    return weights


class Halve(Callback):
    """Halves the gradient, and says that it needs to be shown nothing."""

    every_n_epochs = 1000

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Optimizer) -> None:
        halve(pl_module)


class HalvedModule(XORModule):
    """Halves the gradient by a hook of its own."""

    def on_before_optimizer_step(self, optimizer: Optimizer) -> None:
        halve(self)


@pytest.mark.parametrize("model", [{}, {"gradient": "autograd"}, {"compile": True}], ids=str)
def test_a_callback_that_changes_the_gradient_does_so_at_every_epoch(tmp_path: Path, model: dict[str, Any]) -> None:
    _, module = fit(tmp_path, EPOCHS, [Halve()], optimizer=partial(torch.optim.SGD, lr=2.0), seed=7, **model)
    torch.testing.assert_close(hidden_weights(module), plain_loop(), rtol=0, atol=1e-6)
    assert (plain_loop(factor=1.0) - plain_loop()).abs().max() > 1e-3


def tenth(module: torch.nn.Module) -> None:
    for weight in module.parameters():
        weight.grad = torch.full_like(weight, 0.1)


def set_buffer(module: torch.nn.Module) -> None:
    """Set the same tensors every time: what is added to them stays in them."""
    for weight in module.parameters():
        weight.grad = BUFFERS.setdefault(weight, torch.full_like(weight, 0.1))


BUFFERS: dict[torch.nn.Parameter, torch.Tensor] = {}


def add_in_place(module: torch.nn.Module) -> None:
    for weight in module.parameters():
        if weight.grad is not None:
            weight.grad.add_(0.1)


class Stock(LightningModule):
    """The sheet's network in Lightning's automatic optimisation."""

    def __init__(self) -> None:
        super().__init__()
        self.ensemble = Ensemble(seed=7)

    def configure_optimizers(self) -> Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.5)

    def training_step(self, batch: tuple[torch.Tensor, torch.Tensor], batch_idx: int) -> torch.Tensor:
        return torch.nn.functional.mse_loss(self.ensemble(batch[0])[..., 0], batch[1])


HOOKS = ("on_before_zero_grad", "on_before_backward", "on_after_backward", "on_before_optimizer_step")


def changing(hook: str, change: str) -> tuple[LambdaCallback, list[Any]]:
    """A callback that changes the gradients in a hook, and the gradients that every hook has found."""
    found: list[Any] = []

    def look(name: str, trainer: Trainer, module: LightningModule, *args: Any) -> None:
        grads = [weight.grad for weight in module.parameters()]
        found.append((name, *(grad if grad is None else grad.clone() for grad in grads)))
        if name == hook:
            globals()[change](module)

    names = ("on_train_batch_start", *HOOKS, "on_train_batch_end")
    return LambdaCallback(**{name: partial(look, name) for name in names}), found


@pytest.mark.parametrize("model", [{}, pytest.param({"gradient": "autograd"}, marks=pytest.mark.further)], ids=str)
@pytest.mark.parametrize(
    "change",
    [
        "tenth",
        "add_in_place",
        pytest.param("set_buffer", marks=pytest.mark.further),
        *(pytest.param(f"{word}_gradient", marks=pytest.mark.further) for word in ("drop", "clamp")),
    ],
)
@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_finds_and_changes_the_gradients_that_it_would_in_a_stock_module(
    tmp_path: Path, model: dict[str, Any], change: str, hook: str
) -> None:
    (ours, found), (theirs, expected) = changing(hook, change), changing(hook, change)
    sgd, alone = partial(torch.optim.SGD, lr=0.5), {"limit_val_batches": 0}  # validation would zero gradients
    _, module = fit(tmp_path, 9, [ours], optimizer=sgd, seed=7, trainer=alone, **model)
    stock, quiet = Stock(), {"enable_model_summary": False, **QUIET}
    Trainer(max_epochs=9, accelerator="cpu", callbacks=[theirs], **quiet).fit(
        stock, DataLoader(TensorDataset(X, Y), batch_size=4)
    )
    for (name, *mine), (same, *other) in zip(found, expected, strict=True):
        assert name == same
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-6)
    torch.testing.assert_close(module(X), stock.ensemble(X), rtol=0, atol=1e-6)


def test_a_gradient_that_the_step_has_changed_is_what_the_next_hook_finds(tmp_path: Path) -> None:
    found: list[torch.Tensor] = []

    def register(trainer: Trainer, module: LightningModule) -> None:
        trainer.optimizers[0].register_step_pre_hook(lambda optimizer, *_: clamp_gradient(module))

    def keep(trainer: Trainer, module: Any, *args: Any) -> None:
        found.append(module.ensemble.weights[0].grad)

    fit(tmp_path, 5, [LambdaCallback(on_train_start=register, on_train_batch_end=keep)], seed=7)
    assert len(found) == 5
    assert all(0 < grad.abs().max() <= 1e-3 for grad in found)


def test_a_callback_may_add_to_the_gradient_by_autograd(tmp_path: Path) -> None:
    @torch.inference_mode(False)
    @torch.enable_grad()
    def add(trainer: Trainer, module: LightningModule) -> None:
        (0.1 * module(X).sum()).backward()

    adding = LambdaCallback(on_after_backward=add)
    (_, module), (_, other) = (
        fit(tmp_path, EPOCHS, [adding], seed=7, gradient=gradient) for gradient in ("backprop", "autograd")
    )
    torch.testing.assert_close(module(X), other(X), rtol=0, atol=1e-6)


@pytest.mark.parametrize(
    "model", [{}, {"gradient": "autograd"}, pytest.param({"compile": True}, marks=pytest.mark.further)], ids=str
)
@pytest.mark.parametrize("hook", ["on_before_optimizer_step", "on_train_batch_end"])
def test_a_callback_may_keep_the_gradients_of_all_epochs(tmp_path: Path, hook: str, model: dict[str, Any]) -> None:
    kept: list[torch.Tensor | None] = []
    keeping = LambdaCallback(**{hook: lambda trainer, module, *args: kept.append(module.ensemble.weights[0].grad)})
    fit(tmp_path, EPOCHS, [keeping], optimizer=partial(torch.optim.SGD, lr=2.0), seed=7, **model)
    torch.manual_seed(7)
    network = SheetNet()
    optimizer = torch.optim.SGD(network.parameters(), lr=2.0)
    for gradient in kept:
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(network(X), Y).backward()
        assert gradient is not None
        torch.testing.assert_close(gradient[:-1, :, 0].T, network.hidden.weight.grad, rtol=0, atol=1e-6)
        optimizer.step()
    assert len(kept) == EPOCHS


def clamp_gradient(module: torch.nn.Module) -> None:
    for weight in module.parameters():
        if weight.grad is not None:
            weight.grad = weight.grad.clamp(-1e-3, 1e-3)


def drop_gradient(module: torch.nn.Module) -> None:
    for weight in module.parameters():
        weight.grad = None


def clamp_weights(module: torch.nn.Module) -> None:
    for weight in module.parameters():
        weight.data = weight.data.clamp(-0.5, 0.5)


@pytest.mark.further
@pytest.mark.parametrize("model", [{}, {"networks": 3}, {"compile": True}, {"gradient": "autograd"}], ids=str)
@pytest.mark.parametrize(
    ("hook", "change"),
    [
        ("on_before_optimizer_step", clamp_gradient),
        ("on_train_epoch_end", drop_gradient),
        ("on_train_batch_end", clamp_weights),
    ],
)
def test_a_callback_that_gives_weights_new_tensors_does_what_it_does_to_a_plain_network(
    tmp_path: Path, hook: str, change: Callable[[torch.nn.Module], None], model: dict[str, Any]
) -> None:
    torch.manual_seed(7)
    network, sgd = SheetNet(), partial(torch.optim.SGD, lr=2.0, momentum=0.9)
    optimizer = sgd(network.parameters())
    for _ in range(EPOCHS):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(network(X), Y).backward()
        if hook == "on_before_optimizer_step":
            change(network)
        optimizer.step()
        if hook != "on_before_optimizer_step":
            change(network)
    changing = LambdaCallback(**{hook: lambda trainer, module, *args: change(module)})
    _, module = fit(tmp_path, EPOCHS, [changing], optimizer=sgd, seed=7, **model)
    torch.testing.assert_close(hidden_weights(module), network.hidden.weight.detach(), rtol=0, atol=1e-5)


def test_a_subclass_that_changes_the_gradient_does_so_at_every_epoch() -> None:
    module = HalvedModule(partial(torch.optim.SGD, lr=2.0), seed=7)
    train(module)
    torch.testing.assert_close(hidden_weights(module), plain_loop(), rtol=0, atol=1e-6)


@pytest.mark.parametrize("hook", STEP_HOOKS)
def test_every_hook_of_a_step_is_called_once_an_epoch(tmp_path: Path, hook: str) -> None:
    steps: list[int] = []
    counting = LambdaCallback(**{hook: lambda trainer, *args: steps.append(trainer.global_step)})
    fit(tmp_path, EPOCHS, [counting])
    assert steps == list(range(EPOCHS))


def test_the_loss_before_the_backward_pass_is_that_of_the_epoch(tmp_path: Path) -> None:
    losses: list[float] = []
    watching = LambdaCallback(on_before_backward=lambda trainer, module, loss: losses.append(loss.item()))
    _, module = fit(tmp_path, EPOCHS, [watching])
    assert losses == pytest.approx(module.history.curve["losses"][:, 1].tolist(), abs=1e-7)


@pytest.mark.parametrize("hook", ["training_step", *EPOCH_HOOKS])
def test_a_hook_of_the_training_loop_in_a_subclass_is_called_every_epoch(hook: str) -> None:
    calls: list[int] = []

    train(extending(hook, lambda self: calls.append(self.current_epoch)))
    assert calls == list(range(EPOCHS))


@pytest.mark.parametrize(
    "hook",
    ["optimizer_step", "optimizer_zero_grad", "lr_scheduler_step", "backward", "configure_gradient_clipping"],
)
def test_a_hook_in_a_subclass_that_would_never_be_called_is_refused(hook: str) -> None:
    kind = type("Mine", (XORModule,), {hook: lambda self, *args: None})
    with pytest.raises(ValueError, match=rf"Mine\.{hook} would never be called: .*; use on_before_optimizer_step"):
        train(kind())


class Half(XORModule):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 0.5


class Automatic(XORModule):
    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = True


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (Half, r"the forward pass of Half is not that of Ensemble, .*; use a method of another name"),
        (Automatic, r"Automatic\.automatic_optimization=True cannot work: .*; leave it False"),
        (lambda: torch.compile(XORModule()), r"of this XORModule has been replaced, .*; use model\.compile=true"),
    ],
    ids=["forward", "automatic", "compile"],
)
def test_a_module_that_would_be_trained_as_another_is_refused(make: Callable[[], Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        train(make())


def test_an_optimizer_that_replaces_another_within_a_run_is_refused(tmp_path: Path) -> None:
    def replace(trainer: Trainer, module: LightningModule) -> None:
        trainer.optimizers = [torch.optim.SGD(module.parameters(), lr=1.0)]

    with pytest.raises(ValueError, match=r"trainer\.optimizers has been replaced .*; use on_train_start for that"):
        fit(tmp_path, EPOCHS, [LambdaCallback(on_train_epoch_start=replace)])
    _, module = fit(tmp_path, EPOCHS, [LambdaCallback(on_train_start=replace)], seed=5)
    like = fit(tmp_path, EPOCHS, optimizer=partial(torch.optim.SGD, lr=1.0), seed=5)[1]
    assert torch.equal(module.predictions(), like.predictions())


RUN_HOOKS = [hook for hook in vars(RunHooks) if hook in vars(LightningModule) or hasattr(LightningModule, hook)]
CHECKS = ("on_train_batch_end",)  # which do nothing but to check


@pytest.mark.parametrize("hook", [hook for hook in RUN_HOOKS if not hook.startswith("_") and hook not in CHECKS])
def test_a_hook_in_a_subclass_keeps_what_the_module_does_there(hook: str) -> None:
    with pytest.raises(ValueError, match=rf"Mine\.{hook} leaves out a part of the run .*; use super\(\)\.{hook}\("):
        type("Mine", (XORModule,), {hook: lambda self, *args: None})()

    train(extending(hook, lambda self: None))


class Noisy(Dataset[Any]):
    """The table, with other inputs each time."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        return X[row] + 0.1 * torch.randn(2), Y[row]


class Transformed(XORDataModule):
    """The table, with inputs -1 and 1."""

    def on_after_batch_transfer(self, batch: Any, dataloader_idx: int) -> Any:
        return batch[0] * 2 - 1, batch[1]


@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_a_batch_that_is_not_the_table_is_not_replaced_by_it_in_silence() -> None:
    quick = Trainer(max_epochs=5, accelerator="cpu", enable_model_summary=False, **QUIET)
    with pytest.raises(ValueError, match="a batch differs from the table that the run was begun with; use a dataset"):
        quick.fit(XORModule(), DataLoader(Noisy(), batch_size=4))
    with pytest.raises(ValueError, match="a batch differs from the table"):
        quick.fit(XORModule(), Transformed())
    Trainer(max_epochs=5, accelerator="cpu", enable_model_summary=False, **QUIET).fit(
        XORModule(), DataLoader(TensorDataset(X, Y), batch_size=4, shuffle=True)
    )


class And(XORDataModule):
    """Another table, in double precision and with inputs that single precision rounds."""

    def train_dataloader(self) -> Any:
        x = X.double() * 0.1
        return DataLoader(TensorDataset(x, X.prod(1, keepdim=True).double()), batch_size=4)


@pytest.mark.filterwarnings("ignore:The number of training batches")
def test_a_table_of_a_subclass_is_trained_and_tested_in_single_precision(tmp_path: Path) -> None:
    trainer, module = Trainer(max_epochs=5, accelerator="cpu", enable_model_summary=False, **QUIET), XORModule()
    trainer.fit(module, And())
    assert module.y.flatten().tolist() == [0, 0, 0, 1]
    (found,) = trainer.test(module, And(), verbose=False)
    with torch.no_grad():
        loss = (module(0.1 * X)[..., 0] - module.y).square().mean().item()
    assert found["test/loss"] == pytest.approx(loss, abs=1e-6)


class Changing(XORDataModule):
    """A table that is another one when it is read again."""

    reads = 0

    def train_dataloader(self) -> Any:
        self.reads += 1
        return DataLoader(TensorDataset(X, Y if self.reads < 3 else 1 - Y), batch_size=4)


@pytest.mark.filterwarnings("ignore:The number of training batches")
def halved(module: torch.nn.Module) -> None:
    for weight in module.parameters():
        weight.register_hook(lambda gradient: gradient * 0.5)


def followed(module: torch.nn.Module) -> None:
    for weight in module.parameters():
        weight.register_post_accumulate_grad_hook(lambda weight: None)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (halved, "a hook of a weight's gradient is autograd's to call; use model.gradient=autograd"),
        (followed, "a hook of a weight's gradient is autograd's to call; use model.gradient=autograd"),
        (LightningModule.freeze, "a weight is frozen .*; use unfreeze"),
    ],
)
def test_what_a_callback_asks_of_autograd_is_not_ignored(tmp_path: Path, change: Any, line: str) -> None:
    asking = LambdaCallback(on_train_start=lambda trainer, module: change(module))
    with pytest.raises(ValueError, match=line):
        fit(tmp_path, EPOCHS, [asking])


@pytest.mark.parametrize("gradient", GRADIENTS)
def test_a_weight_that_a_callback_freezes_is_refused_whatever_computes_the_gradient(
    tmp_path: Path, gradient: str
) -> None:
    freezing = LambdaCallback(on_train_epoch_end=lambda trainer, module: module.freeze())
    with pytest.raises(ValueError, match="a weight is frozen"):
        fit(tmp_path, EPOCHS, [freezing], gradient=gradient)


def test_a_table_that_is_read_again_must_be_the_same() -> None:
    data = Changing()
    reading: dict[str, Any] = {"max_epochs": 50, "reload_dataloaders_every_n_epochs": 10, "accelerator": "cpu"}
    trainer = Trainer(enable_model_summary=False, **reading, **QUIET)
    with pytest.raises(ValueError, match="a batch differs from the table"):
        trainer.fit(XORModule(), data)
    assert (data.reads, trainer.current_epoch) == (3, 20)


def test_an_optimizer_that_no_checkpoint_would_hold_is_refused() -> None:
    kind = type("Mine", (XORModule,), {"configure_optimizers": lambda self: torch.optim.Adam(self.parameters())})
    with pytest.raises(ValueError, match=r"Mine\.configure_optimizers .*; use Mine\(optimizer=\.\.\., scheduler="):
        train(kind())


def test_two_layers_that_share_a_weight_are_refused() -> None:
    module = XORModule(hidden=[2, 2])
    module.ensemble.weights[1] = module.ensemble.weights[0]
    with pytest.raises(ValueError, match=r"two layers share one weight, .*; use a copy of it"):
        train(module)


def test_a_weight_that_is_frozen_is_not_trained_in_silence() -> None:
    module = XORModule()
    module.ensemble.weights[0].requires_grad_(False)
    with pytest.raises(ValueError, match=r"a weight is frozen .*; use unfreeze\(\)"):
        train(module)
    module.freeze()
    predictions = Trainer(accelerator="cpu", **QUIET).predict(module, XORDataModule())
    assert predictions is not None  # what is not trained may be frozen
    module.unfreeze()
    train(module)


class Returns(XORModule):
    """Returns something else of its training step."""

    returned: Any = None

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        loss = super().training_step(batch, batch_idx)
        return self.returned(loss) if self.returned else None


@pytest.mark.parametrize("returned", [None, lambda loss: loss, lambda loss: {"loss": loss, "more": 1}])
def test_the_callbacks_need_nothing_of_what_a_training_step_returns(tmp_path: Path, returned: Any) -> None:
    Returns.returned = staticmethod(returned) if returned else None
    module, metrics = Returns(), GradientMonitor(10, 10)
    callbacks = [metrics, LossSurface(), EpochProgressBar(), BoundaryAnimation()]
    Trainer(max_epochs=20, accelerator="cpu", default_root_dir=tmp_path, callbacks=callbacks, **QUIET).fit(
        module, XORDataModule()
    )
    assert metrics.logged == 20


@pytest.mark.parametrize("returned", [lambda loss: loss + 0.1, lambda loss: {"loss": 2 * loss}])
def test_a_loss_with_another_term_is_refused_since_nothing_would_be_trained_with_it(returned: Any) -> None:
    Returns.returned = staticmethod(returned)
    with pytest.raises(
        ValueError, match=r"Returns\.training_step returns another loss than XORModule, but the gradient"
    ):
        train(Returns())


def test_a_subclass_cannot_switch_the_check_of_its_loss_off_unnoticed() -> None:
    class Unchecked(Returns):
        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            """Do something else."""

    with pytest.raises(ValueError, match=r"on_train_batch_end leaves out a part .*; use super\(\)\.on_train_batch_end"):
        Unchecked()

    class Trains(XORModule):  # whose training step is that of XORModule
        def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
            """Do something else."""

    train(Trains())
