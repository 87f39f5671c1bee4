"""What Lightning calls around the steps of XORModule: the table, what computes the epochs, checkpoints."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback
from torch.optim.lr_scheduler import LRScheduler

from xornet import resumption
from xornet.batches import check_batch, check_same, only_batch
from xornet.engine import scores
from xornet.engine.assembly import make_runner
from xornet.engine.blocks import PRECISIONS, run_length
from xornet.engine.consistency import check_counts, check_end, check_kept
from xornet.engine.history import Block, History
from xornet.engine.optimizers import leave_inference_mode
from xornet.engine.progress import begin_with_an_epoch, count_epochs, end_with_an_update
from xornet.engine.requirements import check_monitors, check_trainer
from xornet.engine.runner import EpochRunner
from xornet.engine.schedulers import check_length
from xornet.engine.stopwatch import Stopwatch
from xornet.engine.subclasses import check_module, check_overrides
from xornet.engine.threads import set_threads
from xornet.table import TableModule


class RunHooks(TableModule):
    """The part of XORModule that the sheet does not have."""

    optimizer: "partial[Any] | None"  # None: loaded from a checkpoint of a class of your own
    scheduler: "partial[Any] | None"
    has_own_optimizer: bool  # whether the optimizer was given, else a checkpoint may say which
    lacks: tuple[str, ...] = ()  # which of the two a loaded checkpoint has of a class of your own
    stage: str | None = None  # of the Trainer: fit, validate, test, predict; None outside
    runner: EpochRunner | None = None
    is_to_stop = False  # whether a stop was asked for before the batch of this epoch
    earlier: Sequence[dict[str, Any]] = ()  # states of the optimizer and the scheduler of a Trainer that goes on
    made: Sequence[dict[str, Any]] = ()  # what these are made of

    def reset_history(self) -> None:
        """Forget an earlier run."""
        check_overrides(self)
        self.carried = dict[str, Any]()  # of an earlier part of the run, for a later one that has those callbacks again
        self.history = History(len(self.ensemble), self.hparams["tolerance"])
        self.stopwatch = Stopwatch()

    def configure_callbacks(self) -> list[Callback]:
        """Refuse a Trainer that cannot work, in the first hook that Lightning calls: before its own messages."""
        check_trainer(self.trainer)
        return []

    def setup(self, stage: str) -> None:
        """Take the precision of the Trainer and, to train, the table, which is the one batch of the training data."""
        self.stage = stage
        dtype, now = PRECISIONS[self.trainer.precision], self.ensemble.weights[0].dtype
        if stage == "fit" and now not in (torch.float32, dtype):
            said = f"the networks are {now}, but trainer.precision={self.trainer.precision} trains {dtype}"
            raise ValueError(f"{said}; use Trainer(precision='64-true'), or module.float()")
        if stage == "fit" or dtype == torch.float64:  # before a checkpoint is loaded, which it would round
            self.to(dtype)
        if stage == "fit":
            check_module(self)
            if self.trainer.current_epoch == self.trainer.global_step == 0:
                self.reset_history()
                self.earlier = ()
            else:  # a Trainer that goes on, or is given a checkpoint; Lightning makes optimizer and scheduler anew
                self.earlier = resumption.states(self.trainer)
            self.stopwatch.restart()
            self.trainer.fit_loop.setup_data()  # asks the data module, or takes the DataLoader that `fit` was given
            if self.trainer.enable_validation:
                self.trainer.fit_loop.epoch_loop.val_loop.setup_data()  # blocks end where it validates
            self.take_table(*only_batch(self.trainer.train_dataloader))
            self.history.set_length(run_length(self.trainer))
        set_threads(len(self.ensemble))

    def teardown(self, stage: str) -> None:
        """Leave the Trainer."""
        self.stage = None

    def __getstate__(self) -> dict[str, Any]:
        """What a copy or a file of the module holds: not what computes the epochs of a run."""
        return super().__getstate__() | {"runner": None}

    def on_train_start(self) -> None:
        """Make what computes the epochs, once the checkpoint is restored and every callback accepts the run."""
        begin_with_an_epoch(self.trainer)
        is_new = self.trainer.current_epoch == 0
        if self.earlier:
            check_counts(self.history.epochs, self.trainer.current_epoch, self.trainer.global_step)
            is_new = not resumption.go_on(self, self.earlier)
        self.made, self.earlier, self.is_to_stop = resumption.made_of(self), [], False
        is_endless = (self.trainer.max_epochs, self.trainer.max_steps) == (-1, -1)
        check_length(self.schedules(), None if is_endless else run_length(self.trainer))
        errors = self.errors()
        validated = [f"val/{name}" for name in scores.summary(errors, self.history.tolerance)]
        check_monitors(self.trainer, [f"train/{name}" for name in self.monitored(errors)], validated)
        self.runner = make_runner(self, is_new)
        self.runner.interrupt.defer(is_over=lambda: self.trainer.interrupted)

    def on_train_epoch_start(self) -> None:
        """Have a request to stop wait for this epoch's batch: Lightning would end the epoch without, and count it."""
        self.is_to_stop, self.trainer.should_stop = self.trainer.should_stop, False

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Refuse a batch that is not the table which the run was begun with, and what `check_kept` refuses."""
        assert self.runner is not None
        self.runner.interrupt.raise_pending()
        self.trainer.should_stop |= self.is_to_stop
        check_counts(self.history.epochs, self.trainer.current_epoch, self.trainer.global_step)
        check_kept(self.trainer.optimizers[0], self.ensemble, self.runner)
        check_same([part.to(self.x) for part in check_batch(batch, 0)], (self.x, self.y))

    def on_train_end(self) -> None:
        """Record which networks solve the table after the last update; leave nothing that autograd cannot use."""
        end_with_an_update(self.trainer)
        check_end(self.trainer)
        self.history.update_milestones(self.errors()[None], self.current_epoch)
        assert self.runner is not None
        leave_inference_mode(self.runner.optimizer)
        interrupt, self.runner = self.runner.interrupt, None
        interrupt.end()
        interrupt.raise_pending()

    def on_validation_model_zero_grad(self) -> None:
        """Keep the gradients, which are buffers that every epoch overwrites."""

    def schedules(self) -> list[tuple[LRScheduler, int]]:
        """The schedulers of the learning rate, and how many epochs a step of each is."""
        return [(each.scheduler, each.frequency) for each in self.trainer.lr_scheduler_configs]

    def record(self, block: Block) -> None:
        """Record a block that has been run, for the history, for Lightning, and for callbacks that monitor metrics.

        Raises:
            ValueError: no network is left, after the last block by its predictions then too.

        """
        assert self.runner is not None
        end = block.start + block.length
        errors = self.errors() if end >= run_length(self.trainer) else block.last_errors
        scores.check_finite(errors, self.runner.weights, self.history.diverged_epoch, end)
        self.history.record(block)
        count_epochs(self.trainer, block.length)
        # `self.log` takes 0.1 ms for each, longer than several epochs. Loggers get all from callbacks/metrics.py.
        metrics = {f"train/{name}": torch.tensor(value) for name, value in self.monitored(block.last_errors).items()}
        self.trainer.callback_metrics.update(metrics)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the run so far."""
        resumption.save(self, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue the run that a checkpoint holds, or show its networks; refuse what is damaged or differs."""
        self.earlier = ()
        resumption.load(self, checkpoint)
