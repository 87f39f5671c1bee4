"""Where a run writes, besides its own directory."""

from collections.abc import Iterator
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict

from xornet.runs.directory import flatten

FOLDERS = ("default_root_dir", "dirpath", "log_dir", "root_dir")  # arguments that name a directory to write into
IN_VERSIONS = ("EventLogger", "TensorBoardLogger", "CSVLogger")  # write into save_dir/name/version


def paths_of_job(cfg: DictConfig, number: int, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield what `written_paths` does of a job that is only planned, as if its directory were `folder`/`number`."""
    output = folder.absolute() / str(number)
    cfg = cfg.copy()
    OmegaConf.set_readonly(cfg, False)
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = str(output)
        cfg.hydra.job.num, cfg.hydra.job.id = number, str(number)
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(cfg)  # what ${hydra:...} refers to
    try:
        for key, path in written_paths(cfg):
            yield key, Path(output if cfg.hydra.job.chdir else "", path).absolute()
    finally:
        HydraConfig.instance().cfg = before


def written_paths(cfg: DictConfig) -> Iterator[tuple[str, Path]]:
    """Yield the keys that say where a run writes, and the paths."""
    for key in flatten(cfg):
        node, _, name = key.rpartition(".")
        is_log = node.startswith("hydra.job_logging.handlers") and name == "filename"
        if name in FOLDERS or is_log:
            path = as_path(cfg, key)
        elif name == "save_dir" and str(OmegaConf.select(cfg, f"{node}._target_")).endswith(IN_VERSIONS):
            version = OmegaConf.select(cfg, f"{node}.version")
            if version is None:  # the logger chooses one that is free
                continue
            path = as_path(cfg, key) or Path()
            path /= as_path(cfg, f"{node}.name", "lightning_logs") or ""
            path /= f"version_{version}" if isinstance(version, int) else as_path(cfg, f"{node}.version") or ""
        else:
            continue
        if path:
            yield key, path


def as_path(cfg: DictConfig, key: str, default: str | None = None) -> Path | None:
    """The path that a key names, None for none; ValueError if it is no text."""
    value = OmegaConf.select(cfg, key, default=default)
    if not isinstance(value, str | None):
        raise ValueError(f"{key}={value} is no path; use a text, or drop it")
    return Path(value) if value else None
