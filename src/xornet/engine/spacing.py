"""The schedule of a run: every n-th epoch is recorded, logged and drawn, so that a long run has about 1,000 of them."""

from collections.abc import Sequence
from itertools import chain, count


def spacing(least: float) -> int:
    """Return the smallest n of 1, 2, 10, 20, 40, 80, ... epochs that is at least `least`.

    Each divides the next, so the epochs that a long run keeps of its beginning are among those that a shorter run
    keeps: a run that is resumed to more epochs ends with the same epochs as one that was long from its start.
    """
    steps = chain((1, 2, 10), (20 * 2**k for k in count()))
    return next(step for step in steps if step >= least)


def widen(every: int, epochs: Sequence[int], most: int) -> int:
    """Return the smallest n, at least `every`, of which at most `most` of the `epochs` are multiples."""
    while len(epochs) > most and sum(epoch % every == 0 for epoch in epochs) > most:
        every = spacing(every + 1)
    return every
