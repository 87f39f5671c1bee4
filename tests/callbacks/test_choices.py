"""The files of conf/callbacks, alone and combined, and the groups that override the others."""

import re
import signal
from pathlib import Path

import pytest
import torch
from conftest import NO_FIGURES, SRC, Command
from events import scalar
from lightning.pytorch import Callback, LightningModule, Trainer

SIGNAL = ["+callbacks.signal._target_=test_stopping.Signal", "+callbacks.signal.epoch=7"]
CHOICES = {
    **{path.stem: "last.ckpt" for path in (SRC.parent / "conf" / "callbacks").glob("*.yaml") if path.stem != "lr_map"},
    "lr_map optimizer=rate_grid networks=4": "last.ckpt",
    "[best_checkpoint,early_stopping,lr_monitor]": "last.ckpt",
    "best_checkpoint callbacks.checkpoint=null": "interrupted.ckpt",
}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("choice", CHOICES)
def test_a_signal_leaves_a_checkpoint_with_each_choice_of_callbacks(
    command: Command, monkeypatch: pytest.MonkeyPatch, choice: str, number: signal.Signals
) -> None:
    monkeypatch.setenv("XORNET_ALLOW", "test_stopping")
    given = [*SIGNAL, f"+callbacks.signal.number={number.value}", *f"callbacks={choice}".split(), *NO_FIGURES]
    run = command(*given, "trainer.max_epochs=20")
    assert run.status == 128 + number
    path = run.folder / "checkpoints" / CHOICES[choice]
    assert run.last_line == f"interrupted at epoch 7; resume with ckpt_path={path}"
    assert torch.load(path, weights_only=True)["global_step"] == 7


def test_the_lowest_losses_are_kept_and_the_learning_rate_is_logged(command: Command) -> None:
    choice = "callbacks=[best_checkpoint,lr_monitor]"
    every = [f"callbacks.{name}.every_n_epochs=10" for name in ("best_checkpoint", "lr_monitor")]
    run = command(choice, *every, "trainer.max_epochs=50", "scheduler=step", "scheduler.step_size=20", *NO_FIGURES)
    assert run.status == 0, run.err
    kept = {path.name for path in (run.folder / "checkpoints").iterdir()}
    assert kept == {"last.ckpt", "best-epoch=29.ckpt", "best-epoch=39.ckpt", "best-epoch=49.ckpt"}  # the loss falls
    rates = {epoch: 0.1 * 0.5 ** (epoch // 20) for epoch in range(0, 50, 10)}
    assert scalar(run.folder, "lr-SGD") == pytest.approx(rates)


@pytest.mark.further
def test_the_next_run_in_a_directory_keeps_no_lowest_losses_of_the_one_before(command: Command, tmp_path: Path) -> None:
    often = [*NO_FIGURES, "callbacks=best_checkpoint", "callbacks.best_checkpoint.every_n_epochs=10"]
    assert command(*often, "trainer.max_epochs=50", f"hydra.run.dir={tmp_path}/run").status == 0
    kept = tmp_path / "run" / "checkpoints"
    (kept / "mine.ckpt").write_bytes(b"of somebody else")
    assert command(*often, "trainer.max_epochs=30", "seed=1", f"hydra.run.dir={tmp_path}/run").status == 0
    epochs = (9, 19, 29)
    assert {path.name for path in kept.iterdir()} == {
        *("last.ckpt", "mine.ckpt"),
        *(f"best-epoch={epoch}.ckpt" for epoch in epochs),
    }
    best = torch.load(kept / "best-epoch=19.ckpt", weights_only=True)
    assert best["hyper_parameters"]["seed"] == 1


class Fails(Callback):
    """Ends a run in the middle, as a kill would."""

    every_n_epochs = 45

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch == 45:
            raise RuntimeError("the machine is gone")


def test_a_run_that_breaks_off_is_resumed_with_the_lowest_losses_so_far(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XORNET_ALLOW", "test_choices")
    often = [f"callbacks.{name}.every_n_epochs=10" for name in ("best_checkpoint", "checkpoint")]
    run = ["callbacks=best_checkpoint", *often, "trainer.max_epochs=60", f"hydra.run.dir={tmp_path}/run", *NO_FIGURES]
    assert command(*run, "+callbacks.fails._target_=test_choices.Fails").status == 1
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    assert torch.load(last, weights_only=True)["global_step"] == 40
    assert (last.parent / "best-epoch=39.ckpt").exists()
    assert command(*run, f"ckpt_path={last}").status == 0
    kept = {path.name for path in last.parent.iterdir()}
    assert kept == {"last.ckpt", "best-epoch=39.ckpt", "best-epoch=49.ckpt", "best-epoch=59.ckpt"}


@pytest.mark.further
def test_a_constant_learning_rate_is_logged_and_without_a_logger_it_is_refused(command: Command) -> None:
    often = "callbacks.loss_table.every_n_epochs=30"  # which ends blocks at other epochs
    run = command("callbacks=lr_monitor", "trainer.max_epochs=150", often)
    assert scalar(run.folder, "lr-SGD") == pytest.approx({0: 0.1, 100: 0.1})
    refused = command("callbacks=lr_monitor", "trainer.max_epochs=9", "trainer.logger=false")
    assert refused.status == 1
    assert "callbacks.lr_monitor has no logger to write into; use logger=tensorboard with it" in refused.last_line


@pytest.mark.further
def test_debug_overrides_a_search_and_a_search_an_experiment(command: Command) -> None:
    printed = command("--cfg", "job", "experiment=lab", "hparams_search=optuna", "debug=limit").out
    assert re.search(r"^  max_epochs: 1000$", printed, re.M)
    run = command(
        "experiment=population", "hparams_search=optuna", "hydra.sweeper.n_trials=2", "debug=default", "networks=3"
    )
    assert run.status == 0, run.err
    assert len(list(run.folder.glob("*/metrics.json"))) == 2
    written = {path.name for path in run.folder.glob("*/*")}
    assert written == {".hydra", "train.log", "metrics.json", "networks.csv", "xornet.pt"}
    assert (run.folder / "optimization_results.yaml").exists()


@pytest.mark.parametrize("name", ["gpu", "mps"])
def test_a_device_that_is_not_there_is_refused_with_the_choice_and_a_remedy(command: Command, name: str) -> None:
    if {"gpu": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}[name]:
        pytest.skip("this machine has one")
    run = command(f"trainer={name}")
    missing = {"gpu": "usable GPU", "mps": "such device"}[name]
    assert run.status == 1
    assert run.last_line == f"error: trainer={name}: this machine has no {missing}; use trainer.accelerator=cpu"
    assert not Path(run.folder).exists() or not list(run.folder.iterdir())
