"""The requirements on a Trainer and its callbacks."""

import math
from collections.abc import Callable, Collection
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import (
    BaseFinetuning,
    BatchSizeFinder,
    EarlyStopping,
    GradientAccumulationScheduler,
    LearningRateFinder,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelPruning,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import SingleDeviceStrategy

from xornet.engine.blocks import PRECISIONS, callbacks_of
from xornet.engine.own import is_users

_ONE_BATCH = "an epoch is one batch, the whole table; "
_ONE_DEVICE = "the table fits one device; use networks=N to train many networks side by side"
_REFUSED_CALLBACKS: dict[type[Callback], str] = {
    StochasticWeightAveraging: "the epoch that it adds for batch normalisation would train; leave it out",
    WeightAveraging: "a finished run that is resumed would continue from the average; leave it out",
    BaseFinetuning: "every layer is trained from the first epoch on; leave it out",
    ModelPruning: "the networks are stacked tensors, no layers to prune; use a smaller model.hidden",
    GradientAccumulationScheduler: _ONE_BATCH + "leave it out",
    BatchSizeFinder: _ONE_BATCH + "leave it out",
    LearningRateFinder: "a new Trainer for each rate finds one; use python src/train.py -m optimizer.lr=0.01,0.1,1",
}


# For arguments of a Trainer: whether a value is allowed, and the remedy.
_ALLOWED: dict[str, tuple[Callable[[Any], bool], str]] = {
    **dict.fromkeys(["max_epochs", "max_steps"], (lambda n: type(n) is int and n != 0, "use e.g. trainer.{}=20000")),
    **dict.fromkeys(["min_epochs", "min_steps"], (lambda n: type(n) is int and n >= 0, "use e.g. trainer.{}=20000")),
    **dict.fromkeys(
        ["check_val_every_n_epoch", "val_check_interval"],
        (lambda n: n != 0, "use e.g. trainer.{}=100"),
    ),
    "devices": (lambda n: n <= 1, _ONE_DEVICE),
    "num_nodes": (lambda n: n <= 1, _ONE_DEVICE),
    "precision": (lambda name: name in PRECISIONS, f"use one of {', '.join(PRECISIONS)}"),
    "gradient_clip_val": (lambda norm: norm == 0, "the gradient is exact; use a smaller optimizer.lr"),
    "accumulate_grad_batches": (lambda n: n == 1, _ONE_BATCH + "leave it at 1"),
    "overfit_batches": (lambda n: n in (0, 1), _ONE_BATCH + "leave it at 0.0"),
    "fast_dev_run": (lambda n: n <= 1, _ONE_BATCH + "use trainer.fast_dev_run=true"),
    "profiler": (lambda one: isinstance(one, Profiler), "use simple, advanced or pytorch"),
    **dict.fromkeys(  # last, since some arguments above set these
        ["limit_train_batches", "limit_test_batches", "limit_predict_batches"],
        (lambda n: n == 1 or (type(n) is int and n > 1), _ONE_BATCH + "leave it at 1.0"),
    ),
}


def check_trainer(trainer: Trainer) -> None:
    """Refuse a Trainer with arguments or callbacks that cannot work here, before anything starts.

    Raises:
        ValueError: naming the Trainer's argument and its value, or the callback, and what to do instead.

    """
    for name, (works, remedy) in _ALLOWED.items():
        value = getattr(trainer, "num_devices" if name == "devices" else name, None)
        if not (value is None or works(value)):
            raise ValueError(f"trainer.{name}={value} cannot work here: {remedy.format(name)}")
    if not hasattr(trainer, "val_check_interval"):
        raise ValueError("trainer.val_check_interval is a time, but must be a number of epochs; use e.g. 100")
    strategy, loggers = trainer.strategy, trainer.loggers
    if not isinstance(strategy, SingleDeviceStrategy):
        said = f"trainer.strategy={type(strategy).__name__} cannot work here"
        raise ValueError(f"{said}: a run is one process on one device; leave it at auto")
    if not all(isinstance(logger, Logger) for logger in loggers):
        said = f"trainer.logger={''.join(map(str, loggers))} cannot work here"
        raise ValueError(f"{said}: use logger=tensorboard, logger=csv or ~logger")
    for callback in callbacks_of(trainer):
        every = getattr(callback, "every_n_epochs", None)
        if every not in (None, 0, math.inf) and not (type(every) is int and every > 0):
            said = f"{type(callback).__name__}.every_n_epochs={every} is no number of epochs"
            raise ValueError(f"{said}; use a whole number, in Python also math.inf")
        for kind, reason in _REFUSED_CALLBACKS.items():
            if isinstance(callback, kind):
                raise ValueError(f"the callback {type(callback).__name__} cannot work here: {reason}")
        if isinstance(callback, ModelCheckpoint):
            check_model_checkpoint(callback, trainer)


def check_model_checkpoint(callback: ModelCheckpoint, trainer: Trainer) -> None:
    """Refuse a ModelCheckpoint that Lightning does not serve in manual optimisation.

    Raises:
        ValueError: naming the argument.

    """
    # Its arguments are private; the key of its state names them.
    key = callback.state_key
    if "'train_time_interval': " in key and "'train_time_interval': None" not in key:
        raise ValueError("ModelCheckpoint.train_time_interval would save nothing here; use every_n_epochs")
    is_stale = str(callback.monitor).startswith("val/") and trainer.check_val_every_n_epoch != 1
    if is_stale and "'every_n_train_steps': " in key and "'every_n_train_steps': 0" not in key:
        raise ValueError(
            f"ModelCheckpoint.every_n_train_steps would save with the {callback.monitor} of an earlier epoch; use "
            "every_n_epochs"
        )


def check_monitors(trainer: Trainer, trained: Collection[str], validated: Collection[str]) -> None:
    """Refuse a callback that monitors a metric which nothing logs.

    Lightning's ModelCheckpoint would warn and save nothing; its EarlyStopping would never stop. Nothing is refused if
    the module or a callback is the user's own, which may log the metric.

    Args:
        trainer: of the run.
        trained: the metrics of training.
        validated: those of validation, if there is one.

    Raises:
        ValueError: naming the metric, and those that there are.

    """
    if any(is_users(type(one)) for one in (trainer.lightning_module, *callbacks_of(trainer))):
        return
    known = {*trained}
    if trainer.enable_validation and any(trainer.num_val_batches):
        known |= {*validated}
    for callback in callbacks_of(trainer):
        if isinstance(callback, LearningRateMonitor):
            parts = ["", *(["-momentum"] * callback.log_momentum), *(["-weight_decay"] * callback.log_weight_decay)]
            known |= {name + part for name in callback.lrs for part in parts}
    for callback in callbacks_of(trainer):
        monitor, name = getattr(callback, "monitor", None), type(callback).__name__
        is_known = monitor in known or (isinstance(callback, ModelCheckpoint) and monitor in ("epoch", "step"))
        is_asked = monitor is not None or isinstance(callback, EarlyStopping)
        if is_asked and not is_known and getattr(callback, "strict", True):
            raise ValueError(f"{name} has monitor={monitor}, which nothing logs; use one of {', '.join(sorted(known))}")
