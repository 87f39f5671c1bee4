"""Checks of a configured class against its group, and of its values against its annotations."""

import inspect
import sys
from collections.abc import Iterable
from contextlib import suppress
from math import isfinite
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hydra.utils import get_object
from lightning.pytorch import Callback, LightningDataModule, Trainer
from lightning.pytorch.loggers import Logger

from xornet.engine.own import OWN, name_of
from xornet.module import XORModule

KINDS: dict[str, tuple[type, ...]] = {  # of the classes of a group of conf/
    "callbacks": (Callback,),
    "data": (LightningDataModule, Iterable),  # or a DataLoader
    "logger": (Logger,),
    "model": (XORModule,),
    "trainer": (Trainer,),
}
WORDS = {bool: "true or false", int: "a whole number", float: "a number"}


def check_kinds(key: str, node: dict[str, Any]) -> None:
    """Refuse a class of another kind than its group; a text for a number, 1.5 for a whole one, and 2 for a switch.

    The class may fail with them after hours, or take them for true. The classes of this project check their arguments.

    Args:
        key: of the node in the configuration.
        node: with the name of the class as its `_target_`.

    Raises:
        ValueError: naming the key, the value, and what to use.

    """
    target, kind = str(node["_target_"]), KINDS[key.partition(".")[0]]
    name_of_kind = kind[0].__name__
    made = None if "${" in target else get_object(target)
    if isinstance(made, type) and not issubclass(made, kind):
        raise ValueError(f"{key}._target_={target} is no {name_of_kind}; use a class that is one")
    if node.get("_partial_"):
        raise ValueError(f"{key}._partial_={node['_partial_']} makes no {name_of_kind}; drop it")
    hints = annotations(made)
    for name, value in node.items():
        hint = hints.get(name)
        kinds = get_args(hint) if get_origin(hint) in (Union, UnionType) else [hint]
        names = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
        kinds = [kind for kind in kinds if get_origin(kind) is not Literal]
        is_text = isinstance(value, str) and "${" not in value
        is_number = isinstance(value, int | float) and value not in (0, 1)
        is_fraction = isinstance(value, float) and (key == "trainer" or (isfinite(value) and not value.is_integer()))
        taken = [*WORDS, NoneType] if is_text else [bool, NoneType, *([int] if is_fraction else [])]
        is_known = any(kind in WORDS for kind in kinds) and all(kind in taken for kind in kinds)
        if is_known and (is_text or is_number) and value not in names:
            wanted = " or ".join([*(word for kind, word in WORDS.items() if kind in kinds), *map(str, names)])
            wanted = str(int(value)) if is_fraction and int in kinds and value.is_integer() else wanted
            said = "text" if is_text else "fraction" if is_fraction else "number"
            raise ValueError(f"{key}.{name}={value} is a {said}; use {wanted}")


def annotations(made: Any) -> dict[str, Any]:
    """The types of the arguments of a class and of its bases, to which it may pass them."""
    hints: dict[str, Any] = {}
    for base in reversed(made.__mro__ if isinstance(made, type) else ()):
        init = vars(base).get("__init__", object)
        with suppress(ValueError, TypeError):  # of a built-in class, and of what is no function
            for name, parameter in inspect.signature(init).parameters.items():
                if parameter.annotation is parameter.empty:  # it may mean another thing than in the base class
                    hints.pop(name, None)
        if name_of(base) in OWN:
            hints |= dict.fromkeys(getattr(init, "__annotations__", {}))
            continue
        for name, hint in getattr(init, "__annotations__", {}).items():
            with suppress(Exception):  # an annotation can be any text, or name what only a type checker imports
                hints |= get_type_hints(
                    SimpleNamespace(__annotations__={name: hint}), vars(sys.modules[base.__module__])
                )
    return hints
