"""Checks of the batch of a DataLoader, which must be the whole truth table."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, RandomSampler, SubsetRandomSampler, WeightedRandomSampler

# Classes of PyTorch that draw from the global generator, if they have none of their own.
DRAWING = (DataLoader, RandomSampler, SubsetRandomSampler, WeightedRandomSampler)


def only_batch(loader: Any) -> tuple[Tensor, Tensor]:
    """Return the table that a DataLoader serves as its only batch, x (P, I) and y (P, 1); refuse anything else.

    With shuffle=True it is in the order of the dataset; else runs would differ in rounding and in their columns.
    """
    if not hasattr(loader, "__iter__"):
        raise ValueError(f"train_dataloader must return a DataLoader, got {loader}; use return DataLoader(...)")
    if is_shuffled(loader):
        loader = copy_of(loader, sampler=None)
    elif getattr(loader, "persistent_workers", False):  # it has one iterator, which Lightning uses already
        if loader.batch_size is None or isinstance(loader.dataset, IterableDataset):
            raise ValueError("a DataLoader of this kind cannot keep its workers; use persistent_workers=False")
        loader = copy_of(loader, sampler=loader.sampler)
    tables = [check_batch(batch, number) for number, batch in enumerate(loader)]
    if not tables:
        raise ValueError("data must be one batch, the whole table, got none; use data with points")
    return tables[0]


def draw_alone(loader: Any) -> list[Any]:
    """Give a DataLoader and its samplers generators for the run; return those that were given one.

    Without one they draw from the global generator in every block, and how many there are depends on the clock.
    """
    samplers = [getattr(loader, name, None) for name in ("sampler", "batch_sampler")]
    parts = [loader, *samplers, *(getattr(sampler, "sampler", None) for sampler in samplers)]
    parts = [part for part in parts if isinstance(part, DRAWING) and getattr(part, "generator", part) is None]
    for part in parts:
        part.generator = torch.Generator()
    return parts


def is_shuffled(loader: Any) -> bool:
    """Whether a stock DataLoader serves its whole dataset in random order."""
    if type(loader) is not DataLoader or type(loader.sampler) is not RandomSampler:
        return False
    sampler: Any = loader.sampler
    is_whole = sampler.num_samples == len(sampler.data_source) and not sampler.replacement
    return is_whole and sampler.data_source is loader.dataset


def copy_of(loader: DataLoader[Any], sampler: Any) -> DataLoader[Any]:
    """Return a DataLoader of the same dataset that reads it in this process."""
    how = {"sampler": sampler, "collate_fn": loader.collate_fn, "drop_last": loader.drop_last}
    return DataLoader(loader.dataset, loader.batch_size, **how)


def check_batch(batch: Any, batch_idx: int) -> tuple[Tensor, Tensor]:
    """Return a batch as the whole table, x (P, I) and y (P, 1); refuse anything else.

    It must be the only one: the median loss over networks on a table does not follow from the medians on its parts.
    """
    remedy = "use DataLoader(TensorDataset(x, y), batch_size=len(x))"
    if batch_idx > 0:
        raise ValueError(f"data must be one batch, the whole table, got several; {remedy}")
    is_pair = isinstance(batch, Sequence) and len(batch) == 2 and all(isinstance(part, Tensor) for part in batch)
    if not is_pair or batch[0].dim() != 2 or batch[1].shape != (len(batch[0]), 1):
        got = [tuple(part.shape) for part in batch] if is_pair else type(batch).__name__
        if is_pair and batch[0].dim() == 2 and batch[1].dim() == 1:
            remedy = "use y[:, None], a column"
        elif is_pair and batch[0].dim() == batch[1].dim() == 2 and batch[1].shape[1] > 1:
            remedy = "use one output for each run"
        raise ValueError(f"a batch must be x (P, I) and y (P, 1), got {got}; {remedy}")
    if not all(part.isfinite().all() for part in batch):
        raise ValueError("a table must hold finite numbers, got nan or inf; use data without them")
    return batch[0], batch[1]


def same_table(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    """Whether two tables, x and y, hold the same numbers, in any precision and on any device."""
    return all(torch.equal(a.cpu().double(), b.cpu().double()) for a, b in zip(ours, theirs, strict=True))


def same_points(ours: Sequence[Tensor], theirs: Sequence[Tensor]) -> bool:
    """Whether two tables, x and y, hold the same points in any order: a DataLoader may shuffle them."""
    if same_table(ours, theirs):
        return True
    a, b = (torch.cat([part.cpu().double() for part in each], 1).tolist() for each in (ours, theirs))
    return sorted(a) == sorted(b)


def check_same(batch: Sequence[Tensor], table: Sequence[Tensor]) -> None:
    """Refuse a batch, x and y, that does not hold the points of a table."""
    if not same_points(batch, table):
        raise ValueError(
            "a batch differs from the table that the run was begun with; use a dataset without random "
            "transforms, and no hook that changes a batch"
        )
