"""Lightning's hooks of XORModule: they prepare the table and the epoch runner, and save and load checkpoints."""

from collections.abc import Sequence
from functools import partial
from typing import Any
from weakref import ref

import torch
from lightning.pytorch import Callback, Trainer
from torch.optim.lr_scheduler import LRScheduler

from xornet import resumption
from xornet.batches import check_batch, check_same, draw_alone, only_batch
from xornet.engine import scores
from xornet.engine.assembly import make_runner
from xornet.engine.blocks import run_length
from xornet.engine.consistency import check_counts, check_end, check_kept
from xornet.engine.history import Block, History
from xornet.engine.optimizers import copy_gradients, leave_inference_mode
from xornet.engine.progress import correct_counters, count_epochs, drop_unfinished_epoch
from xornet.engine.requirements import check_monitors, check_trainer
from xornet.engine.runner import EpochRunner
from xornet.engine.schedulers import check_length
from xornet.engine.stopwatch import Stopwatch
from xornet.engine.subclasses import check_loss, check_module, check_overrides
from xornet.engine.threads import set_threads
from xornet.table import TableModule


class RunHooks(TableModule):
    """Lightning's hooks of XORModule."""

    optimizer: "partial[Any] | None"  # None: in a checkpoint, not of torch.optim
    scheduler: "partial[Any] | None"
    has_own_optimizer: bool  # whether the optimizer was an argument; else load_from_checkpoint sets it
    unknown_parts: tuple[str, ...] = ()  # which of the two the loaded checkpoint has, but not of torch.optim
    stage: str | None = None  # of the Trainer: fit, validate, test, predict; None outside
    runner: EpochRunner | None = None
    fitted_by: "ref[Trainer] | None" = None  # the Trainer that has trained the networks last
    threads: int | None = None  # that PyTorch had before
    drawing: Sequence[Any] = ()  # the user's DataLoader and sampler, while they have a generator of the run
    is_to_stop = False  # whether a stop was requested before this epoch's batch
    saved_states: Sequence[dict[str, Any]] = ()  # of the optimizer and the scheduler, when a Trainer continues
    descriptions: Sequence[dict[str, Any]] = ()  # classes and arguments of the two
    has_new_optimizer = False  # whether others were chosen since the Trainer that continues made its last step

    def reset_history(self) -> None:
        """Discard the record of an earlier run."""
        check_overrides(self)
        self.carried = dict[str, Any]()  # data of callbacks in the loaded checkpoint, for the next checkpoint
        self.history = History(len(self.ensemble), self.hparams["tolerance"])
        self.stopwatch = Stopwatch()

    def configure_callbacks(self) -> list[Callback]:
        """Refuse a Trainer that cannot work; here, because Lightning calls this hook first, before its own messages."""
        check_trainer(self.trainer)
        return []

    def setup(self, stage: str) -> None:
        """Take the precision of the Trainer and, for `fit`, the table, which is the only batch of the training data."""
        self.stage = stage
        self.take_precision(self.trainer.precision, stage == "fit")
        if stage == "fit":
            check_module(self)
            is_new = self.trainer.current_epoch == self.trainer.global_step == 0
            if is_new:
                self.reset_history()
                self.fitted_by = ref(self.trainer)
            # Of a Trainer that continues: Lightning is about to call configure_optimizers again.
            self.saved_states = () if is_new else resumption.states(self.trainer)
            self.stopwatch.start()
            self.trainer.fit_loop.setup_data()  # from the data module, or from the DataLoader given to `fit`
            if self.trainer.enable_validation:
                self.trainer.fit_loop.epoch_loop.val_loop.setup_data()  # blocks end where validation is due
            self.drawing = [*self.drawing, *draw_alone(self.trainer.train_dataloader)]
            self.take_table(*only_batch(self.trainer.train_dataloader))
            self.history.set_length(run_length(self.trainer))
        self.threads = self.threads or torch.get_num_threads()
        set_threads(len(self.ensemble))

    def teardown(self, stage: str) -> None:
        """Leave the Trainer."""
        self.stage = None
        self.stopwatch.stop()
        for part in self.drawing:
            part.generator = None
        self.drawing = ()
        if self.threads:
            torch.set_num_threads(self.threads)
        self.threads = None

    def __getstate__(self) -> dict[str, Any]:
        """The state for copying and pickling, without the epoch runner and the Trainer."""
        return super().__getstate__() | {"runner": None, "fitted_by": None, "drawing": ()}

    def on_train_start(self) -> None:
        """Make the epoch runner; the checkpoint is restored now, and every callback has accepted the run."""
        correct_counters(self.trainer)
        self.is_to_stop = False
        is_endless = (self.trainer.max_epochs, self.trainer.max_steps) == (-1, -1)
        check_length(self.schedules(), None if is_endless else run_length(self.trainer))
        errors = self.errors()
        validated = [f"val/{name}" for name in scores.summary(errors, self.history.tolerance)]
        check_monitors(self.trainer, [f"train/{name}" for name in self.monitored(errors)], validated)
        self.runner = make_runner(self, is_new=self.has_new_optimizer or self.trainer.current_epoch == 0)
        self.runner.interrupt.defer(is_over=lambda: self.trainer.interrupted)

    def on_train_epoch_start(self) -> None:
        """Delay a stop request until this epoch's batch: Lightning would skip the batch, but count the epoch."""
        self.is_to_stop, self.trainer.should_stop = self.trainer.should_stop, False

    def on_train_batch_start(self, batch: Any, batch_idx: int) -> None:
        """Refuse a batch other than the table of the run, and optimizers, networks or weights that were replaced."""
        assert self.runner is not None
        self.runner.interrupt.raise_pending()
        self.trainer.should_stop |= self.is_to_stop
        check_counts(self.history.epochs, self.trainer.current_epoch, self.trainer.global_step)
        check_kept(self.trainer.optimizers[0], self.ensemble, self.runner)
        check_same([part.to(self.x) for part in check_batch(batch, 0)], (self.x, self.y))

    def on_train_batch_end(self, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Refuse a subclass that returns another loss."""
        check_loss(self, outputs, self.block.loss)

    @property
    def block(self) -> Block:
        """The last block of epochs that has been run; only while the module is trained."""
        if self.runner is None:
            raise AttributeError("block")
        return self.runner.block

    def on_train_end(self) -> None:
        """Record which networks solve the table after the last update; convert what autograd could not use."""
        drop_unfinished_epoch(self.trainer)
        check_end(self.trainer)
        self.history.update_milestones(self.errors()[None], self.current_epoch)
        assert self.runner is not None
        leave_inference_mode(self.runner.optimizer)
        interrupt, self.runner = self.runner.interrupt, None
        interrupt.end()
        interrupt.raise_pending()

    def schedules(self) -> list[tuple[LRScheduler, int]]:
        """The learning rate schedulers, each with the number of epochs between its steps."""
        return [(each.scheduler, each.frequency) for each in self.trainer.lr_scheduler_configs]

    def record(self, block: Block) -> None:
        """Record a block that has run: in the history, in Lightning's counters, and for callbacks that monitor metrics.

        Raises:
            ValueError: all networks have diverged; after the last block the final predictions count too.

        """
        assert self.runner is not None
        end = block.start + block.length
        errors = self.errors() if end >= run_length(self.trainer) else block.last_errors
        scores.check_finite(errors, self.runner.weights, self.history.diverged_epoch, end)
        self.history.record(block)
        self.stopwatch.lap()
        copy_gradients(self.parameters())  # callbacks may keep them
        self.has_new_optimizer = False
        count_epochs(self.trainer, block.length)
        # `self.log` takes 0.1 ms per metric, as long as several epochs. callbacks/metrics.py writes to the loggers.
        metrics = {f"train/{name}": torch.tensor(value) for name, value in self.monitored(block.last_errors).items()}
        self.trainer.callback_metrics.update(metrics)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the history of the run and what it was configured with."""
        resumption.save(self, checkpoint)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Load a checkpoint, to continue its run or to evaluate its networks; refuse what is damaged or differs."""
        self.saved_states = ()
        resumption.load(self, checkpoint)
        if self.stage == "fit":
            self.fitted_by = ref(self.trainer)
