"""The truth table that a module is trained on, and the errors of its networks on it."""

from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor

from xornet.batches import same_points
from xornet.data import point_names
from xornet.engine import scores
from xornet.engine.blocks import PRECISIONS
from xornet.engine.history import History
from xornet.network import Ensemble


class TableModule(LightningModule):
    """The part of XORModule that holds the truth table."""

    x: Tensor  # (P, I)
    y: Tensor  # (P, O)
    ensemble: Ensemble
    history: History

    def take_precision(self, precision: Any, is_fitting: bool) -> None:
        """Convert networks and table to `trainer.precision`; float32 would round a checkpoint that is loaded later."""
        dtype, now = PRECISIONS[precision], self.ensemble.weights[0].dtype
        if is_fitting and now not in (torch.float32, dtype):
            said = f"the networks are {now}, but trainer.precision={precision} trains {dtype}"
            raise ValueError(f"{said}; use Trainer(precision='64-true'), or module.float()")
        if is_fitting or dtype == torch.float64:
            self.to(dtype)

    def set_training_table(self, x: Tensor, y: Tensor) -> None:
        """Store the truth table, x (P, I) and y (P, O), on the device and in the precision of the networks."""
        self.check_inputs(x)
        for name, part in (("x", x), ("y", y)):
            rounded = part.to(self.ensemble.weights[0]).contiguous()
            if not rounded.isfinite().all():
                raise ValueError(f"a table must hold numbers that {rounded.dtype} has; use trainer.precision=64-true")
            self.register_buffer(name, rounded, persistent=False)

    def take_table(self, x: Tensor, y: Tensor) -> None:
        """Store the table of a new run; if the run continues, refuse a table with other points."""
        if not self.history.curve:
            self.set_training_table(x, y)
        elif not same_points((self.x, self.y), (x.to(self.x), y.to(self.y))):
            raise ValueError("this Trainer has trained the module on another table; use a new Trainer")

    def check_inputs(self, x: Tensor) -> None:
        """Refuse points x (P, I) whose number of inputs is not that of the networks."""
        if x.dim() != 2:
            raise ValueError(f"a batch must be x (P, I), got {tuple(x.shape)}; use DataLoader(x, batch_size=len(x))")
        if (bits := x.shape[1]) != self.hparams["bits"]:
            said = f"model.bits={self.hparams['bits']}, but the table has {bits} inputs"
            raise ValueError(f"{said}; use data.bits alone, or in Python XORModule(bits={bits})")

    @torch.no_grad()
    def predictions(self) -> Tensor:
        """The current predictions on the truth table, (P, O, N)."""
        predictions: Tensor = self(self.x)
        return predictions

    def errors(self) -> Tensor:
        """The current errors on the truth table, ŷ - y, (P, O, N)."""
        return self.predictions() - self.y[:, :, None]

    def monitored(self, errors: Tensor) -> dict[str, float]:
        """The metrics that callbacks can monitor, from ŷ - y (P, O, N): scores; of one network also predictions."""
        metrics = scores.summary(errors, self.history.tolerance)
        if len(self.ensemble) == 1:
            predictions = (errors[..., 0] + self.y).flatten().tolist()
            metrics |= zip((f"prediction_{name}" for name in point_names(self.x)), predictions, strict=True)
        return metrics
