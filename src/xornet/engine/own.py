"""Which classes are the project's own: users may put theirs into any package, also into this one."""

from typing import Any

from lightning.pytorch import LightningModule

MODULE = "xornet.module.XORModule"
OPTIMIZERS = ("xornet.engine.rate_grid.RateGridSGD",)
CALLBACKS = (
    *("xornet.callbacks.animation.BoundaryAnimation", "xornet.callbacks.checkpoint.LastCheckpoint"),
    *("xornet.callbacks.console.EpochProgressBar", "xornet.callbacks.console.LossTable"),
    *("xornet.callbacks.figures.HiddenUnits", "xornet.callbacks.figures.LossCurve"),
    *("xornet.callbacks.gradient_monitor.GradientMonitor", "xornet.callbacks.interruption.StopOnSignal"),
    *("xornet.callbacks.learning_rate.LearningRateMonitor", "xornet.callbacks.loss_surface.LossSurface"),
    *("xornet.callbacks.lr_map.LearningRateMap", "xornet.callbacks.metrics.Metrics"),
    *("xornet.callbacks.run_summary.RunSummary", "xornet.callbacks.stopping.EarlyStopping"),
    *("xornet.callbacks.stopping.ResumeStopped", "xornet.cli.run_directory.RunDirectory"),
    "xornet.runs.resumed_logs.ResumeLogs",
)
LOGGERS = (
    *("xornet.runs.csv_logger.CSVLogger", "xornet.runs.events.EventLogger"),
    "xornet.runs.mlflow_logger.MLFlowLogger",
)
OWN = frozenset((MODULE, "xornet.data.XORDataModule", *OPTIMIZERS, *CALLBACKS, *LOGGERS))


def name_of(kind: Any) -> str:
    """The full name of a class."""
    return f"{kind.__module__}.{kind.__qualname__}"


def base_of(module: LightningModule) -> type[LightningModule]:
    """Return XORModule, which the class of a module is or extends; by its name, since it is made of the engine."""
    return next(kind for kind in type(module).__mro__ if name_of(kind) == MODULE)


def is_stock(kind: type) -> bool:
    """Whether an optimizer or a scheduler is a class of PyTorch or of this project."""
    return kind.__module__.startswith("torch.") or name_of(kind) in OPTIMIZERS


def is_users(kind: type) -> bool:
    """Whether a module or a callback is of a class of the user's, neither of Lightning nor of this project."""
    return not (kind.__module__.startswith("lightning.") or name_of(kind) in OWN)
