"""What a run was configured with, read back from its `.hydra`."""

import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig, OmegaConf
from yaml import YAMLError

CONFIG = Path(".hydra", "config.yaml")  # in a run's directory, what it was configured with


def read_overrides(folder: Path) -> dict[str, str]:
    """Return what a run was given on the command line, value by key, without the backslashes that Hydra writes."""
    return {key_of(line): unescaped(line.partition("=")[2]) for line in read_lines(folder)}


def read_lines(folder: Path) -> list[str]:
    """Return the overrides that a run was given on the command line, as they were written."""
    given = folder / CONFIG.with_name("overrides.yaml")
    return [str(line) for line in load(given, ListConfig)] if given.exists() else []


def load(path: Path, kind: type[DictConfig] | type[ListConfig]) -> Any:
    """Return a file of a run's `.hydra`; ValueError if it is torn, or not there."""
    try:
        found = OmegaConf.load(path)
    except (YAMLError, UnicodeDecodeError, FileNotFoundError):
        found = None
    if not isinstance(found, kind) or (kind is DictConfig and not found):
        raise ValueError(f"{path} is damaged; restore it, or move {path.parents[1]} away")
    return OmegaConf.to_container(found, resolve=False)


def unescaped(value: str) -> str:
    """The value of an override as it was meant: Hydra escapes the colons of 00:30 in a sweep, but nothing in quotes."""
    return value if value[:1] in ("'", '"') else re.sub(r"\\([\\()\[\]{}:=, \t])", r"\1", value)


def key_of(override: str) -> str:
    """The key of an override: `x` of `+x=1`."""
    return override.partition("=")[0].lstrip("+~")


def read_config(folder: Path) -> dict[str, Any]:
    """Return what a run was configured with, as `flatten` does, without Hydra's own settings."""
    config = load(folder / CONFIG, DictConfig)
    config.pop("hydra", None)
    return flatten(config)


def flatten(cfg: Any) -> dict[str, Any]:
    """The leaves of a configuration, uninterpolated, by their full keys."""
    leaves: dict[str, Any] = {}

    def descend(node: Any, prefix: str) -> None:
        if isinstance(node, dict) and node:
            for key, child in node.items():
                descend(child, f"{prefix}.{key}" if prefix else str(key))
        else:
            leaves[prefix] = node

    descend(OmegaConf.to_container(cfg, resolve=False) if OmegaConf.is_config(cfg) else cfg, "")
    return leaves
