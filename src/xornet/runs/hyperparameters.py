"""The hyperparameters of a run: for `hparams.yaml`, for loggers, and for TensorBoard's HParams."""

import json
import math
import string
from pathlib import Path
from typing import Any
from urllib.parse import quote

from lightning.pytorch import Trainer

from xornet.compatibility import by_config_key
from xornet.runs.settings import read_overrides

# What is a number in each group: the last parts of the keys. Every other column holds text.
NUMBERS = {
    "": ("seed", "networks"),
    "data": ("bits",),
    "model": ("seed", "networks", "bits", "init", "initialisations", "tolerance"),
    "trainer": (
        *("max_epochs", "min_epochs", "max_steps", "min_steps", "log_every_n_steps", "limit_val_batches"),
        *("check_val_every_n_epoch", "reload_dataloaders_every_n_epochs", "num_sanity_val_steps"),
    ),
    "optimizer": (
        *("lr", "momentum", "dampening", "weight_decay", "eps", "rho", "alpha", "lambd"),
        *("t0", "lr_decay", "initial_accumulator_value", "momentum_decay"),
    ),
    "scheduler": (
        *("T_max", "eta_min", "step_size", "gamma", "factor", "patience", "threshold", "cooldown", "eps"),
        *("min_lr", "max_lr", "base_lr", "total_steps", "total_iters", "start_factor", "end_factor", "power", "T_0"),
        *("T_mult", "epochs", "steps_per_epoch", "pct_start", "div_factor", "final_div_factor", "base_momentum"),
        *("max_momentum", "step_size_up", "step_size_down"),
    ),
    "callbacks": (
        *("every_n_epochs", "histogram_every_n_epochs", "every_n_train_steps", "max_frames", "save_top_k"),
        *("patience", "min_delta", "stopping_threshold", "divergence_threshold"),
    ),
    "logger": ("max_queue",),
}
PLAIN = "".join(set(string.printable[:95]) - set('"\\'))  # characters that JSON does not escape


def hyperparameters(module: Any, trainer: Trainer) -> dict[str, Any]:
    """The hyperparameters by configuration key: everything that makes the networks, and everything overridden."""
    assert module.optimizer is not None
    ours = by_config_key(module.hparams)
    theirs = {f"optimizer.{key}": value for key, value in module.optimizer.keywords.items()}
    known = {"optimizer": module.optimizer.func.__name__, "trainer.max_epochs": trainer.max_epochs}
    if module.scheduler:
        known["scheduler"] = module.scheduler.func.__name__
        theirs |= {f"scheduler.{key}": value for key, value in module.scheduler.keywords.items()}
    overridden = read_overrides(Path(trainer.default_root_dir))
    made = {f"optimizer.{key}": value for key, value in trainer.optimizers[0].defaults.items()}
    left = {key: made[key] for key in overridden if key in made}  # left to PyTorch, as by ~optimizer.lr
    return overridden | left | ours | theirs | known


def hparams_row(known: dict[str, Any]) -> dict[str, float | str]:
    """The row of a run in TensorBoard's HParams, which can neither sort nor filter a column of mixed types.

    A run does not know the other runs, so the type of a column depends on its key alone. A value that is no number is
    left out of a column of numbers; TensorBoard lists it last.
    """
    row = {key: number(value) if is_number(key) else text(value) for key, value in known.items()}
    return {key: value for key, value in row.items() if value is not None}


def is_number(key: str) -> bool:
    """Whether the column of a key holds numbers."""
    group = key.partition(".")[0] if "." in key else ""
    return key.rpartition(".")[2] in NUMBERS.get(group, ())


def number(value: Any) -> float | None:
    """The value as a number, None if it is none."""
    try:
        return float(value) if math.isfinite(float(value)) else None
    except (TypeError, ValueError):
        return None


def text(value: Any) -> str:
    """The value as on a command line: `auto`, `true`, `[4, 4]`.

    TensorBoard filters by the values in JSON, and does not find a value that JSON escapes.
    """
    words = value if isinstance(value, str) else json.dumps(value, default=str)
    words = words.lower() if words in ("True", "False") else words  # as Hydra writes what a sweep gives
    return quote(words.replace('"', "'"), safe=PLAIN)
