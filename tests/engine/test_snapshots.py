import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fit
from lightning.pytorch import Callback, LightningModule, Trainer

from xornet.engine.history import Block
from xornet.engine.snapshots import LARGEST
from xornet.module import XORModule

ADAM = partial(torch.optim.Adam, lr=0.01)  # one whose steps depend on the ones before
MODELS = [{}, {"gradient": "autograd"}, pytest.param({"compile": True}, marks=pytest.mark.further)]


class Blocks(Callback):
    """Keeps the blocks of a run."""

    every_n_epochs = 7  # an odd length of blocks

    def __init__(self) -> None:
        self.blocks: list[Block] = []

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, XORModule)
        self.blocks.append(pl_module.block)


@pytest.mark.parametrize("model", [*MODELS, {"networks": 3}], ids=str)
@pytest.mark.usefixtures("compiler")
def test_snapshots_are_the_weights_before_the_update_of_their_epochs(tmp_path: Path, model: dict[str, Any]) -> None:
    seen = Blocks()
    fit(tmp_path, 40, [seen], optimizer=ADAM, **model)
    epochs = [epoch for block in seen.blocks for epoch in block.snapshots.epochs]
    assert epochs == list(range(40))  # of a run as short as this, every one
    weights = [layers for block in seen.blocks for layers in block.snapshots.weights]
    for epoch in (1, 6, 7, 20, 39):
        _, module = fit(tmp_path, epoch, optimizer=ADAM, **model)
        for layer, weight in enumerate(module.ensemble.weights):
            assert torch.allclose(weights[epoch][layer], weight[..., 0], rtol=0, atol=1e-7)


class Sampler(Callback):
    """Asks for samples."""

    every_n_epochs = math.inf

    def __init__(self, every: int) -> None:
        self.samples_every_n_epochs = every


@pytest.mark.parametrize("model", MODELS, ids=str)
@pytest.mark.usefixtures("compiler")
def test_samples_are_the_weights_of_the_networks_on_both_sides_of_the_updates_asked_for(
    tmp_path: Path, model: dict[str, Any]
) -> None:
    seen = Blocks()
    fit(tmp_path, 14, [Sampler(12), Sampler(8), seen], optimizer=ADAM, networks=3, **model)
    samples = {epoch: weights for block in seen.blocks for epoch, weights in block.snapshots.samples.items()}
    assert list(samples) == [0, 3, 4, 7, 8, 11, 12]
    assert "compile" in model or [block.length for block in seen.blocks] == [7, 7]
    for epoch in (3, 4, 7, 8, 12):
        _, module = fit(tmp_path, epoch, optimizer=ADAM, networks=3, **model)
        for before, weight in zip(samples[epoch], module.ensemble.weights, strict=True):
            assert torch.allclose(before, weight, rtol=0, atol=1e-7)


def test_a_block_of_large_networks_is_short_enough_for_its_samples(tmp_path: Path) -> None:
    seen = Blocks()
    fit(tmp_path, 7, [Sampler(1), seen], networks=500, hidden=[700])
    assert [epoch for block in seen.blocks for epoch in block.snapshots.samples] == list(range(7))
    for block in seen.blocks:
        sampled = block.snapshots.samples.values()
        assert sum(weight.numel() for layers in sampled for weight in layers) <= LARGEST


def test_a_block_of_a_large_network_is_short_enough_for_its_snapshots(tmp_path: Path) -> None:
    seen = Blocks()
    fit(tmp_path, 10, [seen], hidden=[1024, 1024])
    assert [epoch for block in seen.blocks for epoch in block.snapshots.epochs] == list(range(10))
    for block in seen.blocks:
        assert sum(weight.numel() for layers in block.snapshots.weights for weight in layers) <= LARGEST
