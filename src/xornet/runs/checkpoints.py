"""The checkpoints inside a run directory, where the configuration of the run puts them."""

import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from xornet.runs.settings import CONFIG, flatten, load

LAST = "callbacks.checkpoint"  # the callback that writes last.ckpt


def checkpoints(run: Path, *elsewhere: Path) -> list[Path]:
    """The checkpoints in a run directory and in other directories, the newest last.

    Unfinished files of killed processes are left out.
    """
    places = {(path, "*.ckpt") for path in (run / "checkpoints", *elsewhere)}
    places |= {(path, f"{name}.ckpt") for path, name in kept(run).values()}
    found = {path.absolute() for place, pattern in places for path in place.glob(pattern) if path.name[0] != "."}
    return sorted(found, key=lambda path: path.stat().st_mtime)


def last_checkpoint(run: Path) -> Path:
    """The path of the `last.ckpt` of a run; one outside of its directory may by now be of a later run."""
    return kept(run).get(LAST, (run / "checkpoints", "*"))[0] / "last.ckpt"


def kept(run: Path) -> dict[str, tuple[Path, str]]:
    """For each callback of a run that saves checkpoints in the run directory: where, and under which names.

    The names are a pattern of `Path.glob`: `*`, or `*-*/*` for `{epoch}-{train/loss}`, which makes directories.
    """
    return {key: (place, name) for key, place, name in configured(run) if run.resolve() in (place, *place.parents)}


def configured(run: Path) -> Iterator[tuple[str, Path, str]]:
    """Yield the callbacks of a run that save checkpoints, with what `kept` returns for each."""
    if not (run / CONFIG).is_file():
        return
    cfg = OmegaConf.create({**load(run / CONFIG, DictConfig), "hydra": None})
    OmegaConf.update(cfg, "trainer.default_root_dir", str(run))  # the directory may have been moved
    for key, text in flatten(cfg).items():
        callback = key.removesuffix(".dirpath")
        if callback != key and isinstance(text, str):
            OmegaConf.update(cfg, key, text.replace("${hydra:runtime.output_dir}", "${trainer.default_root_dir}"))
            with suppress(OmegaConfBaseException, ValueError):  # of a reference that only the run could resolve
                path = Path(str(OmegaConf.select(cfg, key)))
                path = path if path.is_absolute() else start(run) / path
                name = str(OmegaConf.select(cfg, f"{callback}.filename"))
                name = re.sub("{[^}]*}", lambda found: "/".join("*" * len(found[0].split("/"))), name)
                is_nested = "/" in name and ".." not in name and name[0] != "/"
                yield callback, path.resolve(), re.sub(r"\*+", "*", f"{name}*") if is_nested else "*"


def start(run: Path) -> Path:
    """The directory from which the relative paths of a run start."""
    hydra = load(run / CONFIG.with_name("hydra.yaml"), DictConfig)["hydra"]
    return run if hydra["job"]["chdir"] else Path(hydra["runtime"]["cwd"])
