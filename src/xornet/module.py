"""XORModule: the network, its loss, its optimizer and its training step, for Lightning."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from xornet import validation
from xornet.backprop import backpropagate
from xornet.batches import check_batch
from xornet.data import truth_table
from xornet.engine import scores
from xornet.engine.blocks import block_length, stop_request
from xornet.engine.compile_choice import check_compile
from xornet.engine.optimizers import check_optimizer
from xornet.engine.runner import GRADIENTS
from xornet.engine.schedulers import check_scheduler
from xornet.hooks import RunHooks
from xornet.network import Ensemble, layer_names
from xornet.resumption import restore_states


class XORModule(RunHooks):
    """N XORNets trained side by side by gradient descent on one truth table.

    The loss of network n is its mean squared error, L_n = (1/P) Σ_points (ŷ_n - y)², and a stock `torch.optim`
    optimizer steps every network down the gradient of its own loss. It uses Lightning's manual optimisation: one
    `training_step` runs a block of epochs (engine/blocks.py). `XORModule()` is the sheet's network and optimizer.

    Args:
        optimizer: makes the optimizer from the parameters, e.g. `partial(torch.optim.Adam, lr=0.01)`; None for the
            sheet's, gradient descent with learning rate 0.1, or after `load_from_checkpoint` the checkpoint's own.
        scheduler: makes a learning rate scheduler from the optimizer, which is stepped every epoch; None for none.
        bits: number of inputs.
        hidden: units of each hidden layer; [] for a single layer.
        activation: of the hidden layers: sigmoid, tanh, relu or another of ACTIVATIONS.
        init: None for nn.Linear's default, or r to draw weights and biases uniformly from ±r.
        tolerance: a point is correct when |ŷ - y| < tolerance.
        gradient: `backprop` (by hand) or `autograd` (`loss.backward()`).
        compile: whether `torch.compile` makes one function of an epoch: true, false, or auto (when it is worth it).
        networks: N.
        seed, initialisations: as in Ensemble.

    """

    def __init__(
        self,
        optimizer: Any = None,
        scheduler: Any = None,
        bits: int = 2,
        hidden: Sequence[int] = (4,),
        activation: str = "sigmoid",
        init: float | None = None,
        tolerance: float = 0.5,
        gradient: str = "backprop",
        compile: bool | str = "auto",
        networks: int = 1,
        seed: int = 0,
        initialisations: int | None = None,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        validation.choice("model.gradient", gradient, GRADIENTS)
        bits, hidden, init, tolerance = validation.plain((bits, hidden, init, tolerance))
        compile, networks, seed, initialisations = validation.plain((compile, networks, seed, initialisations))
        tolerance = validation.number("model.tolerance", tolerance, "use model.tolerance=0.5")
        self.ensemble = Ensemble(bits, hidden, activation, networks, seed, init, initialisations)
        self.layer_names, hidden = layer_names(hidden), list(hidden)  # a list, as in checkpoints
        self.has_own_optimizer = optimizer is not None
        self.optimizer = check_optimizer(optimizer or partial(torch.optim.SGD, lr=0.1))
        self.scheduler = check_scheduler(scheduler, self.optimizer) if scheduler else None
        check_compile(compile, gradient, self.optimizer, self.scheduler)
        self.save_hyperparameters(ignore=["optimizer", "scheduler"])
        self.set_training_table(*truth_table(bits))
        self.reset_history()

    def forward(self, x: Tensor) -> Tensor:
        """Map x (P, I) to every network's predictions (P, O, N)."""
        return self.ensemble(x)

    def configure_optimizers(self) -> tuple[list[Optimizer], list[LRScheduler | ReduceLROnPlateau]]:
        """The optimizer of all stacked weights, and its scheduler.

        An optimizer that updates each weight from that weight's own gradient steps N networks as it would step one.

        Raises:
            ValueError: the module was loaded from a checkpoint whose optimizer or scheduler is not in `torch.optim`.

        """
        if missing := [part for part in self.unknown_parts if vars(self)[part] is None]:
            raise ValueError(
                f"the {missing[0]} is not of torch.optim; use load_from_checkpoint(path, {missing[0]}=...)"
            )
        assert self.optimizer is not None
        optimizer = self.optimizer(self.ensemble.parameters())
        schedulers = [self.scheduler(optimizer)] if self.scheduler else []
        restore_states(self, [optimizer, *schedulers])  # if the Trainer continues a run
        return [optimizer], schedulers

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Run a block of epochs, each one as on the sheet: forward pass, loss, backpropagation, update.

        If the epochs are compiled, the body of this loop never runs: `runner.epochs` calls one compiled function of the
        same three steps for each epoch.

        Returns:
            the loss before the last update, over the networks the median. Callbacks find the block as `block`.

        """
        runner = self.runner
        assert runner is not None  # on_train_start has made it
        runner.schedules = self.schedules()
        # Inference mode switches off PyTorch's bookkeeping for autograd, which is not used here.
        with torch.inference_mode(self.hparams["gradient"] == "backprop"):
            for errors in runner.epochs(self.current_epoch, block_length(self.trainer), stop_request(self.trainer)):
                runner.forward(errors)  # writes ŷ - y into this buffer (P, O, N); the loss is its mean square
                runner.backward(errors)  # writes ∂L/∂W into the weights' .grad
                runner.update()  # the optimizer's step, with SGD W ← W - η ∂L/∂W
        self.record(runner.block)
        return torch.tensor(self.block.loss)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the scores of the networks on a table: `val/loss`, `val/accuracy`, `val/solved` (engine/scores.py)."""
        self.evaluate("val", batch, batch_idx)

    def test_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the same scores as `test/loss`, `test/accuracy`, `test/solved`."""
        self.evaluate("test", batch, batch_idx)

    def predict_step(self, batch: Any, batch_idx: int) -> Tensor:
        """Return the predictions (P, O, N) for x (P, I), or for the x of a batch x, y."""
        x: Tensor = batch if isinstance(batch, Tensor) else batch[0]
        self.check_inputs(x)
        return self(x.to(self.ensemble.weights[0].dtype))

    def evaluate(self, stage: str, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Log the scores of the networks on a table, x (P, I) and y (P, O), under the name of the stage."""
        x, y = check_batch(batch, batch_idx)
        errors = self.predict_step(x, 0) - y.to(self.x)[:, :, None]
        metrics = scores.summary(errors, self.history.tolerance)
        self.log_dict({f"{stage}/{name}": number for name, number in metrics.items()}, batch_size=len(errors))

    @torch.no_grad()
    def gradients(self, weights: list[Tensor]) -> list[Tensor]:
        """∂L/∂W of each layer (I + 1, H, N) at these weights of N networks."""
        return backpropagate(weights, self.x, self.y, self.ensemble.activation)[1]
