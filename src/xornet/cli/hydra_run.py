"""What Hydra says of this run, and its configuration as it is written into its directory."""

from functools import partial
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from hydra.utils import to_absolute_path
from omegaconf import DictConfig, OmegaConf

from xornet import files
from xornet.runs.settings import CONFIG, load

CONF = Path(__file__).resolve().parents[3] / "conf"


def output_dir() -> Path:
    """The directory that Hydra has made for this run."""
    return Path(HydraConfig.get().runtime.output_dir)


def is_job() -> bool:
    """Whether this run is a job of a sweep."""
    return bool(HydraConfig.get().mode == RunMode.MULTIRUN)


def ckpt_path(cfg: DictConfig) -> Any:
    """The `ckpt_path`, which if relative lies where the command was given, wherever hydra.job.chdir has gone since."""
    path = cfg.ckpt_path
    return to_absolute_path(path) if isinstance(path, str) and HydraConfig.get().job.chdir else path


def record(cfg: DictConfig, directory: Path, name: str) -> None:
    """Write what this run was configured with into `.hydra` of its directory, the files that Hydra has.

    Hydra would write them before anything could be refused; hence its `hydra.output_subdir` is null. With the settings
    of Hydra that conf/ has, config.yaml is the configuration of a further run by itself.

    Args:
        cfg: the configuration, without its part `hydra`.
        directory: the run's.
        name: of the file of conf/ that has these settings.

    """
    folder = directory / CONFIG.parent
    folder.mkdir(exist_ok=True)
    composed: Any = OmegaConf.to_container(cfg, resolve=False)
    parts = {"overrides.yaml": HydraConfig.get().overrides.task, "hydra.yaml": {"hydra": HydraConfig.get()}}
    if cfg.get("ckpt_path") and not is_job() and is_job_of(directory):  # resumed alone: all stays as the sweep has it
        parts, composed["ckpt_path"] = {}, None
    parts[CONFIG.name] = composed | {"hydra": OmegaConf.load(CONF / f"{name}.yaml").hydra}
    for file, part in parts.items():
        text = OmegaConf.to_yaml(part)
        files.write(folder / file, partial(Path.write_text, data=text, encoding="utf-8"))


def is_job_of(directory: Path) -> bool:
    """Whether the run in a directory is a job of a sweep, which it stays when it is resumed alone."""
    settings = directory / CONFIG.with_name("hydra.yaml")
    return settings.exists() and load(settings, DictConfig)["hydra"]["mode"] == RunMode.MULTIRUN.name
