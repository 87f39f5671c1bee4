"""Train XORNets: python src/train.py [key=value ...], configured by conf/train.yaml."""

from xornet.cli import startup  # noqa: F401 isort: skip - first: it sets signal handlers before the slow imports

import logging
import sys
from pathlib import Path

import hydra
from hydra.utils import instantiate
from omegaconf import DictConfig

from xornet import checkpoint
from xornet.callbacks.interruption import StopOnSignal
from xornet.callbacks.stopping import ResumeStopped
from xornet.cli import errors, hydra_run
from xornet.cli.run_directory import RunDirectory
from xornet.cli.trainer import make_trainer
from xornet.runs.metrics import objective, write_results
from xornet.runs.resumed_logs import ResumeLogs
from xornet.sweeps import callback as sweep
from xornet.sweeps import job


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    """Run `train`, alone or as a job of a sweep; return what a sweep may minimise, None if the job failed."""
    return job.run(train, cfg)  # checks cfg, claims the directory of the run, then calls train


def train(cfg: DictConfig, directory: RunDirectory) -> float:
    """Train as `cfg` says; return the final loss, or for an ensemble the share of networks that are unsolved.

    Args:
        cfg: the composed configuration.
        directory: the run directory, as a callback that writes nothing before the Trainer has accepted the run.

    """
    ckpt_path = checkpoint.find(hydra_run.ckpt_path(cfg))
    hydra_run.seed_all(cfg)
    data = instantiate(cfg.data)
    module = instantiate(cfg.model, _convert_="all")
    configured = [instantiate(callback, _convert_="all") for callback in cfg.get("callbacks", {}).values() if callback]
    trainer = make_trainer(cfg.trainer, [StopOnSignal(), ResumeStopped(), directory, ResumeLogs(), *configured])

    trainer.fit(module, data, ckpt_path=ckpt_path, weights_only=True)

    folder = trainer.default_root_dir
    checkpoint.save(module.ensemble.network(0).state_dict(), f"{folder}/xornet.pt")
    results = write_results(module, trainer.current_epoch, folder, **module.stopwatch.times())
    logging.getLogger(__name__).info("results in %s", Path(folder).absolute())
    return objective(results)


if __name__ == "__main__":
    with errors.one_line(sys.argv[1:]), sweep.summary_at_end():
        main()
