"""What a checkpoint must hold to be looked at; resumption.py says what it must hold besides to be resumed.

`torch.load` vouches for types that are safe to make, and for nothing else: a list may stand where a number should, a
tensor may have the size of another network. Each check names the first part that is not as this project writes it.
"""

import re
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from xornet.engine.history import CURVE_POINTS, QUANTILES, SINGLES
from xornet.network import layer_shapes

LARGEST = 2**31  # of a count of epochs
PARTS = ("state_dict", "hyper_parameters", "history", "optimizer")
REMEDY = "use the checkpoints/last.ckpt of a run, or delete this one to begin anew"
TIMES = ("seconds", "compile_seconds")  # what a run has taken
MOST_FRAMES = 1000  # of the film: callbacks.animation.max_frames


def need(is_right: bool, part: str) -> None:
    """Raise ValueError naming the part, unless it is right."""
    if not is_right:
        raise ValueError(f"ckpt_path holds no valid {part}; {REMEDY}")


def check(checkpoint: Any) -> None:
    """Refuse a checkpoint that cannot be evaluated.

    Raises:
        ValueError: naming what is missing or wrong.

    """
    for part in PARTS:
        if not isinstance(checkpoint, dict) or not isinstance(checkpoint.get(part), dict):
            raise ValueError(f"ckpt_path is no checkpoint of this project (no {part}); {REMEDY}")
    need(is_count(checkpoint.get("global_step")), "global_step")
    need(is_count(checkpoint.get("tensorboard", 0)), "tensorboard")
    version = checkpoint.get("pytorch-lightning_version")
    need(isinstance(version, str) and bool(re.fullmatch(r"2\.\d{1,4}\.\d{1,4}\w*", version)), "Lightning version")
    known: Any = checkpoint["hyper_parameters"]
    for part in ("hyper_parameters", "optimizer"):
        for key, value in checkpoint[part].items():
            need(type(key) is str and all(map(is_plain, value if is_list(value) else [value])), part)
    bits, hidden, networks = known.get("bits"), known.get("hidden"), known.get("networks")
    need(is_count(networks) and is_count(bits) and 0 < bits <= 16, "hyper_parameters: networks or bits")
    need(is_list(hidden) and all(is_count(units) and units for units in hidden), "hyper_parameters: hidden")
    shapes = [(fan_in + 1, units, networks) for fan_in, units in layer_shapes(bits, hidden)]
    weights = list(checkpoint["state_dict"].values())
    need(list(checkpoint["state_dict"]) == [f"ensemble.weights.{i}" for i in range(len(shapes))], "state_dict")
    dtype = getattr(weights[0], "dtype", None)
    need(dtype in (torch.float32, torch.float64), "state_dict: weights")
    need(all(is_tensor(w, s, dtype) for w, s in zip(weights, shapes, strict=True)), "state_dict: weights")
    check_history(checkpoint["history"], check_table(checkpoint.get("table"), bits, dtype), networks)
    times = checkpoint.get("times", dict.fromkeys(TIMES, 0.0))
    need(isinstance(times, dict) and times.keys() == set(TIMES), "times")
    need(all(type(time) is float and 0 <= time < LARGEST for time in times.values()), "times")
    frames = checkpoint.get("decision_boundary", [])
    need(is_list(frames) and len(frames) <= MOST_FRAMES, "decision_boundary")
    for frame in frames:
        need(is_list(frame) and len(frame) == 2 and is_count(frame[0]) and is_list(frame[1]), "decision_boundary")
        need(len(frame[1]) == len(shapes), "decision_boundary")
        fits = (is_tensor(w, (*s[:2], 1), dtype) for w, s in zip(frame[1], shapes, strict=True))
        need(all(fits), "decision_boundary")
    path = checkpoint.get("loss_surface", {})
    need(isinstance(path, dict) and all(map(is_count, path)) and len(path) <= CURVE_POINTS, "loss_surface")
    size = sum(rows * units for rows, units, _ in shapes)
    need(all(is_tensor(place, (size,), dtype) for place in path.values()), "loss_surface")


def check_table(table: Any, bits: int, dtype: Any) -> int:
    """Check the table of a data module of one's own; return how many points the table of the run has."""
    if table is None:
        return 2**bits
    need(is_list(table) and len(table) == 2 and isinstance(table[0], Tensor) and table[0].dim() == 2, "table")
    points = len(table[0])
    need(all(is_tensor(part, (points, size), dtype) for part, size in zip(table, (bits, 1), strict=True)), "table")
    return points


def check_history(history: Any, points: int, networks: int) -> None:
    """Check what a run remembers (history.py) for the shapes of its table and networks."""
    for name in ("solved_epoch", "diverged_epoch"):
        need(is_tensor(history.get(name), (networks,), torch.int32), f"history: {name}")
    curve: Any = history.get("curve")
    need(isinstance(curve, dict), "history: curve")
    if not curve:
        return
    length = len(curve["epochs"]) if isinstance(curve.get("epochs"), Tensor) and curve["epochs"].dim() else 0
    rows = {"losses": len(QUANTILES), "singles": min(SINGLES, networks), "errors": points}
    need(curve.keys() == {"epochs", "accuracy", "solved", *rows} and 0 < length <= CURVE_POINTS, "history: curve")
    for name, values in curve.items():
        shape = (length, rows[name]) if name in rows else (length,)
        need(is_tensor(values, shape, torch.int64 if name == "epochs" else torch.float64), f"history: {name}")
    epochs = curve["epochs"]
    need(int(epochs[0]) >= 0 and int(epochs[-1]) < LARGEST and bool((epochs.diff() > 0).all()), "history: epochs")


def is_list(value: Any) -> bool:
    """Whether it is a list or a tuple."""
    return type(value) in (list, tuple)


def is_plain(value: Any) -> bool:
    """Whether it is a short value that can be compared and printed."""
    if type(value) is int:
        return abs(value) < 2**63
    return value is None or type(value) in (bool, float) or (type(value) is str and len(value) < 1000)


def is_count(value: Any) -> bool:
    """Whether it is a count of epochs, units or networks."""
    return type(value) is int and 0 <= value < LARGEST


def is_tensor(value: Any, shape: Sequence[int], dtype: torch.dtype | None = None) -> bool:
    """Whether it is a plain dense tensor that holds as many numbers as it says."""
    return (
        isinstance(value, Tensor)
        and value.layout == torch.strided
        and not (value.is_meta or value.is_neg() or value.requires_grad)
        and value.shape == tuple(shape)
        and value.is_contiguous()
        and dtype in (None, value.dtype)
    )
