import importlib
import json
import pickle
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch
import pytest
import torch
from conftest import Command
from omegaconf import OmegaConf
from torch.utils.data import TensorDataset

from xornet import data
from xornet.cli import targets
from xornet.data import XORDataModule

SLOW = pytest.mark.slow
CALLED = "import pathlib; pathlib.Path('MARK').touch()"  # what each attack below tries to run; MARK: a file of the test
SYSTEM, EVAL = "touch MARK", "__import__('pathlib').Path('MARK').touch()"

# name: what is put into a configuration; `module` is one that leaves the mark when it is imported
ATTACKS: dict[str, dict[str, Any]] = {
    "function": {"callbacks": {"x": {"_target_": "os.system", "command": SYSTEM}}},
    "builtin": {"callbacks": {"x": {"_target_": "builtins.exec", "_args_": [CALLED]}}},
    "process": {"callbacks": {"x": {"_target_": "subprocess.Popen", "args": ["touch", "MARK"]}}},
    "model": {"model": {"_target_": "os.system", "command": SYSTEM}},
    "data": {"data": {"_target_": "os.mkdir", "path": "MARK"}},
    "trainer": {"trainer": {"_target_": "os.mkdir", "path": "MARK"}},
    "logger": {"logger": {"_target_": "pathlib.Path.touch", "self": "MARK"}},
    "optimizer": {"optimizer": {"_target_": "os.mkdir", "_partial_": False, "path": "MARK"}},
    "nested in a list": {"trainer": {"plugins": [{"_target_": "os.mkdir", "path": "MARK"}]}},
    "nested deep": {"callbacks": {"x": {"_target_": "x.y", "a": [{"b": {"_target_": "os.mkdir", "path": "MARK"}}]}}},
    "argument of a dict": {"data": {"bits": {"a": {"_target_": "os.mkdir", "path": "MARK"}}}},
    "partial": {"callbacks": {"x": {"_target_": "os.mkdir", "_partial_": True, "path": "MARK"}}},
    "alias in torch": {"callbacks": {"x": {"_target_": "torch.os.mkdir", "path": "MARK"}}},
    "alias in torch.optim": {"optimizer": {"_target_": "torch.optim.optimizer.functools.reduce", "function": "MARK"}},
    "alias in Lightning": {
        "callbacks": {"x": {"_target_": "lightning.pytorch.trainer.trainer.os.system", "command": SYSTEM}}
    },
    "alias here": {"callbacks": {"x": {"_target_": "xornet.files.os.system", "command": SYSTEM}}},
    "class imported here": {"callbacks": {"x": {"_target_": "xornet.sweeps.callback.Path.touch", "self": "MARK"}}},
    "function here": {"callbacks": {"x": {"_target_": "xornet.runs.directory.claim", "parent": "MARK"}}},
    "method here": {"callbacks": {"x": {"_target_": "xornet.callbacks.checkpoint.LastCheckpoint.mro"}}},
    "class of another kind": {"callbacks": {"x": {"_target_": "xornet.data.XORDataModule"}}},
    "extension": {"callbacks": {"x": {"_target_": "torch.utils.cpp_extension.load_inline", "name": "x"}}},
    "hub": {"callbacks": {"x": {"_target_": "torch.hub.load", "repo_or_dir": ".", "model": "x", "source": "local"}}},
    "unpickling": {"callbacks": {"x": {"_target_": "torch.load", "f": "PICKLE", "weights_only": False}}},
    "look-up": {"callbacks": {"x": {"_target_": "hydra.utils.get_method", "path": "os.system"}}},
    "look-up of an import": {"callbacks": {"x": {"_target_": "hydra.utils.get_class", "path": "module.X"}}},
    "interpolated": {"a": "os.mkdir", "callbacks": {"x": {"_target_": "${a}", "path": "MARK"}}},
    "interpolated in part": {"a": "mkdir", "callbacks": {"x": {"_target_": "os.${a}", "path": "MARK"}}},
    "by a resolver": {"callbacks": {"x": "${oc.create:{_target_:os.mkdir,path:MARK}}"}},
    "in words": {"callbacks": {"x": "${oc.decode:'{_target_: os.mkdir, path: MARK}'}"}},
    "in pieces": {"a": "_tar", "callbacks": {"x": "${oc.decode:'{${a}get_: os.mkdir, path: MARK}'}"}},
    "as a default": {"callbacks": {"x": "${oc.select:nothing,{_target_:os.mkdir,path:MARK}}"}},
    "of an import": {"callbacks": {"x": {"_target_": "module.X"}}},
    "of no name": {"callbacks": {"x": {"_target_": 3}}},
    "of a dict": {"callbacks": {"x": {"_target_": {"_target_": "os.mkdir", "path": "MARK"}}}},
    "empty": {"callbacks": {"x": {"_target_": ""}}},
    "relative": {"callbacks": {"x": {"_target_": "..os.system", "command": SYSTEM}}},
    "arguments by position": {"data": {"_args_": [2]}},
    "Hydra's callback": {"hydra": {"callbacks": {"x": {"_target_": "os.mkdir", "path": "MARK"}}}},
    "Hydra's callback by a resolver": {"hydra": {"callbacks": {"x": "${oc.create:{_target_:os.mkdir,path:MARK}}"}}},
    "Hydra's callback of another kind": {"hydra": {"callbacks": {"x": {"_target_": "xornet.data.XORDataModule"}}}},
    "Hydra's launcher": {"hydra": {"mode": "MULTIRUN", "launcher": {"_target_": "module.X"}}},
    "Hydra's launcher, though unused": {"hydra": {"launcher": {"_target_": "module.X"}}},
    "Hydra's sweeper": {"hydra": {"mode": "MULTIRUN", "sweeper": {"_target_": "module.X"}}},
    "log factory": {"hydra": {"job_logging": {"handlers": {"x": {"()": "os.mkdir", "path": "MARK"}}}}},
    "log class": {"hydra": {"job_logging": {"handlers": {"x": {"class": "os.mkdir", "path": "MARK"}}}}},
    "log look-up": {"hydra": {"job_logging": {"handlers": {"console": {"stream": "ext://module.x"}}}}},
    "log filter": {"hydra": {"job_logging": {"filters": {"x": {"()": "os.mkdir", "path": "MARK"}}}}},
    "log formatter": {"hydra": {"job_logging": {"formatters": {"simple": {"class": "module.X"}}}}},
    "log interpolated": {
        "a": "ext:",
        "hydra": {"job_logging": {"handlers": {"console": {"stream": "${a}//module.x"}}}},
    },
    "Hydra's own log": {"hydra": {"hydra_logging": {"handlers": {"x": {"()": "os.mkdir", "path": "MARK"}}}}},
    "environment": {"hydra": {"job": {"env_set": {"CXX": "MARK"}}}},
}


class Touch:
    """Leaves the mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.mark,)


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that exists once something of an attack has been executed."""
    mark = tmp_path / "executed"
    (tmp_path / "module.py").write_text(CALLED.replace("MARK", str(mark)) + "\nclass X: pass\nx = 1\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield mark
    sys.modules.pop("module", None)


def test_what_the_attacks_name_would_leave_the_mark(module: Path) -> None:
    importlib.import_module("module")
    assert module.exists()


LATE = {  # these show only when Hydra resolves them, to call them
    *(name for name in ATTACKS if re.match("by|in (words|pieces)|as a|log|Hydra's (callback by|own)", name)),
}


@pytest.mark.parametrize("name", [name for name in ATTACKS if name not in LATE])
def test_a_composed_configuration_that_names_other_code_is_refused(module: Path, name: str) -> None:
    with pytest.raises(ValueError, match="; use "):
        targets.check(OmegaConf.create(ATTACKS[name]))
    assert "module" not in sys.modules


@pytest.mark.parametrize(
    "name", [name if name in LATE or i % 16 == 0 else pytest.param(name, marks=SLOW) for i, name in enumerate(ATTACKS)]
)
def test_an_experiment_file_that_names_other_code_is_refused_before_anything_runs(
    command: Command, module: Path, tmp_path: Path, name: str
) -> None:
    attack = json.loads(json.dumps(ATTACKS[name]).replace("MARK", str(module)))
    (tmp_path / "conf" / "experiment").mkdir(parents=True)
    (tmp_path / "conf" / "experiment" / "theirs.yaml").write_text(
        "# @package _global_\n" + OmegaConf.to_yaml(OmegaConf.create(attack))
    )
    run = command("--config-dir", f"{tmp_path}/conf", "experiment=theirs", "trainer.max_epochs=3")
    assert run.status == 1
    assert not module.exists()
    assert run.out == ""
    assert "Traceback" not in run.err, run.err
    assert run.last_line.startswith("error: ")
    assert "; use " in run.last_line, run.last_line
    assert not list(tmp_path.rglob("metrics.json"))


COMMANDS = [
    "optimizer._target_=module.X",
    "trainer.profiler={_target_:module.X}",
    "+callbacks.x._target_=torch.hub.os.mkdir +callbacks.x.path=MARK",
    "-m callbacks.loss_table._target_=module.X,module.Y",
    "-m hydra.launcher._target_=module.X seed=1,2",
    "+hydra.callbacks.x._target_=module.X",
    "hydra.job_logging.handlers.console.stream=ext://module.x",
    "+hydra.job_logging.handlers.x.()=module.X",
    "hydra.searchpath=[pkg://module]",
    "hydra.searchpath=[structured://module]",
    "--config-path pkg://module",
    "--experimental-rerun PICKLE",
]
OPTUNA = ["hydra.sweeper.custom_search_space=module.X", "hydra.sweeper.sampler._target_=module.X"]


@pytest.mark.parametrize(
    ("script", "overrides"),
    [
        *(("train.py", overrides) for overrides in COMMANDS),
        *(pytest.param("train.py", f"-m hydra/sweeper=optuna seed=1,2 {key}", marks=SLOW) for key in OPTUNA),
        ("check_gradients.py", COMMANDS[0]),
        ("check_gradients.py", COMMANDS[-1]),
        ("eval.py", "ckpt_path=x +hydra.callbacks.x._target_=module.X"),
    ],
)
def test_a_command_that_names_other_code_is_refused(
    command: Command, module: Path, tmp_path: Path, script: str, overrides: str
) -> None:
    (tmp_path / "pickle").write_bytes(pickle.dumps(Touch(module)))
    given = overrides.replace("MARK", str(module)).replace("PICKLE", f"{tmp_path}/pickle")
    run = command(*given.split(), script=script)
    assert not module.exists()
    assert run.status == 1
    assert run.last_line.startswith("error: ")
    assert run.err.count("\n") <= 2 or "optuna" in overrides, run.err


def test_the_configuration_of_a_run_is_checked_when_it_is_run_again(command: Command, module: Path) -> None:
    short = ["trainer.max_epochs=3", "seed=7"]
    first = command(*short)
    config = first.folder / ".hydra" / "config.yaml"
    again = ["--config-dir", str(config.parent), "--config-name", "config"]
    assert command(*again, f"hydra.run.dir={first.folder}/again").status == 0
    assert (first.folder / "again" / "xornet.pt").exists()
    config.write_text(config.read_text().replace("xornet.callbacks.console.LossTable", "module.X"))
    run = command(*again)
    assert "callbacks.loss_table._target_=module.X is outside" in run.last_line
    assert not module.exists()


def test_what_is_refused_is_named_with_its_remedy(command: Command) -> None:
    run = command("+callbacks.x._target_=torch.optim.SGD")
    assert run.last_line == (
        "error: callbacks.x._target_=torch.optim.SGD is no Callback of xornet, torch.optim, lightning.pytorch, "
        "lightning.fabric; use one, or add its package to PACKAGES in src/xornet/targets.py"
    )


def test_every_optimizer_of_pytorch_and_every_callback_and_logger_of_lightning_is_allowed() -> None:
    optimizers = [f"torch.optim.{name}" for name in torch.optim.__all__ if name[0].isupper() and name != "Optimizer"]
    callbacks = [f"lightning.pytorch.callbacks.{name}" for name in lightning.pytorch.callbacks.__all__]
    loggers = [f"lightning.pytorch.loggers.{name}" for name in lightning.pytorch.loggers.__all__]
    parts = ["profilers.SimpleProfiler", "strategies.SingleDeviceStrategy", "plugins.io.TorchCheckpointIO"]
    assert min(len(optimizers), len(callbacks)) > 10
    for name in optimizers:
        targets.check_target("optimizer", name)
    for name in callbacks:
        targets.check_target("callbacks.mine", name)
    for name in loggers:
        targets.check_target("logger", name)
    for name in parts:
        targets.check_target("trainer.plugins[1]", f"lightning.pytorch.{name}")
    targets.check_target("hydra.callbacks.mine", "hydra.experimental.callbacks.PickleJobInfoCallback")
    for name in ("Callback", "LightningModule", "Trainer"):
        with pytest.raises(ValueError, match="is no Optimizer of xornet"):
            targets.check_target("optimizer", f"lightning.pytorch.{name}")


def test_a_dataset_and_a_callback_of_ones_own_are_allowed(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    class Swapped(XORDataModule):
        def __init__(self, bits: int = 2) -> None:
            super().__init__(bits)
            self.table = TensorDataset(self.table.tensors[0], 1 - self.table.tensors[1])

    Swapped.__module__ = "xornet.data"
    monkeypatch.setattr(data, "Swapped", Swapped, raising=False)
    run = command(
        "data._target_=xornet.data.Swapped",
        "+callbacks.timer._target_=lightning.pytorch.callbacks.Timer",
        "+callbacks.timer.duration=00:01:00:00",
        "trainer.max_epochs=400",
        "optimizer=adam",
        "optimizer.lr=0.1",
        "seed=4",
    )
    assert run.status == 0, run.err
    assert [round(value) for value in run.metrics["predictions"]] == [1, 0, 0, 1]
