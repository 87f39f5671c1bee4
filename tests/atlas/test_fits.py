import numpy as np
import pytest

from xornet.atlas.fits import fit_logarithm, fit_power
from xornet.plots.render import Array

H: Array = np.array([2.0, 4, 8, 16, 32])
POWER: Array = np.array([900 * h**-0.4 for h in H.tolist()])
LOGARITHM: Array = 280 - 33 * np.log2(H)


def test_each_form_finds_the_parameters_of_its_own_data() -> None:
    logarithm, power = fit_logarithm(H, LOGARITHM), fit_power(H, POWER)
    assert (logarithm.first, logarithm.second) == pytest.approx((280, -33))
    assert (power.first, power.second) == pytest.approx((900, -0.4))
    assert logarithm.residual == pytest.approx(0, abs=1e-9)
    assert power.residual == pytest.approx(0, abs=1e-9)
    assert power(np.array([4.0])) == pytest.approx([900 * 4**-0.4])


def test_the_form_of_the_data_has_the_smaller_residual() -> None:
    assert fit_power(H, POWER).residual < fit_logarithm(H, POWER).residual
    assert fit_logarithm(H, LOGARITHM).residual < fit_power(H, LOGARITHM).residual


def test_the_residual_is_the_root_mean_square_of_the_logarithms_of_the_ratios() -> None:
    """Of two points at each of two x, 10% above and below: the geometric mean lies on the law."""
    fit = fit_power(np.array([1.0, 1, 4, 4]), np.array([1.1, 1 / 1.1, 2.2, 2 / 1.1]))
    assert (fit.first, fit.second) == pytest.approx((1, 0.5))
    assert fit.residual == pytest.approx(np.log(1.1))


def test_a_logarithm_that_falls_below_zero_is_no_law_of_epochs() -> None:
    assert fit_logarithm(np.array([1.0, 2, 4, 8]), np.array([1000.0, 10, 5, 1])).residual == np.inf
