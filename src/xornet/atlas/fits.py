"""Laws with two parameters, fitted by least squares of the relative errors."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from xornet.plots.render import Array

FORMS: dict[str, Callable[[Array, float, float], Array]] = {
    "a + b log2 x": lambda x, a, b: a + b * np.log2(x),
    "c x^d": lambda x, c, d: c * x**d,
    "c d^x": lambda x, c, d: c * d**x,
}


@dataclass
class Fit:
    """A fitted law with two parameters, and its residual.

    Args:
        form: a key of FORMS.
        first: a, or c.
        second: b, or d.
        residual: root mean square of ln(law / y), so 0.1 is about 10% off; inf where the law is not positive.

    """

    form: str
    first: float
    second: float
    residual: float

    def __call__(self, x: Array) -> Array:
        """The law at x, (n,)."""
        return FORMS[self.form](x, self.first, self.second)


def fit_logarithm(x: Array, y: Array) -> Fit:
    """Fit y = a + b log2 x by least squares of law / y - 1, which is ln(law / y) to first order.

    Args:
        x: (n,), positive, at least two different.
        y: (n,), positive.

    """
    slope, intercept = np.polyfit(np.log2(x), y, 1, w=1 / y)
    return fitted("a + b log2 x", intercept, slope, x, y)


def fit_power(x: Array, y: Array) -> Fit:
    """Fit y = c x^d by least squares of ln(law / y), which is linear; x and y as above."""
    slope, intercept = np.polyfit(np.log(x), np.log(y), 1)
    return fitted("c x^d", np.exp(intercept), slope, x, y)


def fit_exponential(x: Array, y: Array) -> Fit:
    """Fit y = c d^x by least squares of ln(law / y), which is linear; x and y as above."""
    slope, intercept = np.polyfit(x, np.log(y), 1)
    return fitted("c d^x", np.exp(intercept), np.exp(slope), x, y)


def fitted(form: str, first: float, second: float, x: Array, y: Array) -> Fit:
    """The fit with its residual."""
    law = FORMS[form](x, first, second)
    ratios = np.log(law / y) if (law > 0).all() else np.full_like(y, np.inf)
    return Fit(form, float(first), float(second), float(np.sqrt(np.mean(ratios**2))))
