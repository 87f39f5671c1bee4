"""TensorBoard as its reader meets it: the server, its HTTP interface, and a browser where there is one."""

import io
import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import events
import numpy as np
import PIL.Image
import pytest
from conftest import Command, CommandResult, fit
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger

from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.callbacks.run_summary import RunSummary

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def get(url: str, body: dict[str, Any] | None = None) -> bytes:
    """What the server answers."""
    data = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, data, {"Content-Type": "application/json"}), timeout=30) as answer:
        content: bytes = answer.read()
    return content


def boundary_pixels(image: Any) -> tuple[int, int]:
    """How many pixels of a picture have the colours of sure predictions, of 1 and of 0."""
    pixels = np.asarray(image.convert("RGB"), dtype=int)
    sure = np.array([[205, 87, 102], [120, 132, 213]])  # coolwarm's ends at alpha 0.7
    near = abs(pixels[..., None, :] - sure).max(-1) < 24
    return int(near[..., 0].sum()), int(near[..., 1].sum())


@pytest.fixture
def run(command: Command) -> CommandResult:
    """A run that solves the table."""
    return command("optimizer=adam", "optimizer.lr=0.1", "trainer.max_epochs=1000", "seed=1")


def test_a_reader_of_tensorboard_finds_the_run_its_curves_pictures_summary_and_hyperparameters(
    run: CommandResult,
) -> None:
    name = run.folder.name
    with events.serving(run.folder.parent) as (_, address):
        data = f"{address}data"
        assert json.loads(get(f"{data}/runs")) == [name]
        scalars = json.loads(get(f"{data}/plugin/scalars/tags"))[name]
        images = json.loads(get(f"{data}/plugin/images/tags"))[name]
        histograms = json.loads(get(f"{data}/plugin/histograms/tags"))[name]
        groups = sorted({tag.partition("/")[0] for tag in (*scalars, *images, *histograms)})
        assert groups[:2] == ["final", "plots"]  # TensorBoard's order; it opens the first two
        assert {"train/loss", "train/prediction_01"} <= set(scalars)

        where = {"run": name, "tag": "train/loss"}
        loss = json.loads(get(f"{data}/plugin/scalars/scalars?{urlencode(where)}"))
        assert [step for _, step, _ in loss] == list(range(1000))
        assert loss[-1][2] == pytest.approx(run.metrics["loss"], rel=0.05)

        where = {"run": name, "tag": "plots/decision_boundary", "sample": "0"}
        frames = json.loads(get(f"{data}/plugin/images/images?{urlencode(where)}"))
        assert frames[-1]["step"] == 1000
        last = PIL.Image.open(io.BytesIO(get(f"{data}/plugin/images/individualImage?{frames[-1]['query']}")))
        red, blue = boundary_pixels(last)
        assert min(red, blue) > 10_000

        where = {"run": name, "tag": "run/text_summary"}
        start, end = (text["text"] for text in json.loads(get(f"{data}/plugin/text/text?{urlencode(where)}")))
        question, verdict = (
            "<h3>Can gradient descent teach",
            f"<li>Solved at epoch {run.metrics['solved_epoch']:,}</li>",
        )
        assert question in start
        assert verdict not in start
        assert question in end
        assert verdict in end
        assert "<td><code>0.1</code></td>" in end

        wanted = {
            "experimentName": "",
            "allowedStatuses": ["STATUS_UNKNOWN", "STATUS_SUCCESS"],
            "sliceSize": 1,
            "includeMetrics": True,
        }
        (group,) = json.loads(get(f"{data}/plugin/hparams/session_groups", wanted))["sessionGroups"]
        assert group["hparams"]["optimizer.lr"] == 0.1
        metrics = {metric["name"]["tag"]: metric["value"] for metric in group["metricValues"]}
        assert metrics["final/loss"] == pytest.approx(run.metrics["loss"], rel=1e-5)
        assert metrics["final/solved_epoch"] == run.metrics["solved_epoch"]


@pytest.mark.further
@pytest.mark.skipif(not BROWSER, reason="needs chromium or google-chrome")
def test_a_browser_shows_the_decision_boundary(run: CommandResult) -> None:
    picture = run.folder / "page.png"
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,2400", f"--screenshot={picture}"]
    with events.serving(run.folder.parent) as (_, address):
        # A card asks for its picture once it is in view: now and then the browser is done before, with empty cards.
        for _attempt in range(5):
            page = [*flags, "--virtual-time-budget=25000", address]
            subprocess.run([str(BROWSER), *page], capture_output=True, check=True, timeout=90)
            red, blue = boundary_pixels(PIL.Image.open(picture))
            if min(red, blue) > 3_000:  # of a small picture
                return
    pytest.fail(f"five pages without a decision boundary: {red} red and {blue} blue pixels")


def test_a_run_that_breaks_off_in_its_first_block_has_its_summary_all_the_same(tmp_path: Path) -> None:
    class Fault(Callback):
        every_n_epochs = math.inf

        def on_train_batch_start(
            self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int
        ) -> None:
            if trainer.current_epoch == 9:
                raise RuntimeError("broken off")

    quiet = {"logger": TensorBoardLogger(tmp_path, "", ""), "log_every_n_steps": 1}
    with pytest.raises(RuntimeError, match="broken off"):
        fit(tmp_path, 20, [Fault(), RunSummary(), LastCheckpoint(str(tmp_path), 9)], trainer=quiet)
    assert [event.step for event in events.read(tmp_path).Tensors("run/text_summary")] == [0]
