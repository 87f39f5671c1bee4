"""The truth table of n-bit parity (XOR for two bits) and the LightningDataModule that serves it."""

from collections.abc import Sequence

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from xornet import validation


def truth_table(bits: int = 2) -> tuple[Tensor, Tensor]:
    """Return every input of n-bit parity, in binary counting order, with its target.

    y = x_1 xor x_2 xor ... xor x_bits

    Args:
        bits: number of inputs, 1 to 16.

    Returns:
        x (P, bits) and y (P, 1), float32, P = 2**bits.

    """
    validation.integer("data.bits", bits, 1, 16, "use data.bits=2 for XOR")
    rows = torch.arange(2**bits)[:, None]
    x = (rows >> torch.arange(bits - 1, -1, -1)) & 1
    return x.float(), (x.sum(1, keepdim=True) % 2).float()


def same_table(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    """Whether two tables, x and y, hold the same numbers, in whichever precision and on whichever device."""
    return all(torch.equal(a.cpu().double(), b.cpu().double()) for a, b in zip(ours, theirs, strict=True))


class XORDataModule(LightningDataModule):
    """Serves the whole truth table as one batch, so that an epoch is one step of gradient descent.

    Args:
        bits: number of inputs; the table has 2**bits points.

    """

    def __init__(self, bits: int = 2) -> None:
        super().__init__()
        self.table = TensorDataset(*truth_table(bits))

    def train_dataloader(self) -> DataLoader[tuple[Tensor, ...]]:
        """One batch: x (P, bits), y (P, 1)."""
        return DataLoader(self.table, batch_size=len(self.table))
