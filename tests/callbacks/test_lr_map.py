import csv
import re
from functools import partial
from pathlib import Path

import events
import numpy as np
import pytest
import torch
from conftest import Command, fit

from xornet.callbacks.lr_map import LearningRateMap, heading, rate_map
from xornet.engine.box_counting import boundary, dimension
from xornet.engine.rate_grid import RateGridSGD

GRID = partial(RateGridSGD, hidden=[0.5, 50.0], output=[0.5, 50.0])


@pytest.mark.further
def test_a_small_map_of_the_experiment_leaves_its_picture_its_dimension_and_true_seeds(command: Command) -> None:
    zoom = ["optimizer.hidden=[5,500]", "optimizer.output=[2,200]"]
    run = command("experiment=lr_map", "networks=4096", "trainer.max_epochs=60", *zoom)
    assert run.status == 0, run.err
    assert (run.folder / "lr_map.png").read_bytes().startswith(b"\x89PNG")
    assert not (run.folder / "checkpoints").exists()
    with (run.folder / "networks.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["seed"] for row in rows} == {"16"}
    solved = np.array([row["solved"] == "True" for row in rows]).reshape(64, 64)
    found, error = dimension(boundary(solved))
    assert re.search(rf"^Boundary .*: dimension {found:.2f} ± {error:.2f} \(box counting\)$", run.out, re.M)
    assert events.scalar(run.folder, "final/boundary_dimension") == {60: pytest.approx(found)}
    assert "plots/lr_map" in events.read(run.folder).Tags()["images"]


def test_the_map_holds_what_each_network_has_become(tmp_path: Path) -> None:
    trainer, module = fit(tmp_path, 80, [LearningRateMap()], optimizer=GRID, networks=25, initialisations=1, seed=16)
    assert (tmp_path / "lr_map.png").exists()
    found, solved = rate_map(module, trainer.optimizers[0])
    assert (found.hidden, found.output) == ((0.5, 50.0), (0.5, 50.0))
    assert 0 < solved.sum() < 25  # or this test would show little
    for i in range(25):
        error = module.ensemble.network(i)(module.x) - module.y
        where = divmod(i, 5)
        assert found.losses[where] == pytest.approx(error.square().mean().item(), rel=1e-4)
        assert solved[where] == bool((error.abs() < 0.5).all())
        epoch = module.history.solved_epoch[i] if solved[where] else np.nan
        np.testing.assert_equal(found.solved_epochs[where], float(epoch))
    text = "XOR, 2-4-1 sigmoid: 5 x 5 networks from one initialisation (seed 16), 80 epochs"
    assert heading(module, 80) == text
    _, others = fit(tmp_path, 2, optimizer=GRID, networks=4, bits=3, hidden=[2, 2])
    assert heading(others, 2) == "3-bit parity, 3-2-2-1 sigmoid: 2 x 2 networks from 4 initialisations, 2 epochs"


@pytest.mark.parametrize(
    ("optimizer", "networks", "cause"),
    [
        (partial(torch.optim.SGD, lr=0.1), 4, "draws a grid of learning rates, got SGD; use optimizer=rate_grid"),
        (partial(RateGridSGD, hidden=[1.0, 1.0]), 4, r"got one of optimizer\.hidden=\[1\.0,1\.0\] and 4 networks; use"),
        (GRID, 1, r"got one of optimizer\.hidden=\[0\.5,50\.0\] and 1 networks; use a range, and networks=1024"),
    ],
)
def test_a_run_without_a_map_is_refused_in_one_line(
    tmp_path: Path, optimizer: "partial[torch.optim.Optimizer]", networks: int, cause: str
) -> None:
    with pytest.raises(ValueError, match=rf"^callbacks\.lr_map .*{cause}"):
        fit(tmp_path, 3, [LearningRateMap()], optimizer=optimizer, networks=networks)


def test_such_a_run_has_touched_no_file(command: Command, tmp_path: Path) -> None:
    run = command("callbacks=lr_map", "networks=4")
    assert run.status == 1
    assert "use optimizer=rate_grid" in run.last_line
    assert not list(tmp_path.rglob("*.*"))
