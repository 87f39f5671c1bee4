"""The arguments of an optimizer or a scheduler: checks of their names and types."""

import inspect
import math
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

from xornet import validation
from xornet.engine.own import OPTIMIZERS, name_of


def as_partial(
    group: str, made: Any, base: type, refused: Collection[str], wanted: str, example: str
) -> "partial[Any]":
    """Return a class, or a partial of one, as a partial.

    Args:
        group: `optimizer` or `scheduler`.
        made: the class or the partial.
        base: what it must be a subclass of.
        refused: names of subclasses that cannot work here.
        wanted: what it must be, in words.
        example: a file of conf/`group`.

    Raises:
        ValueError: it is no such class.

    """
    kind = getattr(made, "func", made)
    if not (inspect.isclass(kind) and issubclass(kind, base)) or kind.__name__ in refused:
        got = kind if isinstance(kind, str) else getattr(kind, "__name__", type(kind).__name__)
        remedy = f"use e.g. {group}={example}, in Python functools.partial of a class"
        raise ValueError(f"{group}._target_ must be {wanted}, got {got}; {remedy}")
    given = made if isinstance(made, partial) else partial(kind)
    return partial(kind, *given.args, **validation.plain(given.keywords))


def try_out(group: str, made: "partial[Any]", package: str, attempt: Callable[["partial[Any]"], object]) -> None:
    """Attempt to use an optimizer or a scheduler; raise a ValueError that names the wrong argument if it fails."""
    try:
        attempt(made)
    except Exception as error:  # each class checks its arguments in its own way
        if name_of(made.func) in OPTIMIZERS:  # ours name key and remedy
            raise
        name = f"{package}.{made.func.__name__}" if made.func.__module__.startswith(package) else made.func.__qualname__
        raise ValueError(f"{to_blame(group, made, attempt)}: {error}; use what {name} takes") from error


def to_blame(group: str, made: "partial[Any]", attempt: Callable[["partial[Any]"], object]) -> str:
    """Return, as on a command line, the arguments without which the attempt works or fails in another way."""

    def failure(arguments: dict[str, Any]) -> str:
        try:
            attempt(partial(made.func, **arguments))
        except Exception as error:  # each class checks its arguments in its own way
            return str(error)
        return ""

    given = made.keywords
    whole = failure(given)
    wrong = [key for key in given if failure({name: given[name] for name in given if name != key}) != whole]
    return " ".join(f"{group}.{key}={given[key]}" for key in wrong or given) or made.func.__name__


def check_arguments(group: str, made: "partial[Any]") -> None:
    """Check names and types of the arguments of an optimizer or a scheduler.

    Args:
        group: `optimizer` or `scheduler`.
        made: the class with its arguments.

    Raises:
        ValueError: the class does not take one, or it is not finite.

    """
    known = inspect.signature(made.func).parameters
    allowed = list(known)[1:]  # the first is the parameters, or the optimizer
    for key, value in made.keywords.items():
        if key not in allowed:
            raise ValueError(
                f"{group}.{key}={value} is no argument of {made.func.__name__}; use one of {', '.join(allowed)}, "
                f"or a file of its own in conf/{group}"
            )
        kind, is_right = expected(known[key].default)
        if not is_right(value):
            example = known[key].default
            remedy = f"use e.g. {group}.{key}={example}" if type(example) in (int, float, str) else f"use {kind}"
            raise ValueError(f"{group}.{key} must be {kind}, got {value!r}; {remedy}")


def expected(default: object) -> tuple[str, Callable[[object], bool]]:
    """The type of an argument with this default: in words, and as a function that says whether a value has it."""
    if isinstance(default, bool):
        return "true or false", lambda value: isinstance(value, bool)
    if isinstance(default, str):
        return "a name", lambda value: isinstance(value, str)
    if isinstance(default, tuple):
        length = len(default)
        return (
            f"a list of {length} finite numbers",
            lambda value: isinstance(value, list | tuple) and is_number(value) and len(value) == length,
        )
    if default is None:
        return (
            "a number, true, false or null",
            lambda value: value is None or type(value) is bool or is_number(value),
        )
    return "a finite number", is_number  # as its default, or it has none


def is_number(value: object) -> bool:
    """Whether a value is a finite number, or a list of them."""
    if isinstance(value, list | tuple):
        return all(is_number(one) for one in value)
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
