"""On which plateau an unsolved network stands: the loss of a network that separates only some of the points.

If a network cannot separate the points of a group, their squared error is smallest when all their outputs are the mean
target of the group. On XOR the groups that leave an error are

    1/4   all four points: 1/2, 1/2, 1/2, 1/2
    1/6   three points, the fourth apart: 0, 2/3, 2/3, 2/3, or the mirror image 1, 1/3, 1/3, 1/3
    1/8   two points with unlike targets, the others apart: 0, 1/2, 1/2, 1

and the loss falls towards such a value more and more slowly. The slope of the sigmoid also vanishes at 0 and 1: outputs
that have all reached them stay there, even wrong ones; such a network is saturated. Other tables have other groups; the
rule is the same.
"""

import math
from collections import Counter
from collections.abc import Iterable
from fractions import Fraction
from functools import lru_cache

import torch
from torch import Tensor

TOLERANCE = 0.1  # largest distance of a prediction from the mean target of its group, or from 0 or 1
LARGEST_DENOMINATOR = 100  # of a loss as a fraction
SATURATED, ELSEWHERE = "saturated", "elsewhere"


def names(predictions: Tensor, y: Tensor) -> list[str]:
    """Where each of N unsolved networks stands, in words.

    Returns:
        the loss of the plateau near which it stands, as a fraction (`1/4`, `1/8`, `1/6`, ...); else `saturated` if each
        prediction is within TOLERANCE of 0 or 1; else `elsewhere`; an empty string for a network that has diverged.

    """
    saturated = (torch.minimum(predictions, 1 - predictions) < TOLERANCE).all(0).all(0)
    diverged = predictions.isnan().any(0).any(0)
    columns = (limits(predictions, y).tolist(), saturated.tolist(), diverged.tolist())
    return ["" if lost else name(limit, stuck) for limit, stuck, lost in zip(*columns, strict=True)]


@lru_cache(1000)  # there are few different values, and up to a million networks
def name(limit: float, is_saturated: bool) -> str:
    """The loss of a plateau as the nearest fraction with a small denominator; a word if it is nan."""
    if math.isnan(limit):
        return SATURATED if is_saturated else ELSEWHERE
    return str(Fraction(limit).limit_denominator(LARGEST_DENOMINATOR))


def limits(predictions: Tensor, y: Tensor) -> Tensor:
    """The loss of the plateau near which each network stands, nan if there is none: (N,), float64.

    A network's sorted predictions are divided into groups where neighbours differ by more than 2 TOLERANCE. It stands
    near a plateau if each prediction is within TOLERANCE of the mean target of its group; the mean squared error of
    these means is the loss of the plateau. The loss of the network alone would not tell: a saturated network with one
    of four points wrong has a loss of 1/4 too, and a network on its way from 1/6 to the solution passes 1/8.

    Args:
        predictions: (P, O, N).
        y: targets (P, O).

    """
    values, order = predictions.flatten(0, 1).cpu().double().sort(0)  # (P O, N)
    targets = y.flatten().cpu().double()[order]
    groups = torch.zeros_like(order)
    groups[1:] = (values.diff(dim=0) > 2 * TOLERANCE).cumsum(0)
    ones = torch.ones_like(values)
    sums, sizes = (torch.zeros_like(values).scatter_add_(0, groups, part) for part in (targets, ones))
    means = (sums / sizes).gather(0, groups)
    is_near = ((values - means).abs() < TOLERANCE).all(0)
    return (means - targets).square().mean(0).where(is_near, torch.nan)


def count(found: Iterable[str]) -> dict[str, int]:
    """The number of networks at each place, the most frequent first, `elsewhere` last."""
    counts = Counter(each for each in found if each)
    return {each: counts[each] for each in sorted(counts, key=lambda each: (each == ELSEWHERE, -counts[each], each))}


def describe(place: str) -> str:
    """A place in words: `near 1/8`, `saturated`, `elsewhere`."""
    return place if place in (SATURATED, ELSEWHERE) else f"near {place}"
