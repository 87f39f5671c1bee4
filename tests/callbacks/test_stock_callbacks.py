"""Lightning's own callbacks and arguments: what they do here is what they do in a plain run, or they are refused."""

import csv
import inspect
import re
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import NO_FIGURES, SRC, Command, fit
from lightning.pytorch import Callback, LightningModule, Trainer, callbacks
from lightning.pytorch.accelerators import CPUAccelerator
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger
from lightning.pytorch.utilities.types import LRSchedulerConfig
from oracle import SheetNet
from torch import Tensor, nn

from xornet.data import XORDataModule, truth_table
from xornet.engine.requirements import check_trainer
from xornet.module import XORModule

HOOKS = [name for name, _ in inspect.getmembers(Callback, inspect.isfunction) if name.startswith("on_")]
REFUSED: dict[str, Any] = {
    "StochasticWeightAveraging": {"swa_lrs": 0.05},
    "WeightAveraging": {},
    "EMAWeightAveraging": {"decay": 0.9},
    "BackboneFinetuning": {},
    "BaseFinetuning": {},
    "ModelPruning": {"pruning_fn": "l1_unstructured"},
    "GradientAccumulationScheduler": {"scheduling": {2: 2}},
    "BatchSizeFinder": {},
    "LearningRateFinder": {},
}
ALIKE: dict[str, Any] = {
    "LearningRateMonitor": {},
    "EarlyStopping": {"monitor": "train/loss", "stopping_threshold": 0.2514, "patience": 1000},
    "ModelCheckpoint": {"monitor": "train/loss", "save_top_k": 2, "every_n_train_steps": 3, "save_last": True},
    "OnExceptionCheckpoint": {"dirpath": "."},
    "ThroughputMonitor": {"batch_size_fn": len, "window_size": 2},
    "SpikeDetection": {"warmup": 0, "atol": 0.0, "rtol": 0.0, "mode": "max"},
    "Timer": {"duration": "01:00:00:00", "interval": "epoch"},
    "TQDMProgressBar": {},
    "RichProgressBar": {},
    "ModelSummary": {},
    "RichModelSummary": {},
}
# Bases of others, and what needs a package that is not installed: tests of their own below.
BASES = {"BasePredictionWriter", "Callback", "Checkpoint", "DeviceStatsMonitor", "LambdaCallback", "ProgressBar"}
PAGE = (SRC.parent / "docs" / "callbacks.md").read_text()
ROWS = {
    name: (here, text) for name, here, text in re.findall(r"^\| `(\w+)` \| (works|refused) \| (.*) \|$", PAGE, re.M)
}
# What each of ALIKE must have done, in a plain run and in ours: the same, and something.
EFFECTS: dict[str, Callable[[Any, dict[str, Any], str], bool]] = {
    "LearningRateMonitor": lambda _, run, out: {row["lr-SGD"] for row in run["rows"]} == {"0.1"},
    "EarlyStopping": lambda stop, run, out: (stop.stopped_epoch, run["counters"]) == (5, (6, 6, True)),
    "ModelCheckpoint": lambda _, run, out: run["files"] == ["epoch=2-step=3.ckpt", "epoch=5-step=6.ckpt", "last.ckpt"],
    "OnExceptionCheckpoint": lambda _, run, out: run["files"] == [],  # nothing was raised; the other case is below
    "ThroughputMonitor": lambda _, run, out: run["rows"][0]["train/samples"] == "4",
    "SpikeDetection": lambda _, run, out: "spike detected in batch 0" in run["cause"],
    "Timer": lambda timer, run, out: 0 < timer.time_elapsed() < 60,
    "TQDMProgressBar": lambda bar, run, out: bar.train_progress_bar.n == bar.train_progress_bar.total == 1,
    "RichProgressBar": lambda _, run, out: "1/1" in out,
    "ModelSummary": lambda _, run, out: "17        Total params" in out,
    "RichModelSummary": lambda _, run, out: "Total params: 17" in out,
}


class Plain(LightningModule):
    """The sheet's network as Lightning's documentation would train it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(7)
        self.net, self.loss = SheetNet(), nn.MSELoss()

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        loss: Tensor = self.loss(self.net(batch[0]), batch[1])
        self.log("train/loss", loss, on_step=False, on_epoch=True, logger=False)
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        self.log("val/loss", self.loss(self.net(batch[0]), batch[1]), logger=False)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def both(folder: Path, make: "partial[Any]", epochs: int = 8, **trainer: Any) -> list[tuple[Callback, dict[str, Any]]]:
    """Run a plain module and ours with a callback; return each callback, and what came of its run."""
    runs = []
    ours = XORModule(partial(torch.optim.SGD, lr=0.1), seed=7)
    for name, module in (("plain", Plain()), ("ours", ours)):
        (folder / name).mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder / name)
            callback = make()
            how = {"max_epochs": epochs, "logger": CSVLogger(".", "", ""), "log_every_n_steps": 2, "devices": 1}
            is_shown = isinstance(callback, callbacks.ProgressBar)
            shows = {"enable_progress_bar": is_shown, "enable_model_summary": False, "accelerator": "cpu"}
            checkpoints = isinstance(callback, callbacks.Checkpoint)
            run = Trainer(**{**how, **shows, "enable_checkpointing": checkpoints, "callbacks": [callback], **trainer})
            cause = ""
            try:
                run.fit(module, XORDataModule())
            except Exception as error:
                cause = repr(error)
            files = sorted(path.name for path in Path.cwd().rglob("*.*") if path.name != "hparams.yaml")
            rows = list(csv.DictReader(Path("metrics.csv").read_text().splitlines())) if "metrics.csv" in files else []
            counters = run.current_epoch, run.global_step, run.should_stop
            runs.append((callback, {"cause": cause, "rows": rows, "files": files, "counters": counters}))
    return runs


def test_every_callback_of_lightning_is_accounted_for() -> None:
    assert set(callbacks.__all__) == {*REFUSED, *ALIKE, *BASES}
    assert {name for name, (here, _) in ROWS.items() if here == "refused"} == set(REFUSED)
    assert {name for name, (here, _) in ROWS.items() if here == "works"} == {*ALIKE, *BASES}
    assert set(EFFECTS) == set(ALIKE)


@pytest.mark.filterwarnings("ignore")  # Lightning's, the same for both
@pytest.mark.parametrize("name", ALIKE)
def test_a_callback_of_lightning_does_what_it_does_in_a_plain_run(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    (stock, plain), (callback, ours) = both(tmp_path, partial(getattr(callbacks, name), **ALIKE[name]))
    out = "".join(capsys.readouterr()) + caplog.text
    half = out.find("ensemble")  # a summary names it, after all that the plain run has printed
    assert EFFECTS[name](stock, plain, out[:half] if half > 0 else out)
    assert EFFECTS[name](callback, ours, out[half:] if half > 0 else out)
    for rows in (plain["rows"], ours["rows"]):
        for row in rows:
            for timed in [key for key in row if "sec" in key or "time" in key]:
                del row[timed]
    assert ours == plain


@pytest.mark.filterwarnings("ignore")
def test_every_hook_of_a_callback_is_called_with_the_counters_of_a_plain_run(tmp_path: Path) -> None:
    class Watch(Callback):
        def __init__(self) -> None:
            self.calls: list[tuple[str, int, int]] = []

    def note(watch: Watch, hook: str, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
        watch.calls.append((hook, trainer.current_epoch, trainer.global_step))

    def make() -> Watch:
        watch = Watch()
        for hook in HOOKS:
            setattr(watch, hook, partial(note, watch, hook))
        return watch

    (plain, _), (ours, _) = both(tmp_path, partial(make), 4)
    assert isinstance(plain, Watch)
    assert isinstance(ours, Watch)
    calls = [row for row in ours.calls if row[0] != "state_dict"]
    assert len(calls) == 4 * 8 + 6  # four of the eight are those of an optimizer step
    assert calls == [row for row in plain.calls if row[0] != "state_dict"]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "argument",
    [
        {"fast_dev_run": True, "callbacks": []},
        {"reload_dataloaders_every_n_epochs": 2},
        {"deterministic": True},
        {"val_check_interval": 1, "check_val_every_n_epoch": None},
        {"overfit_batches": 1},
        {"max_steps": 5},
        {"min_epochs": 3},
        {"limit_val_batches": 0},
    ],
)
def test_an_argument_of_the_trainer_does_what_it_does_in_a_plain_run(tmp_path: Path, argument: dict[str, Any]) -> None:
    (_, plain), (_, ours) = both(tmp_path, partial(callbacks.LearningRateMonitor), **argument)
    torch.use_deterministic_algorithms(False)
    assert ours == plain


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", REFUSED)
def test_a_callback_that_could_not_do_its_work_is_refused_by_name(name: str) -> None:
    trainer = Trainer(callbacks=[getattr(callbacks, name)(**REFUSED[name])], accelerator="cpu", logger=False)
    with pytest.raises(ValueError, match=rf"the callback {name} cannot work here: .*[;,] ") as refused:
        check_trainer(trainer)
    assert ROWS[name] == ("refused", f"`{refused.value}`")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("base", [callbacks.Callback, callbacks.Checkpoint, callbacks.ProgressBar])
def test_a_subclass_of_a_base_is_called_as_in_a_plain_run_and_a_bar_once_a_block(
    tmp_path: Path, base: type[Callback]
) -> None:
    class Sub(base):  # type: ignore[valid-type, misc]
        seen = 0

        def on_train_epoch_end(self, trainer: Trainer, *args: Any) -> None:
            self.seen += 1
            if isinstance(self, callbacks.Checkpoint):
                trainer.save_checkpoint(f"{self.seen}.ckpt")

    (stock, plain), (ours, run) = both(tmp_path, partial(Sub))
    saved = [f"{epoch}.ckpt" for epoch in range(1, 9)] if base is callbacks.Checkpoint else []
    assert plain["files"] == run["files"] == saved
    shown = 1 if base is callbacks.ProgressBar else 8
    assert (stock.seen, ours.seen) == (8, shown)  # type: ignore[attr-defined]


@pytest.mark.filterwarnings("ignore")
def test_the_functions_of_a_lambda_are_called_as_in_a_plain_run(tmp_path: Path) -> None:
    calls: list[int] = []

    def note(trainer: Trainer, module: LightningModule) -> None:
        calls.append(trainer.global_step)

    both(tmp_path, partial(callbacks.LambdaCallback, on_train_epoch_end=note), 4)
    assert calls == [1, 2, 3, 4] * 2


@pytest.mark.filterwarnings("ignore")
def test_the_statistics_of_the_device_are_logged_as_in_a_plain_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lightning.pytorch.callbacks.device_stats_monitor._PSUTIL_AVAILABLE", True)
    monkeypatch.setattr(CPUAccelerator, "get_device_stats", lambda *args: {"cpu_percent": 12.5})  # without psutil
    (_, plain), (_, ours) = both(tmp_path, partial(callbacks.DeviceStatsMonitor))
    assert ours == plain
    assert "12.5" in ours["rows"][0].values()


@pytest.mark.filterwarnings("ignore")
def test_a_prediction_writer_is_given_what_predict_returns(tmp_path: Path) -> None:
    class Writer(callbacks.BasePredictionWriter):
        def write_on_epoch_end(
            self, trainer: Trainer, pl_module: LightningModule, predictions: Any, *args: Any
        ) -> None:
            torch.save(predictions, tmp_path / "predictions.pt")

    module = XORModule(seed=7)
    trainer = Trainer(callbacks=[Writer("epoch")], accelerator="cpu", logger=False, default_root_dir=tmp_path)
    trainer.predict(module, XORDataModule())
    (written,) = torch.load(tmp_path / "predictions.pt")
    assert torch.equal(written, module(truth_table()[0]))


def test_anomaly_detection_is_refused_where_no_autograd_runs(tmp_path: Path) -> None:
    anomaly = {"detect_anomaly": True}
    with pytest.raises(ValueError, match=r"trainer\.detect_anomaly=true looks at autograd"):
        fit(tmp_path, 3, trainer=anomaly)
    trainer, _ = fit(tmp_path, 3, trainer=anomaly, gradient="autograd")
    assert trainer.current_epoch == 3


@pytest.mark.filterwarnings("ignore:.*was called without a model")  # it looks for an earlier exception's
@pytest.mark.filterwarnings("ignore:.*there is no last checkpoint")
def test_a_checkpoint_of_a_run_that_raised_continues_to_the_same_bits(tmp_path: Path) -> None:
    class Fail(Callback):
        def on_train_batch_end(self, trainer: Trainer, *args: Any, **kwargs: Any) -> None:
            if trainer.current_epoch == 5:
                raise OSError("as if a disk were full")

    kept = callbacks.OnExceptionCheckpoint(tmp_path)
    with pytest.raises(OSError, match="full"):
        fit(tmp_path, 20, [kept, Fail()])
    trainer, resumed = fit(tmp_path, 20, ckpt_path=Path(kept.ckpt_path))
    _, straight = fit(tmp_path, 20)
    assert trainer.current_epoch == trainer.global_step == 20
    for ours, theirs in zip(resumed.ensemble.weights, straight.ensemble.weights, strict=True):
        assert torch.equal(ours, theirs)


def test_a_scheduler_that_a_callback_adds_is_stepped_every_epoch(tmp_path: Path) -> None:
    class Add(Callback):
        def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
            scheduler = torch.optim.lr_scheduler.ExponentialLR(trainer.optimizers[0], 0.9)
            trainer.strategy.lr_scheduler_configs.append(LRSchedulerConfig(scheduler, frequency=2))

    trainer, _ = fit(tmp_path, 9, [Add()])
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(0.1 * 0.9**4)


def test_a_refused_callback_is_one_line_and_nothing_is_trained(command: Command) -> None:
    swa = "lightning.pytorch.callbacks.StochasticWeightAveraging"
    run = command(*NO_FIGURES, f"+callbacks.swa._target_={swa}", "+callbacks.swa.swa_lrs=0.05", "trainer.max_epochs=9")
    assert run.status == 1
    assert "the callback StochasticWeightAveraging cannot work here: " in run.last_line
    assert "Traceback" not in run.err
    assert "Epoch 0" not in run.out
    assert not list(run.folder.rglob("*.ckpt")) + list(run.folder.glob("events*"))


def test_a_model_checkpoint_that_lightning_does_not_serve_here_is_refused(tmp_path: Path) -> None:
    """Manual optimisation: it would save nothing, or with a metric of an earlier validation."""
    timed = ModelCheckpoint(tmp_path, train_time_interval=timedelta(milliseconds=1))
    with pytest.raises(
        ValueError, match=r"ModelCheckpoint\.train_time_interval would save nothing here; use every_n_ep"
    ):
        fit(tmp_path, 3, [timed])
    stale = ModelCheckpoint(tmp_path, monitor="val/loss", every_n_train_steps=2)
    with pytest.raises(
        ValueError, match=r"ModelCheckpoint\.every_n_train_steps would save with the val/loss of an earli"
    ):
        fit(tmp_path, 3, [stale], trainer={"check_val_every_n_epoch": 4})
    assert not list(tmp_path.glob("*.ckpt"))
