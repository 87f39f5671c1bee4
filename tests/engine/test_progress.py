"""Lightning's progress counters are not documented: this compares them with those of a stock run."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fit
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from oracle import SheetNet
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.data import XORDataModule, truth_table
from xornet.module import XORModule

TABLE = DataLoader(TensorDataset(*truth_table()), batch_size=4)


class Stock(LightningModule):
    """The sheet's network with manual optimisation, as Lightning's documentation writes it: one step a batch."""

    def __init__(self) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.net = SheetNet()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        optimizer: Any = self.optimizers()
        optimizer.zero_grad()
        self.manual_backward((self.net(batch[0]) - batch[1]).square().mean())
        optimizer.step()

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        pass

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


@pytest.mark.parametrize("limit", [{"max_epochs": 23}, {"max_epochs": -1, "max_steps": 23}])
def test_lightnings_progress_counters_after_blocks_are_those_of_a_stock_run(
    tmp_path: Path, limit: dict[str, int]
) -> None:
    how: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, **limit}
    stock = Trainer(accelerator="cpu", default_root_dir=tmp_path, enable_checkpointing=False, **how)
    stock.fit(Stock(), XORDataModule())
    epochs, others = limit["max_epochs"], {name: limit[name] for name in limit if name != "max_epochs"}
    ours, _ = fit(tmp_path, epochs, optimizer=partial(torch.optim.SGD, lr=0.1), trainer=others)
    assert ours.fit_loop.state_dict() == stock.fit_loop.state_dict()
    for counter in ("current_epoch", "global_step"):
        assert getattr(ours, counter) == getattr(stock, counter) == 23


@pytest.mark.parametrize("limit", [{"max_epochs": -1, "max_steps": 23}, {"max_epochs": 1000, "max_steps": 23}])
def test_a_run_that_is_resumed_to_a_number_of_steps_counts_its_epochs_once(
    tmp_path: Path, limit: dict[str, int]
) -> None:
    fit(tmp_path, 9, [LastCheckpoint(str(tmp_path))])
    last, epochs = tmp_path / "last.ckpt", limit["max_epochs"]
    resumed, module = fit(tmp_path, epochs, [LastCheckpoint(str(tmp_path))], last, trainer={"max_steps": 23})
    straight, same = fit(tmp_path, 23)
    assert resumed.current_epoch == resumed.global_step == 23
    assert module.history.curve["epochs"].tolist() == list(range(23))
    assert torch.equal(module.ensemble.weights[0], same.ensemble.weights[0])
    assert resumed.fit_loop.state_dict() == straight.fit_loop.state_dict()
    again, _ = fit(tmp_path, 25, ckpt_path=last)
    assert again.current_epoch == 25


class Steps(Callback):
    """Notes the step at which a LearningRateMonitor logs, in the two hooks in which it does."""

    every_n_epochs = 5

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seen.append(("epoch", trainer.fit_loop.epoch_loop._batches_that_stepped))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        self.seen.append(("batch", trainer.fit_loop.epoch_loop._batches_that_stepped))


@pytest.mark.parametrize("data", [None, TABLE], ids=["validated", "not validated"])
@pytest.mark.parametrize("limit", ["max_epochs", "max_steps"])
def test_a_resumed_run_logs_at_the_steps_of_a_straight_one(tmp_path: Path, limit: str, data: Any) -> None:
    def run(steps: int, ckpt_path: Path | None = None) -> list[tuple[str, int]]:
        seen, limits = Steps(), {"max_epochs": -1, limit: steps}
        how: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, **limits}
        saved = ModelCheckpoint(tmp_path, "{step}", every_n_epochs=5, save_top_k=-1, enable_version_counter=False)
        trainer = Trainer(accelerator="cpu", callbacks=[seen, saved, LastCheckpoint(str(tmp_path))], **how)
        trainer.fit(XORModule(), data or XORDataModule(), ckpt_path=ckpt_path, weights_only=True)
        assert trainer.fit_loop.epoch_loop._batches_that_stepped == trainer.global_step == steps
        return seen.seen

    last, at_end = tmp_path / "last.ckpt", tmp_path / "step=10.ckpt"
    parts = run(10) + run(10, last) + run(10, last) + run(20, last)
    straight = run(20)
    assert parts == straight
    run(15)
    assert straight[:4] + run(20, at_end) == straight  # which was saved by a hook of the end of an epoch
    run(10, at_end)
    epochs = torch.load(last, weights_only=True)["loops"]["fit_loop"]["epoch_progress"]["current"]
    assert set(epochs.values()) == {10}


class Faulty(XORModule):
    """Fails once its eighth epoch is trained, before Lightning counts it."""

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        output = super().training_step(batch, batch_idx)
        if self.trainer.global_step == 8:
            raise RuntimeError("broken off")
        return output


def attempt(
    folder: Path, module: XORModule, limit: str, data: Any, ckpt_path: Path | None = None
) -> tuple[Trainer, list[tuple[str, int]]]:
    """Train for 20 epochs; save `last.ckpt` where that is broken off."""
    seen, limits = Steps(), {"max_epochs": -1, limit: 20}
    how: dict[str, Any] = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False, **limits}
    trainer = Trainer(accelerator="cpu", callbacks=[seen], enable_checkpointing=False, **how)
    try:
        trainer.fit(module, data or XORDataModule(), ckpt_path=ckpt_path, weights_only=True)
    except RuntimeError:
        trainer.save_checkpoint(folder / "last.ckpt")
    return trainer, seen.seen


def check_like_straight(folder: Path, limit: str, data: Any) -> None:
    """Assert that a run resumed from `last.ckpt` ends as an uninterrupted one."""
    resumed, straight = XORModule(), XORModule()
    trainer, steps = attempt(folder, resumed, limit, data, folder / "last.ckpt")
    _, expected = attempt(folder, straight, limit, data)
    assert trainer.current_epoch == trainer.global_step == trainer.fit_loop.epoch_loop._batches_that_stepped == 20
    assert steps[-4:] == expected[-4:]
    for one, other in zip(resumed.ensemble.weights, straight.ensemble.weights, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("data", [None, TABLE], ids=["validated", "not validated"])
@pytest.mark.parametrize("limit", ["max_epochs", "max_steps"])
def test_an_epoch_that_lightning_has_not_counted_is_trained_once(tmp_path: Path, limit: str, data: Any) -> None:
    attempt(tmp_path, Faulty(), limit, data)
    check_like_straight(tmp_path, limit, data)


class BrokenOff(XORModule):
    """Is broken off within an epoch before its update, as a signal does while compiling."""

    epoch = 0

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        if self.trainer.current_epoch == self.epoch:
            raise RuntimeError("broken off")
        return super().training_step(batch, batch_idx)


@pytest.mark.parametrize("data", [None, TABLE], ids=["validated", "not validated"])
@pytest.mark.parametrize("limit", ["max_epochs", "max_steps"])
@pytest.mark.parametrize("epoch", [1, 8])
def test_an_epoch_may_be_broken_off_before_its_update_as_often_as_one_likes(
    tmp_path: Path, limit: str, data: Any, epoch: int
) -> None:
    module = BrokenOff()
    module.epoch = epoch
    attempt(tmp_path, module, limit, data)
    for _ in range(4):
        module = BrokenOff()
        module.epoch = epoch
        attempt(tmp_path, module, limit, data, tmp_path / "last.ckpt")
    check_like_straight(tmp_path, limit, data)
