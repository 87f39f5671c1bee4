"""How far apart lie the epochs at which a run remembers, logs and draws: in steps of which each divides the next."""

from collections.abc import Iterator

STEPS = (1, 2, 10, 20)  # and then 40, 80, 160, ...


def spacing(least: float) -> int:
    """Return the smallest step of 1, 2, 10, 20, 40, 80, ... epochs that is at least `least`.

    Each divides the next, so what a long run keeps of its beginning, a shorter one has kept too: a run that was made
    longer ends with the same epochs as one that was long from its start.
    """
    return next(step for step in steps() if step >= least)


def steps() -> Iterator[int]:
    """Yield 1, 2, 10, 20, 40, 80, ..."""
    yield from STEPS
    step = STEPS[-1]
    while True:
        step *= 2
        yield step
