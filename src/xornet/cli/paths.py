"""The paths that a run writes to, besides its own directory."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from hydra.utils import get_object
from lightning.pytorch.callbacks import ModelCheckpoint
from omegaconf import DictConfig, OmegaConf, open_dict

from xornet.cli.hydra_run import ckpt_path, current
from xornet.runs.events import EVENTS
from xornet.runs.settings import CONFIG, flatten, read_config

FOLDERS = ("default_root_dir", "dirpath", "log_dir", "root_dir")  # arguments that name a directory to write into
# Files in an outside directory that would be overwritten, or mixed with those of this run.
OUTSIDE = ("*.ckpt", f"{EVENTS}*", "metrics.csv", "hparams.yaml")
IN_VERSIONS = ("EventLogger", "TensorBoardLogger", "CSVLogger")  # write into save_dir/name/version


def paths_of_job(cfg: DictConfig, number: int, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the `written_paths` of a planned job, as if its directory were `folder`/`number`."""
    output = folder.absolute() / str(number)
    cfg = cfg.copy()
    OmegaConf.set_readonly(cfg, False)
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = str(output)
        cfg.hydra.job.num, cfg.hydra.job.id = number, str(number)
    with current(cfg):
        for key, path in written_paths(cfg):
            yield key, Path(output if cfg.hydra.job.chdir else "", path).absolute()


def written_paths(cfg: DictConfig) -> Iterator[tuple[str, Path]]:
    """Yield the keys that say where a run writes, with their paths."""
    for key in flatten(cfg):
        node, _, name = key.rpartition(".")
        is_log = node.startswith("hydra.job_logging.handlers") and name == "filename"
        if name in FOLDERS or is_log:
            path = as_path(cfg, key)
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
        own: the run directory; it may hold an earlier part of the run. If that is elsewhere, both parts may save into
            one directory by Lightning's ModelCheckpoint, which overwrites nothing.

    """
    if not folders:
        return
    given, settings = ckpt_path(cfg), flatten(cfg)
    parents = list(Path(str(given)).resolve().parents) if given else []
    mine, resumed = (read_config(run) if run else {} for run in (own_run([own]), own_run(parents)))
    for key, path in folders.items():
        left = [name for pattern in OUTSIDE for name in sorted(path.glob(pattern))]
        now = settings.get(key)
        is_mine = key in mine and (mine[key] == now or is_path(mine[key], Path(str(now)).resolve()))
        is_shared = is_path(resumed.get(key), path) and saves_beside(settings.get(f"{key.rpartition('.')[0]}._target_"))
        if left and not (is_mine or is_shared or path in parents[:1]):
            raise ValueError(f"{key}: {path} holds {left[0].name} of another run; use another directory")


def own_run(folders: Iterable[Path]) -> Path | None:
    """The first of these directories that is that of a run."""
    return next((folder for folder in folders if (folder / CONFIG).exists()), None)


def is_path(text: Any, path: Path) -> bool:
    """Whether a text of an earlier configuration names this path; what it interpolated then is not known."""
    return isinstance(text, str) and "${" not in text and Path(text).resolve() == path


def saves_beside(target: Any) -> bool:
    """Whether a class is a ModelCheckpoint, which gives its file another name where there is one."""
    made = None if "${" in str(target) else get_object(str(target))
    return isinstance(made, type) and issubclass(made, ModelCheckpoint)


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
