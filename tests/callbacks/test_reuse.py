from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import fit
from lightning.pytorch import Callback
from lightning.pytorch.loggers import CSVLogger

from xornet.callbacks.animation import BoundaryAnimation
from xornet.callbacks.loss_surface import LossSurface
from xornet.callbacks.metrics import Metrics


@pytest.mark.parametrize("make", [Metrics, LossSurface, BoundaryAnimation])
def test_a_callback_of_one_run_serves_another_as_a_new_one_would(tmp_path: Path, make: Callable[[], Callback]) -> None:
    used = make()
    for name, callback, epochs in (("first", used, 40), ("second", used, 30), ("new", make(), 30)):
        folder = tmp_path / name
        fit(
            folder,
            epochs,
            [callback],
            seed=3,
            trainer={"logger": CSVLogger(folder, name="", version=""), "log_every_n_steps": 1},
        )
    left = {path.name: path.read_bytes() for path in (tmp_path / "second").iterdir()}
    assert left == {path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()}
    assert left
