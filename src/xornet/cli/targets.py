"""The names of code in a configuration: only classes of the packages of an experiment are allowed."""

import os
import pkgutil
from collections.abc import Iterator
from typing import Any

PACKAGES = ("xornet", "torch.optim", "lightning.pytorch", "lightning.fabric")
PLUGINS = ("hydra", "hydra_plugins", "optuna.samplers")  # for hydra.launcher and hydra.sweeper
ALLOW = "XORNET_ALLOW"  # environment variable: further packages that are allowed, separated by commas


def check_targets(key: str, node: Any, packages: tuple[str, ...], is_complete: bool = True) -> None:
    """Refuse a `_target_` below `key` that is neither a class of the packages nor in one that the user allows."""
    own = allowed()
    for place, target in sorted(targets(key, node), key=lambda found: found[0].count(".")):  # the shortest name first
        said = f"{place}={target}"
        if (not is_complete and "${" in str(target)) or is_within(str(target), own):
            continue
        if not isinstance(target, str):
            raise ValueError(f"{said} must be the name of a class, as in {packages[0]}.<module>.<class>; use one")
        if not is_within(target, packages):
            other = "" if key == "hydra.launcher" else f", or {ALLOW}=<package>,<package> in the environment"
            raise ValueError(f"{said} is outside {', '.join((*packages, *own))}; use one of these{other}")
        try:
            found = pkgutil.resolve_name(target)
        except (ImportError, AttributeError, ValueError) as error:
            raise ValueError(f"{said} names nothing ({error}); use the full name of a class") from error
        if not isinstance(found, type) or not is_within(f"{found.__module__}.", packages):
            raise ValueError(f"{said} is no class of {', '.join(packages)}; use the full name of one")


def targets(key: str, node: Any) -> Iterator[tuple[str, Any]]:
    """Yield the key and the value of every `_target_` below `key`."""
    for name, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        inner = f"{key}.{name}".lstrip(".") if isinstance(node, dict) else f"{key}[{name}]"
        if name == "_target_":
            yield inner, value
        yield from targets(inner, value)


def allowed() -> tuple[str, ...]:
    """The further packages that the environment variable allows."""
    return tuple(filter(None, os.environ.get(ALLOW, "").split(",")))


def is_within(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is in one of the packages."""
    return any(name.startswith(f"{package}.") for package in packages)
