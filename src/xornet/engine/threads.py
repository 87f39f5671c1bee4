"""How many threads PyTorch computes with."""

import os

import torch

# Handing work to a second thread costs more than it saves at 1,000 networks (1.28 times the time, 10,000 epochs on two
# cores), and pays at 100,000 (0.70 times, 400 epochs).
WORTH_THREADS = 4096


def set_threads(networks: int) -> None:
    """Use one thread for few networks and every core for many; a user's OMP_NUM_THREADS stands."""
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1 if networks < WORTH_THREADS else cores())


def cores() -> int:
    """The cores that this process may use; all of the machine where the platform (macOS, Windows) does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
