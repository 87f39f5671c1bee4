"""SIGINT, SIGTERM and SIGHUP, wherever they find a command: 130, 143 and 129, with the last completed epoch.

That they come at once is counted in epochs, not in seconds: a run that would not end otherwise does, where it is.
"""

import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import forks
import pytest
import torch
from conftest import NO_FIGURES, SRC, Command, fit
from omegaconf import OmegaConf
from signalled import NOTED, Signalled, printed

from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.callbacks.console import LossTable
from xornet.callbacks.interruption import StopOnSignal
from xornet.runs import metrics as results

MANY = ["networks=100000", "callbacks.checkpoint.every_n_epochs=10000"]
EITHER = pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
HANGUP = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="this platform has no SIGHUP")


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
    # Python says what it has imported on stderr, and waits where nobody reads that: it cannot be done before the signal
    imports = [sys.executable, "-X", "importtime", str(SRC / script)]
    process = subprocess.Popen(imports, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    assert any(line.endswith(" torch\n") for line in process.stderr)
    process.send_signal(number)
    out, err = process.communicate()
    assert (process.returncode, out) == (128 + number, "")
    assert all(line.startswith("import time:") for line in err.splitlines()[:-1])


@pytest.mark.further
@EITHER
def test_a_signal_ends_a_run_that_is_setting_up(tmp_path: Path, number: signal.Signals) -> None:
    endless = "trainer.max_epochs=-1"
    run = Signalled(
        tmp_path / "run", endless, when=partial(is_there, ".hydra/overrides.yaml"), numbers=(number,), held_at=1000
    )
    assert run.status == 128 + number


@pytest.mark.further
@EITHER
def test_a_hundred_thousand_networks_stop_and_keep_what_they_have_learnt(
    tmp_path: Path, number: signal.Signals
) -> None:
    folder = tmp_path / "run"
    run = Signalled(folder, *MANY, "model.compile=false", when=partial(printed, "Epoch 0"), numbers=(number,))
    assert run.status == 128 + number
    assert 0 < run.stopped(folder) < 20000


@pytest.mark.further
@HANGUP
def test_a_closed_terminal_ends_a_run_as_sigterm_does(tmp_path: Path) -> None:
    folder, endless = tmp_path / "run", ["trainer.max_epochs=-1", "model.compile=false"]
    run = Signalled(folder, *endless, when=partial(printed, "Epoch 1000"), numbers=(signal.SIGHUP,))
    assert run.status == 129
    assert run.stopped(folder) > 1000


HOOKS = ("on_train_epoch_start", "on_train_batch_start", "on_train_batch_end", "on_train_epoch_end")


@pytest.mark.further
@pytest.mark.parametrize("hook", HOOKS)
def test_a_signal_in_a_hook_of_an_epoch_ends_a_run_that_resumes_to_the_same_bits(
    command: Command, tmp_path: Path, hook: str
) -> None:
    """In the first of them, Lightning would end the epoch without its batch, and count it."""
    folder = tmp_path / "run"
    given = ["trainer.max_epochs=2000", "callbacks.loss_table.every_n_epochs=50", *NO_FIGURES]
    run = Signalled(folder, *given, held_at=900, held_in=hook)
    assert run.status == 128 + signal.SIGTERM
    assert 900 < run.stopped(folder) <= 1000
    resumed = command(*given, f"ckpt_path={folder}/checkpoints/last.ckpt", f"hydra.run.dir={folder}")
    assert resumed.status == 0, resumed.err
    straight = command(*given)
    assert (folder / "networks.csv").read_bytes() == (straight.folder / "networks.csv").read_bytes()


@pytest.mark.further
def test_a_signal_before_the_first_batch_of_a_job_ends_the_sweep(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "sweep"
    given = ["-m", "seed=1,2", "trainer.max_epochs=300", *NO_FIGURES]
    run = Signalled(folder, *given, held_at=0, held_in="on_train_epoch_start")
    assert run.status == 128 + signal.SIGTERM
    assert "failed" not in run.output
    again = command(*given, f"hydra.sweep.dir={folder}")
    assert again.status == 0, again.err
    alone = command("seed=1", "trainer.max_epochs=300", *NO_FIGURES)
    assert (folder / "0_seed=1" / "networks.csv").read_bytes() == (alone.folder / "networks.csv").read_bytes()


def fail_behind_the_signal() -> None:
    """Have a run fail in the hook in which it has waited for a signal."""
    waits: Any = LossTable.on_train_epoch_end

    def fail(self: LossTable, trainer: Any, *given: Any) -> None:
        waits(self, trainer, *given)
        if trainer.current_epoch >= 99:
            raise ValueError("a fault; use another callback")

    setattr(LossTable, "on_train_epoch_end", fail)  # noqa: B010 - of the command's own process


@pytest.mark.further
def test_an_error_behind_a_signal_is_the_job_s_and_ends_the_sweep(tmp_path: Path) -> None:
    folder, given = tmp_path / "sweep", ["-m", "seed=1,2", "trainer.max_epochs=300", *NO_FIGURES]
    held = {"held_in": "on_train_epoch_end", "before": fail_behind_the_signal}
    run = Signalled(folder, *given, "callbacks.loss_table.every_n_epochs=50", held_at=99, **held)  # type: ignore[arg-type]
    assert run.status == 128 + signal.SIGTERM
    assert (folder / "0_seed=1" / "error.txt").read_text() == "a fault; use another callback\n"
    assert "0_seed=1 failed: a fault; use another callback" in run.output
    assert not (folder / "1_seed=2").exists()


def ignore_interrupt() -> None:
    """Be started as by a script's `&`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.further
def test_a_run_that_a_script_has_started_in_the_background_can_be_interrupted(tmp_path: Path) -> None:
    folder, endless = tmp_path / "run", ["trainer.max_epochs=-1", "model.compile=false"]
    when = partial(printed, "Epoch 1000")
    run = Signalled(folder, *endless, when=when, numbers=(signal.SIGINT,), before=ignore_interrupt)
    assert run.status == 130
    assert run.stopped(folder) > 1000


def ignore_hangup() -> None:
    """Be started as by nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


@pytest.mark.further
@HANGUP
def test_a_run_that_nohup_has_started_outlives_its_terminal(tmp_path: Path) -> None:
    forks.ready()
    folder, hung_up = tmp_path / "run", tmp_path / "hung_up"
    before = partial(forks.hold, "on_train_batch_start", 1000, hung_up, ignore_hangup)
    process = forks.start(
        "train.py", "trainer.max_epochs=1100", f"hydra.run.dir={folder}", output=tmp_path / "run.out", before=before
    )

    def hang_up() -> None:
        os.kill(process.pid or 0, signal.SIGHUP)
        hung_up.touch()

    assert forks.ended(process, partial(printed, "Epoch 1000", folder), hang_up) == 0
    assert (folder / "metrics.json").exists()


class SignalAt(torch.optim.SGD):
    """Gradient descent; a signal comes in its step number 1,234."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        if self.steps == 1234:
            signal.raise_signal(signal.SIGTERM)
        return super().step()


def test_a_signal_ends_a_block_at_its_next_epoch(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    keep = LastCheckpoint(str(tmp_path), every_n_epochs=5000)
    with pytest.raises(SystemExit, match="143"):
        fit(tmp_path, 5000, [StopOnSignal(), keep], optimizer=partial(SignalAt, lr=0.1), compile=False)
    assert torch.load(keep.path, weights_only=True)["global_step"] == 1235
    assert capfd.readouterr().err == f"interrupted at epoch 1235; resume with ckpt_path={keep.path}\n"


@pytest.mark.slow
def test_compiling_is_no_reason_to_wait(compiler: None, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    fresh = partial(compile_into, folder / "cache")
    compiles = [*MANY, "model.compile=true"]
    run = Signalled(folder, *compiles, when=partial(is_there, "cache/*/*.cpp"), before=fresh)
    assert run.status == 143
    assert run.stopped(folder) == 1


@pytest.mark.slow
def test_a_run_stopped_while_it_compiles_continues_to_the_same_bits(compiler: None, tmp_path: Path) -> None:
    folder, straight = tmp_path / "run", tmp_path / "straight"
    fresh = partial(compile_into, folder / "cache")
    run = ["networks=1000", "trainer.max_epochs=500", "model.compile=true", "callbacks.animation=null"]
    assert Signalled(folder, *run, when=partial(is_there, "cache/*/*.cpp"), before=fresh).stopped(folder) == 1
    for to, resumed in ((folder, [f"ckpt_path={folder}/checkpoints/last.ckpt"]), (straight, [])):
        process = forks.start("train.py", f"hydra.run.dir={to}", *run, *resumed, output=tmp_path / "out", before=fresh)
        assert forks.ended(process) == 0
    ours, theirs = (
        torch.load(to / "checkpoints" / "last.ckpt", weights_only=True)["state_dict"] for to in (folder, straight)
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


@pytest.mark.slow
def test_a_hundred_thousand_compiled_networks_stop_and_keep_what_they_have_learnt(
    compiler: None, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    run = Signalled(folder, *MANY, "model.compile=true", when=partial(printed, "Epoch 1000"))
    assert run.status == 143
    assert run.stopped(folder) >= 1000


def wait_for_another() -> None:
    """Have a run wait for ever once it has printed its first row, and say when a signal has come."""
    theirs = LossTable.on_train_batch_start

    def wait(self: LossTable, trainer: Any, *given: Any) -> None:
        theirs(self, trainer, *given)
        stopping = next(callback for callback in trainer.callbacks if isinstance(callback, StopOnSignal))
        while True:
            if stopping.received is not None:
                print(NOTED, flush=True)
            time.sleep(0.01)

    LossTable.on_train_batch_start = wait  # type: ignore[method-assign, assignment]  # in a process of its own


def test_a_second_signal_ends_a_run_at_once(tmp_path: Path) -> None:
    twice, folder = (signal.SIGTERM, signal.SIGINT), tmp_path / "run"
    endless = ["trainer.max_epochs=-1", "model.compile=false"]
    run = Signalled(folder, *endless, when=partial(printed, "Epoch 0"), numbers=twice, before=wait_for_another)
    assert run.status == 130
    assert "interrupted at" not in run.output


@pytest.mark.further
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
        "callbacks.animation=null",
        output=tmp_path / "out",
    )
    assert forks.ended(trained) == 0
    run = Signalled(
        tmp_path / "eval",
        f"ckpt_path={folder}/checkpoints/last.ckpt",
        script="eval.py",
        when=partial(is_there, "decision_boundary.png"),
        numbers=(number,),
        before=never_write_results,
    )
    assert run.status == 128 + number
    assert run.output == ""


def never_write_results() -> None:
    """Have a command wait where it would write its results."""

    def wait(*given: Any) -> Any:
        time.sleep(forks.HANGS)

    results.write_results = wait  # type: ignore[assignment]  # in a process of its own


@pytest.mark.parametrize("kind", ["swallowed", "replaced"])
@pytest.mark.parametrize(
    "words",
    [
        "train.py hydra.job.name=${{lost:{kind}}}",
        "train.py seed=${{lost:{kind}}}",
        "train.py -m networks=1,2 seed=${{lost:{kind}}}",
        "eval.py ckpt_path=${{lost:{kind}}}",
    ],
)
def test_a_signal_that_a_library_loses_ends_the_command_all_the_same(
    command: Command, tmp_path: Path, words: str, kind: str
) -> None:
    """It comes while the configuration is composed or read, where OmegaConf can make another error of SystemExit."""
    sent: list[int] = []

    def lost(kind: str) -> str:
        try:
            if not sent:
                sent.append(signal.SIGTERM)
                os.kill(os.getpid(), signal.SIGTERM)
        except SystemExit:
            if kind == "replaced":
                raise AttributeError("another error") from None
        return "1"

    OmegaConf.register_new_resolver("lost", lost, replace=True)
    try:
        script, *overrides = words.format(kind=kind).split()
        run = command(*overrides, script=script)
    finally:
        OmegaConf.clear_resolver("lost")
    assert run.status == 143
    assert sent
    assert not re.search("^error|Traceback", run.err, re.M)
    assert not list(tmp_path.rglob("metrics.json"))
    assert not list(tmp_path.rglob("error.txt"))
