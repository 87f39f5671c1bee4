"""The checkpoints inside a run directory, where the configuration of the run puts them."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xornet.runs.settings import CONFIG, flatten, load

LAST = "callbacks.checkpoint.dirpath"  # where last.ckpt is written
INSIDE = r"\$\{(trainer\.default_root_dir|hydra:runtime\.output_dir)\}[^$]*"  # as in conf/


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
    """Yield the keys that name a directory for checkpoints, with the directories, of a configuration that is whole."""
    with suppress(OmegaConfBaseException, ValueError, KeyError):
        cfg = OmegaConf.create({**load(run / CONFIG, DictConfig), "hydra": {}})
        texts = {key: text for key, text in flatten(cfg).items() if key.endswith(".dirpath") and isinstance(text, str)}
        if not all(re.fullmatch(INSIDE, text) for text in texts.values()):
            cfg.hydra = load(run / CONFIG.with_name("hydra.yaml"), DictConfig)["hydra"]
        # The directory may have been moved, and `${hydra:...}` would ask for the present run.
        for key in ("trainer.default_root_dir", "hydra.runtime.output_dir", "hydra.run.dir"):
            OmegaConf.update(cfg, key, str(run.absolute()))
        for key, text in texts.items():
            OmegaConf.update(cfg, key, text.replace("${hydra:", "${hydra."))
            with suppress(OmegaConfBaseException):  # of what only the run could resolve
                path = Path(str(OmegaConf.select(cfg, key)))
                if not path.is_absolute():
                    path = Path(run if cfg.hydra.job.chdir else cfg.hydra.runtime.cwd, path)
                yield key, path.resolve()
