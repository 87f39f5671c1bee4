"""How often a callback does something."""

from xornet import validation


def interval(key: str, value: object, example: int) -> int:
    """Return `value`, the number that a configuration has under `callbacks.<key>`.

    Raises:
        ValueError: it is no whole number from 1 on; the remedy is `example`.

    """
    key = f"callbacks.{key}"
    return validation.integer(key, value, 1, 10**9, f"use e.g. {key}={example}")
