"""Hydra, made to check a configuration against targets.py before it imports, calls or unpickles what that names."""

import functools
import re
import sys
from collections.abc import Callable
from typing import Any

from hydra._internal import config_loader_impl, config_repository, logging_config
from hydra._internal.instantiate import _instantiate2
from hydra.core.config_search_path import ConfigSearchPath

from xornet.cli import targets

SOURCES = r"file:.*|structured://|pkg://(xornet|hydra|hydra_plugins)\b.*"  # of configuration files


def install() -> None:
    """Have Hydra check a configuration when it is composed, and each name in it once more before it is called."""
    loader, repository = config_loader_impl.ConfigLoaderImpl, config_repository.ConfigRepository
    ask(repository, "initialize_sources", first=lambda _, path: check_sources(path))
    ask(loader, "load_configuration", then=targets.check)
    ask(_instantiate2, "_resolve_target", first=lambda target, full_key: targets.check_target(full_key, target))
    ask(logging_config, "configure_logging", first=targets.check_logging)
    ask(sys.modules["hydra.main"], "_get_rerun_conf", first=refuse_rerun)


def ask(
    owner: Any, name: str, first: Callable[..., None] | None = None, then: Callable[..., None] | None = None
) -> None:
    """Have a function of Hydra's call `first` with its arguments, `then` with its result; once a process.

    Hydra has no hook that early: its callbacks are themselves called by name.
    """
    theirs = getattr(owner, name)
    if hasattr(theirs, "__wrapped__"):
        return

    @functools.wraps(theirs)
    def asked(*args: Any, **kwargs: Any) -> Any:
        if first:
            first(*args, **kwargs)
        result = theirs(*args, **kwargs)
        if then:
            then(result)
        return result

    setattr(owner, name, asked)


def check_sources(search_path: ConfigSearchPath) -> None:
    """Refuse to look for configuration files where looking would import a package."""
    for source in search_path.get_path():
        if "://" in str(source.path) and not re.fullmatch(SOURCES, str(source.path)):
            raise ValueError(f"hydra.searchpath={source.path} is not allowed; use file://<directory>")


def refuse_rerun(file: str, overrides: list[str]) -> None:
    """Refuse Hydra's --experimental-rerun, which unpickles a file."""
    raise ValueError(f"--experimental-rerun={file} would run the code in a pickle; use --config-dir and --config-name")
