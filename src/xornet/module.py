"""XORModule: the network, its loss, its optimizer and its training step, for Lightning."""

import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor
from torch.optim import Optimizer

from xornet import validation
from xornet.backprop import backpropagate
from xornet.checkpoint import check_resumable
from xornet.data import same_table, truth_table
from xornet.engine.blocks import PRECISIONS, block_length, check_trainer, count_epochs, run_length
from xornet.engine.compiled import check_compile, is_compiled
from xornet.engine.history import History
from xornet.engine.optimizers import check_optimizer, describe_optimizer
from xornet.engine.runner import GRADIENTS, EpochRunner
from xornet.engine.threads import set_threads
from xornet.network import Ensemble, layer_names
from xornet.schema import FORMAT, TIMES

LONGEST_BLOCK = 0.5  # seconds, before signals, max_time and the progress bar get their turn


class XORModule(LightningModule):
    """N XORNets trained side by side by gradient descent on one truth table.

    L_n = (1/P) Σ_points (ŷ_n - y)², and each network n takes the step of a stock `torch.optim` optimizer on its own
    L_n. Optimisation is manual, in Lightning's sense: one `training_step` is a block of epochs (see epochs.py).

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
        self.history = History(networks, tolerance)
        self.layers = layer_names(hidden)
        self.optimizer = check_optimizer(optimizer) if optimizer else None
        self.steps: EpochRunner | None = None
        self.began = time.perf_counter()
        self.earlier = dict.fromkeys(TIMES, 0.0)  # what the earlier parts of this run have taken
        self.compile_seconds = 0.0
        self.save_hyperparameters(ignore="optimizer")

    def set_table(self, x: Tensor, y: Tensor) -> None:
        """Keep the truth table, x (P, I) and y (P, O), where the networks are."""
        bits = x.shape[1]
        if bits != self.hparams["bits"]:
            raise ValueError(f"model.bits={self.hparams['bits']}, but the table has {bits} inputs; use data.bits alone")
        self.register_buffer("x", x, persistent=False)
        self.register_buffer("y", y, persistent=False)

    def setup(self, stage: str) -> None:
        """Take the truth table from the data module, its one batch, and space what is remembered."""
        self.began = time.perf_counter()
        check_trainer(self.trainer)
        (batch,) = vars(self.trainer)["datamodule"].train_dataloader()  # which fit sets, and nothing declares
        self.set_table(*batch)
        self.to(PRECISIONS[self.trainer.precision])  # before a checkpoint is loaded, which would be rounded otherwise
        self.history.set_length(run_length(self.trainer))
        set_threads(len(self.ensemble))

    def on_fit_start(self) -> None:
        """Keep what is remembered where the networks are."""
        self.history.to(self.device)

    def configure_optimizers(self) -> Optimizer:
        """The configured optimizer over all networks: any elementwise one steps N networks as it would step one."""
        if self.optimizer is None:
            raise ValueError("model.optimizer is None, which can evaluate but not train; use e.g. optimizer=sgd")
        return self.optimizer(self.ensemble.parameters())

    def forward(self, x: Tensor) -> Tensor:
        """Map x (P, I) to every network's predictions (P, O, N)."""
        return self.ensemble(x)

    def make_steps(self, x: Tensor, y: Tensor) -> EpochRunner:
        """The epochs of this run: forward pass, error, backpropagation, weight update (see steps.py)."""
        optimizer = self.optimizers(use_pl_optimizer=False)
        assert isinstance(optimizer, Optimizer)
        gradient = self.hparams["gradient"]
        compiles = is_compiled(self.hparams["compile"], gradient, len(self.ensemble), run_length(self.trainer))
        weights = list(self.ensemble.weights)
        return EpochRunner(weights, x, y, self.ensemble.activation, optimizer, self.history, gradient, compiles)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> dict[str, Any]:
        """Run epochs until somebody must look; callbacks get them as `outputs["block"]`, the last loss as "loss"."""
        if self.trainer.lr_scheduler_configs:  # which only a callback can have added
            raise ValueError("a learning rate scheduler is never stepped here; set param_groups in a callback instead")
        x, y = batch
        deadline = time.monotonic() + LONGEST_BLOCK
        # Inference mode spares each operation PyTorch's bookkeeping for a backward pass that never comes.
        with torch.inference_mode(self.hparams["gradient"] == "backprop"):
            self.steps = self.steps or self.make_steps(x, y)
            block = self.steps.run(
                self.current_epoch,
                block_length(self.trainer),
                lambda: self.trainer.should_stop or time.monotonic() > deadline,
            )
        self.steps.check_finite(block)
        self.history.record(block)
        count_epochs(self.trainer, block.length)
        # For callbacks that monitor them; the curves in TensorBoard are callbacks.metrics'.
        solved = (block.last.abs().amax((0, 1)) < self.history.tolerance).double().mean()
        self.log_dict({"train/loss": block.loss, "train/solved": solved}, on_step=False, on_epoch=True, logger=False)
        return {"block": block, "loss": torch.tensor(block.loss)}

    @torch.no_grad()
    def gradients(self, networks: int) -> list[Tensor]:
        """∂L/∂W of each layer at the present weights, of at most the first `networks` networks."""
        return backpropagate(self.ensemble.first(networks), self.x, self.y, self.ensemble.activation)[1]

    @torch.no_grad()
    def predictions(self) -> Tensor:
        """The networks' present predictions on the truth table, (P, O, N)."""
        return self(self.x)

    def note(self, epoch: int) -> None:
        """Note which networks solve the table, or have diverged, at the present, before the update of `epoch`."""
        error = self.predictions() - self.y[:, :, None]
        self.history.note(error[None], epoch)

    def times(self) -> dict[str, float]:
        """What the whole run has taken so far, with its earlier parts: `seconds`, of them `compile_seconds`."""
        compiling = self.steps.compile_seconds if self.steps else self.compile_seconds
        spent = time.perf_counter() - self.began, compiling
        return {name: self.earlier[name] + seconds for name, seconds in zip(TIMES, spent, strict=True)}

    def on_train_start(self) -> None:
        """Refuse what would be ignored: the hand-written gradient is not computed by autograd.

        Raises:
            ValueError: `trainer.detect_anomaly` is set.

        """
        if torch.is_anomaly_enabled() and self.hparams["gradient"] == "backprop":
            raise ValueError("trainer.detect_anomaly=true looks at autograd; use model.gradient=autograd with it")

    def on_train_end(self) -> None:
        """Note what the last update of all made of the networks."""
        self.note(self.current_epoch)
        self.compile_seconds = self.steps.compile_seconds if self.steps else 0.0
        self.steps = None  # its buffers

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what the run remembers, what it has taken, and what it was configured as."""
        checkpoint["xornet"] = FORMAT
        checkpoint["history"] = self.history.state_dict()
        checkpoint["times"] = self.times()
        if not same_table((self.x, self.y), truth_table(self.hparams["bits"])):
            checkpoint["table"] = [self.x.cpu(), self.y.cpu()]  # of a data module of your own
        assert self.optimizer is not None
        checkpoint["optimizer"] = describe_optimizer(self.optimizer)

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Go on with what the run remembers.

        Raises:
            ValueError: the checkpoint is of a run that was configured differently.

        """
        if self.optimizer is None:  # to evaluate it
            self.to(checkpoint["state_dict"]["ensemble.weights.0"].dtype)  # which is the run's trainer.precision
        else:
            check_resumable(checkpoint, self.trainer, dict(self.hparams), self.optimizer, (self.x, self.y))
        self.history.load_state_dict(checkpoint["history"])
        self.earlier = checkpoint["times"]
