"""Errors that a person who typed a command can act on: one last line with the key, the value and the remedy."""

import logging
import os
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from hydra.errors import HydraException, InstantiationException
from lightning.fabric.utilities.exceptions import MisconfigurationException
from omegaconf.errors import OmegaConfBaseException

EXPECTED = (ValueError, TypeError, OSError, HydraException, OmegaConfBaseException, MisconfigurationException)


@contextmanager
def one_line() -> Iterator[None]:
    """Print an error as one line and exit with 1; with HYDRA_FULL_ERROR=1 in the environment, leave it alone."""
    if os.environ.get("HYDRA_FULL_ERROR") == "1":
        yield
        return
    os.environ["HYDRA_FULL_ERROR"] = "1"  # or Hydra would print the error in its own way, and exit
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        cause = error.__cause__ or error
        if not isinstance(cause, EXPECTED):
            traceback.print_exception(error)
        line = f"error: {explain(error, sys.argv[1:])}"
        logging.getLogger(__name__).debug(line)
        print(line, file=sys.stderr)
        sys.exit(1)


def explain(error: BaseException, overrides: list[str]) -> str:
    return str(error)
