"""Checkpoints: written whole or not at all, read without running any code of theirs."""

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

REMEDY = "use the checkpoints/last.ckpt of a run, or delete this one to train from the start"


def find(ckpt_path: str | None) -> str | None:
    """Return `ckpt_path` if it is None or a file: what Lightning reads as `last`, `best` or `hpc` is no file here."""
    if ckpt_path is not None and not (isinstance(ckpt_path, str) and Path(ckpt_path).is_file()):
        cause = "is a directory" if Path(str(ckpt_path)).is_dir() else "does not exist"
        raise ValueError(f"ckpt_path={ckpt_path} {cause}; use the checkpoints/last.ckpt of a run")
    return ckpt_path


def is_ours(path: Path) -> bool:
    """Whether a file is a checkpoint of this project."""
    with suppress(Exception):  # whatever another file brings
        return "xornet" in torch.load(path, weights_only=True, map_location="meta")
    return False


def save(state: dict[str, Any], path: str | Path) -> None:
    """Write tensors and plain values as a file that `torch.load` reads.

    Made in memory: of a full disk, PyTorch's own writer knows no more than `unexpected pos`.
    """
    file = io.BytesIO()
    torch.save(state, file)
    files.write(path, lambda partial: partial.write_bytes(file.getbuffer()))


class CheckpointFile(TorchCheckpointIO):
    """Lightning's reader and writer of checkpoint files.

    Lightning's own writes a temporary file on what may be another file system, and ignores a PermissionError.
    """

    def __init__(self) -> None:
        super().__init__()
        self.known: set[Path] = set()  # the directories into which something was saved

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint`; a file under the name `path` is always whole."""
        folder = Path(path).parent
        if folder not in self.known:  # else the run was moved away, and a new directory would hold half of it
            folder.mkdir(parents=True, exist_ok=True)
        save(checkpoint, path)
        self.known.add(folder)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint of this project, tensors and plain values only.

        Raises:
            ValueError: there is none, or it is damaged, holds code, or is another project's.

        """
        path = str(find(str(path)))
        try:
            files.check_archive(path)
            with warnings.catch_warnings(action="ignore"):  # about files that are refused below
                checkpoint = torch.load(path, map_location=map_location, weights_only=True)
        except pickle.UnpicklingError as error:
            cause = "damaged, or holds more than tensors and plain values (nothing in it was run)"
            raise ValueError(f"ckpt_path={path} is {cause}; {REMEDY}") from error
        except Exception as error:  # there is no end to the ways in which a file can be damaged
            raise ValueError(f"ckpt_path={path} cannot be read as a checkpoint; {REMEDY}") from error
        schema.check(checkpoint, path)
        return checkpoint


def table_of(checkpoint: dict[str, Any]) -> tuple[Tensor, Tensor]:
    """The table that the networks of a checkpoint were trained on: x (P, I) and y (P, O)."""
    x, y = checkpoint.get("table") or truth_table(checkpoint["hyper_parameters"]["bits"])
    return x, y
