"""Whether a checkpoint is compatible with the run that resumes from it, or with the module that it is loaded into."""

from collections.abc import Iterator, Mapping
from typing import Any

from lightning.pytorch import Trainer

from xornet import schema
from xornet.batches import same_points
from xornet.checkpoint import table_of
from xornet.engine.blocks import callbacks_of
from xornet.engine.optimizers import describe, fresh_states
from xornet.engine.progress import correct_loop_state
from xornet.schema import check_like, need

MAY_CHANGE = ("model.gradient", "model.compile")  # they change neither the networks nor their solving epochs
KEYS = {"seed": "seed", "networks": "networks", "bits": "data.bits"}  # the other hyperparameters are below `model`


def check_networks(checkpoint: dict[str, Any], hparams: dict[str, Any]) -> None:
    """Refuse a checkpoint whose networks differ from those of the module, which has these hyperparameters."""
    for name, was in checkpoint.get("model", checkpoint["hyper_parameters"]).items():
        if f"model.{name}" not in MAY_CHANGE and listed(was) != listed(new := hparams.get(name)):
            remedy = "use XORModule.load_from_checkpoint"
            raise ValueError(f"ckpt_path holds networks with {name}={was}, but the module has {name}={new}; {remedy}")


def check_same_model(before: dict[str, Any], hparams: dict[str, Any]) -> None:
    """Refuse arguments of load_from_checkpoint that differ from those the networks were trained with."""
    for name, was in before.items():
        if name not in hparams:
            raise ValueError(f"the checkpoint's networks are of a class with an argument {name}={was}; use that class")
        if f"model.{name}" not in MAY_CHANGE and listed(was) != listed(new := hparams[name]):
            raise ValueError(f"{name}={new}, but the checkpoint's networks were trained with {name}={was}; drop it")


def check_resumable(checkpoint: dict[str, Any], module: Any) -> None:
    """Refuse to resume an XORModule from a checkpoint that is configured differently, or malformed."""
    trainer: Trainer = module.trainer
    if not checkpoint.get("optimizer_states"):  # save_weights_only=True, or of a Trainer that has not trained
        raise ValueError(f"ckpt_path={trainer.ckpt_path} holds the weights alone; use a whole checkpoint to resume")
    weights, steps = list(checkpoint["state_dict"].values()), checkpoint["global_step"]
    scheduler = describe(module.scheduler) if module.scheduler else {}
    ours = configuration(module.hparams, describe(module.optimizer), scheduler, trainer.precision)
    known, precision = checkpoint["hyper_parameters"], f"{8 * weights[0].itemsize}-true"
    theirs = configuration(known, checkpoint["optimizer"], checkpoint.get("scheduler", {}), precision)
    for name in dict.fromkeys([*ours, *theirs]):
        was, new = theirs.get(name), ours.get(name)
        if name not in MAY_CHANGE and was != new:
            differs = f"a run with {name}={was}, but this run has {name}={new}"
            raise ValueError(f"ckpt_path holds {differs}; resume with {name}={was}")
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
            if state and type(callback).__module__.startswith(("lightning.", "xornet.")):
                check_like(state, callback.state_dict(), f"callbacks: {callback.state_key}", loose=True)
        state, schedulers = fresh_states(module.optimizer, module.scheduler, weights)
        check_optimizer(checkpoint["optimizer_states"], state, steps)
        check_like(checkpoint["lr_schedulers"], schedulers, "lr_schedulers", loose=True)
        need(all(follower["last_epoch"] == steps for follower in checkpoint["lr_schedulers"]), "lr_schedulers")


def configuration(
    hparams: dict[str, Any], optimizer: dict[str, Any], scheduler: dict[str, Any], precision: str
) -> dict[str, Any]:
    """Everything a run was configured with, by configuration key: `model.hidden`, `optimizer.lr`."""
    known = by_config_key(hparams) | {f"optimizer.{key}": value for key, value in optimizer.items()}
    known |= {f"scheduler.{key}": value for key, value in scheduler.items()} | {"trainer.precision": precision}
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


def check_optimizer(states: Any, fresh: dict[str, Any], steps: int) -> None:
    """Check the one optimizer's state after `steps` steps against that of a fresh one after its first."""
    (group,) = fresh["param_groups"]
    numbers = {key: float(value) for key, value in group.items() if type(value) is int}  # which a callback may change
    template = {"state": fresh["state"] if steps else {}, "param_groups": [group | numbers]}
    check_like(states, [template], "optimizer_states")
    fixed = {key: value for key, value in group.items() if type(value) not in (int, float, tuple)}
    need(fixed.items() <= states[0]["param_groups"][0].items(), "optimizer_states: param_groups")
