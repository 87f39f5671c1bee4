import copy
import os
import pickle
import random
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import lightning.pytorch
import pytest
import torch
from conftest import NO_FIGURES, Command, fit
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint

from xornet.callbacks.animation import BoundaryAnimation
from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.callbacks.stopping import EarlyStopping
from xornet.checkpoint import CheckpointFile
from xornet.engine.optimizers import NOT_ELEMENTWISE
from xornet.module import XORModule
from xornet.runs import compare as runs

ELEMENTWISE = sorted({name for name in dir(torch.optim) if name[0].isupper()} - {"Optimizer", *NOT_ELEMENTWISE})


class Call:
    """Calls a function when it is unpickled."""

    def __init__(self, function: Callable[..., object], *args: object) -> None:
        self.called = function, args

    def __reduce__(self) -> Any:
        return self.called


def payloads(mark: Path) -> dict[str, object]:
    """Objects that make the directory `mark` when they are unpickled."""
    code = f"__import__('os').makedirs({str(mark)!r}, exist_ok=True)"
    mkdir = partial(os.makedirs, str(mark), exist_ok=True)
    return {
        "os.mkdir": Call(os.mkdir, str(mark)),
        "os.system": Call(os.system, f"mkdir -p '{mark}'"),
        "eval": Call(eval, code),
        "exec": Call(exec, code),
        "a partial": Call(partial.__call__, mkdir),
        "a method": Call(Path.mkdir, mark),
        "an argument": Call(torch.Size, Call(eval, f"[{code} or 1]")),
    }


@pytest.mark.parametrize("name", payloads(Path()))
def test_each_payload_would_run_if_it_were_unpickled(tmp_path: Path, name: str) -> None:
    mark = tmp_path / "executed"
    stored = pickle.dumps(payloads(mark)[name])
    pickle.loads(stored)
    assert mark.is_dir()


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a run with an animation and a callback that keeps a state."""
    folder = tmp_path_factory.mktemp("good")
    resume(folder, None, epochs=20)
    return folder / "last.ckpt"


def resume(folder: Path, path: Path | None, epochs: int = 25) -> None:
    """Train a run of its own, or resume that of `good`."""
    folder.mkdir(exist_ok=True)
    stopping = EarlyStopping(every_n_epochs=5, stopping_threshold=0.0)
    callbacks = [LastCheckpoint(str(folder)), BoundaryAnimation(), stopping]
    fit(folder, epochs, callbacks, path, partial(torch.optim.Adam, lr=0.1), networks=3)


def test_no_code_in_a_checkpoint_is_run(tmp_path: Path, good: Path) -> None:
    mark, bad = tmp_path / "executed", tmp_path / "bad.ckpt"
    checkpoint = torch.load(good, weights_only=True)
    tried = 0
    for payload in payloads(mark).values():
        holding: list[object] = [payload, [payload], {"state_dict": payload}]
        for part in (
            "state_dict",
            "hyper_parameters",
            "callbacks",
            "loops",
            "history",
            "optimizer",
            "decision_boundary",
        ):
            holding.append({**checkpoint, part: payload})
            holding.append(
                {**checkpoint, part: {**dict(checkpoint[part]), "x": [payload]} if part[0] != "d" else [payload]}
            )
        formats: dict[str, Callable[[Any, Path], object]] = {
            "zip": torch.save,
            "spliced": lambda content, path: replace_pickle(good, path, pickle.dumps(content, protocol=2)),
            "as before 1.6": partial(torch.save, _use_new_zipfile_serialization=False),
            "protocol 4": partial(torch.save, pickle_protocol=4),
            "bare": lambda content, path: path.write_bytes(pickle.dumps(content)),
            "bare, in text": lambda content, path: path.write_bytes(pickle.dumps(content, protocol=0)),
        }
        for number, write in enumerate(formats.values()):
            for content in holding if number < 2 else holding[:4]:
                write(content, bad)
                with pytest.raises(ValueError, match=f"^ckpt_path={bad} .*; use the checkpoints/last.ckpt of a run"):
                    CheckpointFile().load_checkpoint(bad)
                tried += 1
    assert tried == 7 * (2 * 17 + 4 * 4)
    assert not mark.exists()


def replace_pickle(source: Path, target: Path, pickled: bytes) -> None:
    """Copy a checkpoint with another pickle in its place, every check sum right."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        for file in old.infolist():
            new.writestr(file.filename, pickled if file.filename.endswith("data.pkl") else old.read(file))


def attempt(use: Callable[[Any], Any], path: Path) -> tuple[str, Any]:
    """Return why a checkpoint was refused, and what came of it if it was not."""
    try:
        return "", use(str(path))
    except ValueError as error:
        return str(error), None


def equal(a: Any, b: Any) -> bool:
    """Whether two checkpoints hold the same, to the bit."""
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(equal(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return isinstance(b, list | tuple) and len(a) == len(b) and all(map(equal, a, b))
    return bool(a == b)


def test_a_flipped_bit_is_found_wherever_it_matters(tmp_path: Path, good: Path) -> None:
    whole, bad = good.read_bytes(), tmp_path / "bad.ckpt"
    checkpoint = CheckpointFile().load_checkpoint(good)
    chance, found = random.Random(0), 0
    for _ in range(300):
        flipped = bytearray(whole)
        flipped[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        bad.write_bytes(flipped)
        refusal, loaded = attempt(CheckpointFile().load_checkpoint, bad)
        if refusal:
            assert refusal.startswith(f"ckpt_path={bad} ")
            found += 1
        else:
            assert equal(loaded, checkpoint)  # the bit was in a gap or a date
    assert found > 100


def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, good: Path) -> None:
    whole, bad = good.read_bytes(), tmp_path / "bad.ckpt"
    for length in (*range(0, len(whole), len(whole) // 40), len(whole) - 1):
        bad.write_bytes(whole[:length])
        with pytest.raises(ValueError, match=f"^ckpt_path={bad} cannot be read as a checkpoint; use"):
            CheckpointFile().load_checkpoint(bad)


def test_an_archive_that_would_unpack_to_more_than_it_is_is_refused(tmp_path: Path) -> None:
    bad = tmp_path / "bad.ckpt"
    with zipfile.ZipFile(bad, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10**8))
    assert bad.stat().st_size < 10**6
    with pytest.raises(ValueError, match="cannot be read as a checkpoint"):
        CheckpointFile().load_checkpoint(bad)


RUBBISH: tuple[object, ...] = (
    None, -1, 2**70, 0.5, float("nan"), "x", [], {}, [1], {"a": 1}, torch.zeros(()), torch.zeros(2, 2).to_sparse(),
    torch.zeros(3, device="meta"), 10**9, True,
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to everything in a checkpoint, of lists to the first item."""
    yield path
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places(inner, (*path, key))
    elif isinstance(value, list | tuple) and value:
        yield from places(value[0], (*path, 0))


def put(value: Any, path: tuple[Any, ...], new: object) -> Any:
    """Copy `value` with something else at `path`."""
    if not path:
        return new
    copied = list(value) if isinstance(value, tuple) else copy.copy(value)
    copied[path[0]] = put(value[path[0]], path[1:], new) if path[1:] else new
    return copied


@pytest.mark.parametrize("step", [pytest.param(13, marks=pytest.mark.further), pytest.param(1, marks=pytest.mark.slow)])
def test_rubbish_anywhere_in_a_checkpoint_is_refused_by_name_or_harmless(tmp_path: Path, good: Path, step: int) -> None:
    checkpoint, bad = torch.load(good, weights_only=True), tmp_path / "bad.ckpt"
    refused = {"evaluated": 0, "resumed": 0}
    everywhere = list(places(checkpoint))[::step]
    for number, path in enumerate(everywhere):
        torch.save(put(checkpoint, path, RUBBISH[number % len(RUBBISH)]), bad)
        uses: dict[str, Callable[[Any], Any]] = {
            "evaluated": runs.load,
            "resumed": partial(resume, tmp_path / "run"),
        }
        for purpose, use in uses.items():
            refusal, _ = attempt(use, bad)
            assert "ckpt_path" in (refusal or "ckpt_path"), (path, refusal)
            refused[purpose] += bool(refusal)
    assert len(everywhere) > 150 / step
    assert refused["evaluated"] > 0.1 * len(everywhere)
    assert refused["resumed"] > 0.6 * len(everywhere)


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("hyper_parameters", "networks"), 10**9, "state_dict"),
        (("hyper_parameters", "networks"), 10**12, "networks"),
        (("hyper_parameters", "bits"), 10**9, "state_dict"),
        (("hyper_parameters", "hidden"), "x", "hidden"),
        (("hyper_parameters", "activation"), ["x"] * 2, "activation"),
        (("state_dict", "ensemble.weights.0"), torch.zeros(3, 5, 3), "weights"),
        (("state_dict", "ensemble.weights.0"), torch.zeros(1).expand(3, 4, 3), "weights"),
        (("state_dict", "ensemble.weights.0"), torch.full((3, 4, 3), float("nan")), "finite loss"),
        (("history", "curve", "epochs"), torch.zeros(20, dtype=torch.int64), "epochs"),
        (("history", "curve", "losses"), torch.zeros(19, 3).double(), "losses"),
        (("history", "solved_epoch"), torch.zeros(4, dtype=torch.int32), "solved_epoch"),
        (("decision_boundary",), [(0, [torch.zeros(2)])], "decision_boundary"),
        (("decision_boundary",), "rubbish", "decision_boundary"),
        (("global_step",), 2**40, "global_step"),
        (("optimizer",), [], "optimizer"),
        (("scheduler",), [1], "scheduler"),
    ],
)
def test_what_is_wrong_in_a_checkpoint_is_named(
    tmp_path: Path, good: Path, place: tuple[str, ...], value: object, named: str
) -> None:
    torch.save(put(torch.load(good, weights_only=True), place, value), tmp_path / "bad.ckpt")
    with pytest.raises(ValueError, match=f"^ckpt_path={tmp_path}/bad.ckpt .*{named}"):
        runs.load(f"{tmp_path}/bad.ckpt")


@pytest.mark.parametrize(
    ("place", "value", "named"),
    [
        (("loops", "fit_loop", "epoch_progress", "current", "processed"), 7, "count of 20 epochs"),
        (("loops", "fit_loop", "epoch_progress", "total", "ready"), 10**9, "count of 20 epochs"),
        (("loops", "fit_loop", "epoch_loop.state_dict", "_batches_that_stepped"), 40, "count of 20 epochs"),
        (("loops", "fit_loop", "epoch_progress"), {}, "loops: epoch_progress"),
        (("global_step",), 25, "count of 25 epochs"),
        (("optimizer_states", 0, "param_groups", 0, "params"), [1, 0], "param_groups"),
        (("optimizer_states", 0, "param_groups", 0, "weight_decay"), torch.nan, "param_groups"),
        (("optimizer_states", 0, "state", 0, "more"), torch.zeros(2, 2), "state"),
        (("optimizer_states", 0, "state", 0, "exp_avg"), torch.zeros(3, 4, 1), "exp_avg"),
        (("optimizer_states", 0, "state", 0, "exp_avg"), torch.zeros(3, 4, 3).double(), "exp_avg"),
        (("optimizer_states", 0, "state", 0, "step"), torch.tensor(-1.0), "step"),
    ],
)
def test_a_state_that_no_run_writes_is_not_resumed(
    tmp_path: Path, good: Path, place: tuple[Any, ...], value: object, named: str
) -> None:
    bad, run = tmp_path / "bad.ckpt", tmp_path / "run"
    torch.save(put(torch.load(good, weights_only=True), place, value), bad)
    refused = f"^ckpt_path={bad} cannot be resumed from: it holds no valid .*{named}.*; use another checkpoint$"
    with pytest.raises(ValueError, match=refused):
        resume(run, bad)
    assert list(run.iterdir()) == []


@pytest.mark.parametrize("version", [None, 0, 2, "1", torch.ones(2)])
def test_a_checkpoint_of_another_version_is_refused_in_one_line(tmp_path: Path, good: Path, version: object) -> None:
    bad, checkpoint = tmp_path / "bad.ckpt", torch.load(good, weights_only=True)
    assert checkpoint.pop("xornet") == 1
    torch.save(checkpoint if version is None else {**checkpoint, "xornet": version}, bad)
    for use in (runs.load, partial(resume, tmp_path / "run")):
        refusal, _ = attempt(use, bad)
        assert refusal == (
            f"ckpt_path={bad} was written by another version of this project, or by another program; "
            "use that version, or train again"
        )


@pytest.mark.filterwarnings("ignore:Checkpoint directory .* exists")
@pytest.mark.parametrize("name", ELEMENTWISE)
def test_the_checkpoints_of_every_optimizer_pass(tmp_path: Path, name: str) -> None:
    optimizer = partial(getattr(torch.optim, name), lr=0.01)
    for epochs, path in ((10, None), (20, tmp_path / "last.ckpt")):
        best = ModelCheckpoint(tmp_path, monitor="train/loss", every_n_epochs=5)
        fit(tmp_path, epochs, [LastCheckpoint(str(tmp_path)), best], path, optimizer)
    assert torch.load(tmp_path / "last.ckpt", weights_only=True)["global_step"] == 20


def test_a_checkpoint_from_before_initialisations_could_be_shared_is_loaded_and_resumed(tmp_path: Path) -> None:
    _, straight = fit(tmp_path, 20, networks=3)
    fit(tmp_path, 10, [LastCheckpoint(str(tmp_path))], networks=3)
    checkpoint = torch.load(tmp_path / "last.ckpt", weights_only=True)
    del checkpoint["hyper_parameters"]["initialisations"]
    torch.save(checkpoint, tmp_path / "old.ckpt")
    loaded = XORModule.load_from_checkpoint(tmp_path / "old.ckpt")
    assert [loaded.ensemble.seed_of(i) for i in range(3)] == [0, 1, 2]
    _, resumed = fit(tmp_path, 20, None, tmp_path / "old.ckpt", networks=3)
    assert all(torch.equal(a, b) for a, b in zip(resumed.ensemble.weights, straight.ensemble.weights, strict=True))


def test_a_bad_checkpoint_is_one_line_of_every_command(command: Command, tmp_path: Path) -> None:
    plain = ["trainer.max_epochs=30", *NO_FIGURES]
    trained, other = command(*plain), command(*plain, "networks=2")
    last, mark = trained.folder / "checkpoints" / "last.ckpt", tmp_path / "executed"
    whole, content = last.read_bytes(), torch.load(last, weights_only=True)
    foreign = lightning.pytorch.Trainer(logger=False, accelerator="cpu", barebones=True)
    foreign.strategy.connect(lightning.pytorch.LightningModule())
    code = {**content, "callbacks": {"x": Call(os.mkdir, str(mark))}}
    bad: dict[str, Callable[[], object]] = {
        "code": lambda: torch.save(code, last),
        "code as before 1.6": lambda: torch.save(code, last, _use_new_zipfile_serialization=False),
        "truncated": lambda: last.write_bytes(whole[:-200]),
        "text": lambda: last.write_text("hello"),
        "foreign": lambda: foreign.save_checkpoint(last, weights_only=True),
        "other shapes": lambda: shutil.copy(other.folder / "checkpoints" / "last.ckpt", last),
        "no progress": lambda: torch.save({**content, "loops": {}, "callbacks": []}, last),
    }
    for name, write in bad.items():
        write()
        scripts = {"train.py": [f"ckpt_path={last}", "trainer.max_epochs=40"]}
        if name in ("code", "truncated"):  # of the others, two can be evaluated
            scripts |= {"eval.py": [f"ckpt_path={last}"], "compare.py": [str(trained.folder), str(other.folder)]}
        for script, given in scripts.items():
            run = command(*given, script=script)
            assert run.status == 1, name
            assert f"ckpt_path={last}" in run.last_line, name
            assert re.search("; (use|resume with) ", run.last_line), name
            assert "Traceback" not in run.err, run.err
    assert not mark.exists()


@pytest.mark.further
def test_a_job_with_a_damaged_checkpoint_fails_by_name_and_the_others_finish(command: Command) -> None:
    sweep = ["-m", "seed=1,2", "trainer.max_epochs=20", "callbacks.animation=null", "callbacks.loss_curve=null"]
    run = command(*sweep)
    jobs = sorted(run.folder.glob("[01]_*"))
    for job in jobs:
        (job / "metrics.json").unlink()
    last = jobs[0] / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:-200])
    again = command(*sweep, f"hydra.sweep.dir={run.folder}")
    assert again.status == 1
    assert "Traceback" not in again.err
    cause = jobs[0].with_name(f"{jobs[0].name}.error.txt").read_text()  # beside the job, which stays as it was
    assert cause.startswith(f"ckpt_path={last} cannot be read as a checkpoint; use the")
    assert "1 of 2 jobs failed" in again.err
    assert (jobs[1] / "metrics.json").exists()


@pytest.mark.further
def test_a_damaged_configuration_of_a_run_is_one_line(command: Command) -> None:
    folders = [command("trainer.max_epochs=3", f"seed={seed}").folder for seed in (1, 2)]
    (folders[0] / ".hydra" / "config.yaml").write_text("seed: [1\noptimizer: }")
    run = command(*map(str, folders), script="compare.py")
    assert run.status == 1
    assert f"{folders[0]}/.hydra/config.yaml" in run.last_line
    assert "Traceback" not in run.err


def test_a_run_killed_between_its_last_epoch_and_its_end_is_resumed_to_the_same_progress(tmp_path: Path) -> None:
    class Killed(LastCheckpoint):
        def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
            """Nothing: it was killed before."""

        on_fit_end = on_train_end

    straight, killed = tmp_path / "straight", tmp_path / "killed"
    fit(tmp_path, 100, [LastCheckpoint(str(straight), 50)])
    fit(tmp_path, 100, [Killed(str(killed), 50)])
    fit(tmp_path, 100, [LastCheckpoint(str(killed), 50)], killed / "last.ckpt")
    ours, theirs = (torch.load(folder / "last.ckpt", weights_only=True) for folder in (killed, straight))
    assert ours["loops"] == theirs["loops"]
    assert (ours["epoch"], ours["global_step"]) == (theirs["epoch"], theirs["global_step"]) == (100, 100)


@pytest.mark.filterwarnings("ignore:Using ModelCheckpoint with manual optimization")
@pytest.mark.filterwarnings("ignore:The dirpath has changed")
def test_a_run_resumed_again_and_again_from_within_an_epoch_counts_every_epoch_once(tmp_path: Path) -> None:
    path = None
    for epochs in (100, 200, 300, 400):
        kept = ModelCheckpoint(tmp_path / str(epochs), every_n_train_steps=7)  # before Lightning counts the epoch
        trainer, resumed = fit(tmp_path, epochs, [kept], path)
        assert trainer.current_epoch == trainer.global_step == epochs
        path = Path(kept.best_model_path)
    _, straight = fit(tmp_path, 400)
    assert equal(resumed.ensemble.state_dict(), straight.ensemble.state_dict())
    assert equal(resumed.history.state_dict(), straight.history.state_dict())
