import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SRC, Command
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from xornet.backprop import ACTIVATIONS, backpropagate
from xornet.data import XORDataModule, truth_table
from xornet.engine.inplace import InplaceBackprop
from xornet.gradcheck import comparison as gradcheck
from xornet.gradcheck.comparison import compare, tabulate
from xornet.gradcheck.worked_example import Problem, show, work
from xornet.network import Ensemble

SHAPES: list[list[int]] = [[4], [], [8, 8], [3, 2, 5]]
sgd = partial(torch.optim.SGD, lr=0.1)


def make(
    hidden: list[int], activation: str = "sigmoid", bits: int = 2, seed: int = 7, init: float | None = None
) -> Problem:
    ensemble = Ensemble(bits, hidden, activation, seed=seed, init=init).double()
    x, y = (tensor.double() for tensor in truth_table(bits))
    return Problem([weight.detach()[..., 0] for weight in ensemble.weights], x, y, activation)


@pytest.mark.parametrize("hidden", SHAPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_worked_step_is_that_of_linear_layers_and_autograd(activation: str, hidden: list[int]) -> None:
    problem = make(hidden, activation)
    worked = {re.split(r" = | \(bias", heading)[0]: value for heading, value in work(problem, sgd)}
    network = Ensemble(2, hidden, activation, seed=7).network(0).double()
    layers, z, a = [layer for layer in network.children() if isinstance(layer, torch.nn.Linear)], [], [problem.x]
    for layer in layers:
        z.append(layer(a[-1]))
        z[-1].retain_grad()
        a.append(torch.sigmoid(z[-1]) if layer is layers[-1] else getattr(torch, activation)(z[-1]))
        a[-1].retain_grad()
    loss = torch.nn.MSELoss()(a[-1], problem.y)
    loss.backward()
    expected = {"a_0": a[0], "y": problem.y, "ŷ - y": a[-1] - problem.y, "L": loss}
    for i, layer in enumerate(layers, 1):
        assert layer.weight.grad is not None
        assert layer.bias.grad is not None
        assert z[i - 1].grad is not None
        out = "ŷ" if i == len(layers) else f"a_{i}"
        stacked = torch.cat([layer.weight.T, layer.bias[None]])
        gradient = torch.cat([layer.weight.grad.T, layer.bias.grad[None]])
        expected |= {
            f"W_{i}": stacked,
            f"z_{i}": z[i - 1],
            out: a[i],
            f"σ'({out})": torch.autograd.functional.jvp(
                torch.sigmoid if out == "ŷ" else getattr(torch, activation), z[i - 1], torch.ones_like(z[i - 1])
            )[1],
            f"δ_{i}": z[i - 1].grad,
            f"∂L/∂W_{i}": gradient,
            f"W_{i} ← W_{i} - η ∂L/∂W_{i}, η": stacked - 0.1 * gradient,
        }
        if i > 1:
            expected[f"W_{i} δ_{i}"] = a[i - 1].grad
    torch.optim.SGD(network.parameters(), lr=0.1).step()
    expected["L after the update"] = torch.nn.MSELoss()(network(problem.x), problem.y)
    assert worked.keys() == expected.keys()
    for name, value in worked.items():
        torch.testing.assert_close(value, expected[name].detach(), rtol=0, atol=1e-12, msg=name)


def test_every_line_stands_after_those_that_it_is_computed_from() -> None:
    headings = [heading for heading, _ in work(make([3, 2]), sgd)]
    order = [heading.split(" = ")[0] for heading in headings if re.match("[δ∂W]", heading)]
    assert order[3:9] == [
        "δ_3",
        "∂L/∂W_3",
        "W_3 δ_3 (bias row left out)",
        "δ_2",
        "∂L/∂W_2",
        "W_2 δ_2 (bias row left out)",
    ]
    assert headings[-1] == "L after the update"


def test_another_optimizer_takes_its_own_step_and_is_named() -> None:
    problem = make([4])
    worked = dict(work(problem, partial(torch.optim.Adam, lr=0.01)))
    before, after = worked["W_1"], worked["W_1 ← Adam"]
    torch.testing.assert_close((after - before).abs(), torch.full_like(before, 0.01), rtol=1e-3, atol=0)
    assert torch.equal(problem.weights[0], before)


@pytest.mark.parametrize("init", [None, 0.0, 0.1, 5.0, 30.0, 1e20])
@pytest.mark.parametrize("hidden", SHAPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gradients_of_any_network_agree(activation: str, hidden: list[int], init: float | None) -> None:
    for bits in (1, 3):
        layers = list(compare(make(hidden, activation, bits, init=init)))
        assert len(layers) == len(hidden) + 1
        assert all(layer.agree() for layer in layers)


def without_scale(weights: list[Tensor], x: Tensor, y: Tensor, activation: str) -> tuple[Tensor, list[Tensor]]:
    """The factor 2/P of the loss forgotten, as the sheet does."""
    error, gradients = backpropagate(weights, x, y, activation)
    return error, [gradient * len(x) / 2 for gradient in gradients]


def one_wrong_weight(weights: list[Tensor], x: Tensor, y: Tensor, activation: str) -> tuple[Tensor, list[Tensor]]:
    """One number of the first layer off by a millionth of itself."""
    error, gradients = backpropagate(weights, x, y, activation)
    gradients[0][0, 0] *= 1 + 1e-6
    return error, gradients


class Unscaled(InplaceBackprop):
    """The factor 2/P of the loss forgotten, in the buffers."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.scale = 1.0


@pytest.mark.parametrize(
    ("name", "wrong", "layers"),
    [
        ("backpropagate", without_scale, "∂L/∂W_1, ∂L/∂W_2"),
        ("backpropagate", one_wrong_weight, "∂L/∂W_1"),
        ("InplaceBackprop", Unscaled, "∂L/∂W_1, ∂L/∂W_2"),
    ],
)
def test_a_wrong_gradient_is_named_and_exits_with_1(
    command: Command, monkeypatch: pytest.MonkeyPatch, name: str, wrong: object, layers: str
) -> None:
    monkeypatch.setattr(gradcheck, name, wrong)
    run = command(script="check_gradients.py")
    assert run.status == 1
    assert run.out.endswith(f"\nThe gradients disagree: {layers}\n")
    assert "DISAGREE" in run.out
    assert run.err == ""


def test_a_wrong_slope_of_the_loss_is_beyond_what_differences_may_be_off() -> None:
    for layer in compare(make([4])):
        doubled = {name: 2 * gradient for name, gradient in layer.found.items()}  # all three alike
        twice = layer._replace(found=doubled)
        assert max(twice.from_autograd()) <= layer.rounding
        assert min(twice.from_slopes()) > 1e5 * layer.error
        assert not twice.agree()
        assert not layer._replace(found={name: gradient * torch.nan for name, gradient in doubled.items()}).agree()


def test_weights_at_a_kink_are_counted_and_compared_with_autograd_alone() -> None:
    problem = make([4], "relu")
    problem.weights[0][:, 1] = torch.tensor([0.5, 0.25, 1e-7])  # z of the point 0 0 is within h of the kink
    problem.weights[1][1] = 1.0
    first, second = compare(problem)
    assert torch.equal(~first.smooth, torch.tensor([[False] * 4, [False] * 4, [False, True, False, False]]))
    assert second.smooth.all()
    assert (first.found["Autograd"] - first.slopes)[2, 1].abs() > 1e-3
    assert first.agree()
    assert " not compared with D(h), for relu has a kink within 2h: 1\n" in tabulate("", first)


def test_a_gradient_too_small_to_tell_is_said_to_be() -> None:
    first, *_, last = compare(make([2] * 16))
    assert "too small to tell" in tabulate("", first)
    assert "too small to tell" not in tabulate("", last)


def test_a_large_table_is_abbreviated_and_compared_whole(command: Command) -> None:
    assert show("x", torch.rand(20, 9)).startswith("x (16 of 20 rows, 8 of 9 columns shown)\n")
    run = command("data.bits=5", "model.hidden=[9]", script="check_gradients.py")
    assert run.status == 0, run.err
    assert "a_0 = x (16 of 32 rows, 5 of 5 columns shown)\n" in run.out
    assert "∂L/∂W_1: 54 weights, 16 shown, all compared\n" in run.out
    assert max(map(len, run.out.splitlines())) <= 120


def test_the_printout_starts_where_the_default_run_does(command: Command) -> None:
    run = command(script="check_gradients.py")
    assert run.status == 0, run.err
    assert "\nL = (1/P) Σ_points (ŷ - y)² = 0.2595" in run.out
    assert run.out.endswith("\nThe gradients agree.\n")
    loss = float(re.findall(r"^L after the update = (\S+)$", run.out, re.M)[0])
    trained = command("trainer.max_epochs=1")
    assert loss == pytest.approx(trained.metrics["loss"], abs=1e-6)


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("model.hidden=[0]", "model.hidden sizes must be an integer from 1 to 4096, got 0; use model.hidden=[] for"),
        ("trainer.max_epochs=3", "trainer is no key of the configuration; use one of data, model, networks"),
        ("model.bits=3", "model.bits=3, but the table has 2 inputs; use data.bits alone"),
    ],
)
def test_a_bad_value_ends_in_one_line(command: Command, override: str, line: str) -> None:
    run = command(override, script="check_gradients.py")
    assert run.status == 1
    assert line in run.last_line
    assert "Traceback" not in run.err


X, Y = truth_table()


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (DataLoader(TensorDataset(X, Y[:, 0]), 4), r"got [(4, 2), (4,)]; use y[:, None], a column"),
        (DataLoader(TensorDataset(X, Y), 2), "data must be one batch, the whole table, got several; use DataLoader"),
        ([], "data must be one batch, the whole table, got none; use data with points"),
        (None, "train_dataloader must return a DataLoader, got None; use return DataLoader(...)"),
        (DataLoader(TensorDataset(X, Y / 0), 4), "a table must hold finite numbers, got nan or inf"),
    ],
)
def test_data_that_no_run_takes_is_not_checked_either(
    command: Command, monkeypatch: pytest.MonkeyPatch, data: object, line: str
) -> None:
    monkeypatch.setattr(XORDataModule, "train_dataloader", lambda _: data)
    run = command(script="check_gradients.py")
    assert run.status == 1
    assert line in run.last_line
    assert "Traceback" not in run.err


@pytest.mark.further
def test_a_process_of_its_own_leaves_nothing_behind(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SRC)}
    arguments = [sys.executable, str(SRC / "check_gradients.py"), "model.hidden=[]", "optimizer.weight_decay=0.5"]
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    assert "\nW_1 ← SGD\n" in done.stdout
    assert not list(tmp_path.iterdir())
