import os

import torch

from xornet.isolation import process_left_as_found


def state() -> tuple[object, ...]:
    """What a run could change of its process."""
    return (
        dict(os.environ),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.get_rng_state().tolist(),
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        torch.backends.cudnn.deterministic,
    )


def test_everything_that_a_run_sets_for_its_process_is_put_back() -> None:
    before = state()
    with process_left_as_found():
        os.environ["PL_GLOBAL_SEED"] = "1"
        torch.set_num_threads(torch.get_num_threads() + 1)
        torch.set_default_dtype(torch.float64)
        torch.rand(1)
        torch.set_float32_matmul_precision("medium")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.deterministic = True
        assert all(ours != theirs for ours, theirs in zip(state(), before, strict=True))
    assert state() == before
