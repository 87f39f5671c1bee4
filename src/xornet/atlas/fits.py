"""Two forms of a law, fitted by least squares: a + b log2 x, and c x^d."""

from dataclasses import dataclass

import numpy as np

from xornet.plots.render import Array


@dataclass
class Fit:
    """A law with two parameters, and how far it is from the data.

    Args:
        form: `a + b log2 x` or `c x^d`.
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
        return self.first + self.second * np.log2(x) if "log2" in self.form else self.first * x**self.second


def fit_logarithm(x: Array, y: Array) -> Fit:
    """Fit y = a + b log2 x, by least squares of y.

    Args:
        x: (n,), positive, at least two different.
        y: (n,), positive.

    """
    return fitted("a + b log2 x", *line(np.log2(x), y), x, y)


def fit_power(x: Array, y: Array) -> Fit:
    """Fit y = c x^d, by least squares of ln y, in which it is a line.

    Args:
        x: (n,), positive, at least two different.
        y: (n,), positive.

    """
    intercept, slope = line(np.log(x), np.log(y))
    return fitted("c x^d", float(np.exp(intercept)), slope, x, y)


def line(x: Array, y: Array) -> tuple[float, float]:
    """The intercept and the slope of the line with the least squares."""
    solution = np.linalg.lstsq(np.stack([np.ones_like(x), x], 1), y, rcond=None)[0]
    return float(solution[0]), float(solution[1])


def fitted(form: str, first: float, second: float, x: Array, y: Array) -> Fit:
    """The fit with its residual."""
    law = Fit(form, first, second, np.nan)(x)
    ratios = np.log(law / y) if (law > 0).all() else np.full_like(y, np.inf)
    return Fit(form, first, second, float(np.sqrt(np.mean(ratios**2))))
