"""The XOR experiment: one or many small networks, trained by gradient descent inside Lightning."""

import importlib
import warnings
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xornet.data import XORDataModule, truth_table
    from xornet.module import XORModule
    from xornet.network import Ensemble, XORNet

PUBLIC = {
    "Ensemble": "network",
    "XORDataModule": "data",
    "XORModule": "module",
    "XORNet": "network",
    "truth_table": "data",
}
__all__ = ["Ensemble", "XORDataModule", "XORModule", "XORNet", "truth_table"]

# Warnings that do not concern runs here, by how they begin; the tests ignore the same ones.
IGNORED = (
    # Lightning, about data loading, which takes no time for four rows
    ".*does not have many workers",
    "Total length of `list` across ranks is zero",  # XORDataModule has no validation data during `fit`
    "You defined a `validation_step` but have no `val_dataloader`",
    "Checkpoint directory .* exists and is not empty",  # the run is resumed
    # Lightning, about itself
    r".*isinstance\(treespec, LeafSpec\)` is deprecated",
    # Lightning and PyTorch, about the machine and its drivers, which a run need not use
    "The `srun` command is available on your system but is not used",
    "[GT]PU available but not used",
    "MASTER_(ADDR|PORT) environment variable is not defined",
    "CUDA initialization",
    "Can't (initialize|get) (NVML|nvml|amdsmi)",
)
for message in IGNORED:
    warnings.filterwarnings("ignore", message=message)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that `import xornet` itself is quick."""
    if name not in PUBLIC:
        raise AttributeError(f"module 'xornet' has no attribute '{name}'")
    return getattr(importlib.import_module(f"xornet.{PUBLIC[name]}"), name)
