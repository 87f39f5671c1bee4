"""What a configuration may have called: the one list of it, and the check against it (guard.py has Hydra make it).

A configuration can come from elsewhere, as an experiment file or as a run's `.hydra/config.yaml`, and Hydra imports and
calls what it names. Importing is running code, so a name must begin with one of PACKAGES before it is followed; and a
package lets through what it has imported itself (`torch.hub.os.system`), so what it leads to must be a class, of the
kind that fits its place, defined in one of PACKAGES.
"""

import inspect
import re
from pathlib import Path
from typing import Any

from hydra._internal.utils import _locate
from hydra.experimental.callback import Callback as HydraCallback
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import RunMode
from lightning.fabric.loggers.logger import Logger
from lightning.fabric.plugins import ClusterEnvironment
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.plugins import CheckpointIO, LayerSync, Precision
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy
from omegaconf import DictConfig, ListConfig, OmegaConf
from torch.optim import Optimizer

from xornet.runs.directory import CONFIG

PACKAGES = ("xornet", "torch.optim", "lightning.pytorch", "lightning.fabric")  # add one of yours here
HYDRAS = ("xornet", "hydra.experimental", "hydra._internal.core_plugins", "hydra_plugins", "optuna.samplers")
# The kind of each place; anywhere else stands a part of the Trainer or of a callback.
PLACES: dict[str, type] = {
    r"(model\.)?optimizer": Optimizer,
    r"data": LightningDataModule,
    r"model": LightningModule,
    r"callbacks\.[^.\[]+": Callback,
    r"(trainer\.)?logger": Logger,
    r"trainer": Trainer,
    r"hydra\.callbacks\.[^.\[]+": HydraCallback,
    r"hydra\.launcher": Launcher,
    r"hydra\.sweeper": Sweeper,
    r"hydra\.sweeper\.sampler": object,  # Optuna's, which may not be installed
}
PARTS = (Accelerator, Callback, CheckpointIO, ClusterEnvironment, LayerSync, Logger, Precision, Profiler, Strategy)
LOGGING = ("logging.StreamHandler", "logging.FileHandler", "logging.NullHandler", "colorlog.ColoredFormatter")
STREAMS = ("ext://sys.stdout", "ext://sys.stderr")
ENVIRONMENT = ("CUDA_VISIBLE_DEVICES", "MKL_NUM_THREADS", "OMP_NUM_THREADS")  # others name programs and libraries
DATABASES = r"(sqlite|postgresql|mysql)(\+\w+)?://"  # where Optuna may keep a search; from Redis it would read pickles
RESERVED = ("_args_", "_partial_", "_recursive_", "_convert_")
REMEDY = "use one, or add its package to PACKAGES in src/xornet/targets.py"


def check(cfg: DictConfig) -> None:
    """Refuse a composed configuration that names what must not be called.

    Raises:
        ValueError: naming the key, the value and the remedy.

    """
    container: Any = OmegaConf.to_container(cfg, resolve=False)
    check_node("", container)
    called = {key: container[key] for key in ("data", "model", "optimizer", "trainer") if key in container}
    callbacks = container.get("callbacks", {})
    named = callbacks.items() if isinstance(callbacks, dict) else [("<name>", callbacks)]
    called |= {f"callbacks.{name}": node for name, node in named if node or node is callbacks}
    for key, node in called.items():
        is_elsewhere = isinstance(node, str) and "${" in node
        if not is_elsewhere and not (isinstance(node, dict) and "_target_" in node):
            raise ValueError(f"{key}={node} names no class; use {key}._target_=<class>")
    optimizer = called.get("optimizer")
    if isinstance(optimizer, dict) and optimizer.get("_partial_") is not True:
        raise ValueError(
            f"optimizer._target_={optimizer['_target_']} has no _partial_: true, which leaves the parameters to the "
            "run; use optimizer._partial_=true, or add it to the optimizer's file"
        )
    if "callbacks" in (called.get("trainer") or {}):
        raise ValueError("trainer.callbacks is taken; use +callbacks.<name>._target_=<class> to add a callback")
    check_hydra(cfg, container.get("hydra", {}))


def check_hydra(cfg: DictConfig, hydras: dict[str, Any]) -> None:
    """Refuse settings of Hydra's own that it fails on, that lose a sweep's jobs, or that reach other programs.

    Args:
        cfg: the whole configuration, which resolves what these settings refer to.
        hydras: its part under `hydra`, as it was written.

    Raises:
        ValueError: naming the key, the value and the remedy.

    """
    verbose = OmegaConf.select(cfg, "hydra.verbose", default=False)
    are_names = isinstance(verbose, ListConfig) and all(isinstance(name, str) for name in verbose)
    if not (isinstance(verbose, bool | str) or are_names):  # Hydra asserts it
        raise ValueError(f"hydra.verbose={verbose} is no switch; use true, false or the names of loggers")
    check_search(hydras.get("sweeper") or {})
    if "trainer" in cfg:
        check_records(cfg, hydras)
    job = hydras.get("job", {})
    for name in job.get("env_set", {}):
        if name not in (*ENVIRONMENT, *job.get("env_copy", [])):
            raise ValueError(
                f"hydra.job.env_set.{name} is not allowed; use one of {', '.join(ENVIRONMENT)}, or the shell"
            )


def check_records(cfg: DictConfig, hydras: dict[str, Any]) -> None:
    """Refuse what would have Hydra write into the directory of a run before that is accepted, or hide a sweep's jobs.

    A run's own `.hydra/config.yaml`, run again, is composed without our settings of Hydra.
    """
    if (hydras.get("callbacks") or {}).get("sweep"):
        if (output_subdir := hydras.get("output_subdir")) is not None:
            raise ValueError(f"hydra.output_subdir={output_subdir} is not allowed: a run writes .hydra itself; drop it")
        if not (subdir := str(hydras["sweep"]["subdir"])).startswith("${job_name:"):
            raise ValueError(f"hydra.sweep.subdir={subdir} is not allowed: jobs are named after what is swept; drop it")
    elif OmegaConf.select(cfg, "hydra.mode") == RunMode.MULTIRUN:
        raise ValueError("hydra.callbacks.sweep is missing, which checks a sweep and sums it up; use conf/train.yaml's")
    elif (folder := Path(str(OmegaConf.select(cfg, "hydra.run.dir")))).joinpath(CONFIG).exists():
        raise ValueError(f"hydra.run.dir={folder} holds a run; use another directory")


def check_search(sweeper: dict[str, Any]) -> None:
    """Refuse settings of Optuna's that lose a search's results, or that unpickle what a server sends.

    Args:
        sweeper: `hydra.sweeper`, as it was written.

    Raises:
        ValueError: naming the key, the value and the remedy.

    """
    direction, rate, storage = (sweeper.get(name) for name in ("direction", "max_failure_rate", "storage"))
    if isinstance(direction, list) and len(direction) != 1:
        names = ",".join(getattr(one, "name", str(one)) for one in direction)
        raise ValueError(f"hydra.sweeper.direction=[{names}] has no use: a run is judged by one number; use minimize")
    if rate not in (None, 0, 1):  # Optuna's own is 0
        raise ValueError(f"hydra.sweeper.max_failure_rate={rate} has no use: a failed job ends no sweep; drop it")
    if storage is not None and not re.match(DATABASES, str(storage)):
        remedy = "use sqlite:///<a file that can be written>"
        raise ValueError(f"hydra.sweeper.storage={storage} is no database; {remedy}")


def check_node(key: str, node: Any) -> None:
    """Check every `_target_` below `key`, and what else Hydra takes to itself."""
    if isinstance(node, list):
        for i, item in enumerate(node):
            check_node(f"{key}[{i}]", item)
    elif isinstance(node, dict):
        for name, value in node.items():
            inner = f"{key}.{name}" if key else str(name)
            if name == "_target_":
                check_target(key, value)
            elif name in RESERVED and not (is_hydras(key) or (name == "_partial_" and place(key) is Optimizer)):
                raise ValueError(f"{inner}={value} is not allowed; use arguments by their names alone")
            check_node(inner, value)


def check_target(key: str, target: object) -> None:
    """Refuse a `_target_` that is not the name of a class of the right kind and origin."""
    kind, packages = place(key), HYDRAS if is_hydras(key) else PACKAGES
    said = f"{key}._target_={target}".lstrip(".")
    origin = ", ".join(packages)
    if not isinstance(target, str) or not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)+", target):
        raise ValueError(f"{said} must be the dotted name of a class, written out; {REMEDY}")
    if not is_within(target, packages):
        raise ValueError(f"{said} is outside {origin}; {REMEDY}")
    try:
        found = _locate(target)  # as Hydra will
    except ImportError as error:
        raise ValueError(f"{said} names nothing: {error}") from error
    if not inspect.isclass(found) or not is_within(found.__module__, packages) or not issubclass(found, kind or PARTS):
        raise ValueError(f"{said} is no {kind.__name__ if kind else 'part of a run'} of {origin}; {REMEDY}")


def is_hydras(key: str) -> bool:
    """Whether a place is in Hydra's own part of the configuration."""
    return key.startswith("hydra.")


def place(key: str) -> type | None:
    """The kind of class that a place in the configuration takes, None where it is that of a part."""
    return next((kind for pattern, kind in PLACES.items() if re.fullmatch(pattern, key)), None)


def is_within(name: str, packages: tuple[str, ...]) -> bool:
    """Whether a dotted name is in one of the packages."""
    return any(f"{name}.".startswith(f"{package}.") for package in packages)


def check_logging(node: Any) -> None:
    """Refuse a logging configuration that names what must not be called or looked up."""
    for name, value in node.items() if isinstance(node, dict) else enumerate(node):
        if name in ("()", "class", "factory") and value not in LOGGING:
            raise ValueError(f"logging {name}={value} is not allowed; use one of {', '.join(LOGGING)}")
        if isinstance(value, str) and re.match(r"(ext|cfg)://", value) and value not in STREAMS:
            raise ValueError(f"logging {name}={value} is not allowed; use one of {', '.join(STREAMS)}")
        if isinstance(value, dict | list | tuple):
            check_logging(value)
