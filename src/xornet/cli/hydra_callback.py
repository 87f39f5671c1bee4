"""A callback of Hydra that checks a command before Hydra writes anything."""

import functools
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from xornet.cli import errors, signals, streams
from xornet.cli.configuration import check_hydra
from xornet.cli.hydra_run import current
from xornet.cli.planned import parse, product
from xornet.cli.remedies import DISK, SWEEP_DISK
from xornet.runs.directory import check_holder, read_sweep
from xornet.runs.undo import SWEEP, expect, expect_settings

streams.make_usable(ends=False)  # for the processes of launchers; the scripts have done it already


def ends_the_command(method: Callable[..., None]) -> Callable[..., None]:
    """End the command if a Hydra callback raises an error; Hydra itself would only warn and continue."""

    @functools.wraps(method)
    def checked(self: Any, config: DictConfig, **kwargs: Any) -> None:
        signals.end_if_received()  # a signal may have come while Hydra composed
        try:
            check_hydra(config.hydra)
            method(self, config, **kwargs)
        except Exception as error:
            signals.end_if_received()
            disk = SWEEP_DISK if "multirun" in method.__name__ else DISK
            print(f"error: {errors.report(error, sys.argv[1:], disk)}", file=sys.stderr)
            sys.exit(1)

    return checked


class DirectoryCallback(Callback):
    """Refuses a directory that holds something else; removes a new directory if nothing is written into it."""

    @ends_the_command
    def on_run_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Remember whether the directory is new."""
        with current(config.copy()):
            expect(Path(config.hydra.run.dir).absolute())

    @ends_the_command
    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Refuse a directory that holds other results: Hydra writes into it before the first job begins."""
        folder = Path(config.hydra.sweep.dir).absolute()
        check_holder(folder, "a sweep of evaluations")
        hydra: Any = OmegaConf.to_container(config.hydra, resolve=False)
        product(parse(hydra).values())  # refuses what names no value
        is_own = re.search(r"\$\{hydra[.:]job\.(num|id|override_dirname)\}", hydra["sweep"]["subdir"])
        if "trainer" in config and not is_own:  # check_gradients.py has no trainer, and writes nothing
            said = f"hydra.sweep.subdir={hydra['sweep']['subdir']} is not allowed: each job needs its own directory"
            raise ValueError(f"{said}; drop it")
        if (folder / SWEEP).exists():
            earlier = read_sweep(folder)["hydra"]["overrides"]["task"]
            now = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
            if earlier != now:
                said = f"{folder} holds a sweep of {earlier}, but this one is of {now}"
                raise ValueError(f"{said}; use another directory")
        expect(folder)
        expect_settings(folder)
