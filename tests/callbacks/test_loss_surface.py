from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import Command, fit
from oracle import X, Y

from xornet.callbacks.loss_surface import LossSurface, row_losses
from xornet.engine.curve import CURVE_POINTS
from xornet.plots.loss_surface import MARKS, grid_around, loss_surface, marks
from xornet.plots.principal import principal_plane

ADAM = partial(torch.optim.Adam, lr=0.05)


def test_the_plane_of_a_flat_trajectory_holds_all_of_it() -> None:
    angle = np.linspace(0, 3, 50)
    bent = (
        np.c_[5 * np.cos(angle), 2 * np.sin(angle)] @ np.linalg.qr(np.random.default_rng(0).normal(size=(17, 2)))[0].T
    )
    found = principal_plane(bent + 1)
    np.testing.assert_allclose(found.places @ found.directions + found.centre, bent + 1, atol=1e-12)
    spread = np.linalg.svd(bent - bent.mean(0), compute_uv=False)[:2] ** 2
    shares = [f"({share:.1%} of the variance)" for share in spread / spread.sum()]
    assert [label[label.index("(") :] for label in found.labels] == shares
    first, second = grid_around(found.places, 11)
    for ticks, place in ((first, found.places[:, 0]), (second, found.places[:, 1])):
        assert ticks[0] < place.min() < place.max() < ticks[-1]
    assert np.ptp(first) == pytest.approx(np.ptp(second))  # a step is as long in both directions


def test_the_losses_are_those_of_the_networks_that_stand_there(tmp_path: Path) -> None:
    callback = LossSurface()
    _, module = fit(tmp_path, 60, [callback], optimizer=ADAM, seed=1)
    weights = torch.stack(list(callback.trajectory.values())).double().numpy()
    found = principal_plane(weights)
    first = np.array([-1.0, 0.0, 2.0])
    losses = row_losses(module, found, first, 0.5)
    for along, loss in zip(first, losses, strict=True):
        flat = torch.from_numpy(found.centre + along * found.directions[0] + 0.5 * found.directions[1]).float()
        net = module.ensemble.network(0)
        hidden, output = flat[:12].reshape(3, 4), flat[12:].reshape(5, 1)
        state = {
            "hidden.weight": hidden[:-1].T,
            "hidden.bias": hidden[-1],
            "output.weight": output[:-1].T,
            "output.bias": output[-1],
        }
        net.load_state_dict(state)
        assert loss == pytest.approx(torch.nn.MSELoss()(net(X), Y).item(), rel=1e-5)


def test_the_marks_are_the_ends_of_the_trajectory_and_places_about_as_far_apart() -> None:
    trajectory = np.c_[np.linspace(0, 10, 1001) ** 2, np.zeros(1001)]
    chosen = marks(trajectory, np.arange(1001.0))
    assert len(chosen) == MARKS
    assert [chosen[0][1], chosen[-1][1]] == [0, 1000]
    steps = np.diff([place[0] for place, _ in chosen])
    assert steps.min() > 0.8 * steps.max()
    assert [epoch for _, epoch in marks(np.ones((5, 2)).cumsum(0)[[0, 1, 1, 1, 1]], np.arange(5.0))] == [0, 4]


@pytest.mark.further
def test_a_surface_is_drawn_when_asked_for_and_its_axes_say_what_they_show(command: Command) -> None:
    run = command("callbacks=loss_surface", "trainer.max_epochs=50")
    assert (run.folder / "loss_surface.png").read_bytes().startswith(b"\x89PNG")
    without = command("trainer.max_epochs=50")
    assert not (without.folder / "loss_surface.png").exists()
    trajectory = np.random.default_rng(0).normal(size=(20, 5)).cumsum(0)
    found = principal_plane(trajectory)
    ticks = np.linspace(-9, 9, 7)
    axes, bar = loss_surface(found, np.arange(20.0), ticks, ticks, np.exp(np.add.outer(ticks, ticks) / 9)).axes
    assert [axes.get_xlabel(), axes.get_ylabel()] == found.labels
    assert bar.get_ylabel() == "loss"


def test_the_trajectory_of_a_long_run_has_no_more_snapshots_than_that_of_a_short_one(tmp_path: Path) -> None:
    short, long = LossSurface(), LossSurface()
    trainer, module = fit(tmp_path, 1500, [short], optimizer=ADAM)
    assert list(short.trajectory) == list(range(0, 1500, 2))
    for block in range(0, 5000, 1000):  # as in a run without an end
        weights = [[torch.full((3, 4), float(epoch))] for epoch in range(block, block + 1000)]
        snapshots = SimpleNamespace(epochs=range(block, block + 1000), weights=weights, every=1)
        module.runner = SimpleNamespace(block=SimpleNamespace(snapshots=snapshots))  # type: ignore[assignment]
        long.on_train_batch_end(trainer, module, None, None, 0)
    assert 500 <= len(long.trajectory) <= CURVE_POINTS
    assert all(torch.equal(place, torch.full((12,), float(epoch))) for epoch, place in long.trajectory.items())


@pytest.mark.parametrize(("scale", "is_drawn"), [(100.0, True), (torch.nan, False)])
def test_a_surface_where_every_loss_is_zero_is_drawn_and_one_of_a_diverged_network_is_not(
    tmp_path: Path, scale: float, is_drawn: bool
) -> None:
    callback = LossSurface()
    trainer, module = fit(tmp_path, 3, hidden=[2])
    solved = torch.tensor([20.0, 20, 20, 20, -10, -30, 20, -20, -10])  # two units that solve XOR
    with torch.no_grad():
        for weight, part in zip(module.ensemble.weights, (solved * scale).split([6, 3]), strict=True):
            weight.copy_(part.view_as(weight))
    callback.trajectory = {epoch: solved * (scale + epoch) for epoch in range(2)}
    callback.on_fit_end(trainer, module)
    assert (tmp_path / "loss_surface.png").exists() == is_drawn
