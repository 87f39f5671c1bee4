"""PyTorch's `grad_input` overloads are not documented: this compares them with autograd."""

import pytest
import torch

from xornet.backprop import ACTIVATIONS
from xornet.engine.inplace import INPLACE


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_grad_input_overload_of_an_activation_writes_its_gradient_in_place(name: str) -> None:
    z = torch.linspace(-2, 2, 24, dtype=torch.float64).reshape(4, 3, 2).requires_grad_()
    delta = torch.cos(torch.arange(24.0, dtype=torch.float64)).reshape(4, 3, 2)
    (expected,) = torch.autograd.grad(ACTIVATIONS[name].sigma(z), z, delta)
    with_one = torch.ones(4, 4, 2, dtype=torch.float64)
    a = with_one[:, :3]  # a view, as in Layer
    into, backward_into = INPLACE[name]
    into(z.detach(), out=a)
    torch.testing.assert_close(a, ACTIVATIONS[name].sigma(z).detach(), rtol=0, atol=1e-15)
    address = delta.data_ptr()
    backward_into(delta, a, grad_input=delta)
    assert delta.data_ptr() == address
    torch.testing.assert_close(delta, expected, rtol=0, atol=1e-15)
