"""The names of the directories of jobs: a job has the same one when its sweep is continued."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from xornet.runs.directory import job_folders
from xornet.runs.settings import key_of, read_lines

NO_TEXTS = ("true", "false", "null", "nan", "inf", "infinity")  # without quotes
LONGEST_NAME = 200  # bytes of a directory's name; file systems end at 255


def job_name(
    number: int,
    label: str,
    task: Any,
    folder: str,
    constant: list[str],
    earlier: int,
    fresh: Any,
    trials: int | None = None,
) -> str:
    """Return the directory name of a job: `0_optimizer.lr=0.01`, or that of the same job in an earlier command.

    Args:
        number: the number of the job in this command.
        label: its swept values, `optimizer.lr=0.01`.
        task: its overrides.
        folder: the directory of the sweep.
        constant: the keys that are not swept.
        earlier: when this command began, all jobs in the directory had smaller numbers than this.
        fresh: the numbers in this command of jobs that are not in the directory yet; None if not known.
        trials: n_trials of a search without storage, which draws the same values again; 0 with storage, which draws
            other values; None if this is no search.

    """
    if not earlier or trials == 0:
        return directory_name(earlier + number, label)
    overrides: Any = OmegaConf.to_container(task, resolve=False)
    names = earlier_jobs(folder, earlier, tuple(constant)).get(identity(overrides, constant), [])
    if own := [name for name in names if name.partition("_")[0] == str(number)]:
        return own[0]
    if trials:  # two equal trials may run at once: one must not resume the job of the other
        names = [name for name in names if (Path(folder) / name / "metrics.json").exists()]
    if names:
        return names[0]
    if trials:
        return directory_name(number if number >= earlier else max(earlier, trials) + number, label)
    return directory_name(earlier + (number if fresh is None else list(fresh).index(number)), label)


def check_repeated(
    jobs: Sequence[Sequence[str]], constant: Collection[str], known: Mapping[frozenset[str], list[str]], folder: Path
) -> None:
    """Refuse a value that is given twice, unless the earlier command had it under the same numbers."""
    identities = [identity(job, constant) for job in jobs]
    counts = Counter(identities)
    for number, one in enumerate(identities):
        is_there = any(name.partition("_")[0] == str(number) for name in known.get(one, []))
        if counts[one] > 1 and not is_there:
            said = " ".join(sorted(one))
            raise ValueError(f"{said} is given twice, but {folder} holds a sweep without; use each value once")


@lru_cache
def earlier_jobs(folder: str, earlier: int, constant: tuple[str, ...]) -> dict[frozenset[str], list[str]]:
    """The directory names of the jobs with numbers below `earlier`, by their identities."""
    found: dict[frozenset[str], list[str]] = {}
    for path in job_folders(Path(folder)):
        if int(path.name.partition("_")[0]) < earlier:
            found.setdefault(identity(read_lines(path), constant), []).append(path.name)
    return found


def identity(task: Iterable[str], constant: Collection[str]) -> frozenset[str]:
    """The identity of a job in its sweep: its swept values, with 0.1 and 1e-1 equal."""
    pairs = {key_of(line): line.partition("=")[2] for line in task}  # if a key is given twice, the last counts
    return frozenset(f"{key}={normalized(value)}" for key, value in pairs.items() if key not in constant)


def normalized(value: str) -> str:
    """One spelling for equal values: 0.1 and 1e-1, [4,4] and [4, 4], adam and 'adam'."""
    with suppress(InvalidOperation):
        return str(Decimal(value).normalize())
    if (quoted := re.fullmatch(r"(['\"])([A-Za-z][\w ./-]*)\1", value)) and quoted[2].lower() not in NO_TEXTS:
        return quoted[2]
    return value.replace(" ", "") if re.fullmatch(r"\[[^'\"]*\]", value) else value


def directory_name(number: int, label: str) -> str:
    """Return a directory name of characters that are safe for file systems and shells; Hydra needs quotes for `=`."""
    text = re.sub(r"[^\w.=+-]+", "-", re.sub(r"[\[\]{}()'\"]", "", label))
    return f"{number}_{text}".encode()[:LONGEST_NAME].decode(errors="ignore").rstrip("-_.")


OmegaConf.register_new_resolver("job_name", job_name, replace=True)  # for conf/train.yaml
