"""XORModule: the network, its loss, its optimizer and its training step, for Lightning."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import Callback, LightningModule
from torch import Tensor
from torch.optim import Optimizer

from xornet import validation
from xornet.backprop import backpropagate
from xornet.checkpoint import check_resumable
from xornet.data import same_table, truth_table
from xornet.engine import scores
from xornet.engine.blocks import PRECISIONS, block_length, run_length, stop_request
from xornet.engine.compiled import check_compile, is_compiled
from xornet.engine.history import History
from xornet.engine.optimizers import check_optimizer, describe_optimizer
from xornet.engine.progress import count_epochs
from xornet.engine.requirements import check_trainer
from xornet.engine.runner import GRADIENTS, EpochRunner
from xornet.engine.stopwatch import Stopwatch
from xornet.engine.threads import set_threads
from xornet.network import Ensemble, layer_names
from xornet.schema import FORMAT


class XORModule(LightningModule):
    """N XORNets trained side by side by gradient descent on one truth table.

    The loss of network n is its mean squared error, L_n = (1/P) Σ_points (ŷ_n - y)², and a stock `torch.optim`
    optimizer steps every network along the gradient of its own loss. Optimisation is manual, in Lightning's sense: one
    `training_step` is a block of epochs (engine/blocks.py).

    Args:
        optimizer: makes the optimizer from the parameters, e.g. `partial(torch.optim.SGD, lr=0.1)`; None to evaluate.
        bits: number of inputs.
        hidden: units of each hidden layer; [] for a single layer.
        activation: of the hidden layers: sigmoid, tanh or relu.
        init: None for nn.Linear's default, or r to draw weights and biases uniformly from ±r.
        tolerance: a point is correct when |ŷ - y| < tolerance.
        gradient: `backprop` (by hand) or `autograd` (`loss.backward()`).
        compile: whether `torch.compile` makes one function of an epoch: true, false, or auto (when it is worth it).
        networks: N.
        seed: network i starts as `torch.manual_seed(seed + i); XORNet()` would.

    """

    x: Tensor  # (P, I), the truth table; see set_table
    y: Tensor  # (P, O)

    def __init__(
        self,
        optimizer: partial[Any] | None = None,
        bits: int = 2,
        hidden: Sequence[int] = (4,),
        activation: str = "sigmoid",
        init: float | None = None,
        tolerance: float = 0.5,
        gradient: str = "backprop",
        compile: bool | str = "auto",
        networks: int = 1,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        validation.choice("model.gradient", gradient, GRADIENTS)
        check_compile(compile, gradient)
        validation.number("model.tolerance", tolerance, "use model.tolerance=0.5")
        self.ensemble = Ensemble(bits, hidden, activation, networks, seed, init)
        self.layers = layer_names(hidden)
        self.optimizer = check_optimizer(optimizer) if optimizer else None
        self.history, self.stopwatch = History(networks, tolerance), Stopwatch()
        self.runner: EpochRunner | None = None
        self.save_hyperparameters(ignore="optimizer")

    def forward(self, x: Tensor) -> Tensor:
        """Map x (P, I) to every network's predictions (P, O, N)."""
        return self.ensemble(x)

    def configure_optimizers(self) -> Optimizer:
        """The configured optimizer over all networks: any elementwise one steps N networks as it would step one."""
        if self.optimizer is None:
            raise ValueError("model.optimizer is None, which can evaluate but not train; use e.g. optimizer=sgd")
        return self.optimizer(self.ensemble.parameters())

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
        """Run a block of epochs, each one as on the sheet: forward pass, loss, backpropagation, update.

        Where epochs are compiled, the runner calls one function of these three lines itself, and yields nothing.

        Returns:
            `block`, for callbacks (engine/history.py), and the last `loss` as Lightning wants it.

        """
        runner = self.runner
        assert runner is not None  # on_train_start has made it
        # Inference mode spares each operation PyTorch's bookkeeping for a backward pass that never comes.
        with torch.inference_mode(self.hparams["gradient"] == "backprop"):
            for buffer in runner.epochs(self.current_epoch, block_length(self.trainer), stop_request(self.trainer)):
                runner.forward(buffer)  # writes ŷ - y, whose mean square is the loss, into the buffer
                runner.backward(buffer)  # writes ∂L/∂W into the weights' .grad
                runner.update()  # W ← W - η ∂L/∂W, or what the optimizer makes of it
        block = runner.block
        runner.check_finite(block)
        self.history.record(block)
        count_epochs(self.trainer, block.length)
        # For callbacks that monitor them; callbacks/metrics.py logs the curves in TensorBoard.
        solved = scores.solved(block.last, self.history.tolerance).double().mean()
        self.log_dict({"train/loss": block.loss, "train/solved": solved}, on_step=False, on_epoch=True, logger=False)
        return {"block": block, "loss": torch.tensor(block.loss)}

    def on_train_start(self) -> None:
        """Make what computes the epochs, once the checkpoint is restored and every callback accepts the run."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, Optimizer)
        gradient = self.hparams["gradient"]
        compiles = is_compiled(self.hparams["compile"], gradient, len(self.ensemble), run_length(self.trainer))
        with torch.inference_mode(gradient == "backprop"):
            self.runner = EpochRunner(
                self.ensemble, self.x, self.y, optimizer, self.history, gradient, compiles, self.stopwatch
            )

    def configure_callbacks(self) -> list[Callback]:
        """Refuse a Trainer that cannot work, in the first hook that Lightning calls: before its own messages."""
        check_trainer(self.trainer)
        return []

    def setup(self, stage: str) -> None:
        """Take the truth table, the one batch of the data module, and fit what depends on the run to it."""
        self.stopwatch.restart()
        (batch,) = getattr(self.trainer, "datamodule").train_dataloader()  # noqa: B009 - Lightning sets it without declaring it
        self.set_table(*batch)
        self.to(PRECISIONS[self.trainer.precision])  # before a checkpoint is loaded, which would be rounded otherwise
        self.history.set_length(run_length(self.trainer))
        set_threads(len(self.ensemble))

    def set_table(self, x: Tensor, y: Tensor) -> None:
        """Keep the truth table, x (P, I) and y (P, O), where the networks are."""
        bits = x.shape[1]
        if bits != self.hparams["bits"]:
            raise ValueError(f"model.bits={self.hparams['bits']}, but the table has {bits} inputs; use data.bits alone")
        self.register_buffer("x", x, persistent=False)
        self.register_buffer("y", y, persistent=False)

    def on_train_end(self) -> None:
        """Record which networks solve the table after the last update; free the buffers."""
        self.history.update_milestones(self.errors()[None], self.current_epoch)
        self.runner = None

    @torch.no_grad()
    def gradients(self, networks: int) -> list[Tensor]:
        """∂L/∂W of each layer at the present weights, of at most the first `networks` networks."""
        return backpropagate(self.ensemble.first(networks), self.x, self.y, self.ensemble.activation)[1]

    @torch.no_grad()
    def predictions(self) -> Tensor:
        """The networks' present predictions on the truth table, (P, O, N)."""
        return self(self.x)

    def errors(self) -> Tensor:
        """How far the predictions are from their targets now, ŷ - y, (P, O, N)."""
        return self.predictions() - self.y[:, :, None]

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the history of the run, the seconds that it has taken, its table and its optimizer."""
        checkpoint["xornet"] = FORMAT
        checkpoint["history"] = self.history.state_dict()
        checkpoint["times"] = self.stopwatch.times()
        if not same_table((self.x, self.y), truth_table(self.hparams["bits"])):
            checkpoint["table"] = [self.x.cpu(), self.y.cpu()]  # of a data module of your own
        assert self.optimizer is not None
        checkpoint["optimizer"] = describe_optimizer(self.optimizer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Continue from what the run has recorded.

        Raises:
            ValueError: the checkpoint is of a run that was configured differently.

        """
        if self.optimizer is None:  # to evaluate it
            self.to(checkpoint["state_dict"]["ensemble.weights.0"].dtype)  # which is the run's trainer.precision
        else:
            check_resumable(checkpoint, self.trainer, dict(self.hparams), self.optimizer, (self.x, self.y))
        self.history.load_state_dict(checkpoint["history"])
        self.stopwatch.earlier = checkpoint["times"]
