"""Lightning's progress counters, moved by a block of epochs at a time.

The only place that writes them. They are not documented (Lightning 2.6): tests/engine/test_progress.py compares them
with those of a stock run.
"""

from typing import Any

from lightning.pytorch import Trainer

COUNTERS = ("ready", "started", "processed", "completed")


def begin_with_an_epoch(trainer: Trainer) -> None:
    """Have a run that is resumed between two epochs begin with an epoch.

    With max_steps, Lightning takes it for an epoch whose only batch has run, and would count that again. Of a run that
    was stopped when an epoch had begun, but not its update, it has counted one epoch and one batch too many.
    """
    loop, progress = trainer.fit_loop.epoch_loop, trainer.fit_loop.epoch_progress.current
    if loop.restarted_on_last and progress.completed == progress.ready:
        loop.restarting = False
    if trainer.current_epoch == trainer.global_step:
        count_updates(trainer)


def end_with_an_update(trainer: Trainer) -> None:
    """Have a run that was asked to stop just before an epoch's batch count no epoch without its update."""
    if trainer.should_stop and trainer.current_epoch == trainer.global_step + 1:
        count_updates(trainer)


def count_updates(trainer: Trainer) -> None:
    """Have a Trainer count as many epochs and batches as updates."""
    epochs = trainer.fit_loop.epoch_progress
    for tracker in (trainer.fit_loop.epoch_loop.batch_progress.total, epochs.current, epochs.total):
        for counter in COUNTERS:
            setattr(tracker, counter, trainer.global_step)


def settle(loop: dict[str, Any], steps: int) -> None:
    """Have the state of a fit loop, saved after `steps` epochs, be one that Lightning continues without counting twice.

    Args:
        loop: as `fit_loop.state_dict()` has it.
        steps: the updates of the networks.

    """
    for progress in loop["epoch_progress"].values():
        if progress["processed"] > steps:  # a request to stop has ended an epoch before its batch
            progress.update(dict.fromkeys(progress, steps))
        # Lightning begins no epoch after it has resumed within one; and a hook of an epoch's end may have saved.
        progress.update({key: max(progress[key], steps) for key in ("ready", "started")})
        progress["completed"] = max(progress["completed"], progress["processed"])
    batches = loop["epoch_loop.batch_progress"]
    is_validated = loop["epoch_loop.val_loop.batch_progress"]["total"]["ready"] > 0  # within this epoch
    if loop["epoch_progress"]["current"]["processed"] < steps and not is_validated:
        # Saved when a batch had been trained, or stopped before Lightning counted it.
        for progress in (batches["total"], batches["current"]):
            ready = progress["ready"]
            progress.update(started=ready, processed=ready, completed=ready - 1)
        batches["is_last_batch"] = True
        loop["epoch_loop.state_dict"]["_batches_that_stepped"] = steps - 1


def count_epochs(trainer: Trainer, epochs: int) -> None:
    """Tell the Trainer that the running step was `epochs` epochs with an optimizer step each, not one with none.

    Lightning will itself count one epoch and one batch; its manual optimisation counts optimizer steps only when they
    go through its wrapper, which costs more than the step. These are the counters behind `current_epoch`,
    `global_step`, the step of `self.log` and everything that a checkpoint says of progress.
    """
    loop = trainer.fit_loop
    for tracker in (loop.epoch_progress.total, loop.epoch_progress.current, loop.epoch_loop.batch_progress.total):
        for counter in COUNTERS:
            setattr(tracker, counter, getattr(tracker, counter) + epochs - 1)
    steps = loop.epoch_loop.manual_optimization.optim_step_progress
    for counted in (steps.total, steps.current):
        counted.ready += epochs
        counted.completed += epochs
    loop.epoch_loop._batches_that_stepped += epochs - 1
