"""Learning rate schedulers: a run with one is the plain loop with it, resumes to the same bits, and shows its rate."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import NO_FIGURES, Command, StopAt, fit
from lightning.pytorch.callbacks import LearningRateMonitor
from lightning.pytorch.loggers import CSVLogger
from oracle import SheetNet, X, Y
from torch.optim import lr_scheduler

from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.engine import compile_choice
from xornet.engine.schedulers import NOT_PLAIN
from xornet.module import XORModule

OPTIMIZERS: "dict[str, partial[Any]]" = {
    "SGD": partial(torch.optim.SGD, lr=0.5),
    "momentum": partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    "Adam": partial(torch.optim.Adam, lr=0.01),
}
ARGUMENTS: dict[str, dict[str, Any]] = {  # each does in 1,000 epochs all that it can do
    "StepLR": {"step_size": 180, "gamma": 0.5},
    "MultiStepLR": {"milestones": [200, 600]},
    "ConstantLR": {"factor": 0.5, "total_iters": 140},
    "LinearLR": {"total_iters": 400},
    "ExponentialLR": {"gamma": 0.9995},
    "PolynomialLR": {"total_iters": 800, "power": 2.0},
    "CosineAnnealingLR": {"T_max": 1000},
    "CosineAnnealingWarmRestarts": {"T_0": 100, "T_mult": 2},
    "CyclicLR": {"base_lr": 0.01, "max_lr": 0.5, "step_size_up": 60, "cycle_momentum": False},
    "OneCycleLR": {"max_lr": 0.5, "total_steps": 5000},
    "ReduceLROnPlateau": {"patience": 50, "factor": 0.9},
    "SWALR": {"swa_lr": 0.05, "anneal_epochs": 100},
}
CLASSES = [
    name
    for name, kind in vars(lr_scheduler).items()
    if isinstance(kind, type) and issubclass(kind, lr_scheduler.LRScheduler) and name.strip("_") != "LRScheduler"
] + ["SWALR"]
DOUBLE = {"precision": "64-true"}
FIRST = ("StepLR", "ReduceLROnPlateau", "CyclicLR")  # of the others only `make test-all` asks
LENGTHS = pytest.mark.parametrize("epochs", [1000, pytest.param(5000, marks=pytest.mark.slow)])


def scheduler(name: str) -> "partial[Any]":
    kind = torch.optim.swa_utils.SWALR if name == "SWALR" else getattr(lr_scheduler, name)
    return partial(kind, **ARGUMENTS[name])


def plain_loop(epochs: int, optimizer: "partial[Any]", scheduler: "partial[Any]") -> tuple[torch.Tensor, float]:
    """The sheet's loop in float64 with a scheduler, in plain PyTorch: its predictions and its last learning rate."""
    torch.manual_seed(7)
    network, x, y = SheetNet().double(), X.double(), Y.double()
    steps = optimizer(network.parameters())
    follower = scheduler(steps)
    for _ in range(epochs):
        loss = torch.nn.functional.mse_loss(network(x), y)
        steps.zero_grad()
        loss.backward()
        steps.step()
        follower.step(*[loss.item()] * isinstance(follower, lr_scheduler.ReduceLROnPlateau))
    return network(x).detach(), steps.param_groups[0]["lr"]


def assert_is_plain_loop(folder: Path, epochs: int, optimizer: str, name: str, **model: Any) -> XORModule:
    expected, rate = plain_loop(epochs, OPTIMIZERS[optimizer], scheduler(name))
    followed: dict[str, Any] = {"optimizer": OPTIMIZERS[optimizer], "scheduler": scheduler(name)}
    trainer, module = fit(folder, epochs, seed=7, trainer=DOUBLE, **followed, **model)
    torch.testing.assert_close(module.predictions()[..., 0], expected, rtol=0, atol=1e-6)
    assert trainer.optimizers[0].param_groups[0]["lr"] == pytest.approx(rate, rel=1e-12)
    return module


def test_every_scheduler_of_pytorch_is_known() -> None:
    assert set(CLASSES) == {*ARGUMENTS, *NOT_PLAIN}


@LENGTHS
@pytest.mark.parametrize(
    "name", [name if name in FIRST else pytest.param(name, marks=pytest.mark.further) for name in ARGUMENTS]
)
def test_a_run_with_a_scheduler_is_the_plain_loop_with_it(tmp_path: Path, name: str, epochs: int) -> None:
    for optimizer in ("momentum",) if name in ("OneCycleLR", "SWALR") else OPTIMIZERS:
        assert_is_plain_loop(tmp_path, epochs, optimizer, name)


@pytest.mark.further
@LENGTHS
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize(
    "name",
    ["CosineAnnealingLR", *(pytest.param(name, marks=pytest.mark.further) for name in ("StepLR", "ReduceLROnPlateau"))],
)
def test_a_compiled_run_with_a_scheduler_is_the_plain_loop_with_it(tmp_path: Path, name: str, epochs: int) -> None:
    module = assert_is_plain_loop(tmp_path, epochs, "SGD", name, compile=True)
    assert module.stopwatch.compile_seconds > 0


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", [name for name in ARGUMENTS if name != "OneCycleLR"])
def test_every_compiled_scheduler_with_every_optimizer(tmp_path: Path, name: str, optimizer: str) -> None:
    assert_is_plain_loop(tmp_path, 5000, optimizer, name, compile=True)


@pytest.mark.further
def test_a_constant_scheduler_is_none_to_the_bit(command: Command) -> None:
    sweep = command("-m", "scheduler=constant,cosine", "trainer.max_epochs=300", *NO_FIGURES)
    constant, cosine = (path.read_bytes() for path in sorted(sweep.folder.glob("*/networks.csv")))
    alone = command("trainer.max_epochs=300", *NO_FIGURES)
    assert constant == (alone.folder / "networks.csv").read_bytes() != cosine


def test_a_scheduler_of_the_median_loss_lowers_the_rate_of_an_ensemble_where_that_stands_still(tmp_path: Path) -> None:
    plateau = partial(lr_scheduler.ReduceLROnPlateau, patience=20, factor=0.5, threshold=1e-3)
    trainer, module = fit(tmp_path, 1000, scheduler=plateau, networks=5, trainer=DOUBLE)
    curve = module.history.curve
    assert curve["epochs"].tolist() == list(range(1000))
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.1)
    follower = plateau(optimizer)
    for loss in curve["losses"][:, 1].tolist():
        follower.step(loss)
    assert trainer.optimizers[0].param_groups[0]["lr"] == optimizer.param_groups[0]["lr"] < 0.1


@pytest.mark.parametrize("name", ["CosineAnnealingLR", "ReduceLROnPlateau", "MultiStepLR", "OneCycleLR"])
def test_a_run_with_a_scheduler_resumes_to_the_same_bits(tmp_path: Path, name: str) -> None:
    last = LastCheckpoint(str(tmp_path))
    how: dict[str, Any] = {"optimizer": OPTIMIZERS["momentum"], "scheduler": scheduler(name), "networks": 2}
    straight_trainer, straight = fit(tmp_path, 1500, **how)
    fit(tmp_path, 1500, [StopAt(1101), last], **how)
    trainer, resumed = fit(tmp_path, 1500, [last], last.path, **how)
    for one, other in zip(resumed.ensemble.weights, straight.ensemble.weights, strict=True):
        assert torch.equal(one, other)
    ours, theirs = (run.lr_scheduler_configs[0].scheduler.state_dict() for run in (trainer, straight_trainer))
    assert ours == theirs
    for other, named in ((None, "_target_"), (partial(scheduler(name), verbose=1), "")):
        with pytest.raises(ValueError, match=rf"scheduler\.{named}"):
            fit(tmp_path, 1600, [last], last.path, **{**how, "scheduler": other})


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_compiled_run_with_a_scheduler_resumes_to_the_same_bits(tmp_path: Path, optimizer: str) -> None:
    last = LastCheckpoint(str(tmp_path))
    cosine = scheduler("CosineAnnealingLR")
    how: dict[str, Any] = {"optimizer": OPTIMIZERS[optimizer], "scheduler": cosine, "compile": True}
    _, straight = fit(tmp_path, 1500, **how)
    fit(tmp_path, 1500, [StopAt(1101), last], **how)
    _, resumed = fit(tmp_path, 1500, [last], last.path, **how)
    for one, other in zip(resumed.ensemble.weights, straight.ensemble.weights, strict=True):
        assert torch.equal(one, other)


@pytest.mark.filterwarnings("ignore")  # Lightning's, about how often to log
def test_the_learning_rate_monitor_shows_the_rate_of_every_epoch(tmp_path: Path) -> None:
    logger = CSVLogger(str(tmp_path), "", "")
    steps = partial(lr_scheduler.StepLR, step_size=3, gamma=0.5)
    watching = {"logger": logger, "log_every_n_steps": 1}
    fit(tmp_path, 8, [LearningRateMonitor("epoch")], scheduler=steps, trainer=watching)
    rows = [row.split(",") for row in (tmp_path / "metrics.csv").read_text().splitlines()]
    column = rows[0].index("lr-SGD")
    assert [float(row[column]) for row in rows[1:]] == [0.1] * 3 + [0.05] * 3 + [0.025] * 2


MISSPELT: Any = partial(vars(lr_scheduler)["StepLR"], gama=1)


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("cosine", r"must be a class of torch\.optim\.lr_scheduler whose arguments are numbers, got cosine; use"),
        (torch.optim.SGD, r"scheduler\._target_ must be a class of torch\.optim\.lr_scheduler .* got SGD; use e\.g\."),
        (partial(lr_scheduler.LambdaLR, lr_lambda=abs), "whose arguments are numbers, got LambdaLR; use"),
        (
            MISSPELT,
            "scheduler.gama=1 is no argument of StepLR; use one of step_size, gamma",
        ),
        (
            partial(lr_scheduler.StepLR, step_size=9, gamma=torch.nan),
            "gamma must be a finite number, got nan; use",
        ),
        (partial(lr_scheduler.CosineAnnealingLR, T_max=-1), "scheduler.T_max must be at least 1, got -1; use e.g."),
        (
            lr_scheduler.StepLR,
            "^StepLR: .* missing 1 required positional argument: 'step_size'; use what",
        ),
    ],
)
def test_a_scheduler_that_cannot_work_is_refused_in_one_line(wrong: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        XORModule(scheduler=wrong)


@pytest.mark.usefixtures("compiler")
@pytest.mark.further
def test_a_momentum_that_changes_every_epoch_is_not_compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cycle = scheduler("OneCycleLR")
    with pytest.raises(ValueError, match=r"model\.compile=true cannot take scheduler\.cycle_momentum=true"):
        XORModule(scheduler=cycle, compile=True)
    monkeypatch.setattr(compile_choice, "COMPILE_TIME", 0)  # auto compiles whatever it may
    _, module = fit(tmp_path, 20, scheduler=cycle)
    assert module.stopwatch.compile_seconds == 0
    _, module = fit(tmp_path, 20, scheduler=scheduler("CosineAnnealingLR"))
    assert module.stopwatch.compile_seconds > 0


@pytest.mark.further
def test_a_scheduler_of_the_command_line_is_logged_saved_and_resumed(command: Command, tmp_path: Path) -> None:
    cosine = [*NO_FIGURES, "scheduler=cosine", f"trainer.default_root_dir={tmp_path}/run", "logger=csv"]
    run = command(*cosine, "trainer.max_epochs=300")
    last = f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt"
    assert run.status == 0, run.err
    hparams = (tmp_path / "run" / "csv" / "hparams.yaml").read_text()
    assert "scheduler: CosineAnnealingLR\n" in hparams
    assert "scheduler.T_max: 300\n" in hparams
    refused = command(*cosine, "trainer.max_epochs=400", last)
    assert "scheduler.T_max=300, but this run has scheduler.T_max=400; resume with" in refused.last_line
    longer = command(*cosine, "scheduler.T_max=300", "trainer.max_epochs=400", last)
    assert longer.status == 0, longer.err
