"""Runs whose optimizer a callback changes on the way: their checkpoints are resumed to the same bits."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import fit
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import LambdaCallback

from xornet import hooks
from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.data import truth_table
from xornet.engine.assembly import make_runner

X, _ = truth_table()
SGD = partial(torch.optim.SGD, lr=0.5)
MOMENTUM = partial(torch.optim.SGD, lr=0.5, momentum=0.9)
ADAM = partial(torch.optim.Adam, lr=0.01)


class Changes(Callback):
    """Changes the settings of the optimizer at an epoch, by default before the first."""

    def __init__(self, epoch: int = 0, **settings: Any) -> None:
        self.every_n_epochs = epoch or 10
        self.epoch, self.settings = epoch, settings

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        if trainer.current_epoch == self.epoch:
            self.change(trainer)

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Have a block end before the epoch."""

    def change(self, trainer: Trainer) -> None:
        trainer.optimizers[0].param_groups[0].update(self.settings)


class AtTheEnd(Changes):
    """Changes them behind the last epoch, before the checkpoint is saved."""

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.change(trainer)


CASES: dict[str, tuple[Any, Callable[[], Callback]]] = {
    "momentum from 0": (SGD, lambda: Changes(momentum=0.9)),
    "momentum from 0 on the way": (SGD, lambda: Changes(20, momentum=0.9)),
    "momentum to 0": (MOMENTUM, lambda: Changes(momentum=0.0)),
    "nesterov": (MOMENTUM, lambda: Changes(nesterov=True)),
    "maximize": (ADAM, lambda: Changes(20, maximize=True)),
    "amsgrad": (ADAM, lambda: Changes(amsgrad=True)),
    "a key of its own": (ADAM, lambda: Changes(temperature=3)),
    "a tensor": (SGD, lambda: Changes(20, lr=torch.tensor(2.0))),
}


@pytest.mark.parametrize(("optimizer", "changes"), CASES.values(), ids=CASES)
def test_a_run_whose_settings_a_callback_changes_is_resumed_to_the_same_bits(
    tmp_path: Path, optimizer: Any, changes: Callable[[], Callback]
) -> None:
    fit(tmp_path, 40, [changes(), LastCheckpoint(str(tmp_path))], optimizer=optimizer)
    _, resumed = fit(tmp_path / "resumed", 70, [changes()], tmp_path / "last.ckpt", optimizer)
    _, straight = fit(tmp_path / "straight", 70, [changes()], optimizer=optimizer)
    assert torch.equal(resumed(X), straight(X))


def test_a_setting_that_is_changed_just_before_a_checkpoint_is_resumed_with(tmp_path: Path) -> None:
    fit(tmp_path, 40, [AtTheEnd(epoch=10**6, momentum=0.9), LastCheckpoint(str(tmp_path))], optimizer=SGD)
    trainer, _ = fit(tmp_path / "resumed", 41, None, tmp_path / "last.ckpt", SGD)
    assert trainer.optimizers[0].param_groups[0]["momentum"] == 0.9


class TwoGroups(torch.optim.Adam):
    """Adam with a learning rate of its own for each layer."""

    def __init__(self, params: Any, lr: float = 0.01) -> None:
        first, *others = params
        super().__init__([{"params": [first], "lr": 2 * lr}, {"params": others, "lr": lr}])


def test_an_optimizer_with_groups_of_parameters_is_resumed_to_the_same_bits(tmp_path: Path) -> None:
    groups = partial(TwoGroups)
    fit(tmp_path, 40, [LastCheckpoint(str(tmp_path))], optimizer=groups)
    _, resumed = fit(tmp_path / "resumed", 70, None, tmp_path / "last.ckpt", groups)
    assert torch.equal(resumed(X), fit(tmp_path / "straight", 70, optimizer=groups)[1](X))


def test_another_scheduler_that_a_continuing_trainer_is_given_is_resumed_to_the_same_bits(tmp_path: Path) -> None:
    steps = [partial(torch.optim.lr_scheduler.StepLR, step_size=size) for size in (30, 7)]

    def run(epochs: int) -> tuple[Trainer, Any]:
        trainer, module = fit(tmp_path, 20, optimizer=SGD, scheduler=steps[0])
        module.scheduler = steps[1]
        trainer.fit_loop.max_epochs = epochs
        trainer.fit(module, torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*truth_table()), 4))
        return trainer, module

    run(40)[0].save_checkpoint(tmp_path / "last.ckpt")
    _, resumed = fit(tmp_path, 70, None, tmp_path / "last.ckpt", SGD, scheduler=steps[1])
    assert torch.equal(resumed(X), run(70)[1](X))


def test_a_default_of_a_scheduler_that_is_spelled_out_is_no_other_configuration(tmp_path: Path) -> None:
    step = partial(torch.optim.lr_scheduler.StepLR, step_size=7)
    fit(tmp_path, 20, [LastCheckpoint(str(tmp_path))], optimizer=SGD, scheduler=step)
    _, resumed = fit(tmp_path, 40, None, tmp_path / "last.ckpt", SGD, scheduler=partial(step, gamma=0.1))
    assert torch.equal(resumed(X), fit(tmp_path, 40, optimizer=SGD, scheduler=step)[1](X))


def test_another_optimizer_of_a_continuing_trainer_makes_its_first_step_uncompiled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bool] = []

    def make(module: Any, is_new: bool) -> Any:
        made.append(is_new)
        return make_runner(module, is_new)

    def fail(trainer: Trainer, module: Any) -> None:
        if isinstance(trainer.optimizers[0], torch.optim.Adam) and len(made) == 1:
            made.append(True)
            raise OSError("before the first step")

    monkeypatch.setattr(hooks, "make_runner", make)
    trainer, module = fit(tmp_path, 20, [LambdaCallback(on_train_start=fail)], optimizer=SGD)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*truth_table()), 4)
    module.optimizer = ADAM
    trainer.fit_loop.max_epochs = 21
    with pytest.raises(OSError, match="before the first step"):
        trainer.fit(module, loader)
    trainer.fit(module, loader)
    trainer.fit_loop.max_epochs = 22
    trainer.fit(module, loader)
    assert made == [True, True, True, False]


def test_another_optimizer_that_has_nothing_to_train_leaves_the_checkpoint_that_can_be_resumed(tmp_path: Path) -> None:
    trainer, module = fit(tmp_path, 20, [LastCheckpoint(str(tmp_path))], optimizer=SGD)
    module.optimizer = ADAM
    trainer.fit(module, torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*truth_table()), 4))
    _, resumed = fit(tmp_path / "resumed", 40, None, tmp_path / "last.ckpt", SGD)
    assert torch.equal(resumed(X), fit(tmp_path / "straight", 40, optimizer=SGD)[1](X))


def test_a_default_that_is_spelled_out_is_no_other_configuration(tmp_path: Path) -> None:
    fit(tmp_path, 20, [LastCheckpoint(str(tmp_path))], optimizer=ADAM)
    spelled = partial(ADAM, weight_decay=0, betas=[0.9, 0.999])
    _, resumed = fit(tmp_path / "resumed", 40, None, tmp_path / "last.ckpt", spelled)
    assert torch.equal(resumed(X), fit(tmp_path / "straight", 40, optimizer=ADAM)[1](X))
    with pytest.raises(
        ValueError, match=r"a run with optimizer\.weight_decay=0, .*; resume with optimizer\.weight_dec"
    ):
        fit(tmp_path / "other", 40, None, tmp_path / "last.ckpt", partial(ADAM, weight_decay=0.1))
