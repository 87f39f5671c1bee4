import math
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fit
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import EarlyStopping, LambdaCallback, ModelCheckpoint, ModelSummary, Timer

from xornet.callbacks.stopping import EarlyStopping as SparseEarlyStopping
from xornet.engine.blocks import next_due_epoch
from xornet.engine.requirements import check_trainer


class Watch(Callback):
    """Notes the counters at the end of each Lightning epoch that it is shown."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, int, int]] = []

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        batches = trainer.fit_loop.epoch_loop._batches_that_stepped
        self.seen.append((trainer.current_epoch, trainer.global_step, batches))


class SparseWatch(Watch):
    def __init__(self, every: int) -> None:
        super().__init__()
        self.every_n_epochs = every


@pytest.mark.parametrize("epochs", [1, 2, 999, 1000, 1001, 2345])
def test_the_trainer_counts_every_epoch(tmp_path: Path, epochs: int) -> None:
    trainer, module = fit(tmp_path, epochs)
    assert trainer.current_epoch == trainer.global_step == epochs
    assert module.history.curve["epochs"].tolist() == list(range(0, epochs, module.history.every))


def test_the_optimizer_steps_once_an_epoch(tmp_path: Path) -> None:
    trainer, _ = fit(tmp_path, 1234, optimizer=partial(torch.optim.Adam, lr=0.01))
    assert {state["step"].item() for state in trainer.optimizers[0].state_dict()["state"].values()} == {1234}


def test_a_callback_that_says_nothing_is_shown_every_epoch(tmp_path: Path) -> None:
    watch = Watch()
    fit(tmp_path, 7, [watch])
    # at the end of epoch e: e epochs completed before it, e + 1 optimizer steps
    assert watch.seen == [(e, e + 1, e + 1) for e in range(7)]


def test_a_callback_that_sets_its_hooks_on_itself_is_shown_every_epoch(tmp_path: Path) -> None:
    seen: list[int] = []
    fit(tmp_path, 5, [LambdaCallback(on_train_epoch_end=lambda trainer, module: seen.append(trainer.current_epoch))])
    assert seen == [0, 1, 2, 3, 4]


@pytest.mark.further
def test_min_epochs_is_met_exactly(tmp_path: Path) -> None:
    stop = SparseEarlyStopping(every_n_epochs=100, stopping_threshold=10.0)  # met at the first check
    trainer, _ = fit(tmp_path, 5000, [stop], trainer={"min_epochs": 1150})
    assert trainer.current_epoch == 1150


def test_a_block_ends_when_its_time_is_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("xornet.engine.blocks.MAX_BLOCK_SECONDS", 0)
    watch = SparseWatch(1000)
    _, hurried = fit(tmp_path, 30, [watch])
    assert [epoch for epoch, _, _ in watch.seen] == list(range(30))
    monkeypatch.undo()
    _, straight = fit(tmp_path, 30)
    assert torch.equal(hurried.ensemble.weights[0], straight.ensemble.weights[0])


def test_a_callback_is_shown_the_epochs_that_it_asks_for_and_the_counters_are_right_there(tmp_path: Path) -> None:
    watch = SparseWatch(300)
    fit(tmp_path, 2500, [watch])
    seen = [epoch + 1 for epoch, _, _ in watch.seen]
    assert seen == sorted(set(seen))
    assert set(range(300, 2500, 300)) <= set(seen)
    assert seen[-1] == 2500
    assert all(step == batches == epoch + 1 for epoch, step, batches in watch.seen)


def test_the_next_logging_step_is_the_first_multiple_after_an_epoch() -> None:
    every_300 = SparseWatch(300)
    assert [next_due_epoch(every_300, epoch) for epoch in (0, 1, 299, 300, 599)] == [300, 300, 300, 600, 600]
    assert next_due_epoch(ModelCheckpoint(every_n_epochs=50), 120) == 150
    assert next_due_epoch(ModelCheckpoint(every_n_train_steps=50), 120) == 121
    assert next_due_epoch(EarlyStopping("train/loss"), 120) == 121
    for silent in (Timer("00:00:01:00"), ModelSummary(), Callback()):
        assert next_due_epoch(silent, 120) == math.inf


def test_lightnings_early_stopping_stops_at_the_exact_epoch(tmp_path: Path) -> None:
    _, straight = fit(tmp_path, 300, seed=1)
    losses = straight.history.curve["losses"][:, 1]
    threshold = float(losses[20:22].mean())
    assert losses[20] > threshold > losses[21]
    stop = EarlyStopping("train/loss", stopping_threshold=threshold, patience=10**6)
    trainer, _ = fit(tmp_path, 300, [stop], seed=1)
    assert stop.stopped_epoch == 21
    assert trainer.current_epoch == 22


def test_sparse_early_stopping_checks_every_n_epochs(tmp_path: Path) -> None:
    stop = SparseEarlyStopping(every_n_epochs=100, stopping_threshold=10.0)  # met at the first check
    trainer, _ = fit(tmp_path, 5000, [stop])
    assert trainer.current_epoch == 100


def test_lightnings_model_checkpoint_names_the_epoch_and_keeps_the_best(tmp_path: Path) -> None:
    every = ModelCheckpoint(tmp_path, filename="{epoch}-{step}", every_n_epochs=700, save_top_k=-1)
    best = ModelCheckpoint(tmp_path / "best", monitor="train/loss", every_n_epochs=700, filename="{epoch}")
    fit(tmp_path, 2345, [every, best])
    assert sorted(path.name for path in tmp_path.glob("*.ckpt")) == [
        "epoch=1399-step=1400.ckpt",
        "epoch=2099-step=2100.ckpt",
        "epoch=699-step=700.ckpt",
    ]
    assert [path.name for path in (tmp_path / "best").glob("*.ckpt")] == ["epoch=2099.ckpt"]


def test_max_steps_is_met_exactly(tmp_path: Path) -> None:
    trainer, _ = fit(tmp_path, -1, trainer={"max_steps": 1111})
    assert trainer.current_epoch == trainer.global_step == 1111


def test_max_time_ends_an_endless_run(tmp_path: Path) -> None:
    trainer, module = fit(tmp_path, -1, trainer={"max_time": {"seconds": 0.5}})
    assert trainer.current_epoch == trainer.global_step > 0
    assert int(module.history.curve["epochs"][-1]) < trainer.current_epoch


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("max_epochs", 0),
        ("max_epochs", "many"),
        ("devices", 2),
        ("num_nodes", 2),
        ("precision", "bf16-mixed"),
        ("precision", "16-true"),
        ("gradient_clip_val", 1.0),
        ("accumulate_grad_batches", 2),
        ("limit_train_batches", 0.5),
        ("overfit_batches", 0.5),
        ("fast_dev_run", 2),
    ],
)
def test_what_cannot_work_is_refused_by_name(argument: str, value: Any) -> None:
    trainer = Trainer(**{"accelerator": "cpu", "devices": 1, "logger": False, "barebones": False, argument: value})
    with pytest.raises(ValueError, match=f"trainer.{argument}={value} cannot work here: "):
        check_trainer(trainer)


def test_more_batches_than_there_are_limit_nothing(tmp_path: Path) -> None:
    trainer, _ = fit(tmp_path, 3, trainer={"limit_train_batches": 10})
    assert trainer.global_step == 3


@pytest.mark.parametrize("strategy", ["ddp", "ddp_spawn"])
def test_every_strategy_of_several_processes_is_refused(strategy: str) -> None:
    trainer = Trainer(strategy=strategy, accelerator="cpu", devices=1, logger=False)
    with pytest.raises(ValueError, match=r"trainer\.strategy=DDPStrategy cannot work here: .*leave it at auto"):
        check_trainer(trainer)
