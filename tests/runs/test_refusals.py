"""What is refused leaves every file as it was: of a run, of an evaluation, of a sweep and of its jobs."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import NO_FIGURES, SRC, Command, CommandResult
from events import read, scalar
from omegaconf import OmegaConf

from xornet.runs.directory import check_holder
from xornet.runs.lock import locked
from xornet.runs.ownership import MARK

SHORT = ("trainer.max_epochs=40", *NO_FIGURES)


def contents(folder: Path) -> dict[str, str]:
    """Every file below a directory with a checksum of its bytes, and every directory."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "directory"
        for path in folder.rglob("*")
    }


@pytest.fixture(name="run", scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where a finished run is to be; the first test that needs it trains it."""
    return tmp_path_factory.mktemp("refusals") / "run"


REFUSED = {
    # resumed with another configuration: {ckpt} is the run's own checkpoint
    "ckpt_path={ckpt} optimizer.lr=0.5": "optimizer.lr=0.1",
    "ckpt_path={ckpt} optimizer=adam": "optimizer",
    "ckpt_path={ckpt} model.hidden=[3]": "hidden=[4]",
    "ckpt_path={ckpt} data.bits=3": "bits=2",
    "ckpt_path={ckpt} seed=7": "seed=452582093",
    "ckpt_path={ckpt} trainer.max_epochs=20": "trainer.max_epochs",
    "ckpt_path={ckpt} trainer.precision=64-true": "precision",
    "ckpt_path={ckpt} logger=csv model.hidden=[3]": "hidden=[4]",
    # begun anew with what cannot be
    "optimizer.lr=-1": "optimizer.lr",
    "model.bits=3": "model.bits=3",
    "ckpt_path=/nowhere": "does not exist",
    "trainer.devices=2": "trainer.devices=2",
    "callbacks.checkpoint.dirpath=/dev/null/x": "/dev/null/x",
    "+callbacks.x._target_=os.system": "os.system",
    "optimizer=adam optimizer.capturable=true": "capturable",
    "callbacks=early_stopping callbacks.early_stopping.stopping_threshold=abc": "stopping_threshold",
    "callbacks=early_stopping +callbacks.early_stopping.min_delta=abc": "callbacks.early_stopping.min_delta",
    "callbacks=early_stopping callbacks.early_stopping.patience=abc": "callbacks.early_stopping.patience",
    "callbacks=early_stopping callbacks.early_stopping.monitor=train/acc": "callbacks.early_stopping.monitor",
    # refused by Lightning, once it trains
    "trainer.logger=false +callbacks.lr._target_=lightning.pytorch.callbacks.LearningRateMonitor": "no logger",
    "+callbacks.es._target_=lightning.pytorch.callbacks.EarlyStopping +callbacks.es.monitor=val_loss": "val_loss",
    "ckpt_path={ckpt} trainer.max_epochs=80 +callbacks.es._target_=lightning.pytorch.callbacks.EarlyStopping "
    "+callbacks.es.monitor=val_loss logger=csv": "val_loss",
    "+callbacks.top._target_=lightning.pytorch.callbacks.ModelCheckpoint +callbacks.top.monitor=val_loss "
    "+callbacks.top.dirpath={run}/best": "val_loss",
    "model.activation=relu optimizer.lr=1e30 model.init=1e30": "nan",
    "hydra.job_logging.handlers.file.filename=/dev/null/x": "filename=/dev/null/x",
    "ckpt_path={ckpt} trainer.max_epochs=41 model.tolerance=0.4": "model.tolerance=0.5",
    **{
        f"+logger.c._target_=lightning.pytorch.loggers.{logger} +logger.c.save_dir={{run}} "
        "+callbacks.es._target_=lightning.pytorch.callbacks.EarlyStopping +callbacks.es.monitor=val_loss": "val_loss"
        for logger in ("CSVLogger", "TensorBoardLogger")
    },
    # for another directory
    "hydra.output_subdir=other": "hydra.output_subdir=other",
    "-m seed=1,2 hydra.sweep.dir={run}": "holds a run",
    "eval ckpt_path=/nowhere": "holds a run",
    "eval ckpt_path={ckpt}": "holds a run",
    "eval -m ckpt_path={ckpt},{ckpt} hydra.sweep.dir={run}": "holds a run",
    "check_gradients -m seed=1,2 hydra.sweep.dir={run}": "holds a run",
}


@pytest.mark.parametrize(("line", "cause"), REFUSED.items())
def test_a_refused_command_leaves_a_finished_run_as_it_was(command: Command, run: Path, line: str, cause: str) -> None:
    if not run.exists():
        assert command(f"hydra.run.dir={run}", *SHORT).status == 0
    words = line.format(run=run, ckpt=run / "checkpoints" / "last.ckpt").split()
    script = words.pop(0) if words[0] in ("eval", "check_gradients") else "train"
    before = contents(run)
    settings = SHORT if script == "train" else ()
    refused = command(*words[:1], f"hydra.run.dir={run}", *settings, *words[1:], script=f"{script}.py")
    assert refused.status == 1
    assert refused.last_line.startswith("error: ")
    assert cause in refused.last_line
    assert contents(run) == before


def test_a_refused_command_leaves_no_directory(command: Command, tmp_path: Path) -> None:
    assert command("optimizer.lr=-1").status == 1
    assert command("optimizer.lr=-1", f"hydra.run.dir={tmp_path}/new/run").status == 1
    assert command("ckpt_path=/nowhere", script="eval.py").status == 1
    assert command("-m", "foo=1,2").status == 1
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "empty").mkdir()
    assert command("optimizer.lr=-1", f"hydra.run.dir={tmp_path}/empty").status == 1
    assert (tmp_path / "empty").is_dir()  # it was there before


@pytest.mark.further
def test_what_is_not_ours_is_not_overwritten(command: Command, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "metrics.json").write_text('{"accuracy": 1}')
    (tmp_path / "table").mkdir()
    (tmp_path / "table" / "sweep.csv").write_text("mine")
    before = contents(tmp_path)
    run = command(f"hydra.run.dir={tmp_path}/mine", *SHORT)
    assert "metrics.json was not written by this project; use another directory" in run.last_line
    sweep = command("-m", "seed=1,2", f"hydra.sweep.dir={tmp_path}/table", *SHORT)
    assert "holds a sweep.csv of something else" in sweep.last_line
    for name in ("networks.csv", "loss_curve.png", "xornet.pt", "hparams.yaml", "csv/metrics.csv"):
        path = tmp_path / "notes" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("mine")
        for script, given in (("train.py", SHORT), ("eval.py", (f"ckpt_path={run.folder}/last.ckpt",))):
            refused = command(f"hydra.run.dir={tmp_path}/notes", *given, script=script)
            assert f"notes holds a {name} of something else; use another directory" in refused.last_line
        assert path.read_text() == "mine"
        path.unlink()
    (tmp_path / "notes" / "csv").rmdir()
    (tmp_path / "notes").rmdir()
    assert contents(tmp_path) == before


@pytest.mark.further
def test_a_sweep_is_refused_as_a_whole_and_stays_as_it_was(command: Command, tmp_path: Path) -> None:
    sweep = tmp_path / "sweep"
    assert command("-m", "optimizer.lr=0.1,1.0", f"hydra.sweep.dir={sweep}", *SHORT).status == 0
    before = contents(sweep)
    refused = {
        ("-m", "optimizer.lr=0.1,1.0", "model.tolerance=0.4"): (
            f"{sweep}/0_optimizer.lr=0.1 was run with model.tolerance=0.5, but this sweep has model.tolerance=0.4"
        ),
        ("-m", "optimizer.lr=1.0,5.0", "seed=3"): f"{sweep}/0_optimizer.lr=0.1 was run with seed=452582093",
        ("-m", "optimizer.lr=0.1,1.0", "scheduler=cosine"): (
            f"error: {sweep}/0_optimizer.lr=0.1 was run with scheduler._target_=None, but this sweep has scheduler._t"
        ),
        ("-m", "seed=1,2"): "holds a sweep over optimizer.lr, but this one is over seed",
        ("-m", "seed=1,2", "optimizer.lr=0.1,1.0"): "but this one is over seed, optimizer.lr",
        ("-m", "optimizer.lr=0.1,1.0", "foo=1"): "foo is no key of the configuration",
        ("-m", "optimizer.lr=0.1,1.0", "optimizer=none"): "optimizer",
        ("-m", "optimizer.lr=interval(0,1)"): "use a list of values, or hydra/sweeper=optuna",
        (f"hydra.run.dir={sweep}",): f"{sweep} holds a sweep; use another directory",
        ("eval", "-m", "ckpt_path=a,b"): f"{sweep} holds a sweep; use another directory",
    }
    for overrides, cause in refused.items():
        is_eval = overrides[0] == "eval"
        given, script = (overrides[1:], "eval.py") if is_eval else ((*overrides, *SHORT), "train.py")
        run = command(*given, f"hydra.sweep.dir={sweep}", script=script)
        assert run.status == 1
        assert cause in run.last_line
        assert contents(sweep) == before


@pytest.mark.further
def test_a_sweep_of_evaluations_that_is_refused_stays_as_it_was(command: Command, tmp_path: Path) -> None:
    one, two = (f"{command(*SHORT, f'seed={seed}').folder}/checkpoints/last.ckpt" for seed in (1, 2))
    sweep, pair = f"hydra.sweep.dir={tmp_path}/sweep", f"ckpt_path={one},{two}"
    assert command("-m", pair, sweep, script="eval.py").status == 0
    before = contents(tmp_path)
    for others in (f"ckpt_path={two},{one}", "ckpt_path=/nowhere,/else", f"ckpt_path={one}"):
        refused = command("-m", others, sweep, script="eval.py")
        assert refused.status == 1
        assert f"{tmp_path}/sweep holds a sweep of ['{pair}'], but this one is of ['{others}']" in refused.last_line
        assert contents(tmp_path) == before
    checked = command("-m", "seed=1,2", sweep, script="check_gradients.py")
    assert "use another directory" in checked.last_line
    shared = command("-m", pair, f"hydra.sweep.dir={tmp_path}/new", "hydra.sweep.subdir=same", script="eval.py")
    said = "hydra.sweep.subdir=same is not allowed: each job needs its own directory; drop it"
    assert shared.last_line == f"error: {said}"
    for script, job in (("eval.py", "ckpt_path=/nowhere,/else"), ("check_gradients.py", "optimizer.lr=-1,-2")):
        assert command("-m", job, f"hydra.sweep.dir={tmp_path}/new/sweep", script=script).status == 1
    assert contents(tmp_path) == before
    assert command("-m", pair, sweep, script="eval.py").status == 0
    trained = command("-m", "seed=1,2", sweep, *SHORT)
    assert trained.last_line.endswith(f"{tmp_path}/sweep holds a sweep of evaluations; use another directory")


@pytest.mark.further
def test_a_sweep_that_its_launcher_refuses_keeps_what_hydra_was_told_before(command: Command, tmp_path: Path) -> None:
    one = f"ckpt_path={command(*SHORT, 'seed=1').folder}/checkpoints/last.ckpt"
    for script, overrides in (("train.py", ("seed=1,2", *SHORT)), ("eval.py", (one,))):
        sweep = ("-m", *overrides, f"hydra.sweep.dir={tmp_path}/{script}")
        assert command(*sweep, script=script).status == 0
        before = contents(tmp_path / script)
        refused = command(*sweep, "hydra/launcher=joblib", "hydra.launcher.n_jobs=0", script=script)
        assert refused.status == 1
        assert "n_jobs == 0" in refused.err
        assert contents(tmp_path / script) == before
        assert command(*sweep, "hydra.job.chdir=false", script=script).status == 0  # and is told anew where jobs ran
        assert contents(tmp_path / script)["multirun.yaml"] != before["multirun.yaml"]


@pytest.mark.further
@pytest.mark.parametrize("text", ["a: [1", "- 1", "hydra: 3", ""])
def test_a_multirun_yaml_of_something_else_is_named(command: Command, tmp_path: Path, text: str) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "multirun.yaml").write_text(text)
    for script, words in (
        ("train.py", ("-m", "seed=1,2", *SHORT)),
        ("check_gradients.py", ("-m", "seed=1,2")),
        ("train.py", SHORT),
    ):
        given = f"hydra.{'sweep' if '-m' in words else 'run'}.dir={tmp_path}/theirs"
        refused = command(*words, given, script=script)
        assert refused.status == 1
        assert f"{tmp_path}/theirs holds a multirun.yaml of something else; use another" in refused.last_line
        assert [path.read_text() for path in (tmp_path / "theirs").iterdir()] == [text]


@pytest.mark.further
def test_a_search_that_was_killed_is_a_sweep_all_the_same(command: Command, tmp_path: Path) -> None:
    """Hydra writes no multirun.yaml for it, and it has not come to its sweep.csv."""
    assert command("-m", "seed=1,2", f"hydra.sweep.dir={tmp_path}/search", *SHORT).status == 0
    for path in (tmp_path / "search").iterdir():
        if path.is_file():
            path.unlink()
    before = contents(tmp_path)
    refused = command(f"hydra.run.dir={tmp_path}/search", *SHORT)
    assert f"{tmp_path}/search holds a sweep; use another directory" in refused.last_line
    assert contents(tmp_path) == before
    assert command("-m", "seed=1,2", f"hydra.sweep.dir={tmp_path}/search", *SHORT).status == 0


def test_two_loggers_that_would_write_the_same_file_are_refused(command: Command, tmp_path: Path) -> None:
    second = "+logger.b={_target_: xornet.runs.%s, save_dir: '${trainer.default_root_dir}'}"
    for logger, kind in (("csv", "csv_logger.CSVLogger"), ("tensorboard", "events.EventLogger")):
        run = command(f"logger={logger}", second % kind, *SHORT)
        assert run.status == 1
        assert "two loggers would both write into " in run.last_line
        assert run.last_line.endswith("; use another name for one of them")
    assert not list(tmp_path.rglob("*.*"))


PLACES = {
    "callbacks.checkpoint.dirpath": "last.ckpt",
    "callbacks.best_checkpoint.dirpath": "best-epoch=19.ckpt",
    "logger.csv.save_dir": "metrics.csv",
    "logger.tensorboard.save_dir": "events.out.tfevents.",
}


@pytest.mark.further
@pytest.mark.parametrize("key", PLACES)
def test_a_place_outside_of_its_directory_is_one_runs_alone(command: Command, tmp_path: Path, key: str) -> None:
    """A second run would write over its checkpoint and its table, or have TensorBoard mix both."""
    best = ("callbacks=best_checkpoint", "callbacks.best_checkpoint.every_n_epochs=10") if "best" in key else ()
    there = ("logger=[tensorboard,csv]", *best, f"{key}={tmp_path}/there", *SHORT)
    assert command(*there, f"hydra.run.dir={tmp_path}/first").status == 0
    (place,) = {path.parent for path in (tmp_path / "there").rglob(f"{PLACES[key]}*")}
    before = contents(tmp_path)
    second = command(*there, f"hydra.run.dir={tmp_path}/second")
    assert second.status == 1
    assert f"{key}: {place} holds {PLACES[key]}" in second.last_line
    assert "of another run; use another directory" in second.last_line
    assert contents(tmp_path) == before
    last = "there" if key == "callbacks.checkpoint.dirpath" else "first/checkpoints"
    resumed = (*there, f"ckpt_path={tmp_path}/{last}/last.ckpt", "trainer.max_epochs=60")
    if last != "there":  # whose rows would be mixed, and best checkpoints deleted
        assert command(*resumed, f"hydra.run.dir={tmp_path}/third").status == 1
    with locked(place):
        refused = command(*there, f"hydra.run.dir={tmp_path}/first")
    assert f"{place} is in use by another command" in refused.last_line
    assert contents(tmp_path) == before
    if last == "there":  # which the run continues, and then has as its own
        assert command(*resumed, f"hydra.run.dir={tmp_path}/third").status == 0
        assert " of another run" in command(*there, f"hydra.run.dir={tmp_path}/first").last_line
        return
    assert command(*there, f"hydra.run.dir={tmp_path}/first").status == 0  # the same run again, in its own directory
    spelled = [word.replace(f"{key}={tmp_path}", f"{key}={tmp_path}/there/..") for word in there]
    assert command(*spelled, f"hydra.run.dir={tmp_path}/first").status == 0


@pytest.mark.further
def test_a_run_that_continues_another_one_elsewhere_overwrites_no_last_checkpoint(
    command: Command, tmp_path: Path
) -> None:
    best = ["callbacks=best_checkpoint", "callbacks.best_checkpoint.every_n_epochs=10"]
    best += [f"callbacks.best_checkpoint.dirpath={tmp_path}/best"]
    forked = [f"ckpt_path='{tmp_path}/best/best-epoch=9.ckpt'", "trainer.max_epochs=30"]
    for place in (f"{tmp_path}/last", "${hydra:runtime.output_dir}/../last"):
        there = f"callbacks.checkpoint.dirpath={place}"
        assert command(*best, there, *SHORT, f"hydra.run.dir={tmp_path}/a/first").status == 0
        if "$" in place:  # the same text is another place there, which is another run's
            assert command(there, *SHORT, "seed=7", f"hydra.run.dir={tmp_path}/b/first").status == 0
        before = contents(tmp_path)
        fork = command(there, *SHORT, *forked, f"hydra.run.dir={tmp_path}/b/second")
        assert "holds last.ckpt of another run; use another directory" in fork.last_line
        assert contents(tmp_path) == before
        shutil.rmtree(tmp_path / "best")


@pytest.mark.further
@pytest.mark.parametrize("means", ["seed", "environment", "directory"])
def test_the_place_of_an_earlier_run_is_where_it_wrote_not_what_its_text_means_now(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, means: str
) -> None:
    place = {"seed": f"{tmp_path}/x/${{model.seed}}", "environment": f"{tmp_path}/x/${{oc.env:HERE}}", "directory": "x"}

    def run(seed: int, run_dir: str, networks: int) -> CommandResult:
        (tmp_path / f"from{seed}").mkdir(exist_ok=True)
        monkeypatch.chdir(tmp_path / f"from{seed}")
        monkeypatch.setenv("HERE", str(seed))
        where = (f"callbacks.checkpoint.dirpath={place[means]}", f"hydra.run.dir={tmp_path}/{run_dir}")
        return command(*where, f"seed={seed}", f"networks={networks}", *SHORT)

    assert run(0, "a", networks=1).status == 0
    assert run(1, "b", networks=2).status == 0
    mark_of_b = (tmp_path / "b" / ".hydra" / MARK).read_text()
    before = contents(tmp_path)
    assert " holds last.ckpt of another run" in run(1, "a", networks=1).last_line  # this is the place of b
    (place_of_b,) = (
        path.parent for path in tmp_path.rglob("last.ckpt") if (path.parent / MARK).read_text() == mark_of_b
    )
    within = ("callbacks.checkpoint.dirpath=${trainer.default_root_dir}", f"hydra.run.dir={place_of_b}")
    refused = command(*within, *SHORT).last_line
    assert refused.endswith(
        f"{place_of_b} holds .xornet_run, the mark of a run elsewhere that writes here; use another directory"
    )
    assert contents(tmp_path) == before
    assert run(0, "a", networks=1).status == 0  # the same place
    (tmp_path / "a" / ".hydra" / MARK).unlink()  # as if it had written into none
    assert " holds last.ckpt of another run" in run(0, "a", networks=1).last_line


@pytest.mark.further
def test_a_run_is_resumed_where_it_wrote_although_a_variable_of_its_environment_is_gone(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HERE", f"{tmp_path}/table")
    kept = ["callbacks=best_checkpoint", "callbacks.best_checkpoint.every_n_epochs=10"]
    kept += [f"callbacks.best_checkpoint.dirpath={tmp_path}/best", f"hydra.run.dir={tmp_path}/run"]
    run = command(*kept, *SHORT, "logger=[tensorboard,csv]", "logger.csv.save_dir=${oc.env:HERE}")
    assert run.status == 0
    monkeypatch.delenv("HERE")
    longer = "trainer.max_epochs=60"
    resumed = command(*kept, *SHORT, longer, f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt")
    assert resumed.status == 0, resumed.err


@pytest.mark.further
def test_runs_that_are_moved_with_their_places_are_theirs_still(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "before").mkdir()
    monkeypatch.chdir(tmp_path / "before")
    run = ["callbacks.checkpoint.dirpath=out", "hydra.run.dir=run", *SHORT]
    sweep = ["-m", "seed=1,2", "callbacks.checkpoint.dirpath='out/${seed}'", "hydra.sweep.dir=sweep", *SHORT]
    assert [command(*run).status, command(*sweep).status] == [0, 0]
    (tmp_path / "before").rename(tmp_path / "after")
    monkeypatch.chdir(tmp_path / "after")
    (tmp_path / "after" / "sweep" / "1_seed=2" / "metrics.json").unlink()
    resumed = command(*run, "trainer.max_epochs=60", f"ckpt_path={tmp_path}/after/out/last.ckpt")
    assert [resumed.status, command(*run).status] == [0, 0]
    again = command(*sweep)
    assert again.status == 0, again.err
    assert "skipped, finished before: 0_seed=1" in again.err
    assert "resumed: 1_seed=2" in again.err
    (tmp_path / "after" / "out" / "1" / MARK).unlink()  # of what is not written into
    assert command(*sweep).status == 0


def test_a_run_continues_in_the_place_of_the_checkpoint_that_it_is_resumed_from(
    command: Command, tmp_path: Path
) -> None:
    there = f"callbacks.checkpoint.dirpath={tmp_path}/there"
    assert command(there, *SHORT).status == 0
    resumed = command(there, *SHORT, "trainer.max_epochs=60", f"ckpt_path={tmp_path}/there/last.ckpt")
    assert resumed.status == 0, resumed.err


@pytest.mark.further
def test_a_sweep_of_gradient_checks_leaves_nothing(command: Command, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    for folder in ("there", "new"):
        sweep = ("-m", "seed=1,2", f"hydra.sweep.dir={tmp_path}/{folder}")
        assert command(*sweep, script="check_gradients.py").status == 0
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


@pytest.mark.skipif(os.name == "nt", reason="Windows locks no directory")
@pytest.mark.further
def test_of_two_commands_in_one_directory_at_once_the_second_is_refused(command: Command, tmp_path: Path) -> None:
    run, sweep = (f"hydra.{kind}.dir={tmp_path}/{kind}" for kind in ("run", "sweep"))
    assert command(run, *SHORT).status == 0
    assert command("-m", "seed=1,2", sweep, *SHORT).status == 0
    before = contents(tmp_path)
    for folder, given in (("run", (run,)), ("sweep", ("-m", "seed=1,2,3", sweep))):
        with locked(tmp_path / folder):
            refused = command(*given, *SHORT)
        assert refused.status == 1
        assert f"{tmp_path}/{folder} is in use by another command; wait until that has ended" in refused.last_line
        assert contents(tmp_path) == before
    elsewhere = f"trainer.default_root_dir={tmp_path}/run"  # where the results go, unlike Hydra's own files
    checkpoint = f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt"
    for script, words in (
        ("train.py", (elsewhere, *SHORT)),
        ("eval.py", (checkpoint, f"hydra.run.dir={tmp_path}/eval")),
    ):
        (tmp_path / "eval").mkdir(exist_ok=True)
        with locked(tmp_path / ("run" if script == "train.py" else "eval")):
            refused = command(*words, script=script)
        assert refused.status == 1
        assert "is in use by another command" in refused.last_line
    job = tmp_path / "sweep" / "1_seed=2"
    (job / "metrics.json").unlink()
    before = contents(job)
    with locked(job):  # by a command that resumes this job alone
        part = command("-m", "seed=1,2,3", sweep, *SHORT)
    assert part.status == 1
    assert f"error: 1_seed=2 failed: {job} is in use by another command" in part.err
    assert contents(job) == before
    assert (tmp_path / "sweep" / "2_seed=3" / "metrics.json").exists()  # the others are not stopped by it
    assert command("-m", "seed=1,2,3", sweep, *SHORT).status == 0
    assert not list((tmp_path / "sweep").glob("*.error.txt"))
    with locked(job):  # by a trial of a search that is alike, and skips it too
        assert command("-m", "seed=1,2,3", sweep, *SHORT).status == 0
    assert command(run, *SHORT).status == 0


@pytest.mark.further
def test_a_job_that_is_refused_stays_as_it_was_and_its_cause_stands_beside_it(command: Command, tmp_path: Path) -> None:
    sweep = ["-m", "seed=1,2", f"hydra.sweep.dir={tmp_path}/sweep", *SHORT]
    assert command(*sweep).status == 0
    job = tmp_path / "sweep" / "1_seed=2"
    (job / "metrics.json").unlink()
    (job / "checkpoints" / "last.ckpt").write_bytes(b"damaged")
    before = contents(job)
    again = command(*sweep)
    assert again.status == 1
    assert again.err.count(f"error: 1_seed=2 failed: ckpt_path={job}/checkpoints/last.ckpt cannot be read") == 1
    assert contents(job) == before
    assert (tmp_path / "sweep" / "1_seed=2.error.txt").read_text().startswith("ckpt_path=")
    (job / "checkpoints" / "last.ckpt").unlink()
    assert command(*sweep).status == 0
    assert not (tmp_path / "sweep" / "1_seed=2.error.txt").exists()


@pytest.mark.further
def test_a_sweep_deletes_its_own_event_files_alone(command: Command, tmp_path: Path) -> None:
    sweep = ["-m", "seed=1,2", f"hydra.sweep.dir={tmp_path}", *SHORT]
    assert command(*sweep).status == 0
    theirs = tmp_path / "events.out.tfevents.1.host.1.0"
    theirs.write_bytes(b"of somebody else")
    assert command(*sweep).status == 0
    assert theirs.read_bytes() == b"of somebody else"
    assert len(list(tmp_path.glob("events.out.tfevents.*.sweep"))) == 1


def test_a_refused_command_leaves_no_event_file_elsewhere(command: Command, tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "note").write_text("keep")
    before = contents(tmp_path)
    for folder in ("theirs", "new"):
        run = command("trainer.detect_anomaly=true", f"logger.tensorboard.save_dir={tmp_path}/{folder}", *SHORT)
        assert "trainer.detect_anomaly=true" in run.last_line
    assert {name: kind for name, kind in contents(tmp_path).items() if not name.startswith("logs")} == before


def test_a_run_of_another_project_is_not_overwritten(command: Command, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    (theirs / ".hydra").mkdir(parents=True)
    (theirs / ".hydra" / "config.yaml").write_text("trainer:\n  _target_: lightning.Trainer\nckpt_path: null\n")
    for folder in (theirs, tmp_path / "weights"):
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "checkpoints" / "last.ckpt").write_bytes(b"theirs")
        (folder / "loss_curve.png").write_bytes(b"theirs")
    before = contents(tmp_path)
    for folder, holds in (
        (theirs, "a run of another project"),
        (tmp_path / "weights", "checkpoints of something else"),
    ):
        run = command(f"hydra.run.dir={folder}", *SHORT)
        assert f"{folder} holds {holds}; use another directory" in run.last_line
        assert contents(tmp_path) == before


@pytest.mark.parametrize(
    "torn", ["", "model: {", "- model\n", "data:\n  _target_: xornet.data.XORDataModule\n", b"model: \xff"], ids=repr
)
def test_a_directory_with_a_torn_configuration_is_refused_by_its_file(tmp_path: Path, torn: str | bytes) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_bytes(torn if isinstance(torn, bytes) else torn.encode())
    with pytest.raises(ValueError, match=f"{tmp_path} holds a damaged .hydra/config.yaml; use another directory"):
        check_holder(tmp_path, "a run")


@pytest.mark.further
@pytest.mark.skipif(os.name == "nt" or (os.geteuid() == 0 and not shutil.which("setpriv")), reason="needs setpriv")
@pytest.mark.parametrize(
    ("part", "overrides"),
    [
        (part, overrides)
        for part in ("checkpoints", ".hydra", "csv")  # this part of the run logs no table
        for overrides in (("trainer.max_epochs=30",), ("trainer.max_epochs=60", "ckpt_path=RUN/checkpoints/last.ckpt"))
    ],
)
def test_a_run_that_may_not_write_into_a_part_of_its_directory_leaves_the_earlier_one(
    command: Command, tmp_path: Path, part: str, overrides: tuple[str, ...]
) -> None:
    """A careful user keeps checkpoints by `chmod -w`."""
    run = tmp_path / "run"
    assert command(f"hydra.run.dir={run}", "logger=many", *SHORT).status == 0
    before = contents(run)
    (run / part).chmod(0o555)
    try:
        given = [f"hydra.run.dir={run}", *SHORT, *(one.replace("RUN", str(run)) for one in overrides)]
        refused = as_a_user(given)
    finally:
        (run / part).chmod(0o755)
    assert refused.returncode == 1
    assert f"cannot write into {run}/{part}: Permission denied; use hydra.run.dir=" in refused.stderr.splitlines()[-1]
    assert contents(run) == before


def as_a_user(overrides: list[str]) -> "subprocess.CompletedProcess[str]":
    """Run `train.py` without the rights of root, who may write everywhere."""
    drop = "-dac_override,-dac_read_search"
    user = ["setpriv", "--bounding-set", drop, "--inh-caps", drop] if os.geteuid() == 0 else []
    command = [*user, sys.executable, str(SRC / "train.py"), *overrides]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def scalars(folder: Path) -> dict[str, list[int]]:
    """The steps of every curve in the event files of a directory."""
    found = read(folder)
    steps = {tag: [event.step for event in found.Scalars(tag)] for tag in found.Tags()["scalars"]}
    return {tag: steps[tag] for tag in steps if steps[tag]}  # a tag stays when its points are forgotten


def test_a_place_that_cannot_be_made_names_the_key_that_asks_for_it(command: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for key in ("callbacks.checkpoint.dirpath", "logger.tensorboard.save_dir"):
        refused = command(f"{key}={tmp_path}/file/there", *SHORT)
        assert refused.status == 1
        assert refused.last_line.startswith(f"error: {key}: [Errno 20] Not a directory: ")
        assert refused.last_line.endswith("; use another directory")


@pytest.mark.further
def test_a_part_that_logs_elsewhere_leaves_no_end_of_the_part_before(command: Command, tmp_path: Path) -> None:
    """Each logger in turn, in one directory: what it holds of earlier epochs stays, how they ended does not."""
    run = f"hydra.run.dir={tmp_path}/run"
    checkpoint = f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt"
    assert command(run, *SHORT).status == 0
    assert {"final/loss", "train/loss"} <= scalars(tmp_path / "run").keys()
    assert command(run, *SHORT, "trainer.max_epochs=60", "logger=csv", checkpoint).status == 0
    held = scalars(tmp_path / "run")
    assert "final/loss" not in held
    assert max(held["train/loss"]) < 40
    assert not list((tmp_path / "run").glob("*.hparams-row"))
    assert not (tmp_path / "run" / "hparams.yaml").exists()
    rows = (tmp_path / "run" / "csv" / "metrics.csv").read_text()
    assert "final/loss" in rows
    assert command(run, *SHORT, "trainer.max_epochs=80", checkpoint).status == 0
    assert not (tmp_path / "run" / "csv" / "hparams.yaml").exists()
    rows = (tmp_path / "run" / "csv" / "metrics.csv").read_text()
    assert "final/loss" not in rows
    assert "train/loss" in rows
    assert set(scalars(tmp_path / "run")["final/loss"]) == {80}
    assert command(run, *SHORT, "trainer.max_epochs=90", "~logger", checkpoint).status == 0
    assert "final/loss" not in scalars(tmp_path / "run")


def test_a_part_that_logs_nothing_leaves_no_end_outside_of_the_directory_either(
    command: Command, tmp_path: Path
) -> None:
    run = f"hydra.run.dir={tmp_path}/run"
    places = (f"logger.csv.save_dir={tmp_path}/c", f"logger.tensorboard.save_dir={tmp_path}/t")
    assert command(run, "logger=many", *places, *SHORT).status == 0
    checkpoint = f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt"
    assert command(run, "~logger", *SHORT, "trainer.max_epochs=60", checkpoint).status == 0
    held = scalars(tmp_path / "t")
    assert "final/loss" not in held
    assert "train/loss" in held
    assert "final/loss" not in (tmp_path / "c" / "csv" / "metrics.csv").read_text()
    assert not [*tmp_path.glob("[ct]/**/hparams.yaml"), *(tmp_path / "t").glob("*.hparams-row")]


def test_a_metric_that_nothing_logs_leaves_an_earlier_run_as_it_was(command: Command, tmp_path: Path) -> None:
    run = f"hydra.run.dir={tmp_path}/run"
    assert command(run, *SHORT).status == 0
    before = contents(tmp_path)
    for place in (run, f"hydra.run.dir={tmp_path}/new"):
        best = ("callbacks=best_checkpoint", "callbacks.best_checkpoint.monitor=train/acc")
        refused = command(place, *SHORT, *best, "trainer.max_epochs=3000")
        assert "ModelCheckpoint has monitor=train/acc, which nothing logs" in refused.last_line
        assert contents(tmp_path) == before


@pytest.mark.further
@pytest.mark.skipif(os.name == "nt" or (os.geteuid() == 0 and not shutil.which("setpriv")), reason="needs setpriv")
def test_a_table_outside_that_may_not_be_written_keeps_the_run_from_going_on_without_it(
    command: Command, tmp_path: Path
) -> None:
    run, checkpoint = f"hydra.run.dir={tmp_path}/run", f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt"
    assert command(run, "logger=many", f"logger.csv.save_dir={tmp_path}", *SHORT).status == 0
    before = contents(tmp_path)
    (tmp_path / "csv").chmod(0o555)
    try:
        refused = as_a_user([run, "~logger", *SHORT, "trainer.max_epochs=60", checkpoint])
    finally:
        (tmp_path / "csv").chmod(0o755)
    assert refused.returncode == 1
    assert f"cannot write into {tmp_path}/csv: Permission denied" in refused.stderr
    assert contents(tmp_path) == before


@pytest.mark.further
def test_a_checkpoint_that_may_not_be_read_is_not_called_damaged(command: Command, tmp_path: Path) -> None:
    assert command(f"hydra.run.dir={tmp_path}/run", *SHORT).status == 0
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    last.chmod(0o000)
    refused = as_a_user([f"ckpt_path={last}", *SHORT, "trainer.max_epochs=60"])
    line = f"error: ckpt_path={last} cannot be read: Permission denied; make it readable"
    assert refused.stderr.splitlines()[-1] == line
    last.parent.chmod(0o000)
    try:
        refused = as_a_user([f"ckpt_path={last}", *SHORT, "trainer.max_epochs=60"])
    finally:
        last.parent.chmod(0o755)
    line = f"error: ckpt_path={last} cannot be read: Permission denied; use another path"
    assert refused.stderr.splitlines()[-1] == line


@pytest.mark.further
def test_another_run_is_not_replaced_through_the_directory_of_the_trainer(command: Command, tmp_path: Path) -> None:
    assert command(f"hydra.run.dir={tmp_path}/first", *SHORT).status == 0
    before = contents(tmp_path)
    given = (f"trainer.default_root_dir={tmp_path}/first", f"hydra.run.dir={tmp_path}/second", *SHORT)
    line = f"trainer.default_root_dir={tmp_path}/first holds another run; use hydra.run.dir={tmp_path}/first to replace"
    assert line in command(*given).last_line
    assert contents(tmp_path) == before
    resumed = command(*given, f"ckpt_path={tmp_path}/first/checkpoints/last.ckpt", "trainer.max_epochs=60")
    assert resumed.status == 0, resumed.err
    for name in ("third", "third", "${seed}", "${seed}"):  # its own results are replaced, as those of hydra.run.dir are
        again = (f"trainer.default_root_dir={tmp_path}/{name}", f"hydra.run.dir={tmp_path}/fourth", *SHORT)
        assert command(*again).status == 0


@pytest.mark.further
def test_the_remedy_for_another_optimizer_and_class_works(command: Command, tmp_path: Path) -> None:
    first = command("optimizer=adam", "scheduler=step", *SHORT)
    last = f"ckpt_path={first.folder}/checkpoints/last.ckpt"
    refused = command(last, "trainer.max_epochs=60", *NO_FIGURES)
    assert "resume with the same, as in the .hydra/overrides.yaml of the run" in refused.last_line
    overrides = OmegaConf.load(first.folder / ".hydra" / "overrides.yaml")
    assert command(last, *map(str, overrides), "trainer.max_epochs=60").status == 0


@pytest.mark.further
def test_a_clock_that_is_ahead_of_the_file_system_costs_no_log_and_no_failure(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a file system of another machine, or on one that knows whole seconds only."""
    clock = time.time
    monkeypatch.setattr(time, "time", lambda: clock() + 60)
    given = (f"hydra.run.dir={tmp_path}/run", "trainer.max_epochs=1500", *NO_FIGURES)
    assert command(*given).status == 0
    points = list(scalar(tmp_path / "run", "train/loss"))
    assert command(*given, "seed=1").status == 0
    assert list(scalar(tmp_path / "run", "train/loss")) == points
    before = contents(tmp_path / "run")
    assert command(*given, "optimizer.lr=0.5", f"ckpt_path={tmp_path}/run/checkpoints/last.ckpt").status == 1
    assert contents(tmp_path / "run") == before
    sweep = ("-m", "optimizer.lr=-1,0.1", "trainer.max_epochs=20", f"hydra.sweep.dir={tmp_path}/sweep", *NO_FIGURES)
    assert [command(*sweep).status for _ in range(2)] == [1, 1]
