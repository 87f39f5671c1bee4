"""The files of an earlier run in the directory of a new run."""

from pathlib import Path

from xornet.checkpoint import is_ours
from xornet.runs.checkpoints import checkpoints
from xornet.runs.directory import LEFT, RESULT_FILES
from xornet.runs.events import EVENTS
from xornet.runs.settings import CONFIG, read_config

OWN = ("last.ckpt", "interrupted.ckpt")  # the checkpoints that this project writes itself


def discard(folder: Path, before: float | None = None) -> None:
    """Delete the files of an earlier run in `folder`, in which `check_holder` has found nothing else.

    If the present run resumes the earlier one, `before` is None, and only its results are deleted. Else `before` is the
    start of the present run in the time of its file system: event files written since are kept, they are its own.
    """
    if not ((folder / CONFIG).is_file() or (folder / "metrics.json").is_file()):  # no run was here
        return
    left = [folder / name for name in (RESULT_FILES if before is None else LEFT)]
    if before is not None:
        logged = log_folders(folder)
        left += [place / name for place in logged for name in ("hparams.yaml", "metrics.csv")]
        events = [path for place in (folder, *logged) for path in place.glob(f"{EVENTS}*")]
        own = folder.absolute() / "checkpoints"  # in another one, a user may keep checkpoints too
        saved = (path for path in checkpoints(folder) if path.parent == own or path.name in OWN)
        events += [path for path in saved if is_ours(path)]
        left += [path for path in events if path.stat().st_mtime < before]
    for path in left:
        path.unlink(missing_ok=True)


def log_folders(folder: Path, outside: bool = False) -> set[Path]:
    """The directories inside a run directory that its loggers write into (`logger.csv.version=v1`).

    With `outside`, also those elsewhere.
    """
    settings = read_config(folder) if (folder / CONFIG).is_file() else {}
    folders: set[Path] = set()
    for key, value in settings.items():
        is_inside = value == "${trainer.default_root_dir}"
        is_outside = outside and key.endswith(".save_dir") and isinstance(value, str) and "${" not in value
        if key.startswith("logger.") and (is_inside or is_outside):
            logger = key.rpartition(".")[0]
            name, version, inner = (settings.get(f"{logger}.{part}") for part in ("name", "version", "sub_dir"))
            if isinstance(name, str) and version is not None:
                place = folder if is_inside else Path(value)
                place = place / name / (f"version_{version}" if isinstance(version, int) else str(version))
                folders.add(place / (inner or ""))
    return folders - {folder}
