import pytest
import torch
from torch import Tensor

from xornet.backprop import ACTIVATIONS, backpropagate
from xornet.data import truth_table
from xornet.engine.autograd import Autograd
from xornet.engine.inplace import InplaceBackprop
from xornet.network import Ensemble

SHAPES: list[list[int]] = [[4], [], [8, 8], [3, 2, 5]]


def gradients(kind: type[InplaceBackprop] | type[Autograd], ensemble: Ensemble, x: Tensor, y: Tensor) -> list[Tensor]:
    gradient = kind(list(ensemble.weights), x, y, ensemble.activation)
    error = torch.full((*y.shape, len(ensemble)), torch.nan, dtype=x.dtype)
    gradient.attach()
    gradient.forward(error)
    torch.testing.assert_close(error, ensemble(x).detach() - y[:, :, None])
    gradient.backward(error)
    return [weight.grad.clone() for weight in ensemble.weights if weight.grad is not None]


@pytest.mark.parametrize("networks", [1, 5])
@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("hidden", SHAPES)
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_gradient_by_hand_is_autograds(activation: str, hidden: list[int], bits: int, networks: int) -> None:
    ensemble = Ensemble(bits, hidden, activation, networks, seed=11).double()
    x, y = (tensor.double() for tensor in truth_table(bits))
    by_hand, by_autograd = (gradients(kind, ensemble, x, y) for kind in (InplaceBackprop, Autograd))
    assert len(by_hand) == len(hidden) + 1
    for ours, theirs in zip(by_hand, by_autograd, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)
    error, as_written = backpropagate(list(ensemble.weights), x, y, activation)
    torch.testing.assert_close(error, ensemble(x) - y[:, :, None])
    for ours, theirs in zip(as_written, by_autograd, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-10)


@pytest.mark.parametrize("hidden", SHAPES)
@pytest.mark.parametrize("activation", ["sigmoid", "tanh"])
def test_the_gradient_by_hand_is_the_slope_of_the_loss(activation: str, hidden: list[int]) -> None:
    ensemble = Ensemble(2, hidden, activation, networks=2, seed=5).double()
    x, y = (tensor.double() for tensor in truth_table(2))
    step = 1e-6

    def losses() -> Tensor:
        return (ensemble(x).detach() - y[:, :, None]).square().mean((0, 1))  # (N,)

    for weight, gradient in zip(ensemble.weights, gradients(InplaceBackprop, ensemble, x, y), strict=True):
        for index in torch.cartesian_prod(*map(torch.arange, weight.shape[:2])).tolist():
            entry = weight.data[tuple(index)]  # (N,): every network's own loss moves with its own weight
            entry += step
            above = losses()
            entry -= 2 * step
            below = losses()
            entry += step
            torch.testing.assert_close(gradient[tuple(index)], (above - below) / (2 * step), rtol=0, atol=1e-8)


def test_the_loss_that_it_descends_is_pytorchs_mse_loss() -> None:
    ensemble = Ensemble(networks=1, seed=2)
    x, y = truth_table(2)
    network = ensemble.network(0)
    torch.nn.MSELoss()(network(x), y).backward()
    hidden, output = gradients(InplaceBackprop, ensemble, x, y)
    for ours, name in ((hidden, "hidden"), (output, "output")):
        weight, bias = network.get_parameter(f"{name}.weight").grad, network.get_parameter(f"{name}.bias").grad
        assert weight is not None
        assert bias is not None
        torch.testing.assert_close(ours[..., 0], torch.cat([weight.T, bias[None]]))


def test_networks_do_not_see_each_other() -> None:
    x, y = truth_table(2)
    together = Ensemble(networks=4, seed=0).double()
    alone = Ensemble(networks=1, seed=2).double()
    for ours, theirs in zip(
        gradients(InplaceBackprop, together, x.double(), y.double()),
        gradients(InplaceBackprop, alone, x.double(), y.double()),
        strict=True,
    ):
        torch.testing.assert_close(ours[..., 2], theirs[..., 0], rtol=0, atol=1e-15)
