"""What a run is, in TensorBoard: its question, configuration and verdict, its graph and its HParams row."""

from pathlib import Path
from typing import Any

from lightning.pytorch import Callback, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from torch.utils.tensorboard.summary import hparams

from xornet.jobs import read_overrides
from xornet.module import XORModule
from xornet.results import describe, evaluate
from xornet.tensorboard import add_graph, is_continued, writers


class Card(Callback):
    """Writes a card in words, TensorBoard's graph of the network, and the HParams row of the run.

    Args:
        question: what the run asks.

    """

    def __init__(self, question: str | None = None) -> None:
        self.question = question

    def on_fit_start(self, trainer: Trainer, module: XORModule) -> None:
        """Write the graph, and the card without its verdict."""
        for writer in () if is_continued(trainer) else writers(trainer):
            add_graph(writer, module.hparams["bits"], tuple(module.hparams["hidden"]), module.hparams["activation"])
            writer.add_text("run", self.card(trainer, module), 0)

    def on_fit_end(self, trainer: Trainer, module: XORModule) -> None:
        """Write the whole card, and the HParams row: what a sweep may vary, and the final metrics."""
        results = evaluate(module)
        ends = {f"trained/{name}": results[name] for name in ("loss", "accuracy", "solved", "solved_epoch")}
        metrics = {name: float(value) for name, value in ends.items() if value is not None}
        known = hyperparameters(module, trainer)
        for logger in trainer.loggers:
            if not isinstance(logger, TensorBoardLogger):
                logger.log_hyperparams(known)
                continue
            verdict = describe(results, len(module.ensemble), trainer.current_epoch)
            logger.experiment.add_text("run", self.card(trainer, module, verdict), trainer.current_epoch)
            logger.hparams.update(known)  # for its hparams.yaml
            logger.log_metrics(metrics, trainer.current_epoch)
            # Without the list of columns that log_hyperparams writes: TensorBoard takes that of an arbitrary run for
            # all, where it would itself list the columns of every run, and those that differ first.
            for summary in hparams({key: plain(value) for key, value in known.items()}, metrics)[1:]:
                logger.experiment.file_writer.add_summary(summary)

    def card(self, trainer: Trainer, module: XORModule, verdict: str = "") -> str:
        """The question, the verdict, what was set, and the configuration as Hydra composed it, in Markdown."""
        composed = Path(trainer.default_root_dir, ".hydra", "config.yaml")
        rows = [f"| {key} | `{value}` |" for key, value in hyperparameters(module, trainer).items()]
        parts = [
            f"### {self.question}" if self.question else "",
            "\n".join(f"- {line}" for line in verdict.splitlines()),
            "\n".join(["| key | value |", "|---|---|", *rows]),
            f"```yaml\n{composed.read_text('utf-8')}```" if composed.exists() else "",
        ]
        return "\n\n".join(part for part in parts if part)


def plain(value: Any) -> bool | float | str:
    """The value, in words where it is no number."""
    return value if isinstance(value, bool | int | float) else str(value)


def hyperparameters(module: XORModule, trainer: Trainer) -> dict[str, Any]:
    """What a sweep may vary, by the keys of the configuration: what makes the networks, and all that was overridden."""
    assert module.optimizer is not None
    ours = {key if key in ("seed", "networks") else f"model.{key}": value for key, value in module.hparams.items()}
    ours["data.bits"] = ours.pop("model.bits")
    theirs = {f"optimizer.{key}": value for key, value in module.optimizer.keywords.items()}
    known = {"optimizer": module.optimizer.func.__name__, "trainer.max_epochs": trainer.max_epochs}
    return read_overrides(Path(trainer.default_root_dir)) | ours | theirs | known
