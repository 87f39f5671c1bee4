"""A data module of one's own: what its networks have correct is judged by its table, not by XOR's."""

from pathlib import Path

import pytest
import torch
from conftest import NO_FIGURES, Command
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, TensorDataset

from xornet import data
from xornet.runs.compare import load

X = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0]])  # three points, and AND, or nearly
Y = torch.tensor([[0.0], [0.25], [1.0]])


class AndData(LightningDataModule):
    """Serves three points of AND.

    Args:
        bits: two.

    """

    def __init__(self, bits: int = 2) -> None:
        super().__init__()

    def train_dataloader(self) -> DataLoader[tuple[torch.Tensor, ...]]:
        return DataLoader(TensorDataset(X, Y), batch_size=3)


@pytest.fixture(autouse=True)
def and_data(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the project hold the class, as a file of the user's would."""
    monkeypatch.setattr(AndData, "__module__", "xornet.data")
    monkeypatch.setattr(data, "AndData", AndData, raising=False)


@pytest.mark.further
def test_a_run_on_other_data_is_evaluated_compared_and_resumed_on_them(command: Command, tmp_path: Path) -> None:
    own = ["data._target_=xornet.data.AndData", "optimizer.lr=1", *NO_FIGURES]
    run = command(*own, "trainer.max_epochs=1500")
    assert run.metrics["solved"] is True
    last = f"ckpt_path={run.folder}/checkpoints/last.ckpt"
    evaluated = command(last, script="eval.py")
    assert evaluated.metrics["loss"] == pytest.approx(run.metrics["loss"])
    assert evaluated.metrics["predictions"] == pytest.approx(run.metrics["predictions"])
    assert evaluated.metrics["solved"] is True
    assert "0 1 -> 0.25, predicted 0." in evaluated.out
    module, _ = load(f"{run.folder}/checkpoints/last.ckpt")
    assert torch.equal(module.x, X)
    assert torch.equal(module.y, Y)
    assert command(str(run.folder), str(command("trainer.max_epochs=3").folder), script="compare.py").status == 0

    refused = command(*own[1:], "trainer.max_epochs=1600", last)
    assert refused.status == 1
    assert "ckpt_path holds a run on other data; resume with the data that it was started with" in refused.last_line
    assert command(*own, "trainer.max_epochs=1600", last).metrics["epochs"] == 1600
