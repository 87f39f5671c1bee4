"""SIGKILL at any time of a run: every file that stands is whole, and the run is resumed to the same end."""

import json
import os
import random
import time
from functools import partial
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import events
import forks
import PIL.Image
import pytest
import torch
from omegaconf import OmegaConf

RUN = [
    "trainer.max_epochs=1000",
    "optimizer.lr=2",
    "callbacks.checkpoint.every_n_epochs=50",
    "callbacks.gradient_monitor.every_n_epochs=100",
    "callbacks.animation.max_frames=4",
]
CHECKPOINT = "checkpoints/last.ckpt"
STAGES = ("before a checkpoint", "training", "trained", "writing results")


@pytest.mark.parametrize(
    ("networks", "kills"),
    [
        *(pytest.param(networks, 3, marks=pytest.mark.further) for networks in (1, 1000)),
        *(pytest.param(networks, 50, marks=pytest.mark.slow) for networks in (1, 1000)),
    ],
)
def test_a_run_killed_at_any_time_is_resumed_to_the_same_bits(tmp_path: Path, networks: int, kills: int) -> None:
    run = [*RUN, f"networks={networks}"]
    forks.ready()
    start = time.monotonic()
    assert forks.ended(begin(tmp_path / "straight", run)) == 0
    seconds = time.monotonic() - start
    straight = ends(tmp_path / "straight")
    draw = random.Random(kills + networks)
    stages = dict.fromkeys(STAGES, 0)
    folder, finished, again = tmp_path / "0", 0, 0
    while True:
        start = time.time()
        killed = sum(stages.values())
        # a third of them in the hundredth of a second between the last files, which chance would not find
        is_time = partial(aimed, folder, start) if killed % 3 == 2 else partial(late, start + draw.uniform(0, seconds))
        is_let_go = again == 3 or killed == kills
        status = forks.ended(begin(folder, run), never if is_let_go else is_time)
        check_whole(folder, networks)
        if status == -9:
            stages[stage(folder, start)] += 1
            again += 1
            continue
        assert status == 0, (tmp_path / f"{folder.name}.out").read_text()
        assert ends(folder) == straight
        assert not list(folder.rglob(".*.*.*"))  # the neighbours of files that were being written
        finished += 1
        if killed == kills:
            break
        folder, again = tmp_path / str(finished), 0
    print(f"N = {networks}, killed {stages}, to the same bits {finished} of {finished}")
    assert stages["writing results"] > 0
    assert kills < 50 or min(stages.values()) > 0


@pytest.mark.slow
@pytest.mark.usefixtures("compiler")
def test_a_run_killed_while_it_compiles_is_resumed_to_the_same_bits(tmp_path: Path) -> None:
    run = [*RUN, "model.compile=true"]
    forks.ready()
    assert forks.ended(begin(tmp_path / "straight", run, tmp_path / "cache")) == 0
    folder, cache, kills = tmp_path / "killed", tmp_path / "torn", 0
    in_all = files(tmp_path / "cache")
    for eighth in range(8):
        is_time = partial(lambda many: files(cache) > many, in_all * eighth // 8)
        kills += forks.ended(begin(folder, run, cache), is_time) == -9
        check_whole(folder, 1)
    assert forks.ended(begin(folder, run, cache)) == 0
    assert ends(folder) == ends(tmp_path / "straight")
    print(f"killed {kills} times while compiling")
    assert kills > 4


def files(folder: Path) -> int:
    """How many files there are in a directory that may not exist."""
    return sum(len(names) for _, _, names in os.walk(folder))


def begin(folder: Path, run: list[str], cache: Path | None = None) -> BaseProcess:
    """Begin a run, or resume it."""
    checkpoint = folder / CHECKPOINT
    resumed = [f"ckpt_path={checkpoint}"] if checkpoint.exists() else []
    output = folder.parent / f"{folder.name}.out"
    return forks.start(
        "train.py",
        f"hydra.run.dir={folder}",
        *run,
        *resumed,
        output=output,
        before=partial(compile_into, cache) if cache else None,
    )


def never() -> bool:
    """It is not killed."""
    return False


def late(time_to_kill: float) -> bool:
    """Whether the time has come to kill it."""
    return time.time() >= time_to_kill


def aimed(folder: Path, start: float) -> bool:
    """Whether the run has written the first of its results, which is when to kill it."""
    return is_new(folder / "xornet.pt", start)


def is_new(path: Path, start: float) -> bool:
    """Whether a file is of this part of the run."""
    return path.exists() and path.stat().st_mtime >= start - 0.01


def compile_into(cache: Path) -> None:
    """Have what is compiled kept there."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache)


def check_whole(folder: Path, networks: int) -> None:
    """Every file under its final name can be read to its end."""
    for path in folder.rglob("*"):
        if path.name.startswith(".") or path.is_dir():
            continue
        if path.suffix in (".ckpt", ".pt"):
            assert torch.load(path, weights_only=True)
        elif path.suffix == ".json":
            assert json.loads(path.read_text())["epochs"] == 1000
            assert (folder / "xornet.pt").exists()
        elif path.suffix == ".csv":
            assert len(path.read_text().splitlines()) == networks + 1
        elif path.suffix in (".png", ".gif"):
            with PIL.Image.open(path) as picture:
                for frame in range(getattr(picture, "n_frames", 1)):
                    picture.seek(frame)
                    picture.load()
        elif path.name == "hparams.yaml":
            assert OmegaConf.load(path)
        else:
            assert path.name == "train.log" or "tfevents" in path.name or path.parent.name == ".hydra", path


def stage(folder: Path, start: float) -> str:
    """How far a killed run had come."""
    if not (folder / CHECKPOINT).exists():
        return STAGES[0]
    if torch.load(folder / CHECKPOINT, weights_only=True)["global_step"] < 1000:
        return STAGES[1]
    return STAGES[3] if is_new(folder / "xornet.pt", start) else STAGES[2]


def ends(folder: Path) -> dict[str, Any]:
    """All that a run ends in, to the bit."""
    metrics = json.loads((folder / "metrics.json").read_text())
    files = {path.name: path.read_bytes() for path in folder.glob("*") if path.suffix in (".csv", ".png", ".gif")}
    tensors = [plain(torch.load(folder / name, weights_only=True) | {"times": 0}) for name in ("xornet.pt", CHECKPOINT)]
    return {
        "metrics": {**metrics, "seconds": 0, "compile_seconds": 0},
        **files,
        "tensors": tensors,
        "logged": logged(folder),
    }


def plain(value: Any) -> Any:
    """The value, its tensors as what can be compared."""
    if isinstance(value, torch.Tensor):
        return value.dtype, value.shape, value.numpy().tobytes()
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return [plain(part) for part in value] if isinstance(value, list | tuple) else value


def logged(folder: Path) -> dict[str, list[tuple[int, Any]]]:
    """What TensorBoard reads of a run: every step and its value, by tag."""
    log = events.read(folder)
    scalars = {tag: [(event.step, event.value) for event in log.Scalars(tag)] for tag in log.Tags()["scalars"]}
    histograms = {
        tag: [(event.step, event.histogram_value) for event in log.Histograms(tag)] for tag in log.Tags()["histograms"]
    }
    images = {
        tag: [(event.step, event.encoded_image_string) for event in log.Images(tag)] for tag in log.Tags()["images"]
    }
    return scalars | histograms | images
