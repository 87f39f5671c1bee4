"""Optuna's search: what counts as a trial, what a failed job counts as, and where a search outlives its process."""

from collections.abc import Callable
from contextlib import redirect_stdout
from io import StringIO
from math import inf
from pathlib import Path

import optuna
import pytest
from conftest import NO_FIGURES, Command
from omegaconf import OmegaConf
from test_sweep import rows, untouched

from xornet.sweeps import summary

SEARCH = ("-m", "hydra/sweeper=optuna", "hydra.sweeper.n_jobs=1", "hydra.sweeper.sampler.seed=1")
FILE = "sqlite:///<a file that can be written>"
SHORT = ("trainer.max_epochs=20", *NO_FIGURES)


def trials(storage: str, name: str) -> list[tuple[str, float | None]]:
    """The state and the value of each trial of a study that is kept."""
    study = optuna.load_study(study_name=name, storage=storage)
    return [(trial.state.name, trial.value if trial.values else None) for trial in study.trials]


@pytest.mark.parametrize(("direction", "best"), [("minimize", min), ("maximize", max)])
@pytest.mark.further
def test_a_failed_job_is_a_failed_trial_whatever_the_direction(
    command: Command, tmp_path: Path, direction: str, best: Callable[[list[float]], float]
) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    kept = (f"hydra.sweeper.storage={storage}", "hydra.sweeper.study_name=lr")
    run = command(
        *SEARCH,
        *kept,
        f"hydra.sweeper.direction={direction}",
        "hydra.sweeper.n_trials=5",
        "optimizer.lr=choice(-1,1,3)",
        *SHORT,
    )
    table = rows(run.folder)
    assert {row["status"] for row in table} == {"finished", "failed"}
    losses = [float(row["loss"]) if row["loss"] else None for row in table]
    told = [("COMPLETE", loss) if loss else ("FAIL", None) for loss in losses]
    assert [state for state, _ in trials(storage, "lr")] == [state for state, _ in told]
    assert [value for _, value in trials(storage, "lr") if value] == pytest.approx([loss for loss in losses if loss])
    answer = OmegaConf.load(run.folder / "optimization_results.yaml")
    assert answer.best_value == pytest.approx(best([loss for loss in losses if loss]))
    assert answer.best_params["optimizer.lr"] in (1, 3)
    assert run.status == 1
    assert run.last_line == f"error: {losses.count(None)} of 5 jobs failed"
    assert "max_failure_rate" not in run.err


@pytest.mark.further
@pytest.mark.parametrize("is_stored", [False, True])
def test_a_search_whose_every_job_fails_ends_in_its_summary(command: Command, tmp_path: Path, is_stored: bool) -> None:
    kept = (f"hydra.sweeper.storage=sqlite:///{tmp_path}/study.db", "hydra.sweeper.study_name=lr")
    run = command(
        *SEARCH, *(kept if is_stored else ()), "hydra.sweeper.n_trials=2", "optimizer.lr=choice(-1,-2)", *SHORT
    )
    assert [row["status"] for row in rows(run.folder)] == ["failed"] * 2
    assert not (run.folder / "optimization_results.yaml").exists()
    assert run.status == 1
    assert run.last_line == "error: 2 of 2 jobs failed"
    assert "Traceback" not in run.err
    assert "No trials" not in run.err


@pytest.mark.further
def test_a_search_that_is_kept_in_a_file_continues_by_the_same_command(command: Command, tmp_path: Path) -> None:
    folder = tmp_path / "search"
    # the storage may stand in the sweep's own directory, which is made for it
    search = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_jobs=1", "hydra.sweeper.n_trials=2"]
    search += ["hydra.sweeper.storage=sqlite:///${hydra.sweep.dir}/study.db", "hydra.sweeper.study_name=lr"]
    search += ["optimizer.lr=interval(0.5,30)", *SHORT, f"hydra.sweep.dir={folder}", "hydra.sweeper.sampler.seed=1"]
    first = command(*search)
    assert first.status == 0, first.err
    before = {path: path.read_bytes() for path in folder.glob("*/metrics.json")}
    assert len(before) == 2

    again = command(*search)
    assert again.status == 0, again.err
    assert {path: path.read_bytes() for path in before} == before
    told = trials(f"sqlite:///{folder}/study.db", "lr")
    losses = sorted(float(row["loss"]) for row in rows(folder))
    assert sorted(value or 0 for _, value in told) == pytest.approx(losses)
    assert len({row["optimizer.lr"] for row in rows(folder)}) == len(losses) == 4
    assert OmegaConf.load(folder / "optimization_results.yaml").best_value == losses[0]

    as_it_was = untouched(folder)
    refused = command(*search, "hydra.sweeper.direction=maximize")
    assert refused.status == 1
    assert refused.last_line.startswith("error: hydra.sweeper.direction=maximize: this is not the")
    assert refused.last_line.endswith("stored study, MINIMIZE; use that, or another hydra.sweeper.study_name")
    assert "setup plugin" not in again.err  # of the database's package
    assert untouched(folder) == as_it_was

    (job,) = folder.glob("0_*")
    (job / "metrics.json").unlink()  # as a signal leaves it
    more = f"The same command with hydra.sweep.dir={folder} adds trials; none is resumed.\n"
    for start, hint in ((0.0, more), (inf, "")):
        with redirect_stdout(StringIO()) as said:
            summary.write(folder, ["optimizer.lr"], start, is_stored=True)
        assert said.getvalue().endswith(f"sweep.png\n{hint}")


@pytest.mark.further
def test_trials_that_are_refused_are_failed_jobs(command: Command) -> None:
    space = "trainer.log_every_n_steps=choice(1,often)"
    run = command(*SEARCH, "hydra.sweeper.n_trials=4", space, *SHORT)
    assert run.status == 1
    table = rows(run.folder)
    assert {(row["trainer.log_every_n_steps"], row["status"]) for row in table} == {
        ("1", "finished"),
        ("often", "failed"),
    }
    assert "often failed: trainer.log_every_n_steps=often is a text; use a whole number" in run.err


@pytest.mark.further
def test_a_trial_of_a_stored_search_is_never_an_earlier_one(command: Command, tmp_path: Path) -> None:
    """Of two trials that are alike, each is a job, where they run at once too."""
    store = (f"hydra.sweeper.storage=sqlite:///{tmp_path}/o.db", "hydra.sweeper.study_name=s")
    given = (*SEARCH, *store, "model.hidden=choice([4],[4])", *SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    assert command(*given, "hydra.sweeper.n_trials=1").status == 0
    (first,) = (tmp_path / "sweep").glob("0_*")
    (first / "metrics.json").unlink()  # as a signal leaves it
    again = command(*given, "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=2")
    assert again.status == 0, again.err
    assert [row["status"] for row in rows(tmp_path / "sweep")] == ["interrupted", "finished", "finished"]


@pytest.mark.further
def test_a_stored_study_is_continued_in_another_directory_with_other_values(command: Command, tmp_path: Path) -> None:
    store = (f"hydra.sweeper.storage=sqlite:///{tmp_path}/o.db", "hydra.sweeper.study_name=s")
    given = (*SEARCH, *store, "hydra.sweeper.n_trials=1", *SHORT)
    rates = []
    for name in ("first", "again"):
        run = command(*given, "optimizer.lr=interval(0.5,30)", f"hydra.sweep.dir={tmp_path}/{name}")
        assert run.status == 0, run.err
        rates += [row["optimizer.lr"] for row in rows(tmp_path / name)]
    assert len({*rates}) == 2  # although the sampler has a seed
    refused = command(*given, "optimizer.lr=choice(1,2)", f"hydra.sweep.dir={tmp_path}/kinds")
    assert "the stored study searches a key in another way; use the same kind" in refused.last_line


@pytest.mark.further
def test_the_trials_that_follow_those_of_an_earlier_part_have_the_numbers_that_follow(command: Command) -> None:
    given = (*SEARCH, "optimizer.lr=interval(0.5,30)", *SHORT)
    run = command(*given, "hydra.sweeper.n_trials=2")
    again = command(*given, "hydra.sweeper.n_trials=4", f"hydra.sweep.dir={run.folder}")
    assert again.err.count("skipped, finished before") == 2
    assert [row["job"] for row in rows(run.folder)] == ["0", "1", "2", "3"]
    other = (*SEARCH, "optimizer.lr=interval(0.5,40)", *SHORT)  # draws other values from the first on
    again = command(*other, "hydra.sweeper.n_trials=2", f"hydra.sweep.dir={run.folder}")
    assert again.status == 0, again.err
    assert [row["job"] for row in rows(run.folder)] == ["0", "1", "2", "3", "4", "5"]


@pytest.mark.parametrize(
    ("setting", "cause"),
    [
        ("storage=sqlite:////dev/null/study.db", f"unable to open database file; use {FILE}"),
        ("storage=sqlite:///{damaged}", f"file is not a database; use {FILE}"),
        ("storage=redis://localhost", f"storage=redis://localhost is no database; use {FILE}"),
        ("storage=study.db", f"storage=study.db is no database; use {FILE}"),
        ("storage=sqlite+none:///study.db", f"needs a package that is not installed; use {FILE}"),
        ("direction=[minimize,maximize]", "a run is judged by one number; use minimize"),
        ("n_trials=0", "n_trials=0 is no number of trials; use a whole number"),
        ("max_failure_rate=0.3", "a failed job ends no sweep; drop it"),
    ],
)
def test_what_a_search_cannot_use_is_refused_in_one_line(
    command: Command, tmp_path: Path, setting: str, cause: str
) -> None:
    damaged = tmp_path / "damaged"
    damaged.write_text("no database")
    run = command(*SEARCH, f"hydra.sweeper.{setting.format(damaged=damaged)}", "optimizer.lr=interval(1,2)", *SHORT)
    assert run.status == 1
    assert run.last_line.startswith("error: hydra.sweeper."), run.err
    assert run.last_line.endswith(cause)
    assert "Traceback" not in run.err
    assert not list(tmp_path.glob("logs/*/*/*/*_*")), "a job has begun"
    assert damaged.read_text() == "no database"


@pytest.mark.parametrize(
    ("space", "cause"),
    [
        ("interval(1,0.1)", "is no interval; use interval(<low>,<high>)"),
        ("tag(log,interval(0,1))", "has no logarithm; use a low end above 0"),
    ],
)
def test_an_interval_that_holds_nothing_is_refused_by_its_key(command: Command, space: str, cause: str) -> None:
    run = command(*SEARCH, f"optimizer.lr={space}", *SHORT)
    assert run.status == 1
    assert run.last_line == f"error: optimizer.lr={space} {cause}"


@pytest.mark.further
def test_a_search_compares_no_single_network_with_many(command: Command) -> None:
    search = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=2", "hydra.sweeper.n_jobs=1", *SHORT]
    refused = command(*search, "networks=choice(1,10)")
    assert refused.status == 1
    assert "networks=choice(1,10): a search judges one network by its loss, many by the share" in refused.last_line
    assert command(*search, "networks=choice(2,10)").status == 0
