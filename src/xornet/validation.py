"""Checks of configured values; each error names the key, the value and the remedy."""

from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

LARGEST_PRODUCT = 2**31  # limit of the numbers in one tensor: points x weights of a layer x networks


def integer(key: str, value: object, low: int, high: int, remedy: str) -> int:
    """Return `value` if it is an integer in [low, high], else raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{key} must be an integer from {low} to {high}, got {value!r}; {remedy}")
    return value


def interval(key: str, value: object, example: int) -> int:
    """Return `callbacks.<key>` if it is a number of epochs, else raise ValueError with `example` as the remedy."""
    return integer(f"callbacks.{key}", value, 1, 10**9, f"use e.g. callbacks.{key}={example}")


def number(key: str, value: object, remedy: str) -> float:
    """Return `value` as a float if it is from 0 to 1e30, well within float32, else raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1e30:
        raise ValueError(f"{key} must be a number from 0 to 1e30, got {value!r}; {remedy}")
    return float(value)


def choice(key: str, value: object, allowed: Collection[str]) -> str:
    """Return `value` if it is one of `allowed`, else raise ValueError."""
    if not isinstance(value, str) or value not in allowed:
        first = next(iter(allowed))
        raise ValueError(f"{key} must be one of {', '.join(allowed)}, got {value!r}; use e.g. {key}={first}")
    return value


def plain(value: Any) -> Any:
    """The value in Python's own types, without those of NumPy and OmegaConf: checkpoints can be read with no others."""
    is_config = type(value).__module__.startswith("omegaconf.")
    if type(value) is dict or (is_config and isinstance(value, Mapping)):
        return {key: plain(one) for key, one in value.items()}
    if type(value) in (list, tuple) or (is_config and isinstance(value, Sequence)):
        return tuple(map(plain, value)) if type(value) is tuple else [plain(one) for one in value]
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


def size(inputs: int, hidden: Sequence[int], networks: int) -> None:
    """Raise ValueError unless these networks can be made and fit into memory."""
    if isinstance(hidden, str) or not isinstance(hidden, Sequence):
        raise ValueError(f"model.hidden must be a list of layer sizes, got {hidden!r}; use e.g. model.hidden=[4]")
    for units in hidden:
        integer("model.hidden sizes", units, 1, 4096, "use model.hidden=[] for a single layer")
    integer("data.bits", inputs, 1, 16, "use data.bits=2 for XOR")
    integer("networks", networks, 1, 1_000_000, "use networks=1 for a single network")
    largest = max((fan_in + 1) * units for fan_in, units in pairwise([inputs, *hidden, 1]))
    if 2**inputs * largest * networks > LARGEST_PRODUCT:
        raise ValueError(
            f"networks={networks} of model.hidden={list(hidden)} on data.bits={inputs} need more than "
            f"{LARGEST_PRODUCT * 4 / 2**30:.0f} GiB at a time; use fewer networks, units or bits"
        )
