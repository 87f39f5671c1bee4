"""What the tests share: a small run in this process, and the command line in this process."""

import json
import logging
import os
import re
import runpy
import signal
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint

import xornet
from xornet.checkpoint import CheckpointFile
from xornet.cli.cluster import OneProcess
from xornet.cli.signals import SIGNALS
from xornet.data import XORDataModule
from xornet.module import XORModule
from xornet.runs import directory

SRC = Path(__file__).resolve().parents[1] / "src"
MANY = 7  # cases
NO_FIGURES = ("callbacks.animation=null", "callbacks.loss_curve=null", "callbacks.hidden_units=null")


def pytest_configure(config: pytest.Config) -> None:
    """Ignore the warnings that the package ignores, as pytest takes no other filters; take SIGHUP, even under nohup."""
    for message in xornet.IGNORED:
        config.addinivalue_line("filterwarnings", f"ignore:{message}")
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a command would go on ignoring it


@pytest.hookimpl(tryfirst=True)  # before pytest leaves out what -m does
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Of a test that runs a command for each of many cases, have `make test` run every sixth: Hydra takes long."""
    cases: defaultdict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        if "command" in getattr(item, "fixturenames", ()):
            cases[item.nodeid.partition("[")[0]].append(item)
    for many in cases.values():
        for number, item in enumerate(many if len(many) >= MANY else []):
            if number % 6:
                item.add_marker(pytest.mark.further)


@pytest.fixture(scope="session", autouse=True)
def no_cluster() -> Iterator[None]:
    """Have a stock Trainer know nothing of the cluster that the tests may run on, as ours never does."""
    with pytest.MonkeyPatch.context() as patch:
        for name in filter(re.compile("(SLURM|LSB|JSM)_|(LOCAL_|GROUP_)?RANK$").match, list(os.environ)):
            patch.delenv(name)
        OneProcess()  # Lightning has read the rank already
        yield


def fit(
    folder: Path,
    epochs: int,
    callbacks: list[Callback] | None = None,
    ckpt_path: Path | None = None,
    optimizer: "partial[Any] | None" = None,
    trainer: dict[str, Any] | None = None,
    **model: Any,
) -> tuple[Trainer, XORModule]:
    """Train for `epochs` without Hydra, console or logger; return the trainer and the module."""
    module = XORModule(optimizer or partial(torch.optim.SGD, lr=0.1), **model)
    fitter = Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        default_root_dir=folder,
        callbacks=callbacks,
        plugins=[CheckpointFile()],
        **{
            "logger": False,
            "enable_checkpointing": any(isinstance(callback, Checkpoint) for callback in callbacks or []),
            "enable_progress_bar": False,
            "enable_model_summary": False,
            **(trainer or {}),
        },
    )
    fitter.fit(module, XORDataModule(model.get("bits", 2)), ckpt_path=ckpt_path, weights_only=True)
    return fitter, module


class StopAt(Callback):
    """Stops a run at an epoch, as a signal would."""

    def __init__(self, epoch: int) -> None:
        self.every_n_epochs = epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        trainer.should_stop = trainer.current_epoch + 1 == self.every_n_epochs


@pytest.fixture
def interrupts() -> Iterator[None]:
    """SIGINT as Python has it, also where a shell has started the tests in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def compiler() -> None:
    """Skip where torch.compile does not work: it needs a C++ compiler and Python's headers."""
    try:
        torch.compile(lambda x: x + 1)(torch.zeros(4))
    except RuntimeError as error:  # what torch.compile raises
        cause = str(error).splitlines()[0]
        pytest.skip(reason=f"torch.compile needs a C++ compiler and Python's headers, and says: {cause}")


@dataclass
class CommandResult:
    """What a command did."""

    status: int
    out: str
    err: str
    folder: Path

    @property
    def metrics(self) -> dict[str, Any]:
        """Its metrics.json."""
        metrics: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text())
        return metrics

    @property
    def last_line(self) -> str:
        """What a person reads last."""
        return self.err.strip().splitlines()[-1]


Command = Callable[..., CommandResult]


@pytest.fixture
def command(tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Command:
    """Run `python src/<script> <overrides>` in this process, sparing the imports, with outputs under tmp_path."""
    monkeypatch.setattr(directory, "PROJECT", tmp_path)

    def run(*overrides: str, script: str = "train.py") -> CommandResult:
        before, handlers = set(tmp_path.glob("logs/*/*runs/*")), set(logging.getLogger().handlers)
        monkeypatch.setattr(sys, "argv", [script, *overrides])
        monkeypatch.delenv("HYDRA_FULL_ERROR", raising=False)
        capfd.readouterr()
        taken = {number: signal.getsignal(number) for number in SIGNALS}
        try:
            runpy.run_path(str(SRC / script), run_name="__main__")
            status = 0
        except SystemExit as stop:
            status = int(stop.code or 0)
        finally:
            os.environ.pop("HYDRA_FULL_ERROR", None)
            for number, taker in taken.items():
                signal.signal(number, taker)
            for handler in set(logging.getLogger().handlers) - handlers:  # which writes into the log of this run
                logging.getLogger().removeHandler(handler)
                handler.close()
            for name in logging.root.manager.loggerDict:  # hydra/job_logging=disabled leaves them so
                logging.getLogger(name).disabled = False
            logging.disable(logging.NOTSET)
        (folder,) = set(tmp_path.glob("logs/*/*runs/*")) - before or {tmp_path / "none"}
        return CommandResult(status, *capfd.readouterr(), folder)

    return run
