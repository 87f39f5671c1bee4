"""Classes of the user's in this package, where README says to add them, are no classes of the project."""

import pkgutil
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SRC, fit
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, Timer
from oracle import SheetNet

from xornet import XORDataModule, XORModule
from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.cli.annotations import annotations
from xornet.data import truth_table
from xornet.engine.own import OWN

X, Y = truth_table()
HERE = "xornet.callbacks.mine"


class Penalty(XORModule):
    __module__ = HERE

    def training_step(self, batch: Any, batch_idx: int) -> torch.Tensor:
        return super().training_step(batch, batch_idx) + 1


class Rates(XORModule):
    __module__ = HERE

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=5.0)


class Doubled(XORModule):
    __module__ = HERE

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return 2 * super().forward(x)


class Unsaved(XORModule):
    __module__ = HERE

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Leave everything out."""


def train(made: Callable[[], XORModule]) -> XORModule:
    module = made()
    trainer = Trainer(
        max_epochs=20, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False
    )
    trainer.fit(module, XORDataModule())
    return module


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Penalty, "training_step returns another loss"),
        (Rates, "configure_optimizers would not be what a checkpoint says"),
        (Doubled, "the forward pass of Doubled is not that of Ensemble"),
        (Unsaved, "on_save_checkpoint leaves out a part of the run"),
    ],
)
def test_a_subclass_of_the_module_is_checked(kind: type[XORModule], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        train(kind)


def test_a_hook_of_a_subclass_of_the_module_is_called_at_every_epoch() -> None:
    called: list[int] = []

    class Counts(XORModule):
        __module__ = HERE

        def on_train_epoch_end(self) -> None:
            called.append(self.current_epoch)

    train(Counts)
    assert called == list(range(20))


class Optimistic(torch.optim.Optimizer):
    """Steps by twice the gradient less the one before, which it keeps."""

    __module__ = HERE

    def __init__(self, params: Any, lr: float = 10.0) -> None:
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        for weight in self.param_groups[0]["params"]:
            before = self.state[weight].get("before", weight.grad)
            weight.sub_(2 * weight.grad - before, alpha=self.param_groups[0]["lr"])
            self.state[weight]["before"] = weight.grad


def test_an_optimizer_may_keep_the_gradient_and_is_not_compiled(tmp_path: Path) -> None:
    torch.manual_seed(7)
    network = SheetNet()
    optimizer = Optimistic(network.parameters())
    for _ in range(50):
        optimizer.zero_grad()
        torch.nn.functional.mse_loss(network(X), Y).backward()
        optimizer.step()
    _, module = fit(tmp_path, 50, optimizer=partial(Optimistic), seed=7)
    torch.testing.assert_close(module(X)[..., 0], network(X), rtol=0, atol=1e-5)
    with pytest.raises(ValueError, match="which is no class of PyTorch; use"):
        XORModule(partial(Optimistic), compile=True)


class Grows(Callback):
    """Has a state that grows, and logs it as a metric."""

    __module__ = HERE
    every_n_epochs = 10

    def __init__(self) -> None:
        self.seen = np.zeros(1)

    def state_dict(self) -> dict[str, Any]:
        return {"seen": self.seen.tolist()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.seen = np.array(state_dict["seen"])

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if (trainer.current_epoch + 1) % 10 == 0:
            self.seen = np.append(self.seen, trainer.current_epoch)
        pl_module.log("mine/seen", float(len(self.seen)))


def test_a_callback_may_have_a_state_that_grows(tmp_path: Path) -> None:
    fit(tmp_path, 40, [Grows(), LastCheckpoint(str(tmp_path))])
    resumed = Grows()
    fit(tmp_path, 60, [resumed], tmp_path / "last.ckpt")
    assert resumed.seen.tolist() == [0, 9, 19, 29, 39, 49, 59]


def test_a_metric_that_a_callback_logs_may_be_monitored(tmp_path: Path) -> None:
    stopping = EarlyStopping(
        "mine/seen", mode="max", stopping_threshold=3.5, check_on_train_epoch_end=True, patience=99
    )
    trainer, _ = fit(tmp_path, 100, [Grows(), stopping])
    assert trainer.current_epoch == 30


def test_a_timer_of_the_user_s_is_called_at_every_epoch(tmp_path: Path) -> None:
    called: list[int] = []

    class Counts(Timer):
        def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
            called.append(trainer.current_epoch)

    fit(tmp_path, 20, [Counts("00:01:00:00")])
    assert called == list(range(20))


def test_the_project_s_own_classes_are_known_by_their_names() -> None:
    for name in OWN:
        assert isinstance(pkgutil.resolve_name(name), type), name
    texts = [path.read_text(encoding="utf-8") for path in (SRC.parent / "conf").rglob("*.yaml")]
    configured = {
        name for text in texts for name in re.findall(r"_target_: (xornet\.(?:callbacks|module|runs)\.\S+)", text)
    }
    assert len(configured) > 14
    assert configured <= OWN


def test_the_arguments_of_a_class_of_the_user_s_are_checked() -> None:
    class Switch(Callback):
        __module__ = "xornet.callbacks.console"  # which is there, to look up the names of types

        def __init__(self, on: bool = True) -> None:
            """Take a switch."""

    assert annotations(Switch)["on"] is bool
