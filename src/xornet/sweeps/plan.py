"""What a sweep is about to do, checked before anything is written: what is refused leaves its directory as it was."""

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, OmegaConf, open_dict

from xornet.runs.record import Run, differing, flatten, key_of, read_lines
from xornet.sweeps.job import REMEDY, check_same_job, is_begun

KEYS = ("data", "model", "optimizer", "trainer", "callbacks", "logger", "question", "seed", "networks", "ckpt_path")
FOLDERS = ("default_root_dir", "dirpath", "log_dir", "root_dir")  # arguments that name a directory to write into
IN_VERSIONS = ("EventLogger", "TensorBoardLogger", "CSVLogger")  # write into save_dir/name/version
Compose = Callable[[Sequence[str]], DictConfig]


def composer(config: DictConfig, config_name: str | None) -> Compose:
    """Return what composes a job of the sweep `config` from its overrides, each job once."""
    hydras: Any = OmegaConf.to_container(config.hydra.overrides.hydra, resolve=False)
    composed: dict[frozenset[str], DictConfig] = {}

    def compose_job(overrides: Sequence[str]) -> DictConfig:
        job = frozenset(overrides)
        if job not in composed:
            composed[job] = compose(config_name, [*hydras, *overrides], return_hydra_config=True)
        return composed[job]

    return compose_job


def product(overrides: Iterable[Override]) -> list[list[str]]:
    """Return the overrides of each job, in the order in which Hydra's own sweeper runs them.

    Raises:
        ValueError: a sweep over what is no list of values, or over no value at all.

    """
    values: list[list[str]] = []
    for override in overrides:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            raise ValueError(f"{override.input_line} is an interval; use a list of values, or hydra/sweeper=optuna")
        values.append(list(written(override)))
        if not values[-1]:
            raise ValueError(f"{override.input_line} names no value; use a list of values")
    return [list(job) for job in itertools.product(*values)]


def written(override: Override) -> Iterator[str]:
    """Yield an override once for each of its values, as it is written."""
    key = override.get_key_element()
    if override.is_sweep_override():
        yield from (f"{key}={value}" for value in override.sweep_string_iterator())
    else:
        yield f"{key}={override.get_value_element_as_str()}"


def check_earlier(folder: Path, earlier: list[Run], keys: Sequence[str], fixed: list[str], compose: Compose) -> None:
    """Refuse to add to a sweep that is another one.

    Args:
        folder: the sweep's directory.
        earlier: the jobs that it holds.
        keys: what is swept.
        fixed: the overrides that all jobs share.
        compose: composes a job from its overrides.

    Raises:
        ValueError: naming the job and the first key that differs.

    """
    theirs = differing(earlier)
    for job in earlier:
        if not (set(keys) <= job.overrides.keys() and set(theirs) <= set(keys)):
            over, ours = (", ".join(names) or "nothing" for names in (theirs or job.overrides, keys))
            raise ValueError(f"{folder} holds a sweep over {over}, but this one is over {ours}; {REMEDY}")
        if is_begun(job.folder):
            values = [line for line in read_lines(job.folder) if key_of(line) in keys]
            cfg = compose([*fixed, *values])
            check_same_job(job.folder, OmegaConf.masked_copy(cfg, [str(key) for key in cfg if key != "hydra"]))


def check_jobs(jobs: Sequence[Sequence[str]], folder: Path, compose: Compose) -> None:
    """Compose every job, and refuse what would run other than it says, or where another job writes.

    Args:
        jobs: the overrides of each.
        folder: the sweep's directory.
        compose: composes a job from its overrides.

    Raises:
        ValueError: naming the override or the path.

    """
    writers: dict[Path, int] = {}
    for number, overrides in enumerate(jobs):
        cfg = compose(overrides)
        check_keys(cfg)
        own = {key_of(override) for override in overrides}
        if ignored := [str(key) for key in cfg.hydra.sweeper.get("params") or {} if key not in own]:
            choice = f"experiment={cfg.hydra.runtime.choices.get('experiment')}"
            raise ValueError(f"{choice} is itself a sweep, over {', '.join(ignored)}; use it alone")
        for key, path in written_paths(cfg, number, folder):
            if key == "trainer.default_root_dir" and path != folder.absolute() / str(number):
                raise ValueError(f"{key}={path} is not the directory of each job; use hydra.sweep.dir={path}")
            if writers.setdefault(path, number) != number:
                raise ValueError(
                    f"{key}={path} would be written by jobs {writers[path]} and {number}; "
                    "use ${hydra:runtime.output_dir}, the directory of each job, in it"
                )


def check_keys(cfg: DictConfig) -> None:
    """Refuse a configuration with keys that nothing reads, which an experiment file has by mistake.

    Raises:
        ValueError: naming the key.

    """
    choice = cfg.hydra.runtime.choices.get("experiment")
    if "logger" not in cfg.hydra.runtime.choices:  # a list was chosen
        raise ValueError("a list of logger files would be merged into one logger; use logger=many or trainer.logger=[]")
    if "experiment" in cfg:
        raise ValueError(f"experiment={choice} sets nothing; use # @package _global_ as the first line of its file")
    task: Any = OmegaConf.to_container(cfg.hydra.overrides.task, resolve=False)
    given = {key_of(override).partition(".")[0] for override in task}
    text = OmegaConf.to_yaml(cfg)
    for key in map(str, cfg):
        if key not in (*KEYS, "hydra") and key not in given and f"${{{key}" not in text:
            raise ValueError(f"experiment={choice}: {key} is no key of the configuration; use one of {', '.join(KEYS)}")


def written_paths(cfg: DictConfig, number: int, folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield the keys that say where a job writes, and the paths, as if its own directory were `folder`/`number`."""
    output = folder.absolute() / str(number)
    cfg = cfg.copy()
    OmegaConf.set_readonly(cfg, False)
    with open_dict(cfg):
        cfg.hydra.runtime.output_dir = str(output)
        cfg.hydra.job.num, cfg.hydra.job.id = number, str(number)
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(cfg)  # what ${hydra:...} refers to
    try:
        for key in flatten(cfg):
            node, _, name = key.rpartition(".")
            is_log = node.startswith("hydra.job_logging.handlers") and name == "filename"
            if name in FOLDERS or is_log:
                path = OmegaConf.select(cfg, key)
            elif name == "save_dir" and str(OmegaConf.select(cfg, f"{node}._target_")).endswith(IN_VERSIONS):
                path = version_folder(OmegaConf.select(cfg, node))
            else:
                continue
            if path and (Path(path).is_absolute() or not cfg.hydra.job.chdir):
                yield key, Path(path).absolute()
    finally:
        HydraConfig.instance().cfg = before


def version_folder(logger: Any) -> Path | None:
    """The directory of a logger, None where it chooses one that is free."""
    version = logger.get("version")
    if version is None:
        return None
    return Path(
        logger.save_dir,
        logger.get("name", "lightning_logs"),
        f"version_{version}" if isinstance(version, int) else version,
    )
