"""SIGINT and SIGTERM, wherever they find a command: 130 and 143, at once, with the last completed block."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import forks
import pytest
import torch
from conftest import SRC

MANY = ["networks=100000", "callbacks.checkpoint.every_n_epochs=10000"]
SECONDS = 2.0
EITHER = pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])


class Signalled:
    """A command that is sent signals, `pause` seconds apart, when something is so; its status, time and output."""

    def __init__(
        self,
        folder: Path,
        *overrides: str,
        when: Callable[[Path], bool],
        numbers: tuple[signal.Signals, ...] = (signal.SIGTERM,),
        script: str = "train.py",
        before: Callable[[], object] | None = None,
    ) -> None:
        forks.ready()
        output = folder.with_name(f"{folder.name}.out")
        process = forks.start(script, f"hydra.run.dir={folder}", *overrides, output=output, before=before)

        def send() -> None:
            self.sent = time.monotonic()
            for number in numbers:
                os.kill(process.pid or 0, number)
                time.sleep(0.02)

        self.status = forks.ended(process, partial(when, folder), send)
        self.seconds = time.monotonic() - self.sent
        self.output = output.read_text()
        assert "Traceback" not in self.output
        assert not list(folder.rglob("metrics.json"))

    def stopped(self, folder: Path) -> int:
        """The epoch at which it says that it stopped, which is its checkpoint's."""
        path = folder / "checkpoints" / "last.ckpt"
        epoch = int(torch.load(path, weights_only=True)["global_step"])
        assert self.output.endswith(f"stopped at epoch {epoch}; resume with ckpt_path={path}\n")
        assert self.output.count("stopped at") == 1
        return epoch


def printed(text: str, folder: Path) -> bool:
    """Whether a command has printed something."""
    output = folder.with_name(f"{folder.name}.out")
    return output.exists() and text in output.read_text()


def is_writing(folder: Path) -> bool:
    """Whether a checkpoint is being written, the second or a later one."""
    return (folder / "checkpoints" / "last.ckpt").exists() and any(folder.glob("checkpoints/.*.last.ckpt"))


def is_there(name: str, folder: Path) -> bool:
    """Whether a command has written something into its directory."""
    return any(folder.glob(name))


def compile_into(cache: Path) -> None:
    """Have what is compiled kept there."""
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = str(cache)


@pytest.mark.parametrize(("script", "number"), [("train.py", signal.SIGINT), ("eval.py", signal.SIGTERM)])
def test_a_signal_ends_a_command_that_imports(script: str, number: signal.Signals) -> None:
    process = subprocess.Popen([sys.executable, SRC / script], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while "libtorch" not in Path(f"/proc/{process.pid}/maps").read_text():
        time.sleep(0.01)
    process.send_signal(number)
    out, _ = process.communicate()
    assert (process.returncode, out) == (128 + number, b"")


@EITHER
def test_a_signal_ends_a_run_that_is_setting_up(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"
    run = Signalled(folder, when=partial(is_there, ".hydra/overrides.yaml"), numbers=(number,))
    assert run.status == 128 + number
    assert run.seconds < SECONDS


@EITHER
def test_a_hundred_thousand_networks_stop_within_two_seconds(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"
    run = Signalled(folder, *MANY, "model.compile=false", when=partial(printed, "Epoch 0"), numbers=(number,))
    assert run.status == 128 + number
    assert run.seconds < SECONDS
    assert run.stopped(folder) > 0


@pytest.mark.slow
def test_compiling_is_no_reason_to_wait(compiler: None, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fresh = partial(compile_into, folder / "cache")
    compiles = [*MANY, "model.compile=true"]
    run = Signalled(folder, *compiles, when=partial(is_there, "cache/*/*.cpp"), before=fresh)
    assert run.status == 143
    assert run.seconds < SECONDS
    assert run.stopped(folder) == 1


@pytest.mark.slow
def test_a_run_stopped_while_it_compiles_goes_on_to_the_same_bits(compiler: None, tmp_path: Path) -> None:
    folder, straight = tmp_path / "run", tmp_path / "straight"
    fresh = partial(compile_into, folder / "cache")
    run = ["networks=1000", "trainer.max_epochs=500", "model.compile=true", "callbacks.boundary=null"]
    assert Signalled(folder, *run, when=partial(is_there, "cache/*/*.cpp"), before=fresh).stopped(folder) == 1
    for to, resumed in ((folder, [f"ckpt_path={folder}/checkpoints/last.ckpt"]), (straight, [])):
        process = forks.start("train.py", f"hydra.run.dir={to}", *run, *resumed, output=tmp_path / "out", before=fresh)
        assert forks.ended(process) == 0
    ours, theirs = (
        torch.load(to / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for to in (folder, straight)
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.slow
def test_a_hundred_thousand_compiled_networks_stop_within_two_seconds(compiler: None, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    run = Signalled(folder, *MANY, "model.compile=true", when=partial(printed, "Epoch 1000"))
    assert run.status == 143
    assert run.seconds < SECONDS
    assert run.stopped(folder) > 1000


def test_a_second_signal_ends_a_run_at_once(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    twice, many = (signal.SIGTERM, signal.SIGTERM), ["networks=30000", "callbacks.checkpoint.every_n_epochs=1"]
    run = Signalled(folder, *many, "model.compile=false", when=partial(printed, "Epoch 0"), numbers=twice)
    assert run.status == 143
    assert run.seconds < SECONDS / 4
    assert "stopped at" not in run.output


def test_a_signal_while_a_checkpoint_is_written_leaves_it_whole(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    often = ["networks=20000", "callbacks.checkpoint.every_n_epochs=1"]
    run = Signalled(folder, *often, when=is_writing)
    assert run.status == 143
    assert run.stopped(folder) > 0
    assert not list(folder.rglob(".*.*.*"))


@EITHER
def test_a_signal_ends_eval_without_a_word(tmp_path: Path, number: signal.Signals) -> None:
    folder = tmp_path / "run"
    forks.ready()
    trained = forks.start(
        "train.py",
        f"hydra.run.dir={folder}",
        "trainer.max_epochs=3",
        "callbacks.boundary=null",
        output=tmp_path / "out",
    )
    assert forks.ended(trained) == 0
    run = Signalled(
        tmp_path / "eval",
        f"ckpt_path={folder}/checkpoints/last.ckpt",
        script="eval.py",
        when=partial(is_there, ".hydra/overrides.yaml"),
        numbers=(number,),
    )
    assert run.status == 128 + number
    assert run.output == ""
    assert run.seconds < SECONDS
