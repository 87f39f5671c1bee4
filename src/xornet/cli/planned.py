"""The jobs that a command line asks for."""

import itertools
from collections.abc import Iterable, Iterator
from typing import Any

from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override


def parse(hydra: dict[str, Any]) -> dict[str, Override]:
    """The overrides of a sweep by key, those of its experiment file first."""
    given = [f"{key}={value}" for key, value in (hydra["sweeper"].get("params") or {}).items()]
    loader = GlobalHydra.instance().config_loader() if GlobalHydra.instance().is_initialized() else None
    parsed = OverridesParser.create(loader).parse_overrides([*given, *hydra["overrides"]["task"]])
    return {override.key_or_group: override for override in parsed}


def product(overrides: Iterable[Override]) -> list[list[str]]:
    """Return the overrides of each job, in the order in which Hydra's own sweeper runs them."""
    values: list[list[str]] = []
    for override in overrides:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            raise ValueError(f"{override.input_line} is an interval; use a list of values, or hydra/sweeper=optuna")
        values.append(list(written(override)))
        if not values[-1]:
            raise ValueError(f"{override.input_line} names no value; use a list of values")
    return [list(job) for job in itertools.product(*values)]


def written(override: Override) -> Iterator[str]:
    """Yield an override once for each of its values, as on a command line."""
    key = override.get_key_element()
    if override.is_sweep_override():
        yield from (f"{key}={value}" for value in override.sweep_string_iterator())
    else:
        yield f"{key}={override.get_value_element_as_str()}"
