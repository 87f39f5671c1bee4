"""What a Trainer must be to train the networks."""

from collections.abc import Collection
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import (
    BaseFinetuning,
    BatchSizeFinder,
    GradientAccumulationScheduler,
    LearningRateFinder,
    LearningRateMonitor,
    ModelPruning,
    StochasticWeightAveraging,
    WeightAveraging,
)
from lightning.pytorch.loggers import Logger
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import SingleDeviceStrategy

from xornet.engine.blocks import PRECISIONS, callbacks_of

_ONE_BATCH = "an epoch is one batch, the whole table; "
_ONE_DEVICE = "the table fits one device; use networks=N to train many networks side by side"
_REFUSED_CALLBACKS: dict[type[Callback], str] = {
    StochasticWeightAveraging: "the epoch that it adds for batch normalisation would train; leave it out",
    WeightAveraging: "a finished run that is resumed would go on from the average; leave it out",
    BaseFinetuning: "every layer is trained from the first epoch on; leave it out",
    ModelPruning: "the networks are stacked tensors, no layers to prune; use a smaller model.hidden",
    GradientAccumulationScheduler: _ONE_BATCH + "leave it out",
    BatchSizeFinder: _ONE_BATCH + "leave it out",
    LearningRateFinder: "use a sweep to find one, e.g. -m optimizer.lr=0.01,0.1,1",
}


def check_trainer(trainer: Trainer) -> None:
    """Refuse a Trainer with arguments or callbacks that cannot work here, before anything starts.

    Raises:
        ValueError: naming the Trainer's argument and its value, or the callback, and what to do instead.

    """
    given: Any = trainer  # some attributes are documented, but not declared
    for name in ("max_epochs", "max_steps", "min_epochs", "min_steps"):
        check_limit(name, getattr(trainer, name))
    strategy = type(trainer.strategy).__name__
    is_single = isinstance(trainer.strategy, SingleDeviceStrategy)
    are_loggers = all(isinstance(logger, Logger) for logger in trainer.loggers)
    for name, value, works, remedy in (
        ("devices", trainer.num_devices, trainer.num_devices <= 1, _ONE_DEVICE),
        ("num_nodes", trainer.num_nodes, trainer.num_nodes <= 1, _ONE_DEVICE),
        ("strategy", strategy, is_single, "a run is one process on one device; leave it at auto"),
        ("precision", trainer.precision, trainer.precision in PRECISIONS, f"use one of {', '.join(PRECISIONS)}"),
        (
            *("gradient_clip_val", trainer.gradient_clip_val, trainer.gradient_clip_val is None),
            "the gradient is exact; use a smaller optimizer.lr",
        ),
        (
            *("accumulate_grad_batches", trainer.accumulate_grad_batches, trainer.accumulate_grad_batches == 1),
            _ONE_BATCH + "leave it at 1",
        ),
        *(
            (name, getattr(given, name), getattr(given, name) != 0, f"use e.g. trainer.{name}=100")
            for name in ("check_val_every_n_epoch", "log_every_n_steps", "val_check_interval")
        ),
        ("profiler", given.profiler, isinstance(given.profiler, Profiler), "use simple, advanced or pytorch"),
        ("logger", "".join(map(str, trainer.loggers)), are_loggers, "use logger=tensorboard, logger=csv or ~logger"),
        ("overfit_batches", given.overfit_batches, given.overfit_batches in (0, 1), _ONE_BATCH + "leave it at 0.0"),
        ("fast_dev_run", given.fast_dev_run, given.fast_dev_run <= 1, _ONE_BATCH + "use trainer.fast_dev_run=true"),
        (
            *("limit_train_batches", trainer.limit_train_batches, trainer.limit_train_batches == 1),
            _ONE_BATCH + "leave it at 1.0",
        ),
        *(
            (name, getattr(trainer, name), getattr(trainer, name) == 1, _ONE_BATCH + "leave it at 1.0")
            for name in ("limit_test_batches", "limit_predict_batches")
        ),
    ):
        if not works:
            raise ValueError(f"trainer.{name}={value} cannot work here: {remedy}")
    for callback in callbacks_of(trainer):
        for kind, reason in _REFUSED_CALLBACKS.items():
            if isinstance(callback, kind):
                raise ValueError(f"the callback {type(callback).__name__} cannot work here: {reason}")


def check_monitors(trainer: Trainer, trained: Collection[str], validated: Collection[str]) -> None:
    """Refuse a ModelCheckpoint with a metric that nothing logs: Lightning would warn, and keep no checkpoint.

    Not where a callback or a module of the user's may log it.

    Args:
        trainer: of the run.
        trained: the metrics of training.
        validated: those of validation, if there is one.

    Raises:
        ValueError: naming the metric, and those that there are.

    """
    if not all(
        type(one).__module__.startswith(("lightning.", "xornet."))
        for one in (trainer.lightning_module, *callbacks_of(trainer))
    ):
        return
    known = {*trained}
    if trainer.enable_validation and any(trainer.num_val_batches):
        known |= {*validated}
    for callback in callbacks_of(trainer):
        if isinstance(callback, LearningRateMonitor):
            parts = ["", *(["-momentum"] * callback.log_momentum), *(["-weight_decay"] * callback.log_weight_decay)]
            known |= {name + part for name in callback.lrs for part in parts}
    for callback in trainer.checkpoint_callbacks:
        monitor = getattr(callback, "monitor", None)
        if monitor and monitor not in known:
            name = type(callback).__name__
            raise ValueError(f"{name} has monitor={monitor}, which nothing logs; use one of {', '.join(sorted(known))}")


def check_limit(name: str, value: object) -> None:
    """Refuse a limit that is no number of epochs or steps; -1 is an endless maximum.

    Raises:
        ValueError: naming the Trainer's argument and its value.

    """
    works = type(value) is int and (value >= 0 if name.startswith("min") else value != 0)
    if not (value is None or works):
        raise ValueError(f"trainer.{name}={value} cannot work here: use e.g. trainer.{name}=20000")
