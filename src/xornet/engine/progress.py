"""Lightning's progress counters, advanced by a block of epochs at a time.

Nothing else writes them. They are not documented (Lightning 2.6); tests/engine/test_progress.py compares them with
those of a stock run.
"""

from typing import Any

from lightning.pytorch import Trainer

COUNTERS = ("ready", "started", "processed", "completed")


def correct_counters(trainer: Trainer) -> None:
    """Correct the counters when a fit begins.

    With max_steps, Lightning takes a run resumed between two epochs for one resumed within an epoch, and would count
    that epoch twice. After a stop between the start of an epoch and its update, it has counted one epoch too many.
    """
    loop, progress = trainer.fit_loop.epoch_loop, trainer.fit_loop.epoch_progress.current
    if loop.restarted_on_last and progress.completed == progress.ready:
        loop.restarting = False
    if trainer.current_epoch == trainer.global_step:
        set_counters_to_updates(trainer)


def drop_unfinished_epoch(trainer: Trainer) -> None:
    """Do not count an epoch that a stop request ended before its update."""
    if trainer.should_stop and trainer.current_epoch == trainer.global_step + 1:
        set_counters_to_updates(trainer)


def set_counters_to_updates(trainer: Trainer) -> None:
    """Set the counts of epochs and batches to the number of updates."""
    epochs = trainer.fit_loop.epoch_progress
    for tracker in (trainer.fit_loop.epoch_loop.batch_progress.total, epochs.current, epochs.total):
        for counter in COUNTERS:
            setattr(tracker, counter, trainer.global_step)


def correct_loop_state(loop: dict[str, Any], steps: int) -> None:
    """Correct the saved state of a fit loop, so that Lightning resumes from it without counting an epoch twice.

    Args:
        loop: from `fit_loop.state_dict()`.
        steps: the number of updates that the networks have had.

    """
    batches = loop["epoch_loop.batch_progress"]
    if batches["total"]["processed"] == steps < batches["total"]["ready"]:
        # Saved when a batch was broken off before its update, as while compiling: as if it had not begun.
        for progress in loop["epoch_progress"].values():
            progress.update(dict.fromkeys(progress, steps))
        batches["total"].update(dict.fromkeys(batches["total"], steps))
        batches["current"].update(dict.fromkeys(batches["current"], min(steps, 1)))
        batches["is_last_batch"] = steps > 0
        loop["epoch_loop.state_dict"]["_batches_that_stepped"] = steps
    for progress in loop["epoch_progress"].values():
        if progress["processed"] > steps:  # a stop request has ended an epoch before its batch
            progress.update(dict.fromkeys(progress, steps))
        # Lightning begins no epoch when it resumes within one; and the state may have been saved at an epoch's end.
        progress.update({key: max(progress[key], steps) for key in ("ready", "started")})
        progress["completed"] = max(progress["completed"], progress["processed"])
    is_validated = loop["epoch_loop.val_loop.batch_progress"]["total"]["ready"] > 0  # within this epoch
    if loop["epoch_progress"]["current"]["processed"] < steps and not is_validated:
        # Saved after the update of a batch, but before Lightning counted the batch.
        for progress in (batches["total"], batches["current"]):
            ready = progress["ready"]
            progress.update(started=ready, processed=ready, completed=ready - 1)
        batches["is_last_batch"] = True
        loop["epoch_loop.state_dict"]["_batches_that_stepped"] = steps - 1


def count_epochs(trainer: Trainer, epochs: int) -> None:
    """Count the current training step as `epochs` epochs with one update each.

    Lightning itself counts one epoch and one batch per training step; in manual optimisation it counts an update only
    if it goes through its wrapper, which takes longer than the update. These counters are behind `current_epoch`,
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
