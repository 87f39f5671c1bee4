"""The settings that Hydra has for this run, and the files in its `.hydra`."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import to_absolute_path
from lightning.pytorch import seed_everything
from omegaconf import DictConfig, OmegaConf

from xornet import files, validation
from xornet.runs.settings import CONFIG, load

CONF = Path(__file__).resolve().parents[3] / "conf"


@contextmanager
def current(cfg: DictConfig) -> Iterator[None]:
    """Let `${hydra:...}` refer to this configuration, whose part `hydra` becomes read-only, before there is a run."""
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(cfg)
    try:
        yield
    finally:
        HydraConfig.instance().cfg = before


def output_dir() -> Path:
    """The directory that Hydra has made for this run."""
    return Path(HydraConfig.get().runtime.output_dir)


def is_job() -> bool:
    """Whether this run is a job of a sweep."""
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def ckpt_path(cfg: DictConfig) -> Any:
    """The `ckpt_path`; a relative one starts from the directory of the command, also with hydra.job.chdir."""
    path = cfg.ckpt_path
    return to_absolute_path(path) if isinstance(path, str) and HydraConfig.get().job.chdir else path


def seed_all(cfg: DictConfig) -> None:
    """Seed the global random numbers, for what users add: by another seed than the networks, which draw their own.

    With the seed of a network they would be its first weights again.
    """
    given = [OmegaConf.select(cfg, key) for key in ("model.seed", "seed")]
    seed = next((one for one in given if one is not None), 0)  # a model of the user's may have none
    seed = validation.integer("seed", seed, 0, 2**63 - 1, "use e.g. seed=0")
    seed_everything((seed + 2**31) % 2**32, verbose=False)


def record(cfg: DictConfig, directory: Path, name: str) -> None:
    """Write the configuration of this run into `.hydra` of its directory, into the same files as Hydra.

    Hydra would write them before a run could be refused; hence `hydra.output_subdir` is null. config.yaml holds the
    `hydra` part of conf/ too, so that it is the complete configuration of another run.

    Args:
        cfg: the configuration, without its part `hydra`.
        directory: of the run.
        name: of the file in conf/ whose `hydra` part is written.

    """
    folder = directory / CONFIG.parent
    folder.mkdir(exist_ok=True)
    composed: Any = OmegaConf.to_container(cfg, resolve=False)
    parts = {"overrides.yaml": HydraConfig.get().overrides.task, "hydra.yaml": {"hydra": HydraConfig.get()}}
    if cfg.get("ckpt_path") and not is_job() and is_job_of(directory):  # resumed alone: it stays a job of its sweep
        parts, composed["ckpt_path"] = {}, None
    parts[CONFIG.name] = composed | {"hydra": OmegaConf.load(CONF / f"{name}.yaml").hydra}
    for file, part in parts.items():
        text = OmegaConf.to_yaml(part)
        files.write(folder / file, partial(Path.write_text, data=text, encoding="utf-8"))


def is_job_of(directory: Path) -> bool:
    """Whether the run in a directory is a job of a sweep."""
    settings = directory / CONFIG.with_name("hydra.yaml")
    return settings.exists() and load(settings, DictConfig)["hydra"]["mode"] == RunMode.MULTIRUN.name
