"""Checks during a run: the counters agree, and nothing that the run was begun with has been replaced."""

from lightning.pytorch import Trainer
from torch.optim import Optimizer

from xornet.engine.runner import EpochRunner
from xornet.network import Ensemble

SAVING = "; in a hook of an optimizer step, use on_train_batch_end to save"


def check_counts(epochs: int | None, *counted: int) -> None:
    """Refuse networks whose number of epochs is not what their Trainer has counted.

    Possible causes: an error or the stop button ended a block or a hook after it, a hook skipped an epoch, or another
    Trainer has trained the networks since.

    Args:
        epochs: of the networks, None within a block.
        counted: the Trainer's epochs, steps or both.

    Raises:
        ValueError: naming the counts.

    """
    if any(count != epochs for count in counted):
        had = "a part of a block" if epochs is None else f"{epochs} epochs"
        raise ValueError(
            f"the Trainer counts {' and '.join(map(str, counted))} epochs, but the networks have had {had}: a run was "
            "broken off, a hook has skipped an epoch, or another Trainer has trained them; use a new Trainer with a "
            f"ckpt_path, or the Trainer that has trained them{SAVING if epochs is None else ''}"
        )


def check_kept(optimizer: Optimizer, ensemble: Ensemble, runner: EpochRunner) -> None:
    """Refuse an optimizer or networks that were replaced during the run, and a frozen weight."""
    if optimizer is not runner.optimizer:
        raise ValueError(
            "trainer.optimizers has been replaced while the run trains; use on_train_start for that, or change "
            "the param_groups of the optimizer that there is"
        )
    if list(map(id, ensemble.weights)) != list(map(id, runner.weights)):
        raise ValueError(
            "the networks have been replaced while the run trains; use load_state_dict(...) without assign=True, "
            "which copies into those that there are"
        )
    if not all(weight.requires_grad for weight in ensemble.weights):
        raise ValueError("a weight is frozen (requires_grad=False), but every weight is trained; use unfreeze()")


def check_end(trainer: Trainer) -> None:
    """Refuse a run that ended too early: Lightning takes a StopIteration in a hook for the end of the data."""
    limits = (trainer.max_epochs, trainer.current_epoch), (trainer.max_steps, trainer.global_step)
    is_over = trainer.should_stop or any(limit not in (None, -1) and limit <= now for limit, now in limits)
    if not is_over or trainer.global_step < trainer.current_epoch:
        said = f"the run ended at epoch {trainer.current_epoch} after {trainer.global_step} steps, as a hook"
        raise ValueError(
            f"{said} returned -1, or raised StopIteration, say next(...) of what has no more; use next(..., <default>)"
        )
