"""Lightning's progress counters are not documented: this compares them with those of a stock run."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fit
from lightning.pytorch import LightningModule, Trainer
from oracle import SheetNet
from torch import Tensor

from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.data import XORDataModule


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
