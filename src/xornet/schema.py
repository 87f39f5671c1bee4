"""Checks of the content of a checkpoint against what a run with its hyperparameters would write.

`torch.load` loads only safe types, but checks nothing else: there may be a list instead of a number, or a tensor of the
size of another network.
"""

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from xornet.engine.curve import curve_rows
from xornet.engine.stopwatch import Stopwatch
from xornet.network import layer_shapes

FORMAT = 1  # increased whenever the content of checkpoints changes
LARGEST = 2**31  # limit of counts of epochs
OF_CALLBACKS = ("tensorboard", "decision_boundary", "loss_surface")  # missing without their callbacks
OPTIONAL = ("table", *OF_CALLBACKS)  # the table is saved for other datasets only
CONFIGURED = ("model", "optimizer", "scheduler", "early_stopping")


@contextmanager
def refusing(path: str | Path | None, use: str) -> Iterator[None]:
    """Turn every error into one line that names the file; a wrong checkpoint can raise anything."""
    try:
        yield
    except Exception as error:
        cause = " ".join(str(error).split()) or type(error).__name__
        raise ValueError(f"ckpt_path={path} cannot be {use}: {cause}; use another checkpoint") from error


def need(is_right: bool, part: str) -> None:
    """Raise ValueError naming the part, unless it is right."""
    if not is_right:
        raise ValueError(f"it holds no valid {part}")


def check_format(checkpoint: Any, path: str | Path | None) -> None:
    """Refuse a checkpoint of another program, or of another version of this one."""
    version = checkpoint.get("xornet") if isinstance(checkpoint, dict) else None
    if type(version) is not int or version != FORMAT:
        cause = (
            "was written by another version of this project, or by another program; use that version, or train again"
        )
        if isinstance(checkpoint, dict) and checkpoint and all(map(torch.is_tensor, checkpoint.values())):
            cause = "holds weights alone; use the checkpoints/last.ckpt of a run"
        raise ValueError(f"ckpt_path={path} {cause}")


def check(checkpoint: Any, path: str | Path | None) -> None:
    """Refuse a checkpoint that cannot be evaluated; the error names its path and the part that is wrong."""
    check_format(checkpoint, path)
    with refusing(path, "used"):
        check_configuration(checkpoint)
        for part, template in expected(checkpoint).items():
            if part in checkpoint or part not in OPTIONAL:
                check_like(checkpoint[part], template, part)


def check_configuration(checkpoint: dict[str, Any]) -> None:
    """Check that the configuration has plain values and is short, and that the weights have its sizes."""
    known, version = checkpoint["hyper_parameters"], checkpoint["pytorch-lightning_version"]
    need(re.fullmatch(r"2\.\d{1,4}\.\d{1,4}\w*", version) is not None, "pytorch-lightning_version")
    for part in CONFIGURED:
        need(isinstance(checkpoint.get(part, {}), dict), part)
    need("optimizer" in checkpoint, "optimizer")
    configured = json.dumps([known, *(checkpoint.get(part, {}) for part in CONFIGURED)])  # fails for tensors
    need(len(configured) < 10_000, "hyper_parameters")
    sizes = [known["bits"], known["networks"], known["hidden"]]
    check_like(sizes, [0, 0, [0] * len(sizes[2])], "hyper_parameters: bits, networks or hidden")
    shapes = [(fan_in + 1, units, known["networks"]) for fan_in, units in layer_shapes(known["bits"], known["hidden"])]
    weights = list(checkpoint["state_dict"].values())
    need([weight.shape for weight in weights] == shapes, "state_dict: weights of the sizes in its hyper_parameters")
    need(weights[0].dtype in (torch.float32, torch.float64), "state_dict: weights")


def expected(checkpoint: dict[str, Any]) -> dict[str, Any]:
    """The content that a run with these weights would write, with tensors on the meta device."""
    weights = list(checkpoint["state_dict"].values())
    blank = partial(torch.empty, dtype=weights[0].dtype, device="meta")
    bits, networks = weights[0].shape[0] - 1, weights[0].shape[-1]
    points = len(checkpoint["table"][0]) if "table" in checkpoint else 2**bits
    milestone = blank(networks, dtype=torch.int32)
    curve = {}
    if checkpoint["global_step"]:
        epochs = checkpoint["history"]["curve"]["epochs"].tolist()
        is_counted = epochs[0] >= 0 and epochs[-1] < checkpoint["global_step"]
        need(is_counted and epochs == sorted(set(epochs)), "history: curve: epochs")
        rows = curve_rows(torch.empty(0, points, 1, networks), tolerance=1)
        curve = {name: blank(len(epochs), *row.shape[1:], dtype=row.dtype) for name, row in rows.items()}
        curve["epochs"] = blank(len(epochs), dtype=torch.int64)
    first = [blank(*weight.shape[:2], 1) for weight in weights]
    trajectory = checkpoint.get("loss_surface", {})
    need(all(type(epoch) is int for epoch in trajectory), "loss_surface")
    return {
        "global_step": 0,
        "tensorboard": 0,
        "state_dict": {f"ensemble.weights.{i}": blank(*weight.shape) for i, weight in enumerate(weights)},
        "history": {"solved_epoch": milestone, "diverged_epoch": milestone, "curve": curve},
        "times": Stopwatch().times(),
        "table": [blank(points, bits), blank(points, 1)],
        "decision_boundary": [(0, first)] * len(checkpoint.get("decision_boundary", [])),
        "loss_surface": dict.fromkeys(trajectory, blank(sum(weight.numel() for weight in first))),
    }


def check_like(value: Any, template: Any, part: str, loose: bool = False) -> None:
    """Check that `value` has the structure of `template`: types, keys, lengths, shapes; numbers finite and >= 0.

    If `loose`, numbers may be any, and where the template is empty or None, the value may be anything.
    """
    if loose and template in (None, {}, []):
        return
    if isinstance(template, dict):
        need(isinstance(value, dict) and value.keys() == template.keys(), part)
        for key, inner in template.items():
            check_like(value[key], inner, f"{part}: {key}", loose)
    elif type(template) in (list, tuple):
        need(type(value) in (list, tuple) and len(value) == len(template), part)
        for one, other in zip(value, template, strict=True):
            check_like(one, other, part, loose)
    elif isinstance(template, Tensor):
        need(isinstance(value, Tensor) and value.layout == torch.strided and value.shape == template.shape, part)
        need(value.is_contiguous() and not (value.is_meta or value.is_neg() or value.requires_grad), part)
        need(value.is_floating_point() == template.is_floating_point(), part)
        if not loose:
            need(value.dtype == template.dtype if template.dim() else 0 <= float(value) < math.inf, part)
    elif type(template) in (int, float):
        if loose and isinstance(value, Tensor) and value.numel() == 1:
            value = value.item()  # a callback may have turned its number into a tensor
        need(type(value) is int or (type(value) is float and (loose or type(template) is float)), part)
        need(loose or 0 <= value < (LARGEST if type(value) is int else math.inf), part)
    else:
        need(type(value) is type(template), part)
