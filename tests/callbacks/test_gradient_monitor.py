from functools import partial
from pathlib import Path

import events
import numpy as np
import pytest
import torch
from conftest import fit
from lightning.pytorch import Callback
from lightning.pytorch.loggers import TensorBoardLogger

from xornet.callbacks.gradient_monitor import GradientMonitor, norm
from xornet.data import XORDataModule
from xornet.module import XORModule

MOMENTUM = partial(torch.optim.SGD, lr=0.1, momentum=0.9)


class Often(Callback):
    """Ends blocks where no other callback does."""

    every_n_epochs = 7


def weights_after(folder: Path, epochs: int) -> list[np.ndarray]:
    _, module = fit(folder, epochs, optimizer=MOMENTUM, networks=3, seed=5)
    return [weight.detach().numpy() for weight in module.ensemble.weights]


def test_the_update_ratio_is_the_mean_length_of_the_optimizers_own_step_to_that_of_the_weights(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, "", "")
    monitor = GradientMonitor(every_n_epochs=10, histogram_every_n_epochs=20)
    quiet = {"logger": logger, "log_every_n_steps": 1}
    fit(tmp_path, 30, [monitor, Often()], optimizer=MOMENTUM, trainer=quiet, networks=3, seed=5)
    for layer, name in enumerate(("hidden", "output")):
        ratios = events.scalar(tmp_path, f"update/ratio/{name}")
        assert list(ratios) == [9, 19, 29]  # the update of these epochs
        assert list(events.scalar(tmp_path, f"update/gradient_norm/{name}")) == [0, 10, 20, 30]
        for epoch, ratio in ratios.items():
            before, after = (weights_after(tmp_path, epoch + more)[layer] for more in (0, 1))
            lengths = [np.linalg.norm((after - before)[..., i]) / np.linalg.norm(before[..., i]) for i in range(3)]
            assert ratio == pytest.approx(np.mean(lengths), rel=1e-3)


def test_a_norm_is_that_of_numbers_whose_squares_single_precision_does_not_hold(tmp_path: Path) -> None:
    layer = torch.tensor([[[3e25, 3e-30, 3.0]], [[4e25, 4e-30, 4.0]]])  # (2, 1, N)
    assert norm(layer).tolist() == pytest.approx([5e25, 5e-30, 5.0])
    logger = TensorBoardLogger(tmp_path, "", "")
    quiet = {"logger": logger, "log_every_n_steps": 1}
    fit(tmp_path, 3, [GradientMonitor(1, 20)], trainer=quiet, init=0)
    logged = events.read(tmp_path).Tags()["scalars"]
    assert "update/gradient_norm/output" in logged
    assert "update/ratio/output" not in logged  # of weights that are 0, and stay so


def test_a_trainer_that_continues_logs_no_step_twice(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, "", "")
    trainer, module = fit(tmp_path, 20, [GradientMonitor(10, 20)], trainer={"logger": logger, "log_every_n_steps": 1})
    trainer.fit_loop.max_epochs = 40
    trainer.fit(module, XORDataModule())
    logged = [event.step for event in events.read(tmp_path).Scalars("update/gradient_norm/hidden")]
    assert logged == [0, 10, 20, 30, 40]


def test_histograms_are_of_the_weights_and_of_their_gradients(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, "", "")
    _, module = fit(
        tmp_path, 30, [GradientMonitor(10, 30)], trainer={"logger": logger, "log_every_n_steps": 1}, networks=3, seed=5
    )
    log = events.read(tmp_path)
    for layer, name in enumerate(module.layer_names):
        for group, values in (
            ("weights", module.ensemble.weights[layer]),
            ("weights_gradients", module.gradients(module.ensemble.weights_of_first(3))[layer]),
        ):
            start, end = log.Histograms(f"{group}/{name}")
            assert (start.step, end.step) == (0, 30)
            numbers = end.histogram_value
            assert numbers.num == values.numel() == sum(numbers.bucket)
            assert len(numbers.bucket) <= 31  # thirty, and an empty one before them
            assert numbers.sum == pytest.approx(values.sum().item(), rel=1e-4)
            assert (numbers.min, numbers.max) == pytest.approx((values.min().item(), values.max().item()), rel=1e-5)


def test_a_histogram_leaves_out_what_is_not_finite_and_nothing_else(tmp_path: Path) -> None:
    logger = TensorBoardLogger(tmp_path, "", "")
    trainer, module = fit(tmp_path, 10, trainer={"logger": logger, "log_every_n_steps": 1})
    monitor = GradientMonitor(10, 10)
    monitor.setup(trainer, module, "fit")
    with torch.no_grad():
        module.ensemble.weights[0][:2, 0, 0] = torch.tensor([torch.nan, 1e30])
    monitor.log_state(trainer, module, 10, module.ensemble.weights_of_first(1))
    logger.experiment.close()
    (hidden,) = events.read(tmp_path).Histograms("weights/hidden")
    assert hidden.histogram_value.num == module.ensemble.weights[0].numel() - 1
    assert hidden.histogram_value.max == pytest.approx(1e30)


def test_a_gradient_is_that_of_the_first_networks_alone() -> None:
    module = XORModule(networks=4, seed=2)
    module.set_training_table(torch.tensor([[0.0, 0], [0, 1], [1, 0], [1, 1]]), torch.tensor([[0.0], [1], [1], [0]]))
    for some, every in zip(
        *(module.gradients(module.ensemble.weights_of_first(networks)) for networks in (2, 4)), strict=True
    ):
        assert torch.allclose(some, every[..., :2], rtol=0, atol=1e-8)
