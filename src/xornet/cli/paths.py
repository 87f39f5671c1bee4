"""The paths that a run writes to, besides its own directory."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from omegaconf import DictConfig, OmegaConf, open_dict

from xornet.cli.hydra_run import ckpt_path, current
from xornet.runs.events import EVENTS
from xornet.runs.ownership import is_owned
from xornet.runs.settings import CONFIG, flatten, read_config
from xornet.runs.trackers import chosen_run_ids

FOLDERS = ("default_root_dir", "dirpath", "log_dir", "root_dir")  # arguments that name a directory to write into
# Files in an outside directory that would be overwritten, or mixed with those of this run.
FOREIGN = ("*.ckpt", f"{EVENTS}*", "metrics.csv", "hparams.yaml")
IN_VERSIONS = ("EventLogger", "TensorBoardLogger", "CSVLogger")  # write into save_dir/name/version


def places_of_job(cfg: DictConfig, number: int, folder: Path) -> Iterator[tuple[str, Path | str]]:
    """Yield what a planned job writes into, as if its directory were `folder`/`number`, with the keys that say so.

    These are its `written_paths`, and the ids of chosen runs of experiment trackers.
    """
    output = folder.absolute() / str(number)
    cfg = cfg.copy()
    OmegaConf.set_readonly(cfg, False)
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = str(output)
        cfg.hydra.job.num, cfg.hydra.job.id = number, str(number)
    with current(cfg):
        yield from chosen_run_ids(cfg)
        for key, path in written_paths(cfg):
            yield key, Path(output if cfg.hydra.job.chdir else "", path).resolve()


def written_paths(cfg: DictConfig) -> Iterator[tuple[str, Path]]:
    """Yield the keys that say where a run writes, with their paths."""
    for key in flatten(cfg):
        node, _, name = key.rpartition(".")
        is_log = node.startswith("hydra.job_logging.handlers") and name == "filename"
        if name in FOLDERS or is_log:
            path = as_path(cfg, key)
            if key == "trainer.default_root_dir" and not path:
                raise ValueError(f"{key} names no directory; use a path, or drop it")
        elif name == "save_dir" and str(OmegaConf.select(cfg, f"{node}._target_")).endswith(IN_VERSIONS):
            version = OmegaConf.select(cfg, f"{node}.version")
            if version is None:  # the logger chooses an unused one
                continue
            path = as_path(cfg, key) or Path()
            path /= as_path(cfg, f"{node}.name", "lightning_logs") or ""
            path /= f"version_{version}" if isinstance(version, int) else as_path(cfg, f"{node}.version") or ""
        else:
            continue
        if path:
            yield key, path


def outside(cfg: DictConfig, own: Iterable[Path]) -> dict[str, Path]:
    """The directories outside of the run directory that a run writes into, by their keys."""
    resolved = {folder.resolve() for folder in own}
    found = {key: path.resolve() for key, path in written_paths(cfg)}
    return {key: path for key, path in found.items() if resolved.isdisjoint((path, *path.parents))}


def check_outside(folders: Mapping[str, Path], cfg: DictConfig, own: Path) -> None:
    """Refuse an outside directory that holds files of another run.

    Args:
        folders: from `outside`.
        cfg: the configuration of the run.
        own: the run directory; it may hold an earlier part of the run, which wrote into the same directory. The
            directory of the checkpoint that the run continues is its own too.

    """
    given = ckpt_path(cfg)
    resumed = Path(str(given)).resolve().parent if given else None
    for key, path in folders.items():
        left = [name for pattern in FOREIGN for name in sorted(path.glob(pattern))]
        if left and not (is_owned(path, own) or path == resumed):
            raise ValueError(f"{key}: {path} holds {left[0].name} of another run; use another directory")


def check_root(folder: Path, output: Path, cfg: DictConfig) -> None:
    """Refuse a `trainer.default_root_dir` other than Hydra's directory that holds a run which was not started so."""
    if folder.resolve() == output.resolve() or not (folder / CONFIG).exists():
        return
    key = "trainer.default_root_dir"
    before, now = (str(one.get(key)) for one in (read_config(folder), flatten(cfg)))
    if before != now and Path(before).resolve() != folder.resolve():
        said = f"{key}={folder} holds another run"
        raise ValueError(f"{said}; use hydra.run.dir={folder} to replace it, or another directory")


def as_path(cfg: DictConfig, key: str, default: str | None = None) -> Path | None:
    """The path at a key, None if there is none; ValueError if it is no text."""
    value = OmegaConf.select(cfg, key, default=default)
    if not isinstance(value, str | None):
        raise ValueError(f"{key}={value} is no path; use a text, or drop it")
    return Path(value) if value else None
