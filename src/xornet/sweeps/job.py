"""A run, alone or as a job of a sweep; a job is skipped if finished, resumed if interrupted, and may fail alone."""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from xornet import files
from xornet.checkpoint import holds_weights_alone
from xornet.cli import configuration, errors, signals
from xornet.cli.hydra_run import is_job, output_dir, record
from xornet.cli.paths import written_paths
from xornet.cli.remedies import SWEEP_DISK
from xornet.cli.run_directory import RunDirectory
from xornet.runs.checkpoints import checkpoints
from xornet.runs.directory import is_begun
from xornet.runs.lock import InUseError
from xornet.runs.metrics import objective
from xornet.runs.record import error_files, read_metrics
from xornet.runs.settings import CONFIG, flatten, read_config
from xornet.sweeps.isolation import process_left_as_found

REMEDY = "use another hydra.sweep.dir"
Train = Callable[[DictConfig, RunDirectory], float]


def run(train: Train, cfg: DictConfig) -> float | None:
    """Run `train`; a job of a sweep only if it has not finished, and from where it was interrupted.

    Returns:
        the result of `train`; None for a failed job, which Optuna takes for a failed trial.

    """
    configuration.check_callback()  # without it no sweep is summed up: this error ends the command
    directory = RunDirectory(cfg)
    try:
        with ExitStack() as locks:
            configuration.check(cfg)
            if not (is_job() and (output_dir() / "metrics.json").exists()):  # then it is only read
                directory.lock(locks)
            directory.check()
            with process_left_as_found():
                return run_job(train, cfg, directory) if is_job() else train(cfg, directory)
    except BaseException as error:
        directory.undo()
        if not (is_job() and isinstance(error, Exception)):
            raise
        signals.end_if_received()  # a signal may have caused the error
        task: Any = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        cause = errors.report(error, task, SWEEP_DISK)
        print(f"{output_dir().name} failed: {cause}", file=sys.stderr)
        try:
            is_in_use = isinstance(error, InUseError) and error.folder == output_dir().resolve()
            write_error(output_dir(), directory, cause, is_in_use)
        except OSError:  # the directory itself has failed, so the sweep cannot read it there
            raise ValueError(f"{output_dir().name} failed: {cause}") from error
        signals.end_if_received(signals.taken_by_run)  # a signal before the error
        return None


def run_job(train: Train, cfg: DictConfig, directory: RunDirectory) -> float:
    """Skip a job that has finished, resume one that was interrupted, train any other."""
    folder = output_dir()
    check_same_job(folder, cfg)
    if results := read_metrics(folder):
        for path in filter(Path.exists, error_files(folder)):  # of a sweep that had it configured otherwise
            path.unlink()
        if not (folder / CONFIG.with_name("overrides.yaml")).exists():  # it makes the directory a job
            record(cfg, folder, "train")
        print(f"skipped, finished before: {folder.name}", file=sys.stderr)
        return objective(results)
    places = list[Path]()
    if (folder / CONFIG).exists():  # else checkpoints in other places may be of another job
        places = [path for key, path in written_paths(cfg) if key.startswith("callbacks.")]
    newest_first = reversed(checkpoints(folder, *places))
    if found := next((path for path in newest_first if not holds_weights_alone(path)), None):
        print(f"resumed: {folder.name}", file=sys.stderr)
        cfg.ckpt_path = str(found)
    return train(cfg, directory)


def write_error(folder: Path, directory: RunDirectory, cause: str, is_in_use: bool) -> None:
    """Write why a job failed into its directory; next to it, if it holds another run, which must not change."""
    inside, beside = error_files(folder)
    is_other = is_in_use or (is_begun(folder) and not directory.is_begun)
    if not (is_other or directory.is_begun):
        record(directory.cfg, folder, "train")
    files.write(beside if is_other else inside, lambda partial: partial.write_text(cause + "\n", encoding="utf-8"))


def check_same_job(folder: Path, cfg: DictConfig, remedy: str = REMEDY) -> None:
    """Refuse to resume or skip a job that was configured differently."""
    if not is_begun(folder):
        return
    for key, was, new in differences(read_config(folder), flatten(cfg)):
        raise ValueError(f"{folder} was run with {key}={was}, but this sweep has {key}={new}; {remedy}")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield the keys in which two configurations differ, with both values."""
    # A different class is named first, since its arguments differ too.
    for key in sorted(before.keys() | now.keys(), key=lambda key: (not key.endswith("._target_"), key)):
        was, new = before.get(key), now.get(key)
        are_numbers = type(was) in (int, float) and type(new) in (int, float)
        if not (repr(was) == repr(new) or (are_numbers and was == new)):  # nan is not equal to itself
            yield key, was, new
