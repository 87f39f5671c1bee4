"""Classes as a user adds them, in a package of their own."""

import random
from pathlib import Path
from typing import Any

import numpy
import torch
from lightning.pytorch import Callback, LightningDataModule, LightningModule, Trainer
from lightning.pytorch.loggers import Logger
from torch.utils.data import DataLoader, TensorDataset

from xornet import XORDataModule, XORModule, truth_table


class Unrelated(LightningModule):
    """Another module than XORModule."""


class Noisy(XORModule):
    """Adds noise to the weights before each epoch."""

    def __init__(self, sigma: float = 0.0, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.save_hyperparameters({"sigma": numpy.float64(sigma)})

    def on_train_epoch_start(self) -> None:
        super().on_train_epoch_start()
        with torch.no_grad():
            for weight in self.ensemble.weights:
                weight.add_(torch.randn_like(weight) * self.hparams["sigma"])


class Keeps(Callback):
    """Has a state that a checkpoint cannot hold, from an epoch on."""

    every_n_epochs = 10

    def __init__(self, epoch: int = 0) -> None:
        self.path: Path | None = None if epoch else Path("here")
        self.epoch = epoch

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        if trainer.current_epoch >= self.epoch:
            self.path = Path("here")

    def state_dict(self) -> dict[str, Any]:
        return {"path": self.path}


class Empty(Keeps):
    """Is false in a condition."""

    def __len__(self) -> int:
        return 0


class Unpicklable(Keeps):
    """Has a state that cannot be written."""

    def state_dict(self) -> dict[str, Any]:
        return {"rule": lambda: 1}


class Rooted(XORDataModule):
    """Has a hyperparameter that a checkpoint cannot hold."""

    def __init__(self, bits: int = 2) -> None:
        super().__init__(bits)
        self.save_hyperparameters({"root": Path("here")})


class Counted(XORDataModule):
    """Has hyperparameters and a state with a list from the configuration and numbers of NumPy's."""

    def __init__(self, bits: int = 2, points: list[int] = [], scale: float = numpy.float64(3)) -> None:  # noqa: B006
        super().__init__(bits)
        self.save_hyperparameters()
        self.loaded: dict[str, Any] = {}

    def state_dict(self) -> dict[str, Any]:
        return {"count": numpy.float64(1)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        print("loaded", state_dict, self.hparams)


class Scaled(XORDataModule):
    """Takes a part of the configuration, which it reads by attributes as Hydra gives it."""

    def __init__(self, part: Any, bits: int = 2) -> None:
        super().__init__(bits)
        self.save_hyperparameters()
        assert part.points[1] == 2


class Loader(DataLoader[Any]):
    """A DataLoader of the table."""

    def __init__(self, bits: int = 2) -> None:
        super().__init__(TensorDataset(*truth_table(bits)), batch_size=2**bits)


class Draws(Callback):
    """Keeps random numbers."""

    drawn: list[tuple[float, float, float]] = []  # noqa: RUF012, of all instances

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.drawn.append((torch.rand(1).item(), random.random(), numpy.random.random()))


class Late(LightningDataModule):
    """Makes its table in `setup`."""

    def __init__(self, bits: int = 2, points: int = 4) -> None:
        super().__init__()
        self.bits = bits

    def setup(self, stage: str) -> None:
        self.data = XORDataModule(self.bits)

    def train_dataloader(self) -> Any:
        return self.data.train_dataloader()


class Notes(Logger):
    """Notes the names of the calls."""

    name = version = "notes"
    calls: list[str] = []  # noqa: RUF012, of all instances

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append("hyperparams")

    def log_metrics(self, *args: Any, **kwargs: Any) -> None:
        self.calls.append("metrics")
