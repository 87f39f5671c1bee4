"""What a run changes of its process: in a sweep of one process, the next job must not see it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def process_left_as_found() -> Iterator[None]:
    """Put back what Lightning, PyTorch or a callback may have set for the whole process.

    The environment (Lightning exports PL_GLOBAL_SEED, and CUBLAS_WORKSPACE_CONFIG for `deterministic=True`), the number
    of threads, the default dtype, the generator, and the flags of determinism, cuDNN and matrix products.
    """
    environment, threads, dtype = dict(os.environ), torch.get_num_threads(), torch.get_default_dtype()
    generator, precision = torch.get_rng_state(), torch.get_float32_matmul_precision()
    deterministic = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    cudnn = torch.backends.cudnn
    benchmark, cudnn_deterministic = cudnn.benchmark, cudnn.deterministic
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(environment)
        torch.set_num_threads(threads)
        torch.set_default_dtype(dtype)
        torch.set_rng_state(generator)
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(deterministic[0], warn_only=deterministic[1])
        cudnn.benchmark, cudnn.deterministic = benchmark, cudnn_deterministic
