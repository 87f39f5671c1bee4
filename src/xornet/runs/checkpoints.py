"""The checkpoints inside a run directory, where the configuration of the run puts them."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xornet.runs.settings import CONFIG, flatten, load

LAST = "callbacks.checkpoint.dirpath"  # where last.ckpt is written


def checkpoints(run: Path, *elsewhere: Path) -> list[Path]:
    """The checkpoints in a run directory and in other directories, the newest last.

    Unfinished files of killed processes are left out.
    """
    places = {run / "checkpoints", *kept(run).values(), *elsewhere}
    found = {path.absolute() for place in places for path in place.glob("[!.]*.ckpt")}
    return sorted(found, key=lambda path: path.stat().st_mtime)


def last_checkpoint(run: Path) -> Path:
    """The path of the `last.ckpt` of a run; one outside of its directory may by now be of a later run."""
    return kept(run).get(LAST, run / "checkpoints") / "last.ckpt"


def kept(run: Path) -> dict[str, Path]:
    """The directories in a run directory into which its callbacks save checkpoints, by key."""
    return {key: place for key, place in configured(run) if run.resolve() in (place, *place.parents)}


def configured(run: Path) -> Iterator[tuple[str, Path]]:
    """Yield the keys that name a directory for checkpoints, with the directories."""
    if not (run / CONFIG).is_file():
        return
    cfg = OmegaConf.create({**load(run / CONFIG, DictConfig), "hydra": None})
    OmegaConf.update(cfg, "trainer.default_root_dir", str(run.absolute()))  # the directory may have been moved
    for key, text in flatten(cfg).items():
        if key.endswith(".dirpath") and isinstance(text, str):
            OmegaConf.update(cfg, key, text.replace("${hydra:runtime.output_dir}", "${trainer.default_root_dir}"))
            with suppress(OmegaConfBaseException, ValueError, KeyError):  # what only the run could resolve
                path = Path(str(OmegaConf.select(cfg, key)))
                yield key, (path if path.is_absolute() else start(run) / path).resolve()


def start(run: Path) -> Path:
    """The directory from which the relative paths of a run start."""
    hydra = load(run / CONFIG.with_name("hydra.yaml"), DictConfig)["hydra"]
    return run if hydra["job"]["chdir"] else Path(hydra["runtime"]["cwd"])
