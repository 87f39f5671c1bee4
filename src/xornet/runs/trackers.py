"""Runs in experiment trackers, which Lightning begins before a run of ours is accepted."""

import shutil
from pathlib import Path

from lightning.pytorch.loggers import Logger, MLFlowLogger, WandbLogger


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
