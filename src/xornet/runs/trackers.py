"""Loggers with runs in another program, such as MLflow and W&B, which begin once this run is accepted."""

import os
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import numpy as np
from hydra.utils import instantiate
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from omegaconf import DictConfig
from PIL.Image import Image

PICTURED = (TensorBoardLogger, MLFlowLogger, WandbLogger)  # loggers that `log_picture` supports
WANDB = "WANDB_RUN_ID"  # the environment variable by which W&B continues a run
RUN_IDS = {"MLFlowLogger": "run_id", "WandbLogger": "id"}  # the argument with which a logger continues a run


def chosen_run_ids(cfg: DictConfig) -> Iterator[tuple[str, str]]:
    """Yield the keys that name the run of a tracker, with its id, from a composed configuration."""
    for name, node in (cfg.get("logger") or {}).items():
        argument = RUN_IDS.get(str(node.get("_target_")).rpartition(".")[2]) if isinstance(node, DictConfig) else None
        if argument and node.get(argument) is not None:
            yield f"logger.{name}.{argument}", str(node[argument])
        elif argument == RUN_IDS["WandbLogger"] and (given := os.environ.get(WANDB)):
            yield WANDB, given


class WaitingLogger(Logger):
    """Stands in for a logger until the run is accepted; Lightning would begin the logger's run at once.

    Args:
        key: of the logger in the configuration: `logger.mlflow`.
        node: the configuration of the logger.

    """

    name = version = ""  # Lightning names directories after them

    def __init__(self, key: str, node: DictConfig) -> None:
        super().__init__()
        self.key, self.node = key, node
        self.arguments: dict[str, str] = {}
        self.first_step = 0  # the first step that the run of the logger does not have
        self.calls: list[Callable[[Logger], object]] = []  # to make once the logger exists

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep numbers until the logger exists."""
        row = dict(metrics)
        self.calls.append(lambda logger: logger.log_metrics(row, step))

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        """Keep hyperparameters until the logger exists."""
        self.calls.append(lambda logger: logger.log_hyperparams(params, *args, **kwargs))

    def resume(self, checkpoint: Mapping[str, Any]) -> None:
        """Continue the logger's run that the checkpoint names; W&B can only continue a run that was uploaded."""
        argument = RUN_IDS.get(self.node._target_.rpartition(".")[2])
        run_id = checkpoint["trackers"].get(self.key)
        is_known = isinstance(run_id, str) and not self.node.get("offline")
        if argument and is_known and self.node.get(argument) in (None, run_id):
            self.arguments, self.first_step = {argument: run_id}, checkpoint["global_step"]

    def begin(self) -> Logger:
        """Make the logger and begin its run; refuse this run if that fails."""
        try:
            with unseeded():
                logger: Logger = instantiate(self.node, _convert_="all", **self.arguments)
                getattr(logger, "experiment", None)  # begins the run
        except Exception as error:  # each package has its own
            cause = error.__cause__ or error
            is_missing = isinstance(cause, ImportError)
            remedy = "install it" if is_missing else "see that it can be reached and its arguments are right"
            said = " ".join(str(cause).split())
            raise ValueError(f"{self.key} cannot begin a run: {said}; {remedy}, or use {self.key}=null") from error
        vars(logger).update(first_step=self.first_step, key=self.key)
        return logger


@contextmanager
def unseeded() -> Iterator[None]:
    """Draw Python's random numbers anew, as for the name of a run in MLflow, and return to the seeded ones."""
    state = random.getstate()
    random.seed()
    try:
        yield
    finally:
        random.setstate(state)


def begin_trackers(trainer: Trainer) -> list[Callable[[], object]]:
    """Begin the run of every waiting logger; return the calls to make once the hyperparameters are logged.

    A logger that has begun stays in the Trainer if the next one fails.
    """
    kept: list[Callable[[], object]] = []
    for k, logger in enumerate(trainer.loggers):
        if isinstance(logger, WaitingLogger):
            begun = logger.begin()
            kept += [partial(call, begun) for call in logger.calls]
            trainer.loggers = [*trainer.loggers[:k], begun, *trainer.loggers[k + 1 :]]
    return kept


def run_ids(trainer: Trainer) -> dict[str, str]:
    """The runs that the loggers have begun by configuration key, for `WaitingLogger.resume`."""
    begun = [logger for logger in trainer.loggers if type(logger).__name__ in RUN_IDS]
    return {vars(logger)["key"]: str(logger.version) for logger in begun if "key" in vars(logger)}


def log_picture(logger: Logger, picture: Image, name: str, epoch: int) -> None:
    """Log a picture, if the logger supports pictures."""
    if isinstance(logger, WaitingLogger):
        logger.calls.append(lambda begun: log_picture(begun, picture, name, epoch))
    elif isinstance(logger, TensorBoardLogger):
        logger.experiment.add_image(name, np.asarray(picture), epoch, dataformats="HWC")
    elif isinstance(logger, WandbLogger):
        logger.log_image(name, [picture], epoch)
    elif isinstance(logger, MLFlowLogger):
        logger.experiment.log_image(logger.run_id, picture, key=name, step=epoch)
