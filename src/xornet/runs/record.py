"""The jobs of a sweep, read from their directories."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from xornet.checkpoint import CheckpointFile
from xornet.plots.render import Array
from xornet.runs.checkpoints import last_checkpoint
from xornet.runs.directory import BESIDE, job_folders
from xornet.runs.settings import CONFIG, read_overrides


@dataclass
class Run:
    """One job of a sweep."""

    folder: Path  # `<number>_<overrides>`
    overrides: dict[str, str]  # of its command line, by key
    metrics: dict[str, Any] | None  # its metrics.json; None if it has not finished
    cause: str | None  # why it failed; None if it did not

    @property
    def number(self) -> int:
        """Its number in the sweep."""
        return int(self.folder.name.partition("_")[0])

    @property
    def status(self) -> str:
        """`finished`, `failed`, `interrupted`, or `refused`: finished, but configured otherwise than in this sweep."""
        if self.cause:
            return "refused" if self.metrics else "failed"
        return "finished" if self.metrics else "interrupted"

    @property
    def begun(self) -> float:
        """When it was begun, or last resumed, in the time of the file system."""
        return (self.folder / CONFIG.with_name("overrides.yaml")).stat().st_mtime

    @property
    def failed_at(self) -> float | None:
        """When it failed, in the time of the file system."""
        return max((path.stat().st_mtime for path in error_files(self.folder) if path.exists()), default=None)

    @cached_property
    def curve(self) -> tuple[Array, Array] | None:
        """Epochs (S,) and losses (S,), of an ensemble the median; None if no checkpoint holds them."""
        try:
            found = CheckpointFile().load_checkpoint(last_checkpoint(self.folder))
            curve = found["history"]["curve"]
            curve = curve["epochs"].double().numpy(), curve["losses"][:, 1].numpy()
        except (ValueError, KeyError):
            return None
        is_earlier = self.result("epochs") not in (None, found["global_step"])  # its last part has saved none
        return None if is_earlier else curve

    def result(self, name: str) -> Any:
        """A value of metrics.json, None if it is missing."""
        return (self.metrics or {}).get(name)

    def label(self, keys: Iterable[str]) -> str:
        """Its values of these keys: `optimizer.lr=0.1 model.hidden=[4]`."""
        return " ".join(f"{key}={self.overrides[key]}" for key in keys if key in self.overrides)

    @property
    def share_solved(self) -> tuple[float, float, float]:
        """The share of networks that solve the table and its 95% interval, all nan if the job has not finished.

        For a single network all three are 0 or 1.
        """
        share = np.nan if self.result("solved") is None else float(self.result("solved"))
        low, high = self.result("solved_interval") or (share, share)
        return share, low, high


def read_jobs(sweep: Path, and_refused: bool = False) -> list[Run]:
    """Return the jobs of a sweep (`job_folders`) in their order; a job that never started has no directory."""
    folders = job_folders(sweep, and_refused)
    return sorted(map(read_job, folders), key=lambda job: (job.number, job.folder.name))


def error_files(folder: Path) -> tuple[Path, Path]:
    """The files with the cause of a failure: in the job's directory, or next to it if it belongs to another run."""
    return folder / "error.txt", folder.with_name(folder.name + BESIDE)


def read_job(folder: Path) -> Run:
    """Return one job."""
    overrides = read_overrides(folder)
    causes = [path.read_text("utf-8", errors="replace").strip() for path in error_files(folder) if path.exists()]
    cause = causes[-1] if causes else None
    try:
        return Run(folder, overrides, read_metrics(folder), cause)
    except ValueError as damage:
        return Run(folder, overrides, None, cause or str(damage))


def read_metrics(folder: Path) -> dict[str, Any] | None:
    """Return a run's metrics.json, None if it has not finished; ValueError if it is damaged."""
    path = folder / "metrics.json"
    if not path.exists():
        return None
    try:
        metrics: dict[str, Any] = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged, or of another program; use another directory, or delete it to run again"
        ) from error
    try:
        known = [metrics[name] for name in ("loss", "solved", "epochs", "networks")]
        sum([*known, *(metrics.get("solved_interval") or ())])  # TypeError, unless all are numbers
    except (ValueError, TypeError, KeyError) as error:
        said = f"{path} was not written by this project"
        raise ValueError(f"{said}; use another directory, or move it away") from error
    return metrics
