"""The XOR experiment: one or many small networks, trained by gradient descent inside Lightning."""

import warnings

# Warnings that do not concern a run here, by their beginnings; the tests ignore the same ones.
IGNORED = (
    # Lightning, about work that a table of four rows does not have
    ".*does not have many workers",
    # Lightning, about itself
    r".*isinstance\(treespec, LeafSpec\)` is deprecated",
    # Lightning and PyTorch, about the machine: what it has besides, and with which driver; a run takes what it is given
    "The `srun` command is available on your system but is not used",
    "[GT]PU available but not used",
    "MASTER_(ADDR|PORT) environment variable is not defined",
    "CUDA initialization",
    "Can't (initialize|get) (NVML|nvml|amdsmi)",
)
for message in IGNORED:
    warnings.filterwarnings("ignore", message=message)
