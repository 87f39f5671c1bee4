"""Lightning's progress counters, moved by a block of epochs at a time.

The only place that writes them. They are not documented (Lightning 2.6): tests/engine/test_progress.py compares them
with those of a stock run.
"""

from lightning.pytorch import Trainer


def begin_with_an_epoch(trainer: Trainer) -> None:
    """Have a run that is resumed between two epochs begin with an epoch.

    With max_steps, Lightning takes it for an epoch whose only batch has run, and would count that again.
    """
    loop, progress = trainer.fit_loop.epoch_loop, trainer.fit_loop.epoch_progress.current
    if loop.restarted_on_last and progress.completed == progress.ready:
        loop.restarting = False


def count_epochs(trainer: Trainer, epochs: int) -> None:
    """Tell the Trainer that the running step was `epochs` epochs with an optimizer step each, not one with none.

    Lightning will itself count one epoch and one batch; its manual optimisation counts optimizer steps only when they
    go through its wrapper, which costs more than the step. These are the counters behind `current_epoch`,
    `global_step`, the step of `self.log` and everything that a checkpoint says of progress.
    """
    loop = trainer.fit_loop
    for tracker in (loop.epoch_progress.total, loop.epoch_progress.current, loop.epoch_loop.batch_progress.total):
        for counter in ("ready", "started", "processed", "completed"):
            setattr(tracker, counter, getattr(tracker, counter) + epochs - 1)
    steps = loop.epoch_loop.manual_optimization.optim_step_progress
    for counted in (steps.total, steps.current):
        counted.ready += epochs
        counted.completed += epochs
    loop.epoch_loop._batches_that_stepped += epochs - 1
