"""What a checkpoint holds of a run, and how a module is restored from it."""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from lightning.pytorch import Trainer
from torch import Tensor
from torch.optim import lr_scheduler

from xornet import schema
from xornet.batches import same_table
from xornet.checkpoint import table_of
from xornet.compatibility import check_networks, check_resumable, check_same_model
from xornet.data import truth_table
from xornet.engine import rate_grid
from xornet.engine.consistency import check_counts
from xornet.engine.optimizers import describe, from_description
from xornet.validation import plain

OTHER = "another Trainer has trained these networks since"


def save(module: Any, checkpoint: dict[str, Any]) -> None:
    """Add the history of an XORModule's run, the seconds it has taken, its table, its optimizer and its scheduler.

    Raises:
        ValueError: a block was broken off, or another Trainer has trained the networks.

    """
    check_counts(module.history.epochs, checkpoint["global_step"])
    check_saver(module, checkpoint)
    for part, kept in module.carried.items():
        checkpoint.setdefault(part, kept)
    for part in checkpoint.keys() - {"state_dict"}:  # the user's code may put NumPy's numbers there
        checkpoint[part] = plain(checkpoint[part])
    checkpoint["xornet"] = schema.FORMAT
    checkpoint["history"] = module.history.state_dict()
    checkpoint["times"] = module.stopwatch.times()
    if not same_table((module.x, module.y), truth_table(module.hparams["bits"])):
        checkpoint["table"] = [module.x.cpu(), module.y.cpu()]  # of another dataset
    checkpoint["model"] = plain(dict(module.hparams))  # load_from_checkpoint changes `hyper_parameters`
    checkpoint["optimizer"] = describe(module.optimizer)
    if module.scheduler:
        checkpoint["scheduler"] = describe(module.scheduler)


def descriptions(module: Any) -> list[dict[str, Any]]:
    """Classes and arguments of the optimizer and the scheduler of a module."""
    return [describe(part) for part in (module.optimizer, module.scheduler) if part]


def restore_states(module: Any, parts: Sequence[Any]) -> None:
    """Give a new optimizer and its scheduler the states that those of the Trainer had, if it continues a run.

    This is called in `configure_optimizers`: even if an error ends the fit before a step, the Trainer keeps the states.

    Raises:
        ValueError: another Trainer has trained the networks, or they do not count the same epochs.

    """
    if module.stage != "fit":
        return
    if module.saved_states:
        check_fitter(module)
        check_counts(module.history.epochs, module.trainer.current_epoch, module.trainer.global_step)
    before, module.descriptions = module.descriptions, descriptions(module)
    is_other = module.has_new_optimizer or before != module.descriptions
    module.has_new_optimizer = bool(module.saved_states) and is_other
    if module.saved_states and not module.has_new_optimizer:
        for part, state in zip(parts, module.saved_states, strict=True):
            part.load_state_dict(state)
    module.saved_states = ()


def check_fitter(module: Any) -> None:
    """Refuse to continue networks that another Trainer has trained, or this one not at all."""
    if module.fitted_by is None and module.history.epochs == 0:
        raise ValueError("this Trainer has trained other networks; use a new Trainer for these")
    if module.fitted_by is not None and module.fitted_by() is not module.trainer:
        raise ValueError(f"{OTHER}; use that one, or a new Trainer with a ckpt_path")


def check_saver(module: Any, checkpoint: dict[str, Any]) -> None:
    """Refuse a checkpoint by another Trainer than the one that has trained the networks.

    The module does not know which Trainer saves, but the states in the checkpoint are those of its optimizer.
    """
    fitter: Trainer | None = module.fitted_by() if module.fitted_by else None
    if fitter is None or "optimizer_states" not in checkpoint:
        return
    saved, held = checkpoint["optimizer_states"], [optimizer.state_dict() for optimizer in fitter.optimizers]
    if list(map(id, tensors(saved))) != list(map(id, tensors(held))):
        raise ValueError(f"{OTHER}; use save_checkpoint of that one")


def tensors(states: Sequence[dict[str, Any]]) -> Iterator[Tensor]:
    """Yield the tensors in the states of optimizers."""
    for state in states:
        for parts in state["state"].values():
            yield from (value for value in parts.values() if isinstance(value, Tensor))


def states(trainer: Trainer) -> list[dict[str, Any]]:
    """The states of the optimizer and the scheduler of a Trainer."""
    parts: list[Any] = [*trainer.optimizers, *(each.scheduler for each in trainer.lr_scheduler_configs)]
    return [part.state_dict() for part in parts]


def load(module: Any, checkpoint: dict[str, Any]) -> None:
    """Restore an XORModule from a checkpoint, to continue its run or to evaluate its networks.

    Raises:
        ValueError: the checkpoint is damaged, or does not agree with the module; naming what differs.

    """
    path = module.trainer.ckpt_path if module.stage else "(as given)"
    schema.check_format(checkpoint, path)
    # load_from_checkpoint turns them into OmegaConf (with hparams_file=), and adds a given optimizer or scheduler.
    known = plain(checkpoint["hyper_parameters"])
    checkpoint["hyper_parameters"] = {key: known[key] for key in known if key not in ("optimizer", "scheduler")}
    if not module.stage and isinstance(checkpoint.get("model"), dict):  # load_from_checkpoint
        check_same_model(checkpoint["model"], module)
    schema.check(checkpoint, path)
    if module.stage == "fit":
        check_resumable(checkpoint, module)
        module.carried = {part: checkpoint[part] for part in schema.OF_CALLBACKS if part in checkpoint}
    elif module.stage:
        check_networks(checkpoint, module)
        module.set_training_table(*table_of(checkpoint))
    else:
        module.to(checkpoint["state_dict"]["ensemble.weights.0"].dtype)  # which is the run's trainer.precision
        module.set_training_table(*table_of(checkpoint))
        if not module.has_own_optimizer:
            module.optimizer = from_description(checkpoint["optimizer"], torch.optim, rate_grid)
            if "scheduler" in checkpoint and not module.scheduler:
                module.scheduler = from_description(checkpoint["scheduler"], lr_scheduler)
            parts = ("optimizer", "scheduler")
            module.unknown_parts = tuple(part for part in parts if part in checkpoint and not vars(module)[part])
    module.history.load_state_dict(checkpoint["history"])
    module.history.epochs = checkpoint["global_step"]
    module.stopwatch.earlier = checkpoint["times"]
