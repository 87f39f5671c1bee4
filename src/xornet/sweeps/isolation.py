"""Isolation of the jobs of a sweep in one process: what one job changes, the next must not see."""

import os
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import numpy
import torch

# How to end the open run of an experiment tracker, into which it would log the next job too.
END_RUN: dict[str, Callable[[Any, int], object]] = {
    "wandb": lambda wandb, status: wandb.finish(exit_code=status),
    "comet_ml": lambda comet_ml, status: comet_ml.end(),
    "mlflow": lambda mlflow, status: mlflow.end_run("FAILED" if status else "FINISHED"),
}


@contextmanager
def process_left_as_found() -> Iterator[None]:
    """Restore what Lightning, PyTorch or a callback may have set, and end the runs of experiment trackers.

    In the environment, Lightning sets PL_GLOBAL_SEED, and CUBLAS_WORKSPACE_CONFIG for `deterministic=True`.
    """
    environment, threads, dtype = dict(os.environ), torch.get_num_threads(), torch.get_default_dtype()
    precision = torch.get_float32_matmul_precision()
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    drawn = random.getstate(), numpy.random.get_state()
    cudnn = torch.backends.cudnn
    benchmark, cudnn_deterministic = cudnn.benchmark, cudnn.deterministic
    try:
        with torch.random.fork_rng(devices=[]), runs_ended():
            yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
        cudnn.benchmark, cudnn.deterministic = benchmark, cudnn_deterministic
        random.setstate(drawn[0])
        numpy.random.set_state(drawn[1])


@contextmanager
def runs_ended() -> Iterator[None]:
    """End the run of every imported tracker, which Lightning leaves open; as failed, if there is an error."""
    status = 1
    try:
        yield
        status = 0
    finally:
        with suppress(Exception) if status else nullcontext():  # that error is the cause
            for name, end in END_RUN.items():
                if name in sys.modules:
                    end(sys.modules[name], status)
