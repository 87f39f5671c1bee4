"""The directory of each job of a sweep, which is the same in every part of the sweep."""

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
    """Return the directory of a job: `0_optimizer.lr=0.01`, or that of the same job in an earlier part of the sweep.

    Args:
        number: the job's number in this command.
        label: what distinguishes it, `optimizer.lr=0.01`.
        task: its overrides.
        folder: the sweep's directory.
        constant: the keys that distinguish no job.
        earlier: jobs with a smaller number than this were there when the command began.
        fresh: the numbers in this command of those that were not; None where nobody knows.
        trials: how many a search has that draws the same ones again; 0 of one that draws others, None of no search.

    """
    if not earlier or trials == 0:
        return named(earlier + number, label)
    overrides: Any = OmegaConf.to_container(task, resolve=False)
    names = earlier_jobs(folder, earlier, tuple(constant)).get(identity(overrides, constant), [])
    if own := [name for name in names if name.partition("_")[0] == str(number)]:
        return own[0]
    if trials:  # of which two that are alike may run at once: neither must resume the other's job
        names = [name for name in names if (Path(folder) / name / "metrics.json").exists()]
    if names:
        return names[0]
    if trials:
        return named(number if number >= earlier else max(earlier, trials) + number, label)
    return named(earlier + (number if fresh is None else list(fresh).index(number)), label)


def check_repeated(
    jobs: Sequence[Sequence[str]], constant: Collection[str], known: Mapping[frozenset[str], list[str]], folder: Path
) -> None:
    """Refuse a value that is given twice, unless the part of the sweep that is continued had it at the same places."""
    identities = [identity(job, constant) for job in jobs]
    counts = Counter(identities)
    for number, one in enumerate(identities):
        is_there = any(name.partition("_")[0] == str(number) for name in known.get(one, []))
        if counts[one] > 1 and not is_there:
            said = " ".join(sorted(one))
            raise ValueError(f"{said} is given twice, but {folder} holds a sweep without; use each value once")


@lru_cache
def earlier_jobs(folder: str, earlier: int, constant: tuple[str, ...]) -> dict[frozenset[str], list[str]]:
    """The directories of the jobs with numbers below `earlier`, by what distinguishes them."""
    found: dict[frozenset[str], list[str]] = {}
    for path in job_folders(Path(folder)):
        if int(path.name.partition("_")[0]) < earlier:
            found.setdefault(identity(read_lines(path), constant), []).append(path.name)
    return found


def identity(task: Iterable[str], constant: Collection[str]) -> frozenset[str]:
    """What distinguishes a job from the others of its sweep: 0.1 and 1e-1 are the same value."""
    pairs = {key_of(line): line.partition("=")[2] for line in task}  # of two values of a key, the last counts
    return frozenset(f"{key}={plain(value)}" for key, value in pairs.items() if key not in constant)


def plain(value: str) -> str:
    """The text of a value in one of its spellings: 0.1 and 1e-1, [4,4] and [4, 4], adam and 'adam' are the same."""
    with suppress(InvalidOperation):
        return str(Decimal(value).normalize())
    if (quoted := re.fullmatch(r"(['\"])([A-Za-z][\w ./-]*)\1", value)) and quoted[2].lower() not in NO_TEXTS:
        return quoted[2]
    return value.replace(" ", "") if re.fullmatch(r"\[[^'\"]*\]", value) else value


def named(number: int, label: str) -> str:
    """Return a name for a directory.

    Every character stays that neither a file system nor a shell minds; Hydra minds the `=`, which takes quotes there.
    """
    text = re.sub(r"[^\w.=+-]+", "-", re.sub(r"[\[\]{}()'\"]", "", label))
    return f"{number}_{text}".encode()[:LONGEST_NAME].decode(errors="ignore").rstrip("-_.")


OmegaConf.register_new_resolver("job_name", job_name, replace=True)  # which conf/train.yaml refers to
