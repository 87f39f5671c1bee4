"""What a configured value must be; each error names the key, the value and the remedy."""

from collections.abc import Collection


def integer(key: str, value: object, low: int, high: int, remedy: str) -> int:
    """Return `value` if it is an integer in [low, high], else raise ValueError."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ValueError(f"{key} must be an integer from {low} to {high}, got {value!r}; {remedy}")
    return value


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
