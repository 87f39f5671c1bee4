"""TensorBoard's writers, for what Lightning's logger has no word for."""

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.compat.proto.summary_pb2 import Summary
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard._pytorch_graph import graph

from xornet.network import XORNet


def writers(trainer: Trainer) -> Iterator[SummaryWriter]:
    """Yield TensorBoard's writer, if TensorBoard is a logger of this run."""
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            yield logger.experiment


def is_continued(trainer: Trainer) -> bool:
    """Whether an earlier part of this run has logged into its directory."""
    return bool(trainer.ckpt_path) and len(list(Path(trainer.default_root_dir).glob("events.out.tfevents.*"))) > 1


def add_png(writer: SummaryWriter, tag: str, file: bytes, step: int = 0) -> None:
    """Write a PNG file as it is; SummaryWriter.add_image would compress it anew."""
    width, height = (int.from_bytes(file[start : start + 4]) for start in (16, 20))  # of the header
    image = Summary.Image(encoded_image_string=file, colorspace=3, width=width, height=height)
    assert writer.file_writer is not None  # open until the run ends
    writer.file_writer.add_summary(Summary(value=[Summary.Value(tag=tag, image=image)]), step)


def add_graph(writer: SummaryWriter, bits: int, hidden: tuple[int, ...], activation: str) -> None:
    """Write the graph of a network."""
    assert writer.file_writer is not None
    writer.file_writer.add_graph(trace(bits, hidden, activation))


@lru_cache
def trace(bits: int, hidden: tuple[int, ...], activation: str) -> Any:
    """The graph of a network, once for the jobs of a sweep: PyTorch never frees what it makes to trace one."""
    with torch.random.fork_rng(devices=[]):
        return graph(XORNet(bits, hidden, activation), torch.zeros(2**bits, bits))
