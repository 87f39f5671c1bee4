"""Checkpoint files: written atomically, read without running code that they may contain."""

import io
import pickle
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from xornet import files, schema
from xornet.data import truth_table

SAFE = "tensors, numbers, texts, lists and dictionaries alone"
REMEDY = "use the checkpoints/last.ckpt of a run, or delete this one to train from the start"


class UnsafeStateError(ValueError):
    """A state holds more than `torch.load` loads without running code."""


def find(ckpt_path: str | None) -> str | None:
    """Return `ckpt_path` if it is None or a file; Lightning's words `last`, `best` and `hpc` are refused."""
    try:
        is_found = ckpt_path is None or (isinstance(ckpt_path, str) and Path(ckpt_path).is_file())
    except OSError as error:  # the directory may not be entered, or the name is too long
        raise ValueError(f"ckpt_path={ckpt_path} cannot be read: {error.strerror}; use another path") from error
    if not is_found:
        cause = "is a directory" if Path(str(ckpt_path)).is_dir() else "does not exist"
        raise ValueError(f"ckpt_path={ckpt_path} {cause}; use the checkpoints/last.ckpt of a run")
    return ckpt_path


def is_ours(path: Path) -> bool:
    """Whether a file is a checkpoint of this project."""
    return "xornet" in parts(path)


def holds_weights_alone(path: Path) -> bool:
    """Whether a file is a checkpoint of this project from which no run can be resumed (`save_weights_only`)."""
    found = parts(path)
    return "xornet" in found and "optimizer_states" not in found


def parts(path: Path) -> set[str]:
    """The names of what a checkpoint holds; none if the file is damaged or something else."""
    with suppress(Exception):  # another file may raise anything
        return {*torch.load(path, weights_only=True, map_location="meta")}
    return set()


def save(state: dict[str, Any], path: str | Path) -> None:
    """Write tensors and plain values as a file that `torch.load` reads.

    The file is made in memory first, because on a full disk PyTorch's own writer reports only `unexpected pos`.
    """
    file = in_memory("this one", state)
    files.write(path, lambda partial: partial.write_bytes(file.getbuffer()))


def in_memory(owner: str, state: Any) -> io.BytesIO:
    """Return the file of a state; refuse one that `torch.load` would not load again, since loading it could run code.

    Raises:
        UnsafeStateError: naming what cannot be in it, and where in the state of the owner that is.

    """
    file = io.BytesIO()
    try:
        torch.save(state, file)
        file.seek(0)
        found = ", ".join(sorted(torch.serialization.get_unsafe_globals_in_checkpoint(file)))
    except (pickle.PicklingError, AttributeError, TypeError) as error:  # of what cannot be written at all
        found = f"everything ({error})"
    if found:
        for key, part in state.items() if isinstance(state, dict) else ():
            in_memory(f"{owner}: {key}", part)  # names the place, if it is there
        raise UnsafeStateError(f"a checkpoint cannot hold {found}, as in {owner}; use {SAFE}")
    return file


class CheckpointFile(TorchCheckpointIO):
    """Lightning's reader and writer of checkpoint files.

    Lightning's own writes a temporary file, perhaps on another file system, and ignores a PermissionError.
    """

    def __init__(self) -> None:
        super().__init__()
        self.known: set[Path] = set()  # directories into which something was saved

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint` atomically."""
        folder = Path(path).parent
        if folder not in self.known:  # if a known one is missing, the run was moved, and must not be split
            folder.mkdir(parents=True, exist_ok=True)
        save(checkpoint, path)
        self.known.add(folder)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint of this project, tensors and plain values only.

        Raises:
            ValueError: there is none, or it is damaged, contains code, or is of another project.

        """
        path = str(find(str(path)))
        try:
            files.check_archive(path)
            with warnings.catch_warnings(action="ignore"):  # about files that are refused anyway
                checkpoint = torch.load(path, map_location=map_location, weights_only=True)
        except PermissionError as error:
            raise ValueError(f"ckpt_path={path} cannot be read: {error.strerror}; make it readable") from error
        except pickle.UnpicklingError as error:
            cause = "damaged, or holds more than tensors and plain values (nothing in it was run)"
            raise ValueError(f"ckpt_path={path} is {cause}; {REMEDY}") from error
        except Exception as error:  # a damaged file can raise anything
            raise ValueError(f"ckpt_path={path} cannot be read as a checkpoint; {REMEDY}") from error
        schema.check(checkpoint, path)
        return checkpoint


def table_of(checkpoint: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The table that the networks of a checkpoint were trained on: x (P, I) and y (P, O)."""
    x, y = checkpoint.get("table") or truth_table(checkpoint["hyper_parameters"]["bits"])
    return x, y
