from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor

from xornet.atlas.fits import fit_exponential, fit_logarithm, fit_power
from xornet.backprop import predict
from xornet.data import truth_table
from xornet.network import Ensemble
from xornet.plots.render import Array

H: Array = np.array([2.0, 4, 8, 16, 32])
POWER: Array = np.array([900 * h**-0.4 for h in H.tolist()])
LOGARITHM: Array = 280 - 33 * np.log2(H)
EXPONENTIAL: Array = 5 * 1.2**H


def test_each_form_finds_the_parameters_of_its_own_data() -> None:
    logarithm, power, exponential = fit_logarithm(H, LOGARITHM), fit_power(H, POWER), fit_exponential(H, EXPONENTIAL)
    assert (logarithm.first, logarithm.second) == pytest.approx((280, -33))
    assert (power.first, power.second) == pytest.approx((900, -0.4))
    assert logarithm.residual == pytest.approx(0, abs=1e-9)
    assert power.residual == pytest.approx(0, abs=1e-9)
    assert power(np.array([4.0])) == pytest.approx([900 * 4**-0.4])
    assert (exponential.first, exponential.second) == pytest.approx((5, 1.2))
    assert exponential.residual == pytest.approx(0, abs=1e-9)


def test_the_form_of_the_data_has_the_smaller_residual() -> None:
    assert fit_power(H, POWER).residual < fit_logarithm(H, POWER).residual
    assert fit_logarithm(H, LOGARITHM).residual < fit_power(H, LOGARITHM).residual
    assert fit_exponential(H, EXPONENTIAL).residual < fit_power(H, EXPONENTIAL).residual


def test_the_logarithm_has_the_least_squares_of_its_relative_errors() -> None:
    """No other a and b near it have less, on data that are no logarithm."""
    fit = fit_logarithm(H, POWER)

    def squares(a: float, b: float) -> float:
        return float((((a + b * np.log2(H)) / POWER - 1) ** 2).sum())

    least = squares(fit.first, fit.second)
    for a, b in product((-1, 0, 1), (-0.1, 0, 0.1)):
        assert squares(fit.first + a, fit.second + b) > least - 1e-12


def test_the_residual_is_the_root_mean_square_of_the_logarithms_of_the_ratios() -> None:
    """Of two points at each of two x, 10% above and below: the geometric mean lies on the law."""
    fit = fit_power(np.array([1.0, 1, 4, 4]), np.array([1.1, 1 / 1.1, 2.2, 2 / 1.1]))
    assert (fit.first, fit.second) == pytest.approx((1, 0.5))
    assert fit.residual == pytest.approx(np.log(1.1))


def test_a_logarithm_that_is_below_zero_at_a_point_is_no_law_of_epochs() -> None:
    assert fit_logarithm(np.array([1.0, 2, 4, 8]), np.array([10000.0, 100, 1000, 10000])).residual == np.inf


@pytest.mark.parametrize("hidden", [2, 4, 8])
def test_the_saddle_at_the_origin_has_one_curved_direction_and_no_slope_below_the_third_order(hidden: int) -> None:
    """What docs/atlas.md explains the escape times by: curvature (1 + H/4)/8 along the output's bias, none elsewhere.

    So a learning rate above 16/(1 + H/4) leaves it by overshooting, and below, small weights r leave it after ~ 1/r².
    """
    ensemble = Ensemble(hidden=[hidden], init=1.0, networks=1, seed=3)
    start = [weight.detach().double() for weight in ensemble.weights]
    x, y = (part.double() for part in truth_table())

    def loss(*weights: Tensor) -> Tensor:
        return (predict(list(weights), x, "sigmoid") - y[..., None]).square().mean()

    def flat(weights: Tensor) -> Tensor:
        return loss(*(part.view_as(like) for part, like in zip(weights.split(sizes), start, strict=True)))

    sizes = [weight.numel() for weight in start]
    hessian = torch.autograd.functional.hessian(flat, torch.zeros(sum(sizes), dtype=torch.float64))
    curvatures = torch.linalg.eigvalsh(hessian)
    assert curvatures[-1].item() == pytest.approx((1 + hidden / 4) / 8)
    assert curvatures[:-1].abs().max().item() < 1e-15

    slopes = []
    for r in (1e-2, 1e-3):
        weights = [(r * weight).requires_grad_() for weight in start]
        with torch.no_grad():  # where the curved direction has come to rest: all outputs one half in the mean
            weights[1][-1] = -(torch.sigmoid(weights[0][-1]) * weights[1][:-1, 0]).sum(0)
        gradient, _ = torch.autograd.grad(loss(*weights), weights)
        slopes.append(gradient.abs().max().item())
    assert slopes[0] / slopes[1] == pytest.approx(1000, rel=0.01)
