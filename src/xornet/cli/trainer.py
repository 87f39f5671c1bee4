"""Lightning's Trainer as conf/trainer/ configures it; where it refuses an argument, the error names it."""

from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint
from omegaconf import DictConfig, OmegaConf, open_dict

from xornet.engine.requirements import check_trainer
from xornet.runs.settings import key_of


def make_trainer(settings: DictConfig, callbacks: list[Callback]) -> Trainer:
    """Return the Trainer of a run.

    Args:
        settings: the part `trainer` of the configuration.
        callbacks: of the run.

    Raises:
        ValueError: it cannot train the networks, or an argument given on the command line cannot be used.

    """
    settings = settings.copy()
    given: dict[str, Any] = {"callbacks": callbacks}
    if settings.get("enable_checkpointing") is None:  # Lightning would add a callback of its own
        given["enable_checkpointing"] = any(isinstance(callback, Checkpoint) for callback in callbacks)
    logger = settings.get("logger")
    if isinstance(logger, DictConfig) and "_target_" not in logger:  # the files of conf/logger, each under its name
        settings.logger = [one for one in logger.values() if one]
    if logger is None:  # of which Lightning would make a logger of its own
        settings.logger = False
    try:
        trainer: Trainer = instantiate(settings, _convert_="all", **given)
    except InstantiationException as error:
        if key := wrong_argument(settings, given):
            cause = " ".join(str(error.__cause__ or error).split())
            value = OmegaConf.select(settings, key)
            raise ValueError(f"trainer.{key}={value}: {cause}; use what {settings._target_} takes") from error
        raise
    check_trainer(trainer)
    return trainer


def wrong_argument(settings: DictConfig, given: dict[str, Any]) -> str | None:
    """The one argument of the command line without which the Trainer can be made."""
    for override in HydraConfig.get().overrides.task:
        key = key_of(override).removeprefix("trainer.")
        if key in settings and key_of(override) != key:
            others = settings.copy()
            with open_dict(others):
                del others[key]
            try:
                instantiate(others, _convert_="all", **given)
            except InstantiationException:
                continue
            return key
    return None
