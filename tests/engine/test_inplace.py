"""The gradient in place; PyTorch's `grad_input` overloads are not documented: this compares them with autograd."""

from functools import partial
from pathlib import Path

import pytest
import torch
from conftest import fit

from xornet.backprop import ACTIVATIONS, Activation
from xornet.data import truth_table
from xornet.engine.inplace import INPLACE, inplace


@pytest.mark.parametrize("is_general", [False, True])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_gradient_of_an_activation_is_written_in_place(name: str, is_general: bool) -> None:
    z = torch.linspace(-2, 2, 24, dtype=torch.float64).reshape(4, 3, 2).requires_grad_()
    delta = torch.cos(torch.arange(24.0, dtype=torch.float64)).reshape(4, 3, 2)
    (expected,) = torch.autograd.grad(ACTIVATIONS[name].sigma(z), z, delta)
    with_one = torch.ones(4, 4, 2, dtype=torch.float64)
    a = with_one[:, :3]  # a view, as in Layer
    into, backward_into = inplace(ACTIVATIONS[name]) if is_general else INPLACE[name]
    into(z.detach(), out=a)
    torch.testing.assert_close(a, ACTIVATIONS[name].sigma(z).detach(), rtol=0, atol=1e-15)
    address = delta.data_ptr()
    backward_into(delta, a, grad_input=delta)
    assert delta.data_ptr() == address
    torch.testing.assert_close(delta, expected, rtol=0, atol=1e-15)


def test_an_activation_that_is_added_is_trained_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    softplus = Activation(torch.nn.functional.softplus, lambda a: 1 - torch.exp(-a))
    monkeypatch.setitem(ACTIVATIONS, "softplus", softplus)
    by_hand, by_autograd = (
        fit(tmp_path, 100, optimizer=partial(torch.optim.SGD, lr=0.5), activation="softplus", gradient=gradient)[1]
        for gradient in ("backprop", "autograd")
    )
    x, _ = truth_table()
    torch.testing.assert_close(by_hand(x), by_autograd(x), rtol=0, atol=1e-6)
    assert (by_hand(x) - fit(tmp_path, 100, optimizer=partial(torch.optim.SGD, lr=0.5))[1](x)).abs().max() > 1e-3
