import json
import math
import re
from concurrent.futures import BrokenExecutor
from functools import partialmethod
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import NO_FIGURES, Command
from hydra.core.hydra_config import HydraConfig
from hydra.errors import ConfigCompositionException
from lightning.pytorch.callbacks import EarlyStopping

from xornet import files
from xornet.cli.annotations import check_kinds
from xornet.cli.errors import explain, report
from xornet.runs import directory
from xornet.runs.directory import PROJECT

# each bad override, and what its last line must name besides the key and the value: the remedy
BAD = {
    "foo=1": "use one of callbacks, ckpt_path, data",
    "optimizer.learning_rate=1": "use one of dampening, foreach, lr, maximize, momentum",
    "model.hiden=[3]": "use one of activation, bits",
    "optimizer=foo": "adam adamw rate_grid rmsprop sgd",
    "optimizer.lr=-1": "use e.g. optimizer.lr=0.1",
    "optimizer.lr=???": "is missing; use optimizer.lr=<value>",
    "ckpt_path=/": "is a directory; use the checkpoints/last.ckpt of a run",
    "optimizer.lr=nan": "use e.g. optimizer.lr=0.1",
    "optimizer.lr=fast": "use e.g. optimizer.lr=0.1",
    "optimizer._target_=torch.optim.LBFGS": "use e.g. optimizer=rmsprop",
    "optimizer._target_=torch.optim.Foo": "use the full name of a class",
    "trainer.max_epochs=0": "use e.g. trainer.max_epochs=20000",
    "optimizer.weight_decay=abc": "use e.g. optimizer.weight_decay=0",
    "+optimizer.differentiable=true": "nothing is differentiated through a step; drop it",
    "optimizer.nesterov=true": "Nesterov momentum requires a momentum",
    "optimizer.momentum=nan": "must be a finite number",
    "trainer.max_epochs=true": "use e.g. trainer.max_epochs=20000",
    "trainer.max_steps=0": "use e.g. trainer.max_steps=20000",
    "trainer.max_steps=2.5": "is a fraction; use a whole number",
    "trainer.min_steps=0.5": "is a fraction; use a whole number",
    "trainer.min_epochs=1e2": "trainer.min_epochs=100.0 is a fraction; use 100",
    "trainer.min_epochs=true": "use e.g. trainer.min_epochs=20000",
    "trainer.min_epochs=-5": "use e.g. trainer.min_epochs=20000",
    "hydra.verbose=[1]": "use true, false or the names of loggers",
    "hydra.sweep.subdir=job${hydra.job.num}": "jobs are named after what is swept; drop it",
    "hydra.sweep.subdir=${hydra.job.num}": "jobs are named after what is swept; drop it",
    "+trainer.callbacks=[]": "use +callbacks.<name>._target_=<class>",
    "trainer.max_epochs=-5": "must be a non-negative integer or -1",
    "trainer.max_epochs=many": "is a text; use a whole number",
    "trainer.log_every_n_steps=abc": "is a text; use a whole number",
    "trainer.enable_progress_bar=abc": "is a text; use true or false",
    "trainer.fast_dev_run=no": "is a text; use true or false or a whole number",
    "logger.tensorboard.max_queue=many": "use e.g. logger.tensorboard.max_queue=10000",
    "trainer.max_epoch=5": "or +trainer.max_epoch for another argument of lightning.pytorch.Trainer",
    "trainer.max_time=soon": "Expected a string in the format DD:HH:MM:SS",
    "trainer.devices=2": "use networks=N",
    "trainer.enable_checkpointing=false": "use callbacks.checkpoint=null",
    "trainer.precision=bf16-mixed": "use one of 32-true, 64-true",
    "+trainer.gradient_clip_val=1": "use a smaller optimizer.lr",
    "trainer.profiler=1": "use simple, advanced or pytorch",
    "trainer.logger=mine": "use logger=tensorboard, logger=csv or ~logger",
    "trainer.logger=[1]": "use logger=tensorboard, logger=csv or ~logger",
    "+trainer.accumulate_grad_batches=2": "leave it at 1",
    "networks=0": "use networks=1",
    "optimizer.maximize=no": "must be true or false",
    "optimizer.nesterov=2": "must be true or false",
    "optimizer.dampening=x": "use e.g. optimizer.dampening=0",
    "trainer.detect_anomaly=off": "is a text; use true or false",
    "+trainer.benchmark=2": "is a number; use true or false",
    "scheduler.T_max=5": "use scheduler=<name of a file of conf/scheduler> with it",
    "debug.x=5": "use debug=<name of a file of conf/debug> with it",
    "networks=many": "use networks=1",
    "networks=1000001": "use networks=1",
    "seed=-1": "use e.g. seed=0",
    "model.hidden=[0]": "use model.hidden=[]",
    "model.hidden=wide": "use e.g. model.hidden=[4]",
    "model.activation=softmax": "one of sigmoid, tanh, relu",
    "model.gradient=guess": "one of backprop, autograd",
    "model.tolerance=-1": "use model.tolerance=0.5",
    "model.init=-1": "use model.init=null",
    "model.init=1e39": "use model.init=null",
    "model.bits=3": "use data.bits alone",
    "data.bits=0": "use data.bits=2",
    "data.bits=30": "use data.bits=2",
    "data.bits=two": "use data.bits=2",
    "callbacks.loss_table.every_n_epochs=0": "use e.g. callbacks.loss_table.every_n_epochs=1000",
    "callbacks.animation.max_frames=1": "use callbacks.animation=null",
    "callbacks.loss_table=5": "use callbacks.loss_table._target_=<class>",
    "callbacks.loss_table._target_=null": "must be the name of a class",
    "hydra.job.name=a/b": "use a name without /",
    "+trainer.limit_train_batches=few": "is a text; use a whole number or a number",
    "hydra.verbose=0": "use true, false or the names of loggers",
    "hydra.verbose=${seed}": "use true, false or the names of loggers",
    "hydra.verbose=0.5": "use true, false or the names of loggers",
    "logger=null": "use the name of a file of it, or ~<group> for none",
    "logger=[tensorboard,comet]": "there is no file logger/comet.yaml in conf; use the name of one that is",
    "trainer.logger=foo": "use logger=tensorboard, logger=csv or ~logger",
    "ckpt_path=5": "use the checkpoints/last.ckpt of a run",
    "data=null": "use the name of a file of it",
    "hydra.run.dir=größe": "use quotes of its own",
    "model.optimizer=null": "use e.g. optimizer=sgd",
    "ckpt_path=nowhere.ckpt": "does not exist; use the checkpoints/last.ckpt",
    "+trainer.strategy=ddp_spawn": "leave it at auto",
    "ckpt_path=last": "does not exist; use the checkpoints/last.ckpt",
    "+optimizr={lr:1}": "is no key of the configuration; use one of data, model, optimizer",
    "+default_root_dir.a=1": "default_root_dir is no key of the configuration; use one of data, model, optimizer",
    "+optimizr.lr=0.5": "is no key of the configuration; use one of data, model, optimizer",
    "model.hidden=[4,]": "cannot be read; use a value in Hydra's grammar, or quotes of its own around it",
    "trainer.default_root_dir=null": "names no directory; use a path, or drop it",
    "hydra.callbacks.sweep=null": "would leave out the checks of the directory of a run; drop it",
    "hydra.job_logging.root.level=LOUD": "Unknown level",
    "trainer.deterministic=wran": "is a text; use true or false or warn",
}


@pytest.mark.parametrize(("override", "remedy"), BAD.items())
def test_bad_input_ends_in_one_line_with_key_value_and_remedy(command: Command, override: str, remedy: str) -> None:
    run = command(override)
    key, value = override.lstrip("+").split("=", 1)
    assert run.status == 1
    assert run.last_line.startswith("error: ")
    assert key in run.last_line
    assert value.strip("[]") in run.last_line
    assert remedy in run.last_line
    assert "Traceback" not in run.err
    assert not list(run.folder.rglob("metrics.json"))
    assert not list(run.folder.rglob("*.ckpt"))


# commands of several overrides, of which one is wrong: that one is named, and no other
BLAMED = [
    (["scheduler=step", "scheduler.gamma=x"], 1, "must be a finite number, got 'x'; use e.g. scheduler.gamma=0.1"),
    (["scheduler=step", "scheduler.step_size=0"], 1, "use what torch.optim.lr_scheduler.StepLR takes"),
    (["scheduler=step", "scheduler.step_size=null"], 1, "scheduler.step_size must be a finite number, got None"),
    (["scheduler=step", "scheduler.last_epoch=-1"], 1, "or +scheduler.last_epoch for another argument"),
    (["scheduler=plateau", "scheduler.min_lr=x"], 1, "must be a finite number, got 'x'"),
    (["scheduler=plateau", "scheduler.factor=-1"], 1, "must be at least 0, got -1"),
    (["scheduler=cosine", "scheduler.eta_min=x"], 1, "must be a finite number, got 'x'; use e.g. scheduler.eta_min=0"),
    (["callbacks=lr_monitor", "callbacks.lr_monitor.log_momentum=x"], 1, "is a text; use true or false"),
    (["callbacks=best_checkpoint", "callbacks.best_checkpoint.save_top_k=x"], 1, ""),
    (["trainer.max_epochs=500", "trainer.accelerator=mps"], 1, "use trainer.accelerator=cpu"),
    (["trainer.max_epochs=3", "trainer.accelerator=foo"], 1, ""),
    (["seed=1", "trainer.max_steps=0"], 1, "use e.g. trainer.max_steps=20000"),
    (["trainer.max_epochs=500", "trainer.max_epochs=0"], 1, "use e.g. trainer.max_epochs=20000"),  # the last counts
    (["optimizer=adam", "optimizer.betas=[0.9]"], 1, "must be a list of 2 finite numbers"),
    (["seed=1", "trainer.max_time=5"], 1, "use DD:HH:MM:SS"),
    (["data.bits=2", "networks=2", "trainer.devices=2"], 2, "use networks=N"),
    (["seed=3", "trainer.max_epochs=3", "optimizer.lr=-1"], 2, "use e.g. optimizer.lr=0.1"),
    (["trainer.min_epochs=1", "trainer.max_time=soon"], 1, ""),
    (["networks=1", "seed=1", "trainer.profiler=1"], 2, "use simple, advanced or pytorch"),
    (
        ["callbacks=early_stopping", "callbacks.early_stopping.monitor=train/acc"],
        1,
        "which nothing logs; use one of train/accuracy, train/loss",
    ),
    (["callbacks=early_stopping", "callbacks.early_stopping.mode=down"], 1, ""),
    (["hydra.run.dir=mine", "trainer.default_root_dir=/dev/null/x"], 1, "use hydra.run.dir=<a writable directory"),
    (["logger=csv", "logger.csv.name=[1]"], 1, "is no path; use a text, or drop it"),
    (["seed=3", "trainer.default_root_dir=20261128"], 1, "is no path; use a text, or drop it"),
    (["seed=1", "trainer.max_epochs=0"], 1, "use e.g. trainer.max_epochs=20000"),
    (["experiment=grid", "networks=5", "callbacks.animation=null"], 2, "use callbacks=<name of a file"),
    (["experiment=width_law", "networks=5", "logger.tensorboard.version=v1"], 2, "use logger=<name of a file"),
    (["trainer.max_epochs=9", "hydra.run.dir="], 1, "hydra.run.dir is empty; use a directory, or drop it"),
    (["seed=1", "optimizr.lr=1"], 1, "is no key of the configuration; use one of callbacks, ckpt_path"),
    (["optimizer=adam", "optimiser.lr=1"], 1, "is no key of the configuration; use one of callbacks, ckpt_path"),
    (["scheduler=step", "optimizer.lr=1", "schedular.gamma=5"], 2, "is no key of the configuration; use one of"),
    (["trainer.max_epochs=9", "model.hidden=[4,]"], 1, "[4,] cannot be read; use a value in Hydra's grammar"),
    (["seed=2", "optimizer={lrr:1}"], 1, "optimizer.lrr is no key of the configuration"),
    (
        ["callbacks=early_stopping", "seed=3", "callbacks.early_stopping.monitor=null"],
        2,
        "EarlyStopping has monitor=None, which nothing logs; use one of train/accuracy",
    ),
    (
        [
            "callbacks=[best_checkpoint,early_stopping]",
            "callbacks.best_checkpoint.monitor=trian/loss",
            "callbacks.early_stopping.monitor=train/solved",
        ],
        1,
        "ModelCheckpoint has monitor=trian/loss, which nothing logs",
    ),
    (["seed=3", "trainer.max_epochs=${seed"], 1, "mismatched input '{'"),
    (["seed=1", "hydra.sweep.subdir=${seed}"], 1, "jobs are named after what is swept; drop it"),
]


STOCK = "lightning.pytorch.callbacks"
INSIDE = [
    (
        ["~logger", "callbacks=lr_monitor"],
        "error: ~logger: callbacks.lr_monitor has no logger to write into; use logger=tensorboard with it",
    ),
    (
        [f"+callbacks.a._target_={STOCK}.ModelCheckpoint", "+callbacks.a.every_n_epochs=abc"],
        "error: callbacks.a.every_n_epochs=abc is a text; use a whole number",
    ),
    (  # which Lightning would compare with a count after the first epochs
        [
            f"+callbacks.stop._target_={STOCK}.EarlyStopping",
            "+callbacks.stop.monitor=x",
            "+callbacks.stop.patience=abc",
        ],
        "error: callbacks.stop.patience=abc is a text; use a whole number",
    ),
    (
        [f"+callbacks.a._target_={STOCK}.ModelCheckpoint", "+callbacks.a.save_top_k=-7"],
        "error: callbacks.a.save_top_k=-7: callbacks.a (ModelCheckpoint): Invalid value for save_top_k=-7.",
    ),
    (
        [f"+callbacks.foo._target_={STOCK}.TQDMProgressBar"],
        "error: a callback draws a progress bar; use trainer.enable_progress_bar=true with it",
    ),
    (
        [f"+callbacks.{name}._target_={STOCK}.ModelCheckpoint" for name in "ab"],
        "error: Found more than one stateful callback of type `ModelCheckpoint`",
    ),
    (
        ["callbacks=best_checkpoint", "callbacks.best_checkpoint.monitor=acc"],
        "error: callbacks.best_checkpoint.monitor=acc: ModelCheckpoint has monitor=acc, which nothing "
        "logs; use one of train/accuracy, train/loss",
    ),
    (  # no table to validate on
        ["callbacks=best_checkpoint", "callbacks.best_checkpoint.monitor=val/loss"],
        "error: callbacks.best_checkpoint.monitor=val/loss: ModelCheckpoint has monitor=val/loss, which nothing logs",
    ),
    (  # of Adam
        ["callbacks=[best_checkpoint,lr_monitor]", "callbacks.best_checkpoint.monitor=lr-Adam"],
        "error: callbacks.best_checkpoint.monitor=lr-Adam: ModelCheckpoint has monitor=lr-Adam, which nothing logs; "
        "use one of lr-SGD, train/accuracy",
    ),
    (  # no LearningRateMonitor
        ["callbacks=best_checkpoint", "callbacks.best_checkpoint.monitor=lr-SGD"],
        "error: callbacks.best_checkpoint.monitor=lr-SGD: ModelCheckpoint has monitor=lr-SGD, which nothing logs",
    ),
    (  # which would never be asked
        [
            f"+callbacks.stop._target_={STOCK}.EarlyStopping",
            "+callbacks.stop.monitor=val/loss",
            "+trainer.check_val_every_n_epoch=5",
        ],
        "error: callbacks.stop.monitor=val/loss: EarlyStopping has monitor=val/loss, which nothing logs",
    ),
    (
        [f"+callbacks.stats._target_={STOCK}.DeviceStatsMonitor"],
        "error: callbacks.stats (DeviceStatsMonitor): the package psutil is not installed; use pip install psutil",
    ),
]


@pytest.mark.parametrize(("overrides", "said"), INSIDE, ids=str)
def test_an_error_in_a_callback_of_lightning_blames_the_callback(
    command: Command, overrides: list[str], said: str
) -> None:
    run = command("trainer.max_epochs=9", *overrides)  # the override is not to blame
    assert run.status == 1
    assert run.last_line.startswith(said)
    assert "Traceback" not in run.err


@pytest.mark.parametrize(("overrides", "wrong", "remedy"), BLAMED, ids=str)
def test_an_error_blames_the_override_that_is_wrong(
    command: Command, overrides: list[str], wrong: int, remedy: str
) -> None:
    run = command(*overrides)
    assert run.status == 1
    said = run.last_line
    key, value = overrides[wrong].split("=")
    assert key in said, said
    assert value in said, said
    assert remedy in said, said
    assert not [other for i, other in enumerate(overrides) if i != wrong and other in said], said
    assert "Traceback" not in run.err


FILES = {
    "experiment/hiden.yaml": ("# @package _global_\nmodel:\n  hiden: [4]\n", "error: experiment=hiden: "),
    "experiment/rate.yaml": ("# @package _global_\noptimizer:\n  rate: 4\n", "error: experiment=rate: "),
    "optimizer/package.yaml": (
        "# @package _global_\n_target_: torch.optim.SGD\n_partial_: true\n",
        "error: optimizer=package: _target_ is no key of the configuration",
    ),
    "experiment/lost.yaml": (
        "# @package _global_\noptimizer:\n  lr: ${mien.lr}\n",
        "error: experiment=lost: Interpolation key 'mien.lr' not found",
    ),
    "optimizer/mine.yaml": ("_target_: torch.optim.SGD\nlr: 0.1\n", "use optimizer._partial_=true"),
    "experiment/mine.yaml": ("# @package _global_\nmodel:\n  hidden: [4\nseed: 1\n", 'experiment/mine.yaml", line 3'),
    "experiment/twice.yaml": (
        "# @package _global_\ntrainer:\n  max_epochs: 4\n  max_epochs: 5\n",
        "error: experiment=twice: while",
    ),
    "experiment/named.yaml": (
        "# @package _global_\noptimizer: adam\n",
        "error: experiment=named: optimizer=adam names no class; use - override /optimizer: adam in the defaults of "
        "the file that says so, or optimizer._target_=<class>",
    ),
    "experiment/slash.yaml": (
        "# @package _global_\ndefaults:\n  - override optimizer: adam\n",
        "error: experiment/slash.yaml overrides optimizer without a slash; use - override /optimizer: <name> in it",
    ),
    "experiment/sweep.yaml": (
        "# @package _global_\nhydra:\n  mode: MULTIRUN\n  sweeper:\n    params:\n      sead: 1,2\n",
        "error: experiment=sweep: sead is no key of the configuration; use one of",
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_a_mistake_in_a_user_s_file_is_one_line(command: Command, tmp_path: Path, name: str) -> None:
    text, said = FILES[name]
    (tmp_path / "mine" / name).parent.mkdir(parents=True)
    (tmp_path / "mine" / name).write_text(text)
    run = command("--config-dir", f"{tmp_path}/mine", f"{Path(name).parent}={Path(name).stem}", "trainer.max_epochs=3")
    assert run.status == 1
    assert said in run.last_line
    assert "Traceback" not in run.err


def test_another_class_under_the_arguments_of_sgd_is_one_line_with_a_remedy(command: Command) -> None:
    run = command("optimizer=sgd", "optimizer._target_=torch.optim.Adagrad", "optimizer.lr=0.2")
    said = "optimizer._target_=torch.optim.Adagrad: optimizer.momentum=0 is no argument of Adagrad; use one of lr"
    assert said in run.last_line
    assert run.last_line.endswith("or a file of its own in conf/optimizer")


def test_a_part_of_what_is_switched_off_is_named(command: Command) -> None:
    run = command("callbacks.animation=null", "callbacks.animation.max_frames=3")
    assert "callbacks.animation.max_frames is no key of the configuration: what holds it is null" in run.last_line


@pytest.mark.parametrize("group", ["data", "model", "optimizer", "trainer"])
def test_what_every_run_needs_cannot_be_dropped(command: Command, group: str) -> None:
    assert command(f"~{group}").last_line == f"error: ~{group}: there is no run without; drop it"


def test_what_is_no_override_or_cannot_be_deleted_is_named_alone(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)  # as in a new process, without that of an earlier command
    given = "trainer.max_epochs=9"
    assert command(given, "trainer.max_epochs").last_line == (
        "error: trainer.max_epochs has no value; use trainer.max_epochs=<value>"
    )
    assert command("optimizer.lr=", "0.1").last_line == "error: 0.1 is no key=value; use no space beside the ="
    assert command(given, "~callbacks.checkpoint.dirpath").last_line == (
        "error: ~callbacks.checkpoint.dirpath: callbacks.checkpoint.dirpath refers to another key, so Hydra cannot "
        "delete it; use another value"
    )


def test_a_group_that_a_command_does_not_have_is_named(command: Command) -> None:
    run = command("scheduler=cosine", script="check_gradients.py")
    assert run.last_line == (
        "error: scheduler=cosine: this command takes no file of scheduler; "
        "drop it, or use single keys of scheduler that --cfg job shows"
    )


def test_an_extra_that_is_not_installed_is_named() -> None:
    given = ConfigCompositionException("Could not find 'hydra/launcher/joblib' Available options in 'hydra/launcher'")
    assert explain(given, ["hydra/launcher=joblib"]) == (
        "hydra/launcher=joblib needs a package that is not installed; use pip install -e '.[sweep]'"
    )


def test_the_value_that_was_typed_is_named_where_lightning_has_made_another_of_it() -> None:
    error = ValueError("trainer.precision=bf16-mixed cannot work here: use one of 32-true, 64-true")
    assert explain(error, ["trainer.precision=16-mixed"]).startswith("trainer.precision=16-mixed: trainer.precision=bf")


def test_a_server_that_cannot_be_reached_asks_for_no_other_directory() -> None:
    refused = ConnectionError("logger.mlflow cannot begin a run: [Errno 111] Connection refused; see that it is there")
    uri = "logger.mlflow.tracking_uri=http://127.0.0.1:1"
    assert explain(refused, ["hydra.run.dir=here", "logger=mlflow", uri]).endswith("refused; see that it is there")


def test_asking_for_a_gpu_that_is_not_there_is_one_line(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    run = command("trainer.accelerator=gpu")
    assert run.last_line == (
        "error: trainer.accelerator=gpu: this machine has no usable GPU; use trainer.accelerator=cpu"
    )


def test_a_directory_that_cannot_be_made_is_named(command: Command, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the directory should be")
    run = command()
    assert run.status == 1
    assert f"{tmp_path}/logs/train/runs" in run.last_line
    assert run.last_line.endswith("use hydra.run.dir=<a writable directory with free space>")
    run = command(f"hydra.run.dir={tmp_path}/logs/here")
    assert f"Not a directory: '{tmp_path}/logs/here'; use hydra.run.dir=" in run.last_line


def test_neither_the_name_of_a_directory_nor_that_of_an_option_is_blamed(command: Command, tmp_path: Path) -> None:
    (tmp_path / "optimizer.lr=1").write_text("a file where the directory should be")
    run = command("optimizer.lr=0.5", f"hydra.run.dir='{tmp_path}/optimizer.lr=1/run'")
    assert "optimizer.lr=0.5" not in run.last_line
    assert run.last_line.endswith("use hydra.run.dir=<a writable directory with free space>")
    run = command("-cd", f"{tmp_path}/none", "seed=1")
    assert run.last_line.startswith("error: Additional config directory ")


def test_networks_that_would_not_fit_into_memory_are_refused(command: Command) -> None:
    run = command("networks=1000000", "data.bits=16")
    assert run.status == 1
    assert "networks=1000000 of model.hidden=[4] on data.bits=16 need more than 8 GiB" in run.last_line


@pytest.mark.further
def test_a_run_that_fails_leaves_no_metrics_of_an_earlier_one(command: Command, tmp_path: Path) -> None:
    here = f"hydra.run.dir={tmp_path}/here"
    command(here, "trainer.max_epochs=3")
    assert (tmp_path / "here" / "metrics.json").exists()
    diverges = ["optimizer.momentum=2", "callbacks.loss_table.every_n_epochs=10"]
    assert command(here, "trainer.max_epochs=500", *diverges).status == 1
    assert not (tmp_path / "here" / "metrics.json").exists()


def test_a_network_that_has_diverged_leaves_the_statistics_to_the_others(command: Command) -> None:
    overrides = ["networks=20", "model.activation=relu", "model.hidden=[2]", "model.init=1e20", "trainer.max_epochs=5"]
    run = command(*overrides)
    assert run.status == 0
    assert 0 <= run.metrics["loss"] <= 1
    rows = (run.folder / "networks.csv").read_text().splitlines()[1:]
    diverged = [int(row.split(",")[0]) for row in rows if row.split(",")[1] == "nan"]
    assert 0 < len(diverged) < 20
    assert run.metrics["diverged"] == len(diverged)
    assert run.metrics["first_diverged"] == {"seed": diverged[0], "epoch": 0}
    assert "nan" not in run.out
    assert run.out.endswith(f"Diverged: {len(diverged)} of them, first seed={diverged[0]} at epoch 0\n")


def test_a_loss_that_becomes_nan_says_at_which_epoch(command: Command) -> None:
    run = command("model.activation=relu", "model.init=1e30", "optimizer.lr=1e30", "trainer.max_epochs=500")
    assert run.status == 1
    assert "the loss became nan at epoch 0; use a smaller optimizer.lr or model.init" in run.last_line
    assert not list(run.folder.rglob("*.ckpt"))


def test_two_runs_in_the_same_second_never_share_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "PROJECT", tmp_path)
    folders = [Path(directory.claim("logs/train/runs")) for _ in range(5)]
    assert len(set(folders)) == 5
    assert all(folder.is_dir() for folder in folders)
    assert {folder.parent for folder in folders} == {tmp_path / "logs" / "train" / "runs"}


def test_outputs_go_to_the_projects_logs_from_any_directory(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (PROJECT / "src" / "train.py").exists()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    run = command("trainer.max_epochs=3", *NO_FIGURES)
    assert run.folder.parent == tmp_path / "logs" / "train" / "runs"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d(_\d+)?", run.folder.name)
    assert (run.folder / "metrics.json").exists()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_what_is_written_is_whole_or_absent(tmp_path: Path) -> None:
    target = tmp_path / "metrics.json"
    files.write(target, lambda path: path.write_text(json.dumps({"epochs": 1})))

    def fail(path: Path) -> None:
        path.write_text('{"epo')
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match=f"cannot write {target}: .*No space left on device"):
        files.write(target, fail)
    assert json.loads(target.read_text()) == {"epochs": 1}
    assert list(tmp_path.iterdir()) == [target]


def test_a_killed_process_of_a_launcher_is_one_line_with_the_remedy(capsys: pytest.CaptureFixture[str]) -> None:
    said = "A worker process managed by the executor was unexpectedly terminated. This could be caused by a fault.\n\n"
    killed = BrokenExecutor(said + "The exit codes of the workers are {SIGKILL(-9)}")
    assert report(killed, ["-m", "seed=1,2"]) == "a process of the launcher was killed; use the same command to resume"
    assert capsys.readouterr().err == ""


def test_a_file_of_data_without_bits_is_told_so(command: Command) -> None:
    assert command("~data.bits").last_line == "error: the file of conf/data has no bits; add bits: <inputs>"


@pytest.mark.further
@pytest.mark.parametrize(
    ("swept", "line"),
    [
        (["+callbacks.foo.bar=${seed}", "seed=1,2"], "callbacks.foo={'bar': 1} names no class; use "),
        (
            ["~optimizer._target_", "~optimizer._partial_", "optimizer.lr=${seed}", "seed=1,2"],
            "optimizer._target_ must be an elementwise torch.optim class",
        ),
    ],
)
def test_a_node_without_a_class_is_one_line_in_a_sweep_too(command: Command, swept: list[str], line: str) -> None:
    run = command("-m", *swept, "trainer.max_epochs=3")
    assert run.status == 1
    assert line in run.err
    assert "Traceback" not in run.err


def test_a_place_that_holds_no_directory_is_said_in_plain_words(command: Command, tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs/train").write_text("a file")
    run = command("trainer.max_epochs=3")
    assert run.status == 1
    assert run.last_line.startswith("error: [Errno ")
    assert f"'{tmp_path}/logs/train" in run.last_line
    assert run.last_line.endswith("; use hydra.run.dir=<a writable directory with free space>")


def test_a_text_for_a_switch_is_refused_also_where_some_annotations_cannot_be_resolved() -> None:
    """WandbLogger's name a type that only a type checker imports."""
    node = {"_target_": "lightning.pytorch.loggers.WandbLogger", "offline": "no"}
    with pytest.raises(ValueError, match=r"logger\.wandb\.offline=no is a text; use true or false"):
        check_kinds("logger.wandb", node)


class Share(EarlyStopping):
    """Takes a share where its base takes a number of epochs."""

    def __init__(self, patience=0.5, **arguments: Any) -> None:  # type: ignore[no-untyped-def]
        super().__init__(patience=int(100 * patience), **arguments)


class Partial(EarlyStopping):
    """Is made by what has no signature."""

    def make(self, monitor: str, patience: int) -> None:
        super().__init__(monitor, patience=patience)

    __init__ = partialmethod(make, "train/loss")


def test_a_fraction_for_a_whole_number_is_refused_and_a_number_that_works_is_not() -> None:
    stop = {"_target_": "lightning.pytorch.callbacks.EarlyStopping"}
    with pytest.raises(ValueError, match=r"callbacks\.stop\.patience=2\.5 is a fraction; use a whole number"):
        check_kinds("callbacks.stop", stop | {"patience": 2.5})
    for patience in (2, 2.0, math.inf):
        check_kinds("callbacks.stop", stop | {"patience": patience})
    check_kinds("callbacks.stop", {"_target_": f"{__name__}.Share", "patience": 0.7})
    check_kinds("callbacks.stop", {"_target_": f"{__name__}.Partial", "patience": 2})
    with pytest.raises(ValueError, match=r"trainer\.max_epochs=300\.0 is a fraction; use 300"):
        check_kinds("trainer", {"_target_": "lightning.pytorch.Trainer", "max_epochs": 300.0})


@pytest.mark.parametrize("option", ["--experimental-rerun", "--exp"])
def test_a_rerun_of_a_pickled_configuration_is_refused_with_what_to_use(command: Command, option: str) -> None:
    run = command(option, "job.pickle")
    assert run.last_line.startswith("error: --experimental-rerun is not supported")
    assert run.last_line.endswith("use --config-path <run>/.hydra --config-name config")
