"""How many threads PyTorch computes with."""

import os

import torch

# Threads that sleep while they wait (cli/startup.py) must be woken for every epoch. Two of them take 1.8 times as long
# as one at 10,000 networks, as long at 30,000 and 0.6 times as long at 100,000 (AMD EPYC Genoa; docs/benchmarks.md).
WORTH_THREADS = 2**15


def set_threads(networks: int) -> None:
    """Use one thread for few networks and every core for many; a user's OMP_NUM_THREADS stands."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1 if networks < WORTH_THREADS else cores())


def cores() -> int:
    """The cores that this process may use; all of the machine where the platform (macOS, Windows) does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
