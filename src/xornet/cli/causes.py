"""Where an error comes from: this project, the user, Lightning or Hydra."""

import traceback
from concurrent.futures import BrokenExecutor
from pathlib import Path

from hydra.errors import HydraException
from lightning.pytorch import Callback
from omegaconf.errors import OmegaConfBaseException

from xornet.cli.targets import allowed, is_within

THEIRS = (HydraException, OmegaConfBaseException)


def is_ours(error: BaseException) -> bool:
    """Whether an error may be a bug of this project: it was not raised by Hydra or by Lightning on purpose."""
    frames = traceback.extract_tb(error.__traceback__)
    parts = Path(frames[-1].filename).parts if frames else ()
    is_theirs = isinstance(error, BrokenExecutor) or ("lightning" in parts and isinstance(error, RuntimeError))
    return not ({"hydra", "submitit"} & {*parts} or is_theirs)


def is_users(error: BaseException) -> bool:
    """Whether an error was raised in a package of the user, who wants to see where."""
    own, frames = allowed(), traceback.walk_tb(error.__traceback__)
    return any(is_within(f"{frame.f_globals.get('__name__')}.", own) for frame, _ in frames)


def callback_of(error: BaseException) -> str | None:
    """The class name of the callback of Lightning in which an error was raised, None if there is none."""
    owners = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(error.__traceback__)]
    stock = [type(owner) for owner in owners if isinstance(owner, Callback)]
    return next((kind.__name__ for kind in stock if kind.__module__.startswith("lightning.")), None)


def root_cause(error: BaseException) -> BaseException:
    """The original error, if Hydra, OmegaConf or the configuration of logging has wrapped it."""
    is_wrapped = isinstance(error, THEIRS) or str(error).startswith("Unable to configure")
    return (is_wrapped and error.__cause__) or error
