"""What a run changes of its process: in a sweep of one process, the next job must not see it."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

import torch

# Experiment trackers that keep one run open for the whole process, and would log the next job into it: how it is ended.
END_RUN: dict[str, Callable[[Any, int], object]] = {
    "wandb": lambda wandb, status: wandb.finish(exit_code=status),
    "comet_ml": lambda comet_ml, status: comet_ml.end(),
    "mlflow": lambda mlflow, status: mlflow.end_run("FAILED" if status else "FINISHED"),
}


@contextmanager
def process_left_as_found() -> Iterator[None]:
    """Put back what Lightning, PyTorch or a callback may have set, and end the run of an experiment tracker.

    In the environment, Lightning exports PL_GLOBAL_SEED, and CUBLAS_WORKSPACE_CONFIG for `deterministic=True`.
    """
    environment, threads, dtype = dict(os.environ), torch.get_num_threads(), torch.get_default_dtype()
    precision = torch.get_float32_matmul_precision()
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
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


@contextmanager
def runs_ended() -> Iterator[None]:
    """End the run of every tracker that is loaded, which Lightning leaves open: as failed, if an error passes."""
    status = 1
    try:
        yield
        status = 0
    finally:
        with suppress(Exception) if status else nullcontext():  # the error that passes is the cause
            for name, end in END_RUN.items():
                if name in sys.modules:
                    end(sys.modules[name], status)
