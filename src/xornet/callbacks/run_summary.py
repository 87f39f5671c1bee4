"""The summary of a run in TensorBoard: question, configuration and verdict, and the HParams row."""

from pathlib import Path
from typing import Any

from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard import SummaryWriter
from torch.utils.tensorboard.summary import hparams

from xornet.callbacks.run_callback import RunCallback
from xornet.module import XORModule
from xornet.runs.events import EVENTS, ROW, writers
from xornet.runs.hyperparameters import hparams_row, hyperparameters
from xornet.runs.metrics import evaluate
from xornet.runs.resumed_logs import first_step
from xornet.runs.verdict import describe


class RunSummary(RunCallback):
    """Writes a summary in words and the HParams row of the run into TensorBoard.

    Args:
        question: the question that the run answers.

    """

    def __init__(self, question: str | None = None) -> None:
        self.question = question
        self.row: tuple[dict[str, Any], dict[str, float]] | None = None  # once the run has ended
        self.reset()

    def reset(self) -> None:
        """Forget what has been written."""
        self.blocks, self.has_begun = 0, False

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Forget the row of a run that failed before the row was written."""
        super().setup(trainer, pl_module, stage)
        self.row = None

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        """Write the summary so far after the first block, when the run's configuration is on disk."""
        assert isinstance(pl_module, XORModule)
        self.blocks += 1
        if self.blocks == 2:
            self.begin(trainer, pl_module)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Write the summary so far also for a run that is interrupted in its first block."""
        assert isinstance(pl_module, XORModule)
        self.begin(trainer, pl_module)

    def begin(self, trainer: Trainer, module: XORModule) -> None:
        """Write a summary without verdict, unless an earlier part of the run has."""
        if self.has_begun:
            return
        self.has_begun = True
        for logger in trainer.loggers:
            if isinstance(logger, TensorBoardLogger) and not first_step(logger):
                logger.experiment.add_text("run", self.summary(trainer, module), 0)

    def on_fit_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Write the whole summary and the final metrics; prepare the HParams row."""
        assert isinstance(pl_module, XORModule)
        self.begin(trainer, pl_module)
        results = evaluate(pl_module)
        ends = {f"final/{name}": results[name] for name in ("loss", "accuracy", "solved", "solved_epoch")}
        metrics = {name: float(value) for name, value in ends.items() if value is not None}
        self.row = hparams_row(hyperparameters(pl_module, trainer)), metrics
        verdict = describe(results, len(pl_module.ensemble), trainer.current_epoch)
        for logger in trainer.loggers:
            logger.log_metrics(metrics, trainer.current_epoch)
        for writer in writers(trainer):
            writer.add_text("run", self.summary(trainer, pl_module, verdict), trainer.current_epoch)

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Write the HParams row, after everything that other callbacks log at the end of the run."""
        for logger in trainer.loggers:
            if self.row and isinstance(logger, TensorBoardLogger):
                logger.experiment.flush()
                write_row(Path(logger.log_dir), *self.row)
        self.row = None

    def summary(self, trainer: Trainer, module: XORModule, verdict: str = "") -> str:
        """The question, the verdict, the hyperparameters, and the configuration as composed by Hydra, in Markdown."""
        composed = Path(trainer.default_root_dir, ".hydra", "config.yaml")
        configuration = composed.read_text("utf-8").partition("hydra:\n")[0] if composed.exists() else ""
        rows = [f"| {key} | `{value}` |" for key, value in hyperparameters(module, trainer).items()]
        parts = [
            f"### {self.question}" if self.question else "",
            "\n".join(f"- {line}" for line in verdict.splitlines()),
            "\n".join(["| key | value |", "|---|---|", *rows]),
            f"```yaml\n{configuration}```" if configuration else "",
        ]
        return "\n\n".join(part for part in parts if part)


def write_row(folder: Path, row: dict[str, Any], metrics: dict[str, float]) -> None:
    """Write the HParams row of a run into a separate event file, replacing that of an earlier part of the run.

    TensorBoard keeps the first row that it reads, but the run may have been extended. SummaryWriter.add_hparams would
    also write a list of columns, and TensorBoard would take the list of one run for all runs.
    """
    for old in folder.glob(f"{EVENTS}*{ROW}"):
        old.unlink()
    with SummaryWriter(str(folder), filename_suffix=ROW) as writer:
        for summary in hparams(row, metrics)[1:]:
            writer.file_writer.add_summary(summary)
