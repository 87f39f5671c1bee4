import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lightning.pytorch
import pytest
import torch
from conftest import NO_FIGURES, Command
from omegaconf import OmegaConf
from torch.utils.data import TensorDataset

from xornet import data
from xornet.cli import configuration, targets
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


# What Hydra reads and does before anything of ours can see the configuration, and its own policy lets through: who has
# an experiment file from elsewhere reads what it sets under `hydra`.
NOT_COVERED = {
    "Hydra's callback": "Hydra makes its callbacks first of all",
    "Hydra's callback by a resolver": "the same",
    "Hydra's callback of another kind": "the same; a class that is no callback ends in an AttributeError",
    "log factory": "Hydra sets up logging by itself, and refuses only what it knows to run code, as os.system",
    "log class": "the same",
    "log look-up": "the same",
    "log filter": "the same",
    "log formatter": "the same",
    "log interpolated": "the same",
    "Hydra's own log": "the same",
}
COVERED = [name for name in ATTACKS if name not in NOT_COVERED]
LATE = [name for name in COVERED if re.match("by a|in (words|pieces)|as a", name)]  # these show when they are resolved
HARMLESS = "class of another kind"  # of ours, or of Lightning: the Trainer refuses it


def test_what_is_not_covered_is_in_hydra_s_own_part() -> None:
    assert all(set(ATTACKS[name]) - {"a"} == {"hydra"} for name in NOT_COVERED)


@pytest.mark.parametrize(
    "name", [name for name in COVERED if name not in (*LATE, HARMLESS) and "hydra" not in ATTACKS[name]]
)
def test_a_composed_configuration_that_names_other_code_is_refused(module: Path, name: str) -> None:
    cfg = OmegaConf.create(ATTACKS[name])
    OmegaConf.resolve(cfg)
    with pytest.raises(ValueError, match="; use "):
        configuration.check(cfg, is_complete=False)
    assert "module" not in sys.modules


@pytest.mark.parametrize(
    "name",
    [
        name if name in LATE or "hydra" in ATTACKS[name] or i % 16 == 0 else pytest.param(name, marks=SLOW)
        for i, name in enumerate(COVERED)
    ],
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
    assert re.search("; (use|set|drop|correct) ", run.last_line), run.last_line
    assert not list(tmp_path.rglob("metrics.json"))


COMMANDS = [
    "optimizer._target_=module.X",
    "trainer.profiler={_target_:module.X}",
    "+callbacks.x._target_=torch.hub.os.mkdir +callbacks.x.path=MARK",
    "-m callbacks.loss_table._target_=module.X,module.Y",
    "-m hydra.launcher._target_=module.X seed=1,2",
]
# Not covered, for Hydra reads them first and the user alone types them: hydra.searchpath=[pkg://x] and --config-path
# pkg://x import the package; hydra.callbacks and hydra.job_logging as above.
OPTUNA = ["hydra.sweeper.custom_search_space=module.X", "hydra.sweeper.sampler._target_=module.X"]


@pytest.mark.parametrize(
    ("script", "overrides"),
    [
        *(("train.py", overrides) for overrides in COMMANDS),
        *(pytest.param("train.py", f"-m hydra/sweeper=optuna seed=1,2 {key}", marks=SLOW) for key in OPTUNA),
        ("check_gradients.py", COMMANDS[0]),
        ("eval.py", "ckpt_path=x +x._target_=module.X"),
    ],
)
def test_a_command_that_names_other_code_is_refused(
    command: Command, module: Path, script: str, overrides: str
) -> None:
    run = command(*overrides.replace("MARK", str(module)).split(), script=script)
    assert not module.exists()
    assert run.status == 1
    assert run.last_line.startswith("error: ")
    assert run.err.count("\n") <= 2 or "optuna" in overrides, run.err


@pytest.mark.further
def test_the_configuration_of_a_run_is_checked_when_it_is_run_again(command: Command, module: Path) -> None:
    first = command("trainer.max_epochs=3", "seed=7")
    config = first.folder / ".hydra" / "config.yaml"
    config.write_text(config.read_text().replace("xornet.callbacks.console.LossTable", "module.X"))
    run = command("--config-dir", str(config.parent), "--config-name", "config")
    assert "callbacks.loss_table._target_=module.X is outside" in run.last_line
    assert not module.exists()


def test_what_is_refused_is_named_with_its_remedy(command: Command) -> None:
    run = command("+callbacks.x._target_=json.JSONDecoder")
    assert run.last_line == (
        "error: callbacks.x._target_=json.JSONDecoder is outside xornet, torch.optim, lightning.pytorch, "
        "lightning.fabric; use one of these, or XORNET_ALLOW=<package>,<package> in the environment"
    )


def test_a_package_that_the_environment_allows_is_used(
    command: Command, module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (module.parent / "mine.py").write_text(
        "import lightning.pytorch as pl\n"
        "class Hello(pl.Callback):\n"
        "    def on_fit_end(self, trainer, pl_module):\n"
        "        print('hello')\n"
        "def make():\n"
        "    return Hello()\n"
    )
    monkeypatch.setenv("XORNET_ALLOW", "other,mine")
    own = ("+callbacks.x._target_=mine.Hello", "+callbacks.y._target_=mine.make")
    run = command(*own, "trainer.max_epochs=3", *NO_FIGURES)
    sys.modules.pop("mine", None)
    assert run.status == 0, run.err
    assert run.out.count("hello") == 2


def test_every_optimizer_of_pytorch_and_every_callback_and_logger_of_lightning_is_allowed() -> None:
    names = [f"torch.optim.{name}" for name in torch.optim.__all__ if name[0].isupper()]
    names += [f"lightning.pytorch.callbacks.{name}" for name in lightning.pytorch.callbacks.__all__]
    names += [f"lightning.pytorch.loggers.{name}" for name in lightning.pytorch.loggers.__all__]
    parts = ["profilers.SimpleProfiler", "strategies.SingleDeviceStrategy", "plugins.io.TorchCheckpointIO"]
    names += [f"lightning.pytorch.{name}" for name in parts]
    assert len(names) > 30
    for name in names:
        targets.check_targets("x", {"_target_": name}, targets.PACKAGES)


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
        *NO_FIGURES,
    )
    assert run.status == 0, run.err
    assert [round(value) for value in run.metrics["predictions"]] == [1, 0, 0, 1]
