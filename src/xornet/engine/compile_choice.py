"""Whether the epochs of a run are compiled: `model.compile`."""

from functools import partial
from typing import Any

from xornet.engine.own import is_stock
from xornet.engine.schedulers import changes_momentum

# Measured by tests/bench/ensembles.py on 2 cores: the time that a compiled epoch saves, and that compiling takes.
SAVED_PER_EPOCH, SAVED_PER_NETWORK, COMPILE_TIME = 25e-6, 25e-9, 5.0  # seconds


def is_compiled(compile: bool | str, gradient: str, networks: int, epochs: int) -> bool:
    """Whether to compile a run: as `compile` says; with auto, if it saves more time than compiling takes."""
    saved = epochs * (SAVED_PER_EPOCH + networks * SAVED_PER_NETWORK)
    return bool(compile) if compile != "auto" else gradient == "backprop" and saved > COMPILE_TIME


def obstacle(optimizer: Any, scheduler: "partial[Any] | None") -> str:
    """Why epochs with this optimizer and scheduler cannot be compiled, and the remedy; empty if they can.

    A class of the user's may change what compiled epochs do not read again, such as the weight decay or a counter.
    """
    kinds: list[Any] = [optimizer, *([scheduler.func] if scheduler else [])]
    for kind in kinds:
        if not is_stock(kind):
            return f"{kind.__name__}, which is no class of PyTorch; use model.compile=auto"
    if scheduler and changes_momentum(scheduler):
        return (
            "scheduler.cycle_momentum=true, a momentum that changes every epoch; use scheduler.cycle_momentum=false, "
            "or model.compile=false"
        )
    return ""


def check_compile(compile: object, gradient: str, optimizer: "partial[Any]", scheduler: "partial[Any] | None") -> None:
    """Raise ValueError unless `compile` is valid and works with the gradient, the optimizer and the scheduler."""
    if not (isinstance(compile, bool) or compile == "auto"):
        raise ValueError(f"model.compile must be true, false or auto, got {compile!r}; use model.compile=auto")
    if compile is True and gradient != "backprop":
        raise ValueError(f"model.compile=true cannot take model.gradient={gradient}; use model.gradient=backprop")
    if compile is True and (cause := obstacle(optimizer.func, scheduler)):
        raise ValueError(f"model.compile=true cannot take {cause}")
