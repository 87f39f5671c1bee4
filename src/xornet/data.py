"""The truth table of n-bit parity (XOR for two bits) and the LightningDataModule that serves it."""

from collections.abc import Sequence
from typing import Any

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
    validation.integer("data.bits", bits, 1, 16, "use data.bits=2 for XOR")
    rows = torch.arange(2**bits)[:, None]
    x = (rows >> torch.arange(bits - 1, -1, -1)) & 1
    return x.float(), (x.sum(1, keepdim=True) % 2).float()


def same_table(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    """Whether two tables, x and y, hold the same numbers, in whichever precision and on whichever device."""
    return all(torch.equal(a.cpu().double(), b.cpu().double()) for a, b in zip(ours, theirs, strict=True))


def check_same(batch: Sequence[Tensor], table: Sequence[Tensor]) -> None:
    """Refuse a batch, x and y, that does not hold the points of a table, in whatever order."""
    if not same_table(batch, table):  # a DataLoader may shuffle them
        ours, theirs = (torch.cat([part.cpu().double() for part in each], 1).tolist() for each in (batch, table))
        if sorted(ours) != sorted(theirs):
            raise ValueError(
                "a batch differs from the table that the run was begun with; use a dataset that holds the points as "
                "they are to be, and no hook that transforms a batch"
            )


def point_names(x: Tensor) -> list[str]:
    """A name for each point of x (P, I): `01` where all inputs are bits and no two points are alike, else its row."""
    names = ["".join(f"{number:g}" for number in point) for point in x.tolist()]
    is_binary = bool(((x == 0) | (x == 1)).all()) and len(set(names)) == len(names)
    return names if is_binary else [str(row) for row in range(len(names))]


def one_batch(loader: Any) -> tuple[Tensor, Tensor]:
    """Return the table that a DataLoader serves as its one batch, x (P, I) and y (P, 1); refuse any other."""
    tables = [table_of_batch(batch, number) for number, batch in enumerate(loader)]
    if not tables:
        raise ValueError("data must be one batch, the whole table, got none; use data with points")
    return tables[0]


def table_of_batch(batch: Any, batch_idx: int) -> tuple[Tensor, Tensor]:
    """Return a batch as the whole table, x (P, I) and y (P, 1); refuse any other.

    It must be the only one, for a median over networks cannot be put together of parts.
    """
    remedy = "use DataLoader(TensorDataset(x, y), batch_size=len(x))"
    if batch_idx > 0:
        raise ValueError(f"data must be one batch, the whole table, got several; {remedy}")
    is_pair = isinstance(batch, Sequence) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)
    if not is_pair or batch[0].dim() != 2 or batch[1].shape != (len(batch[0]), 1):
        got = [tuple(part.shape) for part in batch] if is_pair else type(batch).__name__
        raise ValueError(f"a batch must be x (P, I) and y (P, 1), got {got}; {remedy}")
    if not all(part.isfinite().all() for part in batch):
        raise ValueError("a table must hold finite numbers, got nan or inf; use data without them")
    return batch[0], batch[1]


class XORDataModule(LightningDataModule):
    """Serves the whole truth table as one batch, so that an epoch is one step of gradient descent.

    `Trainer.validate`, `test` and `predict` get the same table. `Trainer.fit` gets none to validate on, because that
    would only repeat what it logs of training.

    Args:
        bits: number of inputs; the table has 2**bits points.

    """

    def __init__(self, bits: int = 2) -> None:
        super().__init__()
        self.table = TensorDataset(*truth_table(bits))

    def train_dataloader(self) -> TableLoader:
        """One batch: x (P, bits), y (P, 1)."""
        return DataLoader(self.table, batch_size=len(self.table))

    def val_dataloader(self) -> TableLoader | list[TableLoader]:
        """The same table, or nothing while a run trains."""
        is_fitting = self.trainer is not None and self.trainer.state.fn == TrainerFn.FITTING
        return [] if is_fitting else self.train_dataloader()

    def test_dataloader(self) -> TableLoader:
        """The same table, a subclass's own too."""
        return self.train_dataloader()

    def predict_dataloader(self) -> TableLoader:
        """The same table, a subclass's own too."""
        return self.train_dataloader()
