"""Checkpoints: written whole or not at all, read without running any code of theirs."""

import io
import pickle
import warnings
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from xornet import files, schema
from xornet.data import same_table, truth_table
from xornet.engine.blocks import callbacks_of
from xornet.engine.optimizers import describe, fresh_states
from xornet.schema import check_like, need

# Between a run and its resumption: what does not change what the networks become.
MAY_CHANGE = ("model.gradient", "model.compile", "model.tolerance")
KEYS = {"seed": "seed", "networks": "networks", "bits": "data.bits"}  # the other hyperparameters are below `model`
REMEDY = "use the checkpoints/last.ckpt of a run, or delete this one to train from the start"
Table = tuple[Tensor, Tensor]  # x (P, I) and y (P, O)


def find(ckpt_path: str | None) -> str | None:
    """Return `ckpt_path` if it is None or a file: what Lightning reads as `last`, `best` or `hpc` is no file here."""
    if ckpt_path is not None and not (isinstance(ckpt_path, str) and Path(ckpt_path).is_file()):
        raise ValueError(f"ckpt_path={ckpt_path} does not exist; use the checkpoints/last.ckpt of a run")
    return ckpt_path


def save(state: dict[str, Any], path: str | Path) -> None:
    """Write tensors and plain values as a file that `torch.load` reads.

    Made in memory: of a full disk, PyTorch's own writer knows no more than `unexpected pos`.
    """
    file = io.BytesIO()
    torch.save(state, file)
    files.write(path, lambda partial: partial.write_bytes(file.getbuffer()))


class CheckpointFile(TorchCheckpointIO):
    """Lightning's reader and writer of checkpoint files.

    Lightning's own writes a temporary file on what may be another file system, and ignores a PermissionError.
    """

    def __init__(self) -> None:
        super().__init__()
        self.known: set[Path] = set()  # the directories that were there when something was saved

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        """Write `checkpoint`; a file under the name `path` is always whole."""
        folders = [*Path(path).parents]
        missing = [folder for folder in folders if not folder.exists()]
        with suppress(OSError):  # which `write` reports
            if self.known.isdisjoint(missing):  # else the run was moved away, and a new one would be half
                folders[0].mkdir(parents=True, exist_ok=True)
        save(checkpoint, path)
        self.known.update(folders)

    def load_checkpoint(
        self, path: str | Path, map_location: Any = "cpu", weights_only: bool | None = True
    ) -> dict[str, Any]:
        """Read a checkpoint of this project, tensors and plain values only.

        Raises:
            ValueError: there is none, or it is damaged, holds code, or is another project's.

        """
        path = str(find(str(path)))
        try:
            files.check_archive(path)
            with warnings.catch_warnings(action="ignore"):  # about files that are refused below
                checkpoint = torch.load(path, map_location=map_location, weights_only=True)
        except pickle.UnpicklingError as error:
            cause = "damaged, or holds more than tensors and plain values (nothing in it was run)"
            raise ValueError(f"ckpt_path={path} is {cause}; {REMEDY}") from error
        except Exception as error:  # there is no end to the ways in which a file can be damaged
            raise ValueError(f"ckpt_path={path} cannot be read as a checkpoint; {REMEDY}") from error
        schema.check(checkpoint, path)
        return checkpoint


def table_of(checkpoint: dict[str, Any]) -> Table:
    """The table that the networks of a checkpoint were trained on: x (P, I) and y (P, O)."""
    x, y = checkpoint.get("table") or truth_table(checkpoint["hyper_parameters"]["bits"])
    return x, y


def check_networks(checkpoint: dict[str, Any], hparams: dict[str, Any]) -> None:
    """Refuse a checkpoint of other networks than those that are to be evaluated, which have these hyperparameters.

    Raises:
        ValueError: naming what differs.

    """
    for name in ("bits", "hidden", "activation", "networks"):
        was, new = (listed(known[name]) for known in (checkpoint["hyper_parameters"], hparams))
        if was != new:
            remedy = "use XORModule.load_from_checkpoint"
            raise ValueError(f"ckpt_path holds networks with {name}={was}, but the module has {name}={new}; {remedy}")


def check_resumable(
    checkpoint: dict[str, Any],
    trainer: Trainer,
    hparams: dict[str, Any],
    optimizer: partial[Any],
    scheduler: partial[Any] | None,
    table: Table,
) -> None:
    """Refuse a checkpoint that a run cannot continue from.

    Args:
        checkpoint: as read from `trainer.ckpt_path`.
        trainer: that of the run, before it trains.
        hparams: the hyperparameters of the run.
        optimizer: makes its optimizer.
        scheduler: makes its learning rate scheduler.
        table: x (P, I) and y (P, O) of the run.

    Raises:
        ValueError: the run is configured differently, or the checkpoint is not built as what this run would write.

    """
    weights, steps = list(checkpoint["state_dict"].values()), checkpoint["global_step"]
    followed = describe(scheduler) if scheduler else {}
    ours = configuration(hparams, describe(optimizer), followed, trainer.precision)
    known, precision = checkpoint["hyper_parameters"], f"{8 * weights[0].itemsize}-true"
    theirs = configuration(known, checkpoint["optimizer"], checkpoint.get("scheduler", {}), precision)
    for name in dict.fromkeys([*ours, *theirs]):
        was, new = theirs.get(name), ours.get(name)
        if name not in MAY_CHANGE and was != new:
            differs = f"a run with {name}={was}, but this run has {name}={new}"
            raise ValueError(f"ckpt_path holds {differs}; resume with {name}={was}")
    if not same_table(table, table_of(checkpoint)):
        raise ValueError("ckpt_path holds a run on other data; resume with the data that it was started with")
    with schema.refusing(trainer.ckpt_path, "resumed from"):
        loop = checkpoint["loops"]["fit_loop"]
        check_like(loop, trainer.fit_loop.state_dict(), "loops")
        done = loop["epoch_loop.manual_optimization.optim_step_progress"]["total"]["completed"]
        progress = {key: value for key, value in loop.items() if "optimization" not in key}
        is_agreed = all(count <= 1 or abs(count - steps) <= 1 for count in counts(progress))  # saved within an epoch
        need(is_agreed and done == steps, f"loops: count of {steps} epochs")
        for tracker in loop["epoch_progress"].values():  # Lightning begins no epoch after it has resumed within one
            tracker.update({key: max(tracker[key], steps) for key in ("ready", "started")})
        for callback in callbacks_of(trainer):
            if state := checkpoint["callbacks"].get(callback.state_key):
                check_like(state, callback.state_dict(), f"callbacks: {callback.state_key}", loose=True)
        state, followers = fresh_states(optimizer, scheduler, weights)
        check_optimizer(checkpoint["optimizer_states"], state, steps)
        check_like(checkpoint["lr_schedulers"], followers, "lr_schedulers", loose=True)
        need(all(follower["last_epoch"] == steps for follower in checkpoint["lr_schedulers"]), "lr_schedulers")


def configuration(
    hparams: dict[str, Any], optimizer: dict[str, Any], scheduler: dict[str, Any], precision: str
) -> dict[str, Any]:
    """All that a run was configured with, by its place in the configuration: `model.hidden`, `optimizer.lr`."""
    network = {KEYS.get(key, f"model.{key}"): value for key, value in hparams.items()}
    groups = (("optimizer", optimizer), ("scheduler", scheduler))
    made = {f"{group}.{key}": value for group, described in groups for key, value in described.items()}
    return {key: listed(value) for key, value in {**network, **made, "trainer.precision": precision}.items()}


def listed(value: Any) -> Any:
    """A value as YAML has it, which knows no tuples."""
    return list(value) if isinstance(value, tuple) else value


def counts(progress: dict[str, Any]) -> Iterator[int]:
    """Yield all that a loop has counted."""
    for value in progress.values():
        yield from counts(value) if isinstance(value, dict) else [value]


def check_optimizer(states: Any, fresh: dict[str, Any], steps: int) -> None:
    """Check the one optimizer's state after `steps` steps against that of a fresh one after its first."""
    (group,) = fresh["param_groups"]
    numbers = {key: float(value) for key, value in group.items() if type(value) is int}  # which a callback may change
    template = {"state": fresh["state"] if steps else {}, "param_groups": [group | numbers]}
    check_like(states, [template], "optimizer_states")
    fixed = {key: value for key, value in group.items() if type(value) not in (int, float, tuple)}
    need(fixed.items() <= states[0]["param_groups"][0].items(), "optimizer_states: param_groups")
