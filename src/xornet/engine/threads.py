"""The number of threads that PyTorch uses."""

import os

import torch

# Threads that sleep while they wait (cli/startup.py) must be woken for every epoch. Compared with one thread, two take
# 1.8 times as long at 10,000 networks, as long at 30,000, 0.6 times at 100,000 (AMD EPYC Genoa; docs/benchmarks.md).
WORTH_THREADS = 2**15


def set_threads(networks: int) -> None:
    """Use one thread for few networks and every core for many; a user's OMP_NUM_THREADS is respected."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1 if networks < WORTH_THREADS else cores())


def cores() -> int:
    """The number of cores that this process may use; all cores on platforms that do not say (macOS, Windows)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
