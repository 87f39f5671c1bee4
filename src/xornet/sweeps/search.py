"""Checks of a search by Optuna."""

import importlib
import re
from collections.abc import Mapping
from typing import Any

from hydra.core.override_parser.types import IntervalSweep, Override

DATABASES = r"(sqlite|postgresql|mysql)(\+\w+)?://"  # that may store a search; from Redis, Optuna would read pickles


def check_search(sweeper: Mapping[str, Any], parsed: Mapping[str, Override]) -> None:
    """Refuse settings of a search that have no use here, or with which results would be lost.

    Args:
        sweeper: `hydra.sweeper`, unresolved.
        parsed: the overrides of the sweep, by key.

    """
    direction, rate, storage = (sweeper.get(name) for name in ("direction", "max_failure_rate", "storage"))
    if isinstance(direction, list) and len(direction) != 1:
        names = ",".join(getattr(one, "name", str(one)) for one in direction)
        raise ValueError(f"hydra.sweeper.direction=[{names}] has no use: a run is judged by one number; use minimize")
    if rate not in (None, 0, 1):  # 0 is the default
        raise ValueError(f"hydra.sweeper.max_failure_rate={rate} has no use: a failed job ends no sweep; drop it")
    if storage is not None and not re.match(DATABASES, str(storage)):
        remedy = "use sqlite:///<a file that can be written>"
        raise ValueError(f"hydra.sweeper.storage={storage} is no database; {remedy}")
    if (n_trials := sweeper.get("n_trials")) is not None and not (type(n_trials) is int and n_trials > 0):
        raise ValueError(f"hydra.sweeper.n_trials={n_trials} is no number of trials; use a whole number")
    for override in parsed.values():
        value = override.value()
        if isinstance(value, IntervalSweep) and not (value.start or 0) < (value.end or 0):
            raise ValueError(f"{override.input_line} is no interval; use interval(<low>,<high>)")
        if isinstance(value, IntervalSweep) and "log" in value.tags and not (value.start or 0) > 0:
            raise ValueError(f"{override.input_line} has no logarithm; use a low end above 0")
    if search_space := sweeper.get("custom_search_space"):
        raise ValueError(
            f"hydra.sweeper.custom_search_space={search_space} is the name of a function, which is not allowed; drop it"
        )
    networks = parsed.get("networks")
    if networks and networks.is_sweep_override() and re.search(r"(?<![\d.])1(?![\d.])", networks.input_line or ""):
        raise ValueError(
            f"{networks.input_line}: a search judges one network by its loss, many by the share; use 2 and more"
        )


def stored_study(sweeper: Mapping[str, Any]) -> Any:
    """The study of this name in the storage; None if there is none yet, or no name or storage."""
    name, storage = sweeper.get("study_name"), sweeper.get("storage")
    try:
        return name and storage and importlib.import_module("optuna").load_study(study_name=name, storage=storage)
    except KeyError:
        return None
