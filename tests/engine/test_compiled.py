import logging
import os
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import NO_FIGURES, SRC, StopAt, fit
from lightning.pytorch import Callback, LightningModule, Trainer

from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.data import truth_table
from xornet.engine.compile_choice import is_compiled
from xornet.engine.history import History
from xornet.engine.runner import EpochRunner
from xornet.engine.stopwatch import Stopwatch
from xornet.module import XORModule
from xornet.network import Ensemble

SGD = partial(torch.optim.SGD, lr=0.1, foreach=False)
ELEMENTWISE: dict[str, dict[str, Any]] = {
    "SGD": {"momentum": 0.9, "nesterov": True},
    "Adam": {},
    "RMSprop": {"centered": True},
    "NAdam": {},
}


def weights(module: XORModule) -> list[torch.Tensor]:
    return [weight.detach().clone() for weight in module.ensemble.weights]


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


def assert_same(ours: Any, theirs: Any, atol: float = 0) -> None:
    torch.testing.assert_close(ours, theirs, rtol=0, atol=atol)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    "model",
    [
        {"hidden": [3, 2], "activation": "tanh"},
        pytest.param({"bits": 3, "activation": "relu"}, marks=pytest.mark.further),
    ],
)
def test_compiled_epochs_are_the_eager_ones(tmp_path: Path, model: dict[str, Any]) -> None:
    double = {"precision": "64-true"}
    eager, compiled = (
        fit(tmp_path, 300, networks=20, trainer=double, compile=how, optimizer=SGD, **model)[1] for how in (False, True)
    )
    assert eager.stopwatch.compile_seconds == 0 < compiled.stopwatch.compile_seconds
    assert_same(weights(compiled), weights(eager), atol=1e-12)
    for name, values in eager.history.curve.items():
        assert_same(compiled.history.curve[name], values, atol=1e-12)
    assert_same(compiled.history.solved_epoch, eager.history.solved_epoch)


@pytest.mark.further
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    "name", [name if name == "SGD" else pytest.param(name, marks=pytest.mark.further) for name in ELEMENTWISE]
)
def test_any_elementwise_optimizer_compiles(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    optimizer = partial(getattr(torch.optim, name), lr=0.01, foreach=False, **ELEMENTWISE[name])
    double = {"precision": "64-true"}
    eager, compiled = (
        fit(tmp_path, 60, networks=20, trainer=double, compile=how, optimizer=optimizer)[1] for how in (False, True)
    )
    assert not warnings(caplog) or name == "RMSprop"  # whose count of steps PyTorch 2.13.0 does not keep
    assert compiled.stopwatch.compile_seconds > 0
    assert_same(weights(compiled), weights(eager), atol=1e-11)


@pytest.mark.usefixtures("compiler")
@pytest.mark.further
def test_code_that_does_not_compute_what_the_optimizer_does_is_not_used(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """PyTorch 2.13.0 compiles ASGD in double precision to code that leaves its own learning rate as it is."""
    optimizer = partial(torch.optim.ASGD, lr=0.5, lambd=0.1, foreach=False)
    ours = fit(tmp_path, 20, trainer={"precision": "64-true"}, compile=True, optimizer=optimizer, seed=3)[1]
    net = XORModule(seed=3).ensemble.network(0).double()
    x, y = (part.double() for part in truth_table())
    plain = optimizer(net.parameters())
    for _ in range(20):
        plain.zero_grad()
        (net(x) - y).square().mean().backward()
        plain.step()
    assert_same(ours.predictions()[..., 0], net(x).detach(), atol=1e-9)
    assert len(warnings(caplog)) <= 1  # none where PyTorch has mended it


@pytest.mark.further
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("switch", ["momentum", "clear"])
def test_a_momentum_that_begins_within_a_compiled_run_is_kept_within_a_block(tmp_path: Path, switch: str) -> None:
    class Switch(Callback):
        every_n_epochs = 30

        def on_train_batch_start(self, trainer: Trainer, module: LightningModule, batch: Any, batch_idx: int) -> None:
            if trainer.current_epoch == 30:
                if switch == "momentum":
                    trainer.optimizers[0].param_groups[0]["momentum"] = 0.9
                else:
                    trainer.optimizers[0].state.clear()

    optimizer = partial(torch.optim.SGD, lr=0.5, foreach=False, momentum=0 if switch == "momentum" else 0.9)
    double = {"precision": "64-true"}
    eager, compiled = (
        fit(tmp_path, 90, [Switch()], trainer=double, compile=how, optimizer=optimizer)[1] for how in (False, True)
    )
    assert_same(weights(compiled), weights(eager), atol=1e-11)
    assert_same(compiled.history.curve["epochs"], eager.history.curve["epochs"])


@pytest.mark.usefixtures("compiler")
@pytest.mark.further
def test_a_resumed_compiled_run_equals_an_uninterrupted_one(tmp_path: Path) -> None:
    optimizer = partial(torch.optim.Adam, lr=0.01, foreach=False)

    def run(*callbacks: Callback, ckpt_path: Path | None = None) -> XORModule:
        return fit(tmp_path, 200, list(callbacks), ckpt_path, optimizer, networks=37, compile=True)[1]

    straight = run()
    run(StopAt(77), LastCheckpoint(str(tmp_path)))
    resumed = run(ckpt_path=tmp_path / "last.ckpt")
    assert_same(weights(resumed), weights(straight))
    assert_same(resumed.history.state_dict(), straight.history.state_dict())


@pytest.mark.usefixtures("compiler")
def test_the_kernels_of_inductor_are_replayed_in_every_epoch_of_a_block_but_its_first() -> None:
    ensemble, history = Ensemble(networks=3, seed=1), History(3, 0.5)
    optimizer = torch.optim.SGD(ensemble.parameters(), lr=0.1, foreach=False)
    runner = EpochRunner(ensemble, *truth_table(), optimizer, history, "backprop", True, Stopwatch())

    def run(start: int, length: int) -> None:
        with torch.inference_mode():
            for error in runner.epochs(start, length, lambda: False):
                runner.forward(error)
                runner.backward(error)
                runner.update()

    run(0, 1)  # not compiled
    assert runner.compiled is not None
    run(1, 1)
    original, replayed = runner.compiled.run_epoch, []

    def first() -> None:
        original()
        assert runner.compiled is not None
        replay = runner.compiled.replay
        runner.compiled.replay = lambda: replayed.append(replay())

    runner.compiled.run_epoch = first
    for start in (2, 12):
        run(start, 10)
    assert len(replayed) == 2 * 9


@pytest.mark.usefixtures("compiler")
@pytest.mark.further
def test_a_learning_rate_that_a_callback_changes_is_compiled_in(tmp_path: Path) -> None:
    class Halve(Callback):
        every_n_epochs = 50

        def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            if trainer.current_epoch + 1 == 50:
                trainer.optimizers[0].param_groups[0]["lr"] /= 2

    eager, compiled = (
        fit(tmp_path, 150, [Halve()], networks=20, compile=how, trainer={"precision": "64-true"})[1]
        for how in (False, True)
    )
    assert_same(weights(compiled), weights(eager), atol=1e-12)


@pytest.mark.further
def test_what_cannot_be_compiled_trains_all_the_same_after_one_warning(tmp_path: Path) -> None:
    how = {"CXX": "/no/such/compiler", "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    command = [
        sys.executable,
        str(SRC / "train.py"),
        "model.compile=true",
        "networks=3",
        "seed=7",
        "trainer.max_epochs=100",
    ]
    run = subprocess.run(
        [*command, *NO_FIGURES, f"hydra.run.dir={tmp_path}"],
        env={**os.environ, **how},
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    warning = "model.compile: training without it, slower, as torch.compile failed (InvalidCxxCompiler"
    assert run.stderr.count("torch.compile failed") == run.stderr.count(warning) == 1
    _, eager = fit(tmp_path, 100, networks=3, seed=7, compile=False)
    weights = torch.load(tmp_path / "xornet.pt", weights_only=True)
    assert_same(weights, eager.ensemble.network(0).state_dict())


def test_auto_compiles_only_long_runs_of_many_networks() -> None:
    auto = partial(is_compiled, "auto", "backprop")
    assert not auto(networks=1, epochs=20_000)
    assert not auto(networks=1000, epochs=20_000)
    assert auto(networks=10_000, epochs=20_000)
    assert auto(networks=1, epochs=1_000_000)
    assert not auto(networks=1_000_000, epochs=10)


@pytest.mark.parametrize("value", ["yes", 1, None])
def test_another_value_of_compile_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"model\.compile must be true, false or auto, got .*; use model.compile=auto"):
        XORModule(compile=value)


def test_autograd_is_not_compiled() -> None:
    with pytest.raises(ValueError, match=r"model\.compile=true cannot take model\.gradient=autograd"):
        XORModule(compile=True, gradient="autograd")
