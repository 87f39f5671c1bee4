"""Networks with rates of their own: each follows SGD with its rates, and all of them SGD where the rates are equal."""

from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Command, StopAt, fit
from oracle import X, Y

from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.engine import rate_grid
from xornet.engine.optimizers import from_description
from xornet.engine.rate_grid import RateGridSGD
from xornet.gradcheck.worked_example import Problem, work
from xornet.module import XORModule
from xornet.network import Ensemble

GRID = partial(RateGridSGD, hidden=[0.5, 8.0], output=[0.1, 2.0])
DOUBLE = {"precision": "64-true"}


def weights(module: XORModule) -> list[torch.Tensor]:
    return [weight.detach() for weight in module.ensemble.weights]


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("precision", ["32-true", "64-true"])
@pytest.mark.parametrize("compiles", [False, pytest.param(True, marks=pytest.mark.further)])
@pytest.mark.parametrize("networks", [1, 49])
def test_with_all_rates_equal_it_is_sgd_to_the_same_bits(
    tmp_path: Path, precision: str, compiles: bool, networks: int
) -> None:
    sgd, ours = (
        fit(tmp_path, 60, optimizer=kind, networks=networks, compile=compiles, trainer={"precision": precision})[1]
        for kind in (
            partial(torch.optim.SGD, lr=0.7, foreach=False),
            partial(RateGridSGD, hidden=[0.7, 0.7], output=[0.7, 0.7]),
        )
    )
    assert all(torch.equal(a, b) for a, b in zip(weights(ours), weights(sgd), strict=True))


@pytest.mark.parametrize("hidden", [[3], [3, 2], []], ids=str)
def test_each_network_follows_a_plain_loop_with_the_rates_of_its_row_and_column(
    tmp_path: Path, hidden: list[int]
) -> None:
    _, module = fit(tmp_path, 40, optimizer=GRID, networks=9, initialisations=1, hidden=hidden, seed=5, trainer=DOUBLE)
    for row, column in product(range(3), range(3)):
        alone = Ensemble(hidden=hidden, seed=5).double().network(0)
        *below, output = alone.children()
        rates = [0.5 * 16 ** (column / 2)] * len(below) + [0.1 * 20 ** (row / 2)]
        groups = [
            {"params": layer.parameters(), "lr": rate} for layer, rate in zip([*below, output], rates, strict=True)
        ]
        sgd = torch.optim.SGD(groups)
        for _ in range(40):
            sgd.zero_grad()
            torch.nn.functional.mse_loss(alone(X.double()), Y.double()).backward()
            sgd.step()
        for ours, theirs in zip(
            module.ensemble.network(3 * row + column).parameters(), alone.parameters(), strict=True
        ):
            torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-12)


def test_the_rates_include_both_ends_and_lie_where_the_weights_do() -> None:
    made = GRID([torch.zeros(3, 4, 16, device="meta"), torch.zeros(5, 1, 16)])
    assert made.rates[0].is_meta
    ends = made.rates[1].view(4, 4)[:, 0]
    assert [ends[0], ends[-1]] == [torch.tensor(0.1), torch.tensor(2.0)]


def test_a_resumed_run_equals_an_uninterrupted_one_and_a_loaded_module_knows_its_rates(tmp_path: Path) -> None:
    def run(*callbacks: Any, ckpt_path: Path | None = None) -> XORModule:
        return fit(tmp_path, 90, list(callbacks), ckpt_path, GRID, networks=16, initialisations=2)[1]

    straight = run()
    run(StopAt(40), LastCheckpoint(str(tmp_path)))
    resumed = run(ckpt_path=tmp_path / "last.ckpt")
    assert all(torch.equal(a, b) for a, b in zip(weights(resumed), weights(straight), strict=True))
    loaded = XORModule.load_from_checkpoint(tmp_path / "last.ckpt")
    assert loaded.optimizer is not None
    assert (loaded.optimizer.func, loaded.optimizer.keywords) == (RateGridSGD, GRID.keywords)
    assert [loaded.ensemble.seed_of(i) for i in range(4)] == [0, 1, 0, 1]
    wider = partial(RateGridSGD, hidden=[0.5, 9.0], output=[0.1, 2.0])
    for key, optimizer, initialisations in (("optimizer.hidden", wider, 2), ("model.initialisations", GRID, 1)):
        other: dict[str, Any] = {"optimizer": optimizer, "networks": 16, "initialisations": initialisations}
        with pytest.raises(ValueError, match=f"ckpt_path holds a run with {key}="):
            fit(tmp_path, 90, ckpt_path=tmp_path / "last.ckpt", **other)


def test_a_checkpoint_names_no_class_that_the_file_only_imports() -> None:
    assert from_description({"_target_": "xornet.engine.rate_grid.Optimizer"}, torch.optim, rate_grid) is None
    assert from_description({"_target_": "torch.optim.sgd.SGD", "lr": 1}, torch.optim, rate_grid) is not None


def test_a_scheduler_multiplies_all_rates(tmp_path: Path) -> None:
    halved = partial(torch.optim.lr_scheduler.ConstantLR, factor=0.5, total_iters=100)
    small = partial(RateGridSGD, hidden=[0.25, 4.0], output=[0.05, 1.0])
    _, ours = fit(tmp_path, 40, optimizer=GRID, scheduler=halved, networks=9, trainer=DOUBLE)
    _, theirs = fit(tmp_path, 40, optimizer=small, networks=9, trainer=DOUBLE)
    for mine, other in zip(weights(ours), weights(theirs), strict=True):
        torch.testing.assert_close(mine, other, rtol=0, atol=1e-12)


def test_the_worked_step_of_network_0_has_its_rates() -> None:
    problem = Problem([torch.ones(3, 4).double(), torch.ones(5, 1).double()], X.double(), Y.double())
    steps = dict(work(problem, GRID))
    for layer, rate in ((1, 0.5), (2, 0.1)):
        gradient = next(value for name, value in steps.items() if name.startswith(f"∂L/∂W_{layer} ="))
        torch.testing.assert_close(steps[f"W_{layer} ← RateGridSGD"], 1 - rate * gradient, rtol=0, atol=1e-15)


@pytest.mark.parametrize(
    ("override", "cause"),
    [
        ("networks=1000", "networks must be a square, side x side, for a grid of rates, got 1000; use networks=961"),
        ("optimizer.hidden=[1,0.1]", "the lower one first, from 1e-30 to 1e30, got [1, 0.1]; use e.g. "),
        ("optimizer.output=[1e-60,1]", "the lower one first, from 1e-30 to 1e30, got [1e-60, 1]; use e.g. "),
        (
            "optimizer.output=[5,5.0000001]",
            "optimizer.output must be a range of 2 different numbers in torch.float32, got [5, 5.0000001]; use",
        ),
        ("optimizer.output=[0,1]", "optimizer.output must be two rates, the lower one first, from 1e-30"),
        ("optimizer.hidden=[1,2,3]", "optimizer.hidden must be a list of 2 finite numbers, got [1, 2, 3]"),
        ("optimizer.hidden=3", "optimizer.hidden must be a list of 2 finite numbers, got 3"),
        ("model.initialisations=5", "model.initialisations must be an integer from 1 to 4, got 5; use null"),
        ("model.initialisations=0", "model.initialisations must be an integer from 1 to 4, got 0; use null"),
    ],
)
def test_what_makes_no_grid_is_refused_in_one_line_before_anything_is_written(
    command: Command, tmp_path: Path, override: str, cause: str
) -> None:
    run = command("optimizer=rate_grid", "networks=4", override)
    assert run.status == 1
    assert cause in run.last_line
    assert "torch.optim" not in run.last_line
    assert not list(tmp_path.rglob("*.*"))
