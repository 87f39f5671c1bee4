"""Lightning's Trainer as configured by conf/trainer/; an error names the argument that is wrong."""

from collections.abc import Iterator
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import Checkpoint, ModelCheckpoint
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict

from xornet.engine.requirements import check_trainer
from xornet.runs.csv_logger import CSVLogger
from xornet.runs.events import EventLogger
from xornet.runs.settings import key_of
from xornet.runs.trackers import WaitingLogger


def make_trainer(settings: DictConfig, callbacks: list[Callback]) -> Trainer:
    """Return the Trainer of a run, from the part `trainer` of the configuration.

    Raises:
        ValueError: it cannot train the networks, or an argument given on the command line cannot be used.

    """
    settings = settings.copy()
    given: dict[str, Any] = {"callbacks": sorted(callbacks, key=is_saved_last)}
    if settings.get("enable_checkpointing") is None:  # Lightning would add its own callback
        given["enable_checkpointing"] = any(isinstance(callback, Checkpoint) for callback in callbacks)
    place = "logger" if OmegaConf.is_interpolation(settings, "logger") else "trainer.logger"
    found = dict(logger_nodes(place, settings.get("logger")))
    if all(isinstance(node, DictConfig) for node in found.values()):
        given["logger"] = [make_logger(name, node) for name, node in found.items()]
        settings.logger = None  # else Hydra would merge it with those
    try:
        trainer: Trainer = instantiate(settings, _convert_="all", **given)
    except InstantiationException as error:
        if key := wrong_argument(settings, given):
            cause = " ".join(str(error.__cause__ or error).split())
            value = OmegaConf.select(settings, key)
            raise ValueError(f"trainer.{key}={value}: {cause}; use what {settings._target_} takes") from error
        if isinstance(error.__cause__, MisconfigurationException | RuntimeError):  # such as for two callbacks of a kind
            raise error.__cause__ from None
        raise
    check_trainer(trainer)
    return trainer


def is_saved_last(callback: Callback) -> bool:
    """Whether a callback must be called after ModelCheckpoint, because it saves the state of that too."""
    return isinstance(callback, Checkpoint) and not isinstance(callback, ModelCheckpoint)


def logger_nodes(key: str, logger: Any) -> Iterator[tuple[str, Any]]:
    """Yield the configuration of each logger with its key, from nested names and from lists."""
    if isinstance(logger, DictConfig) and "_target_" not in logger:
        for name in map(str, logger):
            yield from logger_nodes(f"{key}.{name}", logger[name])
    elif isinstance(logger, ListConfig):
        for number, one in enumerate(logger):
            yield from logger_nodes(f"{key}[{number}]", one)
    elif logger is not None:
        yield key, logger


def make_logger(key: str, node: DictConfig) -> Logger:
    """Return a logger that writes files of the run; for any other one a WaitingLogger."""
    made = get_object(node._target_)
    if isinstance(made, type) and issubclass(made, EventLogger | CSVLogger):
        logger: Logger = instantiate(node, _convert_="all")
        return logger
    return WaitingLogger(key, node)


def wrong_argument(settings: DictConfig, given: dict[str, Any]) -> str | None:
    """The argument of the command line without which the Trainer can be made; None if there is none."""
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
