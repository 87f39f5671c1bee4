"""The logger for MLflow, which writes with each checkpoint and at the end of a run."""

import os
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock
from lightning.pytorch.loggers import MLFlowLogger as LightningMLFlowLogger

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # before MLflow is imported: no command uses the network
BATCH = 1000  # metrics that MLflow accepts at once
SQLITE = "sqlite:///"


class MLFlowLogger(LightningMLFlowLogger):
    """Lightning's MLFlowLogger, which here writes many rows at once: one by one they take longer than training.

    A run that continues logs nothing twice: it asks MLflow for the last step of each metric.

    Args:
        tracking_uri: a server, or a database file: `sqlite:///<path>`.
        **kwargs: of Lightning's.

    """

    def __init__(self, tracking_uri: str, **kwargs: Any) -> None:
        self.database = Path(tracking_uri.removeprefix(SQLITE)) if tracking_uri.startswith(SQLITE) else None
        if self.database:
            self.database.parent.mkdir(parents=True, exist_ok=True)
        with self.alone():
            super().__init__(tracking_uri=tracking_uri, **kwargs)
        self.rows: list[dict[str, Any]] = []  # not written yet
        self.held: dict[str, int] = {}  # the last step of each metric in MLflow, -1 for none
        self.first_step = 0  # the first step that is not in MLflow, if the run continues (trackers.py)
        if kwargs.get("run_id") and self.experiment.get_run(self.run_id).info.lifecycle_stage == "deleted":
            restore = f"mlflow runs restore --run-id {self.run_id}"
            raise ValueError(f"its run has been deleted in MLflow; restore it ({restore})")

    @property
    def experiment(self) -> Any:
        """MLflow's client."""
        with self.alone():
            return super().experiment

    def alone(self) -> AbstractContextManager[object]:
        """Lock the database: two processes that create it at the same time fail."""
        return FileLock(f"{self.database}.lock") if self.database else nullcontext()

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep numbers until `save`."""
        row = {"timestamp": int(time.time() * 1000), "step": step or 0}
        self.rows += [{"key": name, "value": float(value), **row} for name, value in metrics.items()]

    def log_hyperparams(self, params: Any) -> None:
        """Log hyperparameters; those that MLflow already has are kept, because it lets none be changed."""
        known = self.experiment.get_run(self.run_id).data.params
        super().log_hyperparams({name: value for name, value in params.items() if name not in known})

    def save(self) -> None:
        """Write the numbers that have been kept."""
        from mlflow.entities import Metric  # noqa: PLC0415 - an extra that other runs do not need

        self.rows = [row for row in self.rows if row["step"] > self.last_step(row["key"])]
        while self.rows:
            batch = [Metric(**row) for row in self.rows[:BATCH]]
            self.experiment.log_batch(self.run_id, metrics=batch)
            del self.rows[:BATCH]

    def last_step(self, key: str) -> int:
        """The last step of a metric that an earlier part of the run has logged, -1 for none."""
        if key not in self.held:
            earlier = self.experiment.get_metric_history(self.run_id, key) if self.first_step else []
            self.held[key] = max((metric.step for metric in earlier), default=-1)
        return self.held[key]

    def finalize(self, status: str = "success") -> None:
        """End the run; if it has failed, ignore a server that cannot be reached, which is not the cause."""
        with suppress(*([Exception] if status == "failed" else [])):
            self.save()
            super().finalize(status)
