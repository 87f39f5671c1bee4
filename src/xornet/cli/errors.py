"""Errors of a command as one line with the key, the value and the remedy."""

import gc
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from hydra.errors import HydraException, InstantiationException, OverrideParseException
from lightning.fabric.utilities.exceptions import MisconfigurationException
from omegaconf.errors import ConfigAttributeError, ConfigKeyError
from yaml import YAMLError

from xornet.cli import signals, streams
from xornet.cli.causes import THEIRS, callback_of, is_ours, is_users, root_cause
from xornet.cli.overrides import GROUPS, NEEDED, blamed
from xornet.cli.remedies import DISK, REMEDIES, SWEEP_DISK
from xornet.runs.undo import undo

# Errors of these kinds are not taken for bugs of this project.
EXPECTED = (*THEIRS, ValueError, TypeError, OSError, ImportError, MisconfigurationException, YAMLError)


@contextmanager
def one_line(overrides: Sequence[str], disk: str = DISK) -> Iterator[None]:
    """Print an error as one line and exit with 1; with HYDRA_FULL_ERROR=1 in the environment, raise it.

    SIGINT, SIGTERM and SIGHUP exit with 130, 143 and 129, a closed pipe with 141, without a message.

    Args:
        overrides: the `key=value` arguments of the command line.
        disk: the remedy if something cannot be written.

    """
    gc.freeze()  # later collections, and the last one at exit, skip everything that was imported
    gc.enable()
    if {"-m", "--multirun"} & {*overrides}:
        disk = SWEEP_DISK
    is_full = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["HYDRA_FULL_ERROR"] = "1"  # else Hydra would print the error itself, and exit
    before, threading.excepthook = threading.excepthook, in_thread
    logging.raiseExceptions = False  # what cannot be written into train.log has been on the console
    try:
        with signals.exit_status():
            if any(word.startswith("--e") for word in overrides):  # which may be abbreviated
                raise ValueError(
                    "--experimental-rerun is not supported: it unpickles a file; use --config-path <run>/.hydra "
                    "--config-name config"
                )
            for word in overrides:  # Hydra would write into the directory before anything checks it
                if re.fullmatch(r"~hydra\.callbacks(\.sweep)?|hydra\.callbacks(\.sweep)?=(null|{})", word):
                    raise ValueError(f"{word} would leave out the checks of the directory of a run; drop it")
            yield
            sys.stdout.flush()  # here, so that a failure to write is an error like any other
            if streams.failures:
                raise OSError(streams.failures[0])
    except Exception as error:
        if is_full:
            raise
        print(f"error: {report(error, overrides, disk)}", file=sys.stderr)
        sys.exit(1)
    finally:
        undo()
        threading.excepthook = before
        logging.raiseExceptions = True


def in_thread(args: threading.ExceptHookArgs) -> None:
    """Ignore what TensorBoard's thread cannot write: the next call that logs something raises the error."""
    if not issubclass(args.exc_type, OSError):
        threading.__excepthook__(args)


def report(error: Exception, overrides: Sequence[str], disk: str = DISK) -> str:
    """Return the error as one line; print the traceback if it may be a bug of this project."""
    cause = root_cause(error)
    is_expected = isinstance(cause, EXPECTED) or type(cause).__module__.startswith("sqlalchemy.")  # if installed
    if is_users(cause) or (not (is_expected or isinstance(error, InstantiationException)) and is_ours(cause)):
        traceback.print_exception(error)
    return explain(error, overrides, disk)


def explain(error: BaseException, overrides: Sequence[str], disk: str = DISK) -> str:
    """Return the message of an error, with the override that caused it and a remedy, if it has none itself."""
    for group in NEEDED:
        if f"~{group}" in overrides and not any(word.startswith(f"+{group}=") for word in overrides):
            return f"~{group}: there is no run without; drop it"
    cause = root_cause(error)
    message = " ".join(str(cause).split()) or type(cause).__name__
    words = str(error).split()
    # Hydra and OmegaConf end a message with the place of the error: `full_key: trainer`.
    place = words[words.index("full_key:") + 1] if "full_key:" in words else ""
    if isinstance(cause, ConfigAttributeError | ConfigKeyError) and cause.parent_node is not None:
        key, node = place or cause.full_key, cause.parent_node
        allowed = ", ".join(sorted(str(name) for name in node if not re.fullmatch("_.*_|hydra", str(name))))
        remedy = f"; use one of {allowed}" if allowed else ": what holds it is null or empty; drop one of the two"
        other = f", or +{key} for another argument of {node['_target_']}" if "_target_" in node else ""
        message = f"{key} is no key of the configuration{remedy}{other}"
        choice = next((override for override in overrides if override.startswith(f"{key}=")), "")
        said = " ".join(override for override in overrides if override.startswith(f"{key}."))
        if key in GROUPS and key not in NEEDED and said and not choice:
            message = f"{said}: no file of {key} is chosen; use {key}=<name of a file of conf/{key}> with it"
        elif said and "," in choice:
            message = f"{said}: a sweep over {key} begins without one; use +{said}"
    if isinstance(cause, AssertionError | TypeError) and "configure_log" in str(
        traceback.extract_tb(cause.__traceback__)
    ):
        message = "hydra.verbose is no switch; use true, false or the names of loggers"
    if callback := callback_of(cause):
        keys = [one.partition("=")[0].lstrip("+") for one in overrides if one.endswith(f".{callback}")]
        said = f"{keys[0].removesuffix('._target_')} ({callback})" if keys else callback
        message = message if message.startswith(callback) else f"{said}: {message}"
    for theirs, ours in REMEDIES.items():
        if re.search(theirs, message):
            message = re.sub(f"(?:{theirs}).*", ours, message)
    remedy = ""
    if not re.search(";|use |needs ", message):
        is_of_disk = "[Errno" in message or (isinstance(cause, OSError) and not isinstance(cause, HydraException))
        remedy = f"; {disk if is_of_disk else 'correct or drop it (README, Configuration)'}"
    if isinstance(error, OverrideParseException):
        about = "" if error.override in message else error.override
    else:
        about = blamed(overrides, message, remedy, place)
    return f"{about}: {message}{remedy}" if about else f"{message}{remedy}"
