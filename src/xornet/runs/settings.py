"""The configuration of a run, read from its `.hydra`."""

import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from yaml import YAMLError

CONFIG = Path(".hydra", "config.yaml")  # in a run directory, its configuration


def read_overrides(folder: Path) -> dict[str, str]:
    """Return the overrides of a run's command line by key, without the backslashes that Hydra writes."""
    return {key_of(line): unescaped(line.partition("=")[2]) for line in read_lines(folder)}


def read_lines(folder: Path) -> list[str]:
    """Return the overrides of a run's command line as they were written."""
    given = folder / CONFIG.with_name("overrides.yaml")
    return [str(line) for line in load(given, ListConfig)] if given.exists() else []


def load(path: Path, kind: type[DictConfig] | type[ListConfig]) -> Any:
    """Return the content of a file in `.hydra`; ValueError if it is damaged or missing."""
    try:
        found = OmegaConf.load(path)
    except (YAMLError, UnicodeDecodeError, FileNotFoundError):
        found = None
    if not isinstance(found, kind) or (kind is DictConfig and not found):
        raise ValueError(f"{path} is damaged; restore it, or move {path.parents[1]} away")
    return OmegaConf.to_container(found, resolve=False)


def unescaped(value: str) -> str:
    """The value of an override without escapes: in a sweep, Hydra escapes for example colons, except in quotes."""
    return value if value[:1] in ("'", '"') else re.sub(r"\\([\\()\[\]{}:=, \t])", r"\1", value)


def key_of(override: str) -> str:
    """The key of an override: `x` of `+x=1`."""
    return override.partition("=")[0].lstrip("+~")


def read_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of a run as `flatten` does, without its part `hydra`."""
    config = load(folder / CONFIG, DictConfig)
    config.pop("hydra", None)
    return flatten(config)


def flatten(cfg: Any) -> dict[str, Any]:
    """The values of a configuration by their full keys, interpolations unresolved."""
    leaves: dict[str, Any] = {}

    def descend(node: Any, prefix: str) -> None:
        if isinstance(node, dict) and node:
            for key, child in node.items():
                descend(child, f"{prefix}.{key}" if prefix else str(key))
        else:
            leaves[prefix] = node

    descend(OmegaConf.to_container(cfg, resolve=False) if OmegaConf.is_config(cfg) else cfg, "")
    return leaves
