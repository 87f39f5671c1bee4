"""Experiment trackers: pictures for those loggers that take them, and runs begun before ours is accepted."""

import shutil
from pathlib import Path

import numpy as np
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger, MLFlowLogger, TensorBoardLogger, WandbLogger
from PIL.Image import Image


def log_image(picture: Image, trainer: Trainer, name: str, epoch: int) -> None:
    """Write a picture into TensorBoard, MLflow and W&B, those that are loggers of this run."""
    key = f"plots/{name}"
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image(key, np.asarray(picture), epoch, dataformats="HWC")
        elif isinstance(logger, MLFlowLogger):
            logger.experiment.log_image(logger.run_id, picture.convert("RGB"), key=key, step=epoch, synchronous=True)
        elif isinstance(logger, WandbLogger):
            logger.log_image(key, [picture.convert("RGB")], epoch)


def withdraw(logger: Logger) -> None:
    """Remove the run that a logger has begun in MLflow, or offline in W&B, because ours was refused after all."""
    if isinstance(logger, MLFlowLogger):
        logger.experiment.delete_run(logger.run_id)
    elif isinstance(logger, WandbLogger):
        run = logger.experiment
        run.finish(exit_code=1)
        folder = Path(run.dir).parent  # `wandb/offline-run-...` in save_dir
        if folder.name.startswith("offline-run-"):
            shutil.rmtree(folder)
            for link in folder.parent.iterdir():
                if link.is_symlink() and not link.exists():  # to it
                    link.unlink()
            if not any(folder.parent.iterdir()):
                folder.parent.rmdir()
