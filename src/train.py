"""Train XORNets: python src/train.py [key=value ...], configured by conf/train.yaml."""

import gc

from xornet.cli import signals, streams

streams.make_usable()
signals.exit_at_once()  # while it imports
gc.disable()  # until all is imported; with the freeze below, a whole run takes 5.7 s instead of 7.5 s

import logging
import sys

import hydra
from hydra.utils import instantiate
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import Checkpoint
from omegaconf import DictConfig

from xornet import checkpoint
from xornet.callbacks.interruption import StopOnSignal
from xornet.callbacks.stopping import StayStopped
from xornet.cli import errors
from xornet.engine.requirements import check_trainer
from xornet.runs.continuity import Continuity
from xornet.runs.metrics import objective, write_results
from xornet.sweeps import callback as sweep
from xornet.sweeps import job

gc.freeze()  # nor will it ever be: later collections, and the last one at exit, pass it over
gc.enable()


@hydra.main(version_base="1.3", config_path="../conf", config_name="train")
def main(cfg: DictConfig) -> float | None:
    """Run `train`, on its own or as a job of a sweep; return what a sweep may minimise."""
    return job.run(train, cfg)


def train(cfg: DictConfig, directory: job.RunDirectory) -> float:
    """Train as `cfg` says; return the final loss, of an ensemble the share unsolved."""
    ckpt_path = checkpoint.find(cfg.ckpt_path)
    data, module = instantiate(cfg.data), instantiate(cfg.model, _convert_="all")
    named = [instantiate(callback, _convert_="all") for callback in cfg.callbacks.values() if callback]
    keeps = cfg.trainer.get("enable_checkpointing", any(isinstance(callback, Checkpoint) for callback in named))
    callbacks = [StopOnSignal(), StayStopped(), directory, Continuity(), *named]
    settings = with_list_of_loggers(cfg).trainer
    trainer: Trainer = instantiate(settings, _convert_="all", callbacks=callbacks, enable_checkpointing=keeps)
    check_trainer(trainer)

    folder = trainer.default_root_dir
    trainer.fit(module, data, ckpt_path=ckpt_path, weights_only=True)
    times = {name: round(seconds, 3) for name, seconds in module.stopwatch.times().items()}

    checkpoint.save(module.ensemble.network(0).state_dict(), f"{folder}/xornet.pt")
    results = write_results(module, trainer.current_epoch, folder, **times)
    logging.getLogger(__name__).info("results in %s", folder)
    return objective(results)


def with_list_of_loggers(cfg: DictConfig) -> DictConfig:
    """Return `cfg` with the loggers that it names, as with logger=many, in the list that the Trainer takes."""
    named = cfg.trainer.get("logger")
    if isinstance(named, DictConfig) and "_target_" not in named:
        cfg = cfg.copy()
        cfg.trainer.logger = [logger for logger in named.values() if logger]
    return cfg


if __name__ == "__main__":
    with errors.one_line(sys.argv[1:]), sweep.summed_up():
        main()
