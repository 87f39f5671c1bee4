"""The truth table of n-bit parity (XOR for two bits) and the LightningDataModule that serves it."""

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from xornet import validation

TableLoader = DataLoader[tuple[Tensor, ...]]


def truth_table(bits: int = 2) -> tuple[Tensor, Tensor]:
    """Return every input of n-bit parity, in binary counting order, with its target.

    y = x_1 xor x_2 xor ... xor x_bits

    Args:
        bits: number of inputs, 1 to 16.

    Returns:
        x (P, bits) and y (P, 1), float32, P = 2**bits.

    """
    bits = validation.integer("data.bits", validation.plain(bits), 1, 16, "use data.bits=2 for XOR")
    rows = torch.arange(2**bits)[:, None]
    x = (rows >> torch.arange(bits - 1, -1, -1)) & 1
    return x.float(), (x.sum(1, keepdim=True) % 2).float()


def point_names(x: Tensor) -> list[str]:
    """A name for each point of x (P, I): its bits, `01`, if all points are binary and distinct, else its row number."""
    names = ["".join(f"{number:g}" for number in point) for point in x.tolist()]
    is_binary = bool(((x == 0) | (x == 1)).all()) and len(set(names)) == len(names)
    return names if is_binary else [str(row) for row in range(len(names))]


class XORDataModule(LightningDataModule):
    """Serves the whole truth table as one batch, so that an epoch is one step of gradient descent.

    `Trainer.validate`, `test` and `predict` get the same table. `Trainer.fit` gets no validation data, because training
    logs the same numbers already.

    Args:
        bits: number of inputs; the table has 2**bits points.

    """

    def __init__(self, bits: int = 2) -> None:
        super().__init__()
        self.table = TensorDataset(*truth_table(bits))

    def train_dataloader(self) -> TableLoader:
        """One batch: x (P, bits), y (P, 1)."""
        # Without its own generator it would draw from the global one in every block, whose number depends on the clock.
        return DataLoader(self.table, batch_size=len(self.table), generator=torch.Generator())

    def val_dataloader(self) -> TableLoader | list[TableLoader]:
        """The same table; nothing during `Trainer.fit`."""
        is_fitting = self.trainer is not None and self.trainer.state.fn == TrainerFn.FITTING
        return [] if is_fitting else self.train_dataloader()

    def test_dataloader(self) -> TableLoader:
        """The same as `train_dataloader`, also if a subclass overrides that."""
        return self.train_dataloader()

    predict_dataloader = test_dataloader
