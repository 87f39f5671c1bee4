"""Checks of the composed configuration, before anything that it names is imported; errors are ValueErrors.

A configuration may come from another person, as an experiment file or as the `.hydra/config.yaml` of a run, and Hydra
imports and calls what it names. Hydra itself refuses names that it knows to run code; here, only the packages of an
experiment are allowed.
"""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.utils import instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xornet import validation
from xornet.cli.annotations import KINDS, check_kinds
from xornet.cli.targets import PACKAGES, PLUGINS, allowed, check_targets, is_within
from xornet.runs import directory
from xornet.runs.settings import flatten

VARIABLES = ("CUDA_VISIBLE_DEVICES", "MKL_NUM_THREADS", "OMP_NUM_THREADS")  # others could name programs and libraries

# For conf/: a new directory for the run, and a path in the project.
OmegaConf.register_new_resolver("claim", directory.claim, use_cache=True, replace=True)
OmegaConf.register_new_resolver("project", lambda path: str(directory.PROJECT / path), replace=True)


def check_callback() -> None:
    """Refuse a command without the project's callback of Hydra, which checks directories and sums up sweeps."""
    node = (HydraConfig.get().callbacks or {}).get("sweep")
    if not (node and is_within(str(node.get("_target_")), ("xornet", *allowed()))):
        said = f"._target_={node.get('_target_')} does not check" if node else " is missing, which checks"
        raise ValueError(f"hydra.callbacks.sweep{said} the directory of a run; use that of conf/")


def check(cfg: DictConfig, is_complete: bool = True) -> None:
    """Refuse a configuration that names code outside the allowed packages, or that cannot make a run.

    Args:
        cfg: the configuration, without its part `hydra`.
        is_complete: whether all interpolations can be resolved, as in a run.

    """
    container: Any = OmegaConf.to_container(cfg, resolve=is_complete)
    check_targets("", container, PACKAGES, is_complete)
    for key, value in flatten(cfg).items():
        if value == "???":  # Hydra would leave it out
            raise ValueError(f"{key} is missing; use {key}=<value>")
    named = {key: container[key] for key in ("data", "model", "optimizer", "scheduler", "trainer") if key in container}
    for group in ("callbacks", "logger"):
        nodes = container.get(group) or {}
        if not isinstance(nodes, dict) or "_target_" in nodes:
            raise ValueError(f"{group}={nodes} must have a name for each; use {group}.<name>._target_=<class>")
        named |= {f"{group}.{name}": node for name, node in nodes.items() if node}
    for key, node in named.items():
        if not (isinstance(node, dict) and "_target_" in node) and (is_complete or "${" not in str(node)):
            file = f"{key}=<name of a file of conf/{key}> with it"
            if isinstance(node, str):
                file = f"- override /{key}: {node} in the defaults of the file that says so"
            file = "" if "." in key else f"{file}, or "
            raise ValueError(f"{key}={node} names no class; use {file}{key}._target_=<class>")
        if isinstance(node, dict) and "_target_" in node and key.partition(".")[0] in KINDS:
            check_kinds(key, node)
    if container.get("model", {}).get("optimizer", "") is None:
        raise ValueError("model.optimizer=null names no class; use e.g. optimizer=sgd")
    for key, given in (("optimizer", "the parameters"), ("scheduler", "the optimizer")):
        if key in named and "_target_" in named[key] and named[key].get("_partial_") is not True:
            raise ValueError(
                f"{key}._target_={named[key]['_target_']} has no _partial_: true, which leaves {given} to the run; "
                f"use {key}._partial_=true, or add it to the file of conf/{key}"
            )
    if "callbacks" in named.get("trainer", {}):
        raise ValueError("trainer.callbacks is taken; use +callbacks.<name>._target_=<class> to add a callback")


def check_networks(cfg: DictConfig) -> None:
    """Refuse a job without networks, or with more than fit into memory, before the first job of the sweep starts."""
    model = cfg.get("model")
    if isinstance(model, DictConfig) and model.get("_target_") == "xornet.module.XORModule":
        bits, hidden, networks = (OmegaConf.select(cfg, f"model.{key}") for key in ("bits", "hidden", "networks"))
        validation.size(bits, list(hidden) if isinstance(hidden, ListConfig) else hidden, networks)


def refusal(cfg: DictConfig) -> Exception | None:
    """Return why a job cannot make its networks or its optimizer; None if it can, or if only the job can tell."""
    model = cfg.get("model")
    if not (isinstance(model, DictConfig) and model.get("_target_") == "xornet.module.XORModule"):
        return None
    try:
        resolved: Any = OmegaConf.to_container(model, resolve=True)
    except OmegaConfBaseException:  # such as for ${hydra:job.num}
        return None
    try:
        instantiate(resolved, networks=1, initialisations=None, _convert_="all")
    except Exception as error:  # as the job itself would report it
        return error
    return None


def check_hydra(hydra: DictConfig) -> None:
    """Refuse settings in the part `hydra` of the configuration that lose results or name other programs."""
    if hydra.output_subdir is not None:
        raise ValueError(
            f"hydra.output_subdir={hydra.output_subdir} is not allowed: a run writes .hydra itself; drop it"
        )
    if "/" in hydra.job.name:
        raise ValueError(f"hydra.job.name={hydra.job.name} names the log, a file; use a name without /")
    for name in hydra.job.env_set:
        if name not in (*VARIABLES, *hydra.job.env_copy):
            raise ValueError(f"hydra.job.env_set.{name} is not allowed; set it in the shell")
    written: Any = OmegaConf.to_container(hydra, resolve=False)
    for key in ("run", "sweep"):
        if not str(written[key]["dir"] or "").strip():  # it would be the current directory
            raise ValueError(f"hydra.{key}.dir is empty; use a directory, or drop it")
    for key in ("hydra.launcher", "hydra.sweeper"):
        node = written[key.removeprefix("hydra.")]
        if not isinstance(node, dict):
            raise ValueError(f"{key}={node} names no class; use the name of a file of its group")
        check_targets(key, node, PLUGINS)
