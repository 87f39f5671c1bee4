"""What a run is, in TensorBoard: its question, configuration and verdict, its graph and its HParams row."""

import math
from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

from xornet.module import XORModule
from xornet.runs.events import add_graph, is_continued, writers
from xornet.runs.hyperparameters import hparams_row, hyperparameters
from xornet.runs.metrics import describe, evaluate


class RunSummary(Callback):
    """Writes a card in words, TensorBoard's graph of the network, and the HParams row of the run.

    Args:
        question: what the run asks.

    """

    every_n_epochs = math.inf  # the first block is all that it needs

    def __init__(self, question: str | None = None) -> None:
        self.question = question
        self.blocks = 0

    def on_train_batch_start(self, trainer: Trainer, module: XORModule, batch: Any, batch_idx: int) -> None:
        """Write the graph, and the card without its verdict: after a block, when the run's configuration is on disk."""
        self.blocks += 1
        if self.blocks == 2:
            self.begin(trainer, module)

    def begin(self, trainer: Trainer, module: XORModule) -> None:
        """Write the graph and a card without its verdict, unless an earlier part of the run has."""
        for writer in () if is_continued(trainer) else writers(trainer):
            add_graph(writer, module.hparams["bits"], tuple(module.hparams["hidden"]), module.hparams["activation"])
            writer.add_text("run", self.card(trainer, module), 0)

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Write the whole card, and the HParams row: what a sweep may vary, and the final metrics."""
        if self.blocks < 2:
            self.begin(trainer, module)
        results = evaluate(module)
        ends = {f"final/{name}": results[name] for name in ("loss", "accuracy", "solved", "solved_epoch")}
        metrics = {name: float(value) for name, value in ends.items() if value is not None}
        known = hyperparameters(module, trainer)
        verdict = describe(results, len(module.ensemble), trainer.current_epoch)
        for logger in (logger for logger in trainer.loggers if isinstance(logger, TensorBoardLogger)):
            logger.experiment.add_text("run", self.card(trainer, module, verdict), trainer.current_epoch)
            logger.log_metrics(metrics, trainer.current_epoch)
            # Without the list of columns that log_hyperparams writes: TensorBoard takes that of an arbitrary run for
            # all, where it would itself list the columns of every run, and those that differ first.
            for summary in hparams(hparams_row(known), metrics)[1:]:
                logger.experiment.file_writer.add_summary(summary)

    def card(self, trainer: Trainer, module: XORModule, verdict: str = "") -> str:
        """The question, the verdict, what was set, and the configuration as Hydra composed it, in Markdown."""
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
