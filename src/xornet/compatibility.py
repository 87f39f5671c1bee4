"""Whether a checkpoint is compatible with the run that resumes from it, or with the module that it is loaded into."""

import inspect
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from lightning.pytorch import LightningModule, Trainer

from xornet import schema
from xornet.batches import same_points
from xornet.checkpoint import table_of
from xornet.engine.blocks import callbacks_of
from xornet.engine.optimizers import describe, fresh_states
from xornet.engine.own import base_of, is_users
from xornet.engine.progress import correct_loop_state
from xornet.optimizer_state import check_optimizer_state
from xornet.schema import check_like, need

MAY_CHANGE = ("model.gradient", "model.compile")  # they change neither the networks nor their solving epochs
KEYS = {"seed": "seed", "networks": "networks", "bits": "data.bits"}  # the other hyperparameters are below `model`


def check_networks(checkpoint: dict[str, Any], module: LightningModule) -> None:
    """Refuse a checkpoint whose networks are evaluated by a module that was made with other arguments."""
    for name, was, new in differences(checkpoint.get("model", checkpoint["hyper_parameters"]), module):
        remedy = "use XORModule.load_from_checkpoint" if name in module.hparams else "use the class that has it"
        raise ValueError(f"ckpt_path holds networks with {name}={was}, but the module has {name}={new}; {remedy}")


def check_same_model(before: dict[str, Any], module: LightningModule) -> None:
    """Refuse arguments of load_from_checkpoint that differ from those the networks were trained with."""
    for name, was, new in differences(before, module):
        if name not in module.hparams:
            raise ValueError(f"the checkpoint's networks are of a class with an argument {name}={was}; use that class")
        raise ValueError(f"{name}={new}, but the checkpoint's networks were trained with {name}={was}; drop it")


def differences(before: dict[str, Any], module: LightningModule) -> Iterator[tuple[str, Any, Any]]:
    """Yield name, old value and value of the arguments of a module that differ from those before."""
    hparams, may_change = dict(module.hparams), may_differ(module)
    for name, was in before.items():
        if f"model.{name}" not in may_change and listed(was) != listed(new := hparams.get(name)):
            yield name, was, new


def may_differ(module: LightningModule) -> set[str]:
    """The configuration keys of what changes no network: also the arguments that a subclass adds."""
    known = inspect.signature(base_of(module)).parameters
    return {*MAY_CHANGE, *(f"model.{name}" for name in module.hparams if name not in known)}


def check_resumable(checkpoint: dict[str, Any], module: Any) -> None:
    """Refuse to resume an XORModule from a checkpoint that is configured differently, or malformed."""
    trainer: Trainer = module.trainer
    held = checkpoint.get("optimizer_states")
    if held is None or (isinstance(held, list) and not held):  # save_weights_only=True, or its Trainer has not trained
        raise ValueError(f"ckpt_path={trainer.ckpt_path} holds the weights alone; use a whole checkpoint to resume")
    weights, steps = list(checkpoint["state_dict"].values()), checkpoint["global_step"]
    optimizer, scheduler = module.optimizer, module.scheduler
    described = checkpoint["optimizer"], checkpoint.get("scheduler", {}), f"{8 * weights[0].itemsize}-true"
    theirs = configuration(checkpoint["hyper_parameters"], *described, module)
    described = describe(optimizer), describe(scheduler) if scheduler else {}, trainer.precision
    ours = configuration(module.hparams, *described, module)
    may_change = may_differ(module)
    lacking = [name for name in theirs if name.startswith("model.") and name not in ours]  # of another class
    for name in dict.fromkeys([*lacking, *ours, *theirs]):
        was, new = theirs.get(name), ours.get(name)
        if name not in may_change and was != new:
            differs = f"a run with {name}={was}, but this run has {name}={new}"
            remedy = f"resume with {name}={was}"
            if name.endswith("._target_"):  # whose arguments differ too
                remedy = "resume with the same, as in the .hydra/overrides.yaml of the run"
            elif name in lacking:
                remedy = "resume with the class that it was started with"
            raise ValueError(f"ckpt_path holds {differs}; {remedy}")
    if not same_points((module.x, module.y), table_of(checkpoint)):
        raise ValueError("ckpt_path holds a run on other data; resume with the data that it was started with")
    module.set_training_table(*table_of(checkpoint))  # in the order of the run
    with schema.refusing(trainer.ckpt_path, "resumed from"):
        loop = checkpoint["loops"]["fit_loop"]
        check_like(loop, trainer.fit_loop.state_dict(), "loops")
        done = loop["epoch_loop.manual_optimization.optim_step_progress"]["total"]["completed"]
        progress = {key: loop[key] for key in loop if "optimization" not in key and "val_loop" not in key}
        are_equal = all(count <= 1 or abs(count - steps) <= 1 for count in counts(progress))  # saved within an epoch
        need(are_equal and done == steps, f"loops: count of {steps} epochs")
        correct_loop_state(loop, steps)
        for callback in callbacks_of(trainer):
            state = checkpoint["callbacks"].get(callback.state_key)
            if state and not is_users(type(callback)):
                check_like(state, callback.state_dict(), f"callbacks: {callback.state_key}", loose=True)
        _, schedulers = fresh_states(optimizer, scheduler, weights)
        check_optimizer_state(checkpoint["optimizer_states"], optimizer, weights, steps)
        check_like(checkpoint["lr_schedulers"], schedulers, "lr_schedulers", loose=True)
        need(all(0 <= one["last_epoch"] <= steps for one in checkpoint["lr_schedulers"]), "lr_schedulers")


def configuration(
    hparams: dict[str, Any], optimizer: dict[str, Any], scheduler: dict[str, Any], precision: str, module: Any
) -> dict[str, Any]:
    """Everything a run was configured with, by configuration key: `model.hidden`, `optimizer.lr`.

    Args:
        hparams: of an XORModule.
        optimizer: as `describe` returns it.
        scheduler: the same, empty without one.
        precision: of the Trainer.
        module: whose optimizer and scheduler have the same default arguments, if they are of the same classes.

    """
    known = by_config_key(hparams) | {"trainer.precision": precision}
    for group, described in (("optimizer", optimizer), ("scheduler", scheduler)):
        arguments = with_defaults(described, getattr(module, group))
        known |= {f"{group}.{key}": value for key, value in arguments.items()}
    return {key: listed(value) for key, value in known.items()}


def by_config_key(hparams: Mapping[str, Any]) -> dict[str, Any]:
    """The hyperparameters of an XORModule by their keys in the configuration."""
    return {KEYS.get(key, f"model.{key}"): value for key, value in hparams.items()}


def listed(value: Any) -> Any:
    """The value, a tuple as a list, as in YAML."""
    return list(value) if isinstance(value, tuple) else value


def counts(progress: dict[str, Any]) -> Iterator[int]:
    """Yield every count in the state of a loop."""
    for value in progress.values():
        yield from counts(value) if isinstance(value, dict) else [value]


def with_defaults(described: dict[str, Any], made: "partial[Any] | None") -> dict[str, Any]:
    """The description of an optimizer or a scheduler with its default arguments, if it is of the class of `made`."""
    if not made or described.get("_target_") != describe(made)["_target_"]:
        return described
    known = inspect.signature(made.func).parameters
    defaults = {name: one.default for name, one in known.items() if one.default is not inspect.Parameter.empty}
    return {"_target_": described["_target_"], **defaults, **described}
