"""Networks, their Trainer and their checkpoints count the same epochs, or nothing is trained and nothing is saved."""

import math
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fit
from lightning.pytorch import Callback, LightningModule, Trainer
from torch.utils.data import DataLoader, TensorDataset

from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.data import XORDataModule, truth_table
from xornet.module import XORModule

FAST = partial(torch.optim.SGD, lr=1.0)
X, Y = truth_table()
COUNTS = "the Trainer counts {} and {} epochs, but the networks have had {} epochs: .* use a new Trainer"


def trainer(folder: Path, epochs: int, *callbacks: Callback, **how: Any) -> Trainer:
    return Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        default_root_dir=folder,
        callbacks=list(callbacks),
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        **how,
    )


def continue_fit(fitter: Trainer, module: XORModule, epochs: int, data: Any = None) -> None:
    fitter.fit_loop.max_epochs = epochs
    fitter.fit(module, data or XORDataModule())


class Raises(Callback):
    """Raises an error once, in one of its hooks, when the Trainer counts 7 epochs."""

    def __init__(self, hook: str) -> None:
        self.has_raised = False
        setattr(self, hook, self.raise_once)

    def raise_once(self, trainer: Trainer, *_: Any) -> None:
        if trainer.current_epoch == 7 and not self.has_raised:
            self.has_raised = True
            raise RuntimeError("once")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have the callback be shown every epoch."""


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_validation_end"])
def test_no_epoch_is_trained_twice_behind_an_error(tmp_path: Path, hook: str) -> None:
    data = DataLoader(TensorDataset(X, Y), batch_size=4)
    module, fitter, path = XORModule(FAST), trainer(tmp_path, 20, Raises(hook)), tmp_path / "last.ckpt"
    with pytest.raises(RuntimeError, match="once"):
        fitter.fit(module, data, data)
    module.train()  # or Lightning warns of what it has left in evaluation
    for _ in range(2):
        with pytest.raises(ValueError, match=COUNTS.format(7, 8, 8)):
            fitter.fit(module, data, data)
    fitter.save_checkpoint(path)
    resumed, straight = XORModule(FAST), XORModule(FAST)
    trainer(tmp_path, 20).fit(resumed, data, data, ckpt_path=path, weights_only=True)
    trainer(tmp_path, 20).fit(straight, data, data)
    assert torch.equal(resumed(X), straight(X))
    assert resumed.history.curve["epochs"].tolist() == list(range(20))


class Skips(XORModule):
    """Skips an epoch, by what Lightning documents for that."""

    skipped: int

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> Any:
        super().on_train_batch_start(batch, batch_idx)
        return -1 if self.trainer.current_epoch == self.skipped else None


@pytest.mark.parametrize(
    ("skipped", "line"), [(7, COUNTS.format(8, 7, 7)), (19, "the run ended at epoch 20 after 19 steps, as a hook")]
)
def test_an_epoch_that_a_hook_skips_ends_the_run(tmp_path: Path, skipped: int, line: str) -> None:
    module = Skips(FAST)
    module.skipped = skipped
    with pytest.raises(ValueError, match=line):
        trainer(tmp_path, 20).fit(module, XORDataModule())


class Ends(Callback):
    """Has fewer numbers than the run has epochs."""

    def __init__(self, numbers: int) -> None:
        self.numbers = iter(range(numbers))

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        next(self.numbers)


@pytest.mark.parametrize("numbers", [12, 19])
def test_a_run_whose_callback_has_too_few_numbers_has_not_finished(tmp_path: Path, numbers: int) -> None:
    with pytest.raises(ValueError, match=f"ended at epoch 20 after {numbers} steps, as a hook .* StopIteration"):
        fit(tmp_path, 20, [Ends(numbers)])
    assert fit(tmp_path, 20, [Ends(20)])[0].global_step == 20


class Early(Callback):
    """Asks for a stop at the start of an epoch."""

    every_n_epochs = 7

    def __init__(self, epoch: int) -> None:
        self.epoch = epoch

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop |= trainer.current_epoch == self.epoch


@pytest.mark.parametrize("epoch", [0, 7])
def test_a_stop_at_the_start_of_an_epoch_waits_for_its_batch(tmp_path: Path, epoch: int) -> None:
    """Lightning would count the epoch without it."""
    fitter, module = fit(tmp_path, 20, [Early(epoch)])
    assert fitter.current_epoch == fitter.global_step == epoch + 1
    assert torch.equal(module(X), fit(tmp_path, epoch + 1)[1](X))


class Blocks(Callback):
    """Counts blocks."""

    every_n_epochs: Any = math.inf
    count = 0

    def on_train_batch_end(self, *_: Any) -> None:
        self.count += 1


def test_a_stop_that_waits_for_the_least_number_of_epochs_leaves_blocks_long(tmp_path: Path) -> None:
    blocks, early = Blocks(), Early(0)
    early.every_n_epochs = 250
    fitter, _ = fit(tmp_path, 900, [early, blocks], trainer={"min_epochs": 500})
    assert fitter.current_epoch == fitter.global_step == 500
    assert blocks.count < 10


def test_a_checkpoint_that_counts_an_epoch_without_its_batch_resumes_with_that_batch(tmp_path: Path) -> None:
    """As earlier versions have written them when they were stopped at the start of an epoch."""
    fitter, _ = fit(tmp_path, 7)
    fitter.save_checkpoint(tmp_path / "seven.ckpt")
    checkpoint = torch.load(tmp_path / "seven.ckpt", weights_only=True)
    checkpoint["epoch"] = 8
    for progress in checkpoint["loops"]["fit_loop"]["epoch_progress"].values():
        progress.update(dict.fromkeys(progress, 8))
    torch.save(checkpoint, tmp_path / "eight.ckpt")
    fitter, resumed = fit(tmp_path, 20, ckpt_path=tmp_path / "eight.ckpt")
    assert fitter.global_step == 20
    assert torch.equal(resumed(X), fit(tmp_path, 20)[1](X))


def test_a_trainer_continues_with_none_but_the_networks_that_it_has_trained(tmp_path: Path) -> None:
    fitter, module = fit(tmp_path, 10)
    with pytest.raises(ValueError, match="this Trainer has trained other networks; use a new Trainer for these"):
        continue_fit(fitter, XORModule(FAST), 20)
    for epochs in (10, 15):  # the same number tells nothing
        other = trainer(tmp_path, epochs)
        other.fit(module, XORDataModule())
        with pytest.raises(ValueError, match="another Trainer has trained these networks since; use that one"):
            continue_fit(fitter, module, 20)
    continue_fit(other, module, 20)
    assert module.history.curve["epochs"].tolist() == list(range(20))
    _, third = fit(tmp_path, 10)
    with pytest.raises(ValueError, match="another Trainer has trained these networks since"):
        continue_fit(fitter, third, 20)


def test_a_trainer_saves_no_networks_that_another_has_trained_as_long(tmp_path: Path) -> None:
    """Beside which its own optimizer's state would stand."""
    fitter, module = fit(tmp_path, 20, optimizer=ADAM)
    other = trainer(tmp_path, 20)
    other.fit(module, XORDataModule())
    with pytest.raises(ValueError, match="another Trainer has trained these networks since; use save_checkp"):
        fitter.save_checkpoint(tmp_path / "last.ckpt")
    assert not (tmp_path / "last.ckpt").exists()
    trainer(tmp_path, 1).test(module, XORDataModule(), verbose=False)
    other.save_checkpoint(tmp_path / "last.ckpt")
    _, resumed = fit(tmp_path, 30, ckpt_path=tmp_path / "last.ckpt", optimizer=ADAM)
    continue_fit(other, module, 30)
    assert torch.equal(resumed(X), module(X))


def test_a_trainer_saves_none_but_the_networks_that_it_has_trained(tmp_path: Path) -> None:
    fitter, module = fit(tmp_path, 20)
    tester = trainer(tmp_path, 1)
    tester.test(module, XORDataModule(), verbose=False)
    line = "counts 0 epochs, but the networks have had 20 epochs: .*, or the Trainer that has trained them"
    with pytest.raises(ValueError, match=line):
        tester.save_checkpoint(tmp_path / "last.ckpt")
    assert not (tmp_path / "last.ckpt").exists()
    fitter.save_checkpoint(tmp_path / "last.ckpt")
    assert torch.equal(XORModule.load_from_checkpoint(tmp_path / "last.ckpt")(X), module(X))


def test_a_trainer_that_has_not_trained_saves_networks_but_no_run(tmp_path: Path) -> None:
    tester, path = trainer(tmp_path, 1), tmp_path / "new.ckpt"
    tester.test(module := XORModule(), XORDataModule(), verbose=False)
    tester.save_checkpoint(path)
    assert torch.equal(XORModule.load_from_checkpoint(path)(X), module(X))
    with pytest.raises(ValueError, match="holds the weights alone; use a whole checkpoint to resume"):
        fit(tmp_path, 20, ckpt_path=path)


def test_a_trainer_that_continues_keeps_the_order_of_its_table(tmp_path: Path) -> None:
    fitter, module = fit(tmp_path, 10)
    continue_fit(fitter, module, 20, DataLoader(TensorDataset(X.flip(0), Y.flip(0)), batch_size=4))
    assert torch.equal(module.x, X)
    _, straight = fit(tmp_path, 20)
    assert torch.equal(module.history.curve["errors"], straight.history.curve["errors"])


class Asks(DataLoader[Any]):
    trainer: Trainer
    epoch = 14

    def __iter__(self) -> Any:
        if hasattr(self, "trainer") and self.trainer.current_epoch == self.epoch:
            self.trainer.should_stop = True
        return super().__iter__()


def test_a_stop_while_the_batch_is_fetched_counts_no_epoch_without_it(tmp_path: Path) -> None:
    loader, fitter, module = Asks(TensorDataset(X, Y), batch_size=4), trainer(tmp_path, 30), XORModule(FAST)
    loader.trainer = fitter
    fitter.callbacks.append(Early(-1))  # type: ignore[attr-defined]  # which ends blocks; Lightning documents it
    fitter.fit(module, loader)
    assert fitter.current_epoch == fitter.global_step
    assert torch.equal(module(X), fit(tmp_path, fitter.global_step, optimizer=FAST)[1](X))


@pytest.mark.usefixtures("interrupts")
def test_any_number_of_stops_can_be_resumed_and_continued_from(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    resumed, ckpt_path, epoch = XORModule(FAST), None, 0
    together, one = trainer(tmp_path, 1000, Presses()), XORModule(FAST)
    for part in range(3):
        fitter, resumed = trainer(tmp_path, 1000, Presses()), XORModule(FAST)
        for each, module, given in ((fitter, resumed, ckpt_path), (together, one, None)):
            with pytest.raises(SystemExit):
                each.fit(module, XORDataModule(), ckpt_path=given, weights_only=True)
        fitter.save_checkpoint(path)
        ckpt_path, epoch = path, fitter.current_epoch
        assert epoch == together.current_epoch == 50 * (part + 1)
    together.save_checkpoint(tmp_path / "together.ckpt")
    _, straight = fit(tmp_path, 200, optimizer=FAST)
    for last in (path, tmp_path / "together.ckpt"):
        assert torch.equal(fit(tmp_path, 200, ckpt_path=last, optimizer=FAST)[1](X), straight(X))


class Presses(Callback):
    """The stop button, behind 50 epochs of a part."""

    every_n_epochs = 50

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(
    ("optimizer", "scheduler"),
    [
        (partial(torch.optim.SGD, lr=0.5, momentum=0.9), None),
        (partial(torch.optim.Adam, lr=0.01), None),
        (FAST, partial(torch.optim.lr_scheduler.StepLR, step_size=30)),
    ],
)
def test_a_trainer_that_continues_keeps_the_state_of_its_optimizer_and_scheduler(
    tmp_path: Path, optimizer: Any, scheduler: Any
) -> None:
    """Lightning makes both again for each fit."""
    fitter, module = fit(tmp_path, 50, optimizer=optimizer, scheduler=scheduler)
    continue_fit(fitter, module, 100)
    _, straight = fit(tmp_path, 100, optimizer=optimizer, scheduler=scheduler)
    assert torch.equal(module(X), straight(X))
    fitter.save_checkpoint(tmp_path / "last.ckpt")
    _, resumed = fit(tmp_path, 120, ckpt_path=tmp_path / "last.ckpt", optimizer=optimizer, scheduler=scheduler)
    assert torch.equal(resumed(X), fit(tmp_path, 120, optimizer=optimizer, scheduler=scheduler)[1](X))


def test_a_trainer_that_continues_takes_another_optimizer_that_it_is_given(tmp_path: Path) -> None:
    fitter, module = fit(tmp_path, 50)
    module.optimizer = FAST
    continue_fit(fitter, module, 51)
    assert fitter.optimizers[0].param_groups[0]["lr"] == 1.0


def test_a_fit_that_had_nothing_to_train_leaves_nothing_to_the_next_run(tmp_path: Path) -> None:
    adam = partial(torch.optim.Adam, lr=0.01)
    fitter, module = fit(tmp_path, 30, optimizer=adam)
    fitter.fit(module, XORDataModule())  # at its end already
    before = [weight.detach().clone() for weight in module.ensemble.weights]
    trainer(tmp_path, 10).fit(module, XORDataModule())
    other = XORModule(adam)
    with torch.no_grad():
        for weight, value in zip(other.ensemble.weights, before, strict=True):
            weight.copy_(value)
    trainer(tmp_path, 10).fit(other, XORDataModule())
    assert torch.equal(module(X), other(X))


ADAM = partial(torch.optim.Adam, lr=0.05)
FALL = partial(torch.optim.lr_scheduler.StepLR, step_size=30)


def test_a_fit_with_nothing_to_train_keeps_the_state_of_the_optimizer(tmp_path: Path) -> None:
    """As a cell of a notebook that is run twice; the checkpoint that it saves is that of the end."""
    fitter, module = fit(tmp_path, 50, [LastCheckpoint(str(tmp_path))], optimizer=ADAM, scheduler=FALL)
    fitter.fit(module, XORDataModule())
    continue_fit(fitter, module, 100)
    _, straight = fit(tmp_path / "straight", 100, optimizer=ADAM, scheduler=FALL)
    assert torch.equal(module(X), straight(X))
    fitter.fit(module, XORDataModule())
    _, resumed = fit(tmp_path / "longer", 120, ckpt_path=tmp_path / "last.ckpt", optimizer=ADAM, scheduler=FALL)
    assert torch.equal(resumed(X), fit(tmp_path / "straight", 120, optimizer=ADAM, scheduler=FALL)[1](X))


def test_a_run_resumed_at_its_end_and_then_extended_keeps_the_state_of_its_optimizer(tmp_path: Path) -> None:
    fit(tmp_path, 50, [LastCheckpoint(str(tmp_path))], optimizer=ADAM)
    fitter, module = fit(tmp_path, 50, ckpt_path=tmp_path / "last.ckpt", optimizer=ADAM)
    continue_fit(fitter, module, 100)
    assert torch.equal(module(X), fit(tmp_path, 100, optimizer=ADAM)[1](X))


class Fails(Callback):
    """Raises in one hook, once."""

    every_n_epochs = math.inf

    def __init__(self, hook: str) -> None:
        self.is_armed = False
        setattr(self, hook, self.fail)

    def fail(self, *args: Any, **kwargs: Any) -> None:
        was_armed, self.is_armed = self.is_armed, False
        if was_armed:
            raise RuntimeError("once")


@pytest.mark.parametrize(
    "hook",
    [
        "setup",
        *(
            pytest.param(name, marks=pytest.mark.further)
            for name in ("on_fit_start", "on_sanity_check_start", "on_validation_end", "on_train_start")
        ),
    ],
)
def test_an_error_before_the_first_step_of_a_fit_costs_the_optimizer_nothing(tmp_path: Path, hook: str) -> None:
    failing = Fails(hook)
    loader = XORDataModule().train_dataloader()
    fitter, module = trainer(tmp_path, 50, failing, num_sanity_val_steps=1), XORModule(ADAM, FALL)
    fitter.fit(module, loader, loader)
    failing.is_armed = True
    fitter.fit_loop.max_epochs = 100
    with pytest.raises(RuntimeError, match="once"):
        fitter.fit(module, loader, loader)
    fitter.save_checkpoint(tmp_path / "last.ckpt")
    fitter.fit(module.train(), loader, loader)
    straight = fit(tmp_path, 100, optimizer=ADAM, scheduler=FALL)[1](X)
    assert torch.equal(module(X), straight)
    _, resumed = fit(tmp_path, 100, ckpt_path=tmp_path / "last.ckpt", optimizer=ADAM, scheduler=FALL)
    assert torch.equal(resumed(X), straight)


def test_a_used_trainer_that_is_given_a_checkpoint_resumes_it(tmp_path: Path) -> None:
    fitter, _ = fit(tmp_path, 20)
    fitter.save_checkpoint(tmp_path / "last.ckpt")
    fitter.fit_loop.max_epochs = 40
    fitter.fit(other := XORModule(), XORDataModule(), ckpt_path=tmp_path / "last.ckpt", weights_only=True)
    assert torch.equal(other(X), fit(tmp_path, 40)[1](X))


def test_a_run_that_continues_to_fewer_epochs_keeps_its_curve_even(tmp_path: Path) -> None:
    fitter, module = trainer(tmp_path, 20_000, Stops(40)), XORModule(FAST)
    fitter.fit(module, XORDataModule())
    fitter.should_stop = False
    continue_fit(fitter, module, 100)
    assert module.history.curve["epochs"].tolist() == list(range(0, 100, 20))


class Stops(Callback):
    """Stops a run at an epoch."""

    def __init__(self, epoch: int) -> None:
        self.every_n_epochs = epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop |= trainer.current_epoch + 1 == self.every_n_epochs
