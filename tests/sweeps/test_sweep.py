import csv
import errno
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import sys
import time
from contextlib import redirect_stdout
from functools import partial
from io import StringIO
from pathlib import Path
from typing import Any

import events
import pytest
import torch
from conftest import NO_FIGURES, SRC, Command, CommandResult
from omegaconf import OmegaConf
from signalled import Signalled, printed

from xornet.runs.lock import locked
from xornet.runs.record import Run
from xornet.sweeps import summary
from xornet.sweeps.naming import LONGEST_NAME, directory_name, identity
from xornet.sweeps.summary import best

SLOW = pytest.mark.slow
SHORT = ("trainer.max_epochs=20", *NO_FIGURES)
LONG = ("trainer.max_epochs=600", *NO_FIGURES)  # a learning rate of 1 solves the table


def rows(folder: Path) -> list[dict[str, str]]:
    """The rows of a sweep.csv."""
    with (folder / "sweep.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def state(folder: Path) -> dict[str, Any]:
    """The weights that a job left."""
    weights: dict[str, Any] = torch.load(folder / "xornet.pt", weights_only=True)
    return weights


def same(ours: Path, theirs: Path) -> bool:
    """Whether two jobs left the same weights, bit by bit."""
    a, b = state(ours), state(theirs)
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def untouched(folder: Path) -> dict[Path, int]:
    """When each file of a directory was last written, the log excepted."""
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and path.suffix != ".log"}


def test_a_sweep_ends_in_one_table_one_picture_and_one_answer_though_jobs_fail(command: Command) -> None:
    run = command("-m", "optimizer.lr=0.01,-1,1.0,nan", *LONG)
    names = [f"{number}_optimizer.lr={lr}" for number, lr in enumerate(("0.01", "-1", "1.0", "nan"))]
    assert sorted(path.name for path in run.folder.iterdir() if path.is_dir()) == names
    table = rows(run.folder)
    assert [row["directory"] for row in table] == names
    assert [row["optimizer.lr"] for row in table] == ["0.01", "-1", "1.0", "nan"]
    assert [row["status"] for row in table] == ["finished", "failed", "finished", "failed"]
    for row in (table[0], table[2]):
        metrics = json.loads((run.folder / row["directory"] / "metrics.json").read_text())
        assert float(row["loss"]) == metrics["loss"]
        assert float(row["seconds"]) == metrics["seconds"]
        assert row["solved"] == str(metrics["solved"])
        assert row["solved_epoch"] == str(metrics["solved_epoch"] or "")
        assert row["cause"] == ""
    assert (table[1]["loss"], table[1]["solved"]) == ("", "")
    assert "optimizer.lr must be a number from 0 to 1e30, got -1; use e.g. optimizer.lr=0.1" in table[1]["cause"]

    # on the console: the same, aligned, then the answer, and every job that failed
    *_, head, first, second, third, fourth, answer, where = run.out.splitlines()
    assert head.split() == ["job", "optimizer.lr", "loss", "solved", "solved_epoch", "seconds", "status"]
    assert first.split()[:4] == ["0", "0.01", f"{float(table[0]['loss']):.4f}", "no"]
    assert third.split()[3] == "yes"
    assert second.split() == ["1", "-1", "failed"]
    assert len({line.rindex(line.split()[-1]) + len(line.split()[-1]) for line in (head, first, second, fourth)}) == 1
    assert answer == f"Lowest loss: {float(table[2]['loss']):.4f} with optimizer.lr=1.0"
    assert where == f"Summary: {run.folder}/sweep.csv, sweep.png"
    assert run.status == 1
    errors = [line for line in run.err.splitlines() if line.startswith("error: ")]
    assert [line.split()[1] for line in errors[:2]] == [names[1], names[3]]
    assert errors[2] == "error: 2 of 4 jobs failed"
    assert "Traceback" not in run.err

    assert (run.folder / "sweep.png").read_bytes().startswith(b"\x89PNG")
    log = events.read(run.folder)
    text = log.Tensors("sweep/text_summary")[0].tensor_proto.string_val[0].decode()
    assert "| job | optimizer.lr | loss |" in text
    assert text.count("\n") == 5
    assert len(log.Images("sweep")) == 1

    alone = command("optimizer.lr=1.0", *LONG)
    assert same(alone.folder, run.folder / names[2])


def test_the_same_sweep_again_skips_what_finished_and_overwrites_nothing(command: Command) -> None:
    first = command("-m", "seed=1,2", *SHORT)
    jobs = sorted(path for path in first.folder.iterdir() if path.is_dir())
    for path in (jobs[1] / "metrics.json", *(jobs[1] / "checkpoints").iterdir()):
        path.unlink()  # as if it had never started
    before = untouched(jobs[0])
    # a further value is a further job
    again = command("-m", "seed=1,2,3", *SHORT, f"hydra.sweep.dir={first.folder}")
    assert again.status == 0
    assert untouched(jobs[0]) == before
    assert [line.split()[-1] for line in again.err.splitlines() if "finished before" in line] == ["0_seed=1"]
    assert [(row["seed"], row["status"]) for row in rows(first.folder)] == [(seed, "finished") for seed in "123"]
    assert (jobs[1] / "metrics.json").exists()


@pytest.mark.further
def test_a_value_is_told_as_it_was_given_though_hydra_escapes_it(command: Command) -> None:
    run = command("-m", "trainer.max_time=00:00:01:00,00:00:02:00", "logger=[tensorboard,csv]", *SHORT)
    assert run.status == 0, run.err
    times = ["00:00:01:00", "00:00:02:00"]
    assert [row["trainer.max_time"] for row in rows(run.folder)] == times
    assert "\\" not in run.out
    for job, limit in zip(sorted(run.folder.glob("*_*/")), times, strict=True):
        for name in ("hparams.yaml", "csv/hparams.yaml"):
            hparams: Any = OmegaConf.load(job / name)
            assert hparams["trainer.max_time"] == limit


@pytest.mark.parametrize(
    "text",
    [
        '{"networks": 1}',
        '"x"',
        *(f'{{"epochs": 20, "networks": 1, "loss": {loss}, "solved": true}}' for loss in ("null", '"0.1"')),
        '{"epochs": 20, "networks": 1, "loss": 0.1, "solved": true, "solved_interval": 3}',
    ],
)
@pytest.mark.further
def test_a_job_with_damaged_results_is_named(command: Command, text: str) -> None:
    run = command("-m", "seed=1,2", *SHORT)
    (job,) = run.folder.glob("1_*")
    (job / "metrics.json").write_text(text)
    (job.parent / f"{job.name}.error.txt").write_bytes(b"\xff\xfe")  # of an earlier part: it stops nothing
    again = command("-m", "seed=1,2", *SHORT, f"hydra.sweep.dir={run.folder}")
    assert again.status == 1
    assert f"{job}/metrics.json was not written by this project; use another directory, or move it away" in again.err
    assert "Traceback" not in again.err


@pytest.mark.parametrize("swept", [["seed=1,2"], ["optimizer.lr=0.1,-1"]])
def test_a_sweep_directory_for_each_job_is_refused(command: Command, tmp_path: Path, swept: list[str]) -> None:
    key = swept[0].partition("=")[0]
    run = command("-m", *swept, *SHORT, f"hydra.sweep.dir={tmp_path}/of-${{{key}}}")
    assert run.status == 1
    assert "refers to a key that may differ between jobs; use one directory for all jobs" in run.last_line
    assert not list(tmp_path.glob("of-*"))


@pytest.mark.further
def test_a_finished_sweep_with_a_group_taken_away_and_chosen_again_is_finished(command: Command) -> None:
    run = command("-m", "seed=1,2", "~callbacks", "callbacks=default", *SHORT[:1])
    assert run.status == 0, run.err
    assert "To continue" not in run.out


@pytest.mark.further
def test_a_sweep_that_ended_between_two_jobs_says_how_to_continue(command: Command) -> None:
    run = command("-m", "seed=1,2", *SHORT)
    assert "To continue" not in run.out
    shutil.rmtree(next(run.folder.glob("1_*")))
    with redirect_stdout(StringIO()) as said:
        summary.write(run.folder, ["seed"])
    assert said.getvalue().endswith(f"To continue, give the same command with hydra.sweep.dir={run.folder}\n")
    (run.folder / "0_seed=1" / "metrics.json").unlink()
    command("-m", "seed=2,3", *SHORT, f"hydra.sweep.dir={run.folder}")
    for last, continues in (("2,3", False), ("1,2", True)):  # the latter ended before its first job
        settings = run.folder / "multirun.yaml"
        settings.write_text(re.sub(r"- seed=.*", f"- seed={last}", settings.read_text()))
        with redirect_stdout(StringIO()) as said:
            summary.write(run.folder, ["seed"], start=time.time() + 1)
        assert ("To continue, give the same command" in said.getvalue()) == continues
        assert ("This command does not continue 0_seed=1;" in said.getvalue()) != continues


@pytest.mark.further
def test_a_sweep_does_not_claim_what_an_earlier_command_left(command: Command) -> None:
    run = command("-m", "optimizer.lr=0.1,-1", *SHORT)
    assert run.last_line == "error: 1 of 2 jobs failed"
    (run.folder / "0_optimizer.lr=0.1" / "metrics.json").unlink()
    where = f"hydra.sweep.dir={run.folder}"
    other = command("-m", "optimizer.lr=0.2,-2", *SHORT, where)
    said = f"This command does not continue 0_optimizer.lr=0.1; give the command that it was started by with {where}\n"
    assert said in other.out
    assert other.last_line == "error: 2 of 4 jobs failed, 1 of them in this command"


@pytest.mark.further
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), pytest.param(signal.SIGTERM, 143, marks=SLOW)])
def test_a_signal_stops_the_sweep_which_then_continues_to_the_same_bits(
    command: Command, tmp_path: Path, number: signal.Signals, status: int
) -> None:
    sweep = ["-m", "optimizer.lr=0.1,0.2", "trainer.max_epochs=6000", "callbacks.animation=null"]
    folder = tmp_path / "sweep"
    run = Signalled(folder, *sweep, when=partial(printed, "Epoch 2000"), numbers=(number,), held_at=5000)
    assert run.status == status
    assert [row["status"] for row in rows(folder)] == ["interrupted"]
    assert f"Summary: {folder}/sweep.csv" in run.output
    assert run.output.endswith(f"To continue, give the same command with hydra.sweep.dir={folder}\n")
    with redirect_stdout(StringIO()) as said:  # a launcher's jobs go on without the command
        summary.write(folder, ["optimizer.lr"], is_elsewhere=True)
    assert "Jobs that the launcher has started may still run: cancel them, or wait" in said.getvalue()
    first, second = folder / "0_optimizer.lr=0.1", folder / "1_optimizer.lr=0.2"
    stopped = torch.load(first / "checkpoints" / "last.ckpt", weights_only=True)["global_step"]
    assert 2000 <= stopped < 6000

    again = command(*sweep, f"hydra.sweep.dir={folder}")
    assert again.status == 0
    assert f"Epoch {stopped - stopped % 1000 + 1000}, " in again.out
    assert "Epoch 1000, " not in again.out.split("Final predictions")[0]
    assert [row["status"] for row in rows(folder)] == ["finished", "finished"]
    assert [event.step for event in events.read(first).Scalars("train/loss")] == list(range(0, 6000, 10))
    for lr, job in ((0.1, first), (0.2, second)):
        alone = command(f"optimizer.lr={lr}", "trainer.max_epochs=6000", "callbacks.animation=null")
        assert same(alone.folder, job)


@pytest.mark.further
def test_an_ensemble_is_compared_by_its_share_solved(command: Command) -> None:
    run = command("-m", "optimizer.lr=0.1,2", "model.hidden=[2],[4]", "networks=20", *LONG)
    table = rows(run.folder)
    assert [(row["optimizer.lr"], row["model.hidden"]) for row in table] == [
        (lr, hidden) for lr in ("0.1", "2") for hidden in ("[2]", "[4]")
    ]
    for row in table:
        metrics = json.loads((run.folder / row["directory"] / "metrics.json").read_text())
        assert float(row["solved"]) == metrics["solved"]
        assert [float(row["solved_low"]), float(row["solved_high"])] == metrics["solved_interval"]
    best = max(table, key=lambda row: float(row["solved"]))
    assert best["directory"] == "3_model.hidden=4_optimizer.lr=2"
    share, low, high = (100 * float(best[name]) for name in ("solved", "solved_low", "solved_high"))
    answer = f"Solved most often, then soonest: {share:.1f}% ({low:.1f}% to {high:.1f}%), at epoch "
    assert run.out.splitlines()[-2].startswith(answer)
    assert run.out.splitlines()[-2].endswith("with optimizer.lr=2 model.hidden=[4]")


def test_of_ensembles_that_all_solve_the_table_the_one_that_does_so_sooner_is_the_answer(tmp_path: Path) -> None:
    always = {"loss": 0.1, "solved": 1.0, "solved_interval": (0.9, 1.0)}
    jobs = [
        Run(tmp_path / f"{number}_lr={number}", {"lr": str(number)}, always | {"solved_epoch": epoch}, None)
        for number, epoch in enumerate((300.0, 200.0, 400.0))
    ]
    assert best(jobs, ["lr"]) == (
        "Solved most often, then soonest: 100.0% (90.0% to 100.0%), at epoch 200 in the median, with lr=1"
    )


def test_a_single_network_and_many_are_compared_by_the_share_solved(tmp_path: Path) -> None:
    one: dict[str, Any] = {"loss": 0.25, "solved": False, "solved_epoch": None}
    many: dict[str, Any] = {"loss": 0.3, "solved": 0.4, "solved_interval": (0.2, 0.7), "solved_epoch": 90.0}
    jobs = [
        Run(tmp_path / f"{i}_networks", {"networks": n}, m, None) for i, (n, m) in enumerate((("1", one), ("9", many)))
    ]
    assert best(jobs, ["networks"]) == (
        "Solved most often, then soonest: 40.0% (20.0% to 70.0%), at epoch 90 in the median, with networks=9"
    )
    solved = Run(tmp_path / "2_networks", {"networks": "1"}, {"loss": 0.2, "solved": True, "solved_epoch": 70}, None)
    assert best([*jobs, solved], ["networks"]) == (
        "Solved most often, then soonest: yes, at epoch 70 in the median, with networks=1"
    )


def test_where_no_network_solves_the_table_the_lowest_loss_is_the_answer(tmp_path: Path) -> None:
    never = {"solved": 0.0, "solved_interval": (0.0, 0.6), "solved_epoch": None}
    jobs = [
        Run(tmp_path / f"{i}_lr", {"lr": str(i)}, {"loss": loss, **never}, None) for i, loss in enumerate((0.5, 0.25))
    ]
    assert best(jobs, ["lr"]) == "No network solves the table. Lowest loss: 0.2500 with lr=1"


def test_values_are_the_same_job_where_they_are_the_same_value() -> None:
    same = [("0.1", "1e-1"), ("1", "1.0"), ("[4,4]", "[4, 4]"), ("nan", "NaN"), ("'adam'", "adam"), ('"a b"', "'a b'")]
    other = [
        ("9007199254740992", "9007199254740993"),
        ("'a b'", "'ab'"),
        ("['a b']", "['ab']"),
        ("a", "A"),
        ("'1'", "1"),
        ("'true'", "true"),
    ]
    for ours, theirs in same:
        assert identity([f"x={ours}"], []) == identity([f"x={theirs}"], []), ours
    for ours, theirs in other:
        assert identity([f"x={ours}"], []) != identity([f"x={theirs}"], []), ours


@pytest.mark.further
def test_hparams_of_a_sweep_carry_the_keys_of_the_configuration(command: Command) -> None:
    run = command("-m", "callbacks.gradient_monitor.every_n_epochs=100,200", "trainer.max_epochs=3", *NO_FIGURES)
    for every, job in (
        (100.0, "0_callbacks.gradient_monitor.every_n_epochs=100"),
        (200.0, "1_callbacks.gradient_monitor.every_n_epochs=200"),
    ):
        content = events.read(run.folder / job).SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        assert b"callbacks.gradient_monitor.every_n_epochs" in content
        assert struct.pack("<d", every) in content


@pytest.mark.further
def test_order_and_neighbours_do_not_change_a_job(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PL_GLOBAL_SEED", raising=False)  # of another command in this process
    forth = command("-m", "trainer.deterministic=true,false", "trainer.precision=64-true,32-true", "seed=7", *SHORT)
    back = command("-m", "trainer.precision=32-true,64-true", "seed=7", *SHORT)
    for precision in ("32-true", "64-true"):
        (ours,) = forth.folder.glob(f"*_trainer.deterministic=False_trainer.precision={precision}")
        (theirs,) = back.folder.glob(f"*_trainer.precision={precision}")
        assert same(ours, theirs)
    alone = command("seed=7", *SHORT)
    assert same(alone.folder, next(forth.folder.glob("*_trainer.deterministic=False_trainer.precision=32-true")))
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.get_default_dtype() == torch.float32
    assert "PL_GLOBAL_SEED" not in os.environ


@pytest.mark.further
def test_names_of_jobs_serve_as_directories_and_in_further_overrides(command: Command, tmp_path: Path) -> None:
    assert directory_name(0, "optimizer.lr=0.01") == "0_optimizer.lr=0.01"
    assert directory_name(1, "model.hidden=[4,4]_seed=-1") == "1_model.hidden=4-4_seed=-1"
    assert directory_name(2, "a=/b/c d_e='x;y'") == "2_a=-b-c-d_e=x-y"
    assert directory_name(3, "name=größe") == "3_name=größe"
    assert len(directory_name(4, "name=" + "ü" * 500).encode()) <= LONGEST_NAME
    run = command("-m", "model.hidden=[2,2],[3]", "optimizer.lr=0.5", *SHORT)  # what is not swept is no name
    assert [path.name for path in sorted(run.folder.glob("*_*"))] == ["0_model.hidden=2-2", "1_model.hidden=3"]
    checkpoint = run.folder / "1_model.hidden=3" / "checkpoints" / "last.ckpt"
    assert command(f"ckpt_path='{checkpoint}'", script="eval.py").status == 0
    unquoted = command(f"ckpt_path={checkpoint}", script="eval.py")
    assert unquoted.last_line.endswith("""a value that contains = needs quotes of its own: "key='value'\"""")


@pytest.mark.parametrize("launcher", ["joblib", pytest.param("submitit_local", marks=SLOW)])
@pytest.mark.further
def test_other_launchers_keep_the_same_rules(command: Command, launcher: str) -> None:
    sweep = ["-m", f"hydra/launcher={launcher}", "seed=1", "optimizer.lr=1.0,-1", "networks=2", *SHORT]
    run = command(*sweep)
    assert run.status == 1
    assert [row["status"] for row in rows(run.folder)] == ["finished", "failed"]
    assert "error: 1 of 2 jobs failed" in run.err
    (job,) = run.folder.glob("0_*")
    before = untouched(job)
    assert command(*sweep, f"hydra.sweep.dir={run.folder}").status == 1
    assert untouched(job) == before
    assert same(command("seed=1", "optimizer.lr=1.0", "networks=2", *SHORT).folder, job)


@pytest.mark.further
def test_optuna_minimises_the_loss_or_the_share_unsolved(command: Command) -> None:
    sweep = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1"]
    run = command(*sweep, "optimizer.lr=interval(0.5,3)", "networks=5", *LONG)
    assert run.status == 0, run.err
    solved = [float(row["solved"]) for row in rows(run.folder)]
    assert len(solved) == 3
    best = (run.folder / "optimization_results.yaml").read_text()
    assert f"best_value: {1 - max(solved)}" in best


@pytest.mark.further
def test_what_is_not_a_number_is_the_same_when_a_sweep_is_run_again(command: Command) -> None:
    run = command("-m", "+x=nan,1", "trainer.max_epochs=3", *SHORT[1:])
    again = command("-m", "+x=nan,1", "trainer.max_epochs=3", *SHORT[1:], f"hydra.sweep.dir={run.folder}")
    assert (run.status, again.status) == (0, 0), again.err
    assert again.err.count("finished before") == 2


def test_a_run_outside_a_sweep_knows_nothing_of_this(command: Command) -> None:
    run: CommandResult = command("optimizer.lr=-1")
    assert run.last_line.startswith("error: optimizer.lr must be a number")
    assert not (run.folder / "error.txt").exists()


@pytest.mark.further
def test_a_sweep_of_one_constant_job_or_of_failures_alone_has_its_summary_too(command: Command) -> None:
    one = command("-m", "trainer.precision=8", *SHORT)
    assert one.status == 1
    assert one.last_line == "error: 1 of 1 jobs failed"
    assert [row["status"] for row in rows(one.folder)] == ["failed"]
    two = command("-m", "trainer.precision=8,9", *SHORT)
    assert two.last_line == "error: 2 of 2 jobs failed"
    assert [row["trainer.precision"] for row in rows(two.folder)] == ["8", "9"]
    # corrected, the sweep is a success, whatever stands there of before
    assert command("-m", "trainer.precision=32,9", *SHORT, f"hydra.sweep.dir={two.folder}").status == 1
    assert command("-m", "trainer.precision=32,64", *SHORT, f"hydra.sweep.dir={two.folder}").status == 0


@pytest.mark.parametrize(
    ("swept", "cause"),
    [
        ("optimizer.lr=-1,-2", "optimizer.lr must be a number from 0 to 1e30, got -1; use e.g. optimizer.lr=0.1"),
        ("seed=1,2 model.init=-1", "model.init must be a number from 0 to 1e30, got -1; use model.init=null"),
        ("model.activation=step,ramp", "model.activation must be one of sigmoid, tanh, relu, got 'step'"),
        ("scheduler=step seed=1,2 scheduler.step_size=much", "scheduler.step_size must be a"),
    ],
)
def test_a_sweep_none_of_whose_jobs_can_train_ends_in_one_line_before_the_first(
    command: Command, tmp_path: Path, swept: str, cause: str
) -> None:
    run = command("-m", *swept.split(), *SHORT)
    assert run.status == 1
    assert run.err.count("\n") == 1
    assert cause in run.last_line
    assert not list(tmp_path.rglob("*.*"))


@pytest.mark.further
def test_jobs_with_the_same_overrides_both_run(command: Command) -> None:
    run = command("-m", "seed=1,1", *SHORT)
    assert run.status == 0
    assert [(row["seed"], row["status"]) for row in rows(run.folder)] == [("1", "finished")] * 2
    assert same(run.folder / "0_seed=1", run.folder / "1_seed=1")


@pytest.mark.further
def test_a_value_that_is_given_twice_is_no_second_job_in_the_directory_of_the_first(
    command: Command, tmp_path: Path
) -> None:
    here = (*SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    assert command("-m", "seed=1,2", *here).status == 0
    before = untouched(tmp_path / "sweep")
    twice = command("-m", "seed=1,1,2", *here)
    assert twice.status == 1
    assert f"seed=1 is given twice, but {tmp_path}/sweep holds a sweep without; use each value once" in twice.last_line
    assert untouched(tmp_path / "sweep") == before


@pytest.mark.further
def test_damaged_files_of_a_job_are_named_and_cost_no_other_job(command: Command) -> None:
    run = command("-m", "seed=1,2,3", *SHORT)
    first, second, third = (run.folder / f"{i}_seed={i + 1}" for i in range(3))
    (first / "metrics.json").write_text('{"epo')
    (second / "metrics.json").unlink()
    (second / "checkpoints" / ".999.last.ckpt").write_bytes(b"what a killed process was writing")
    (third / "metrics.json").unlink()
    (third / "checkpoints" / "last.ckpt").write_bytes(b"damaged")
    again = command("-m", "seed=1,2,3", *SHORT, f"hydra.sweep.dir={run.folder}")
    assert again.status == 1
    assert [row["status"] for row in rows(run.folder)] == ["failed", "finished", "failed"]
    assert f"{first}/metrics.json is damaged, or of another program; use another directory, or delete it" in again.err
    assert f"{third}/checkpoints/last.ckpt" in again.err
    assert "or delete this one to train from the start" in again.err
    (first / "metrics.json").unlink()
    (third / "checkpoints" / "last.ckpt").unlink()
    assert command("-m", "seed=1,2,3", *SHORT, f"hydra.sweep.dir={run.folder}").status == 0


@pytest.mark.further
def test_jobs_whose_directories_have_lost_their_settings_have_failed(command: Command, tmp_path: Path) -> None:
    sweep = ("-m", "seed=1,2", *SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    assert command(*sweep).status == 0
    for name in ("7_seed=8", "7x"):  # of a job that was moved away, and of a user
        (tmp_path / "sweep" / f"{name}.error.txt").touch()
    for number, lost in enumerate(("1_seed=2", "0_seed=1")):
        shutil.rmtree(tmp_path / "sweep" / lost / ".hydra")
        run = command(*sweep)
        assert run.status == 1
        assert f"{lost} refused: " in run.err
        assert run.last_line.startswith(f"error: {1 + number} of 2 jobs failed")
        assert [row["loss"] != "" for row in rows(tmp_path / "sweep")] == [True, True]


@pytest.mark.further
def test_a_search_continues_though_a_job_fails(command: Command) -> None:
    sweep = ["-m", "hydra/sweeper=optuna", "hydra.sweeper.n_trials=3", "hydra.sweeper.n_jobs=1"]
    run = command(*sweep, "optimizer.lr=choice(-1,-2)", *SHORT)
    assert [row["status"] for row in rows(run.folder)] == ["failed"] * 3
    assert run.status == 1
    assert run.last_line == "error: 3 of 3 jobs failed"


@pytest.mark.further
def test_odd_values_are_drawn_as_they_are_written(command: Command) -> None:
    run = command("-m", r"+tag='$\frac{$','" + "b" * 300 + "'", *SHORT)
    assert run.status == 0, run.err
    assert "no sweep.png" not in run.err, run.err
    assert (run.folder / "sweep.png").exists()
    assert "no sweep.png" not in run.err


def test_a_job_without_results_was_interrupted(tmp_path: Path) -> None:
    job = Run(tmp_path / "3_seed=1", {"seed": "1"}, None, None)
    assert (job.number, job.status, job.curve) == (3, "interrupted", None)


@SLOW
def test_three_hundred_jobs_leave_memory_files_and_figures_flat(tmp_path: Path) -> None:
    (tmp_path / "watch.py").write_text(
        "import os, sys\n"
        "from hydra.experimental.callback import Callback\n"
        "class Watch(Callback):\n"
        "    def on_job_end(self, config, job_return, **kwargs):\n"
        "        pages = int(open('/proc/self/statm').read().split()[1])\n"
        "        print('now', config.hydra.job.num, pages * os.sysconf('SC_PAGE_SIZE') >> 20,\n"
        "              len(os.listdir('/proc/self/fd')), len(os.listdir('/proc/self/task')), file=sys.__stdout__)\n"
    )
    overrides = ["-m", "seed=range(300)", "trainer.max_epochs=20", f"hydra.sweep.dir={tmp_path}/sweep"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(SRC)])}
    overrides += ["+hydra.callbacks.watch._target_=watch.Watch", "callbacks.animation.max_frames=2"]
    done = subprocess.run(
        [sys.executable, SRC / "train.py", *overrides], env=environment, capture_output=True, text=True, check=True
    )
    seen = [list(map(int, line.split()[1:])) for line in done.stdout.splitlines() if line.startswith("now ")]
    assert [job[0] for job in seen] == list(range(300))
    memory, files, threads = (list(column) for column in list(zip(*seen, strict=True))[1:])
    assert max(memory[200:]) - max(memory[50:100]) < 30, memory  # MiB
    assert max(files[50:]) <= max(files[:50]), files
    assert max(threads[50:]) <= max(threads[:50]), threads


@pytest.mark.further
def test_a_job_is_recognised_by_what_it_is(command: Command, tmp_path: Path) -> None:
    here = (*SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    sweep = tmp_path / "sweep"
    assert command("-m", "optimizer.lr=0.1,1.0", *here).status == 0
    before = untouched(sweep / "0_optimizer.lr=0.1") | untouched(sweep / "1_optimizer.lr=1.0")
    more = command("-m", "optimizer.lr=0.01,1e-1,1.0,0.5", *here)  # values in front, between, and spelt otherwise
    assert more.status == 0
    assert more.err.count("skipped, finished before") == 2
    assert [(row["job"], row["optimizer.lr"]) for row in rows(sweep)] == [
        ("0", "0.1"),
        ("1", "1.0"),
        ("2", "0.01"),
        ("3", "0.5"),
    ]
    one = command("-m", "optimizer.lr=2.0", *here)  # a single value is one more job
    assert one.status == 0
    assert [row["directory"] for row in rows(sweep)][-1] == "4_optimizer.lr=2.0"
    assert command("-m", "optimizer.lr=1.0", *here).err.count("skipped, finished before: 1_optimizer.lr=1.0") == 1
    assert untouched(sweep / "0_optimizer.lr=0.1") | untouched(sweep / "1_optimizer.lr=1.0") == before


@pytest.mark.further
def test_a_sweep_that_began_with_one_value_is_extended_by_a_list_of_both(command: Command, tmp_path: Path) -> None:
    here = (*SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    assert command("-m", "optimizer.lr=0.1", *here).status == 0
    refused = command("-m", "optimizer.lr=0.2", *here)
    assert refused.last_line.endswith("or one list of the old value and the new, which adds a job")
    extended = command("-m", "optimizer.lr=0.1,0.2", *here)
    assert extended.status == 0
    assert extended.err.count("skipped, finished before") == 1


@pytest.mark.further
def test_a_sweep_whose_jobs_all_failed_continues_without_what_made_them_fail(command: Command) -> None:
    failed = command("-m", "seed=1,2", "trainer.precision=8", *SHORT)
    assert failed.status == 1
    repaired = ["-m", "seed=1,2", *SHORT, f"hydra.sweep.dir={failed.folder}"]
    assert command(*repaired).status == 0
    again = command(*repaired)
    assert again.status == 0, again.err
    assert again.err.count("skipped, finished before: ") == 2


@pytest.mark.further
def test_a_sweep_of_which_a_part_failed_is_over_what_it_was_over(command: Command) -> None:
    failed = command("-m", "seed=1,2", "optimizer.lr=0.1,-1", *SHORT)
    before = sorted(failed.folder.iterdir())
    other = command("-m", "seed=1,2", *SHORT, f"hydra.sweep.dir={failed.folder}")
    assert other.status == 1
    assert "holds a sweep over seed, optimizer.lr, but this one is over seed" in other.last_line
    assert sorted(failed.folder.iterdir()) == before


@pytest.mark.further
def test_jobs_that_would_write_the_same_path_are_refused_before_anything_runs(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = {
        f"trainer.default_root_dir={tmp_path}/x": f"is not the directory of each job; use hydra.sweep.dir={tmp_path}/x",
        f"callbacks.checkpoint.dirpath={tmp_path}/x": "would be written by jobs 0 and 1",
        f"logger.tensorboard.save_dir={tmp_path}/x": "would be written by jobs 0 and 1",
        f"hydra.job_logging.handlers.file.filename={tmp_path}/x.log": "would be written by jobs 0 and 1",
    }
    beside = ("${hydra:runtime.output_dir}/..", "${trainer.default_root_dir}/../x")
    shared |= {f"callbacks.checkpoint.dirpath={place}": "would be written by jobs 0 and 1" for place in beside}
    shared["logger.tensorboard.version=../x"] = "would be written by jobs 0 and 1"
    shared["+logger.m={_target_:lightning.pytorch.loggers.MLFlowLogger,run_id:5}"] = (
        "logger.m.run_id=5 would be written by jobs 0 and 1; drop it, so that each job begins a run"
    )
    for override, cause in shared.items():
        run = command("-m", "seed=1,2", override, *SHORT)
        assert run.status == 1
        assert override.split("=")[0].lstrip("+").rpartition(".")[0] in run.last_line
        assert cause in run.last_line
    relative = command("-m", "seed=1,2", "trainer.default_root_dir=here", "hydra.job.chdir=true", *SHORT)
    assert "trainer.default_root_dir=" in relative.last_line
    assert "is not the directory of each job" in relative.last_line
    some = command("-m", "seed=1,2", f"callbacks.checkpoint.dirpath={tmp_path}/x,{tmp_path}/y", *SHORT)
    assert f"callbacks.checkpoint.dirpath={tmp_path}/x would be written by jobs 0 and 2" in some.last_line
    search = ["-m", "hydra/sweeper=optuna", "seed=choice(1,2)", f"callbacks.checkpoint.dirpath={tmp_path}/x"]
    assert "would be written by jobs 0 and 1" in command(*search, *SHORT).last_line
    monkeypatch.setenv("WANDB_RUN_ID", "five")
    exported = command("-m", "seed=1,2", "+logger.w={_target_:lightning.pytorch.loggers.WandbLogger}", *SHORT)
    said = "WANDB_RUN_ID=five would be written by jobs 0 and 1; drop it, so that each job begins a run"
    assert said in exported.last_line
    assert list(tmp_path.iterdir()) == []
    own = command("-m", "seed=1,2", f"callbacks.checkpoint.dirpath='{tmp_path}/kept/${{hydra:job.num}}'", *SHORT)
    assert own.status == 0
    assert [len(list((tmp_path / "kept" / number).glob("*.ckpt"))) for number in "01"] == [1, 1]


@pytest.mark.further
def test_a_sweep_may_be_given_by_a_path_with_dots(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert command("-m", "seed=1,2", "hydra.sweep.dir=../sweep", *SHORT).status == 0
    assert len(list((tmp_path / "sweep").glob("*/metrics.json"))) == 2


@pytest.mark.further
def test_a_job_with_checkpoints_elsewhere_is_resumed_from_them(command: Command, tmp_path: Path) -> None:
    sweep = ["-m", "seed=1,2", f"hydra.sweep.dir={tmp_path}/sweep", "trainer.max_epochs=40", *NO_FIGURES]
    sweep.append("callbacks.checkpoint.dirpath='${hydra:sweep.dir}/kept/${seed}'")
    assert command(*sweep).status == 0
    (tmp_path / "sweep" / "0_seed=1" / "metrics.json").unlink()
    assert "resumed: 0_seed=1" in command(*sweep).err


@pytest.mark.further
def test_a_job_that_finds_its_place_in_use_has_failed(command: Command, tmp_path: Path) -> None:
    (tmp_path / "1").mkdir()
    with locked(tmp_path / "1"):
        place = f"callbacks.checkpoint.dirpath='{tmp_path}/${{seed}}'"
        run = command("-m", "seed=1,2", place, *SHORT)
    assert run.status == 1
    assert [row["status"] for row in rows(run.folder)] == ["failed", "finished"]
    assert run.last_line == "error: 1 of 2 jobs failed"


@pytest.mark.further
def test_a_sweep_without_its_callback_fails(command: Command) -> None:
    other = "hydra.callbacks.sweep._target_=hydra.experimental.callback.Callback"
    for change, said in (("~hydra.callbacks.sweep", "would leave out the checks of"), (other, "does not check")):
        run = command("-m", "seed=1,2", change, *SHORT)
        assert run.status == 1
        assert f"{said} the directory of a run; " in run.last_line
        assert not list(run.folder.rglob("metrics.json"))


def test_an_interpolation_in_an_override_hides_no_failure(command: Command) -> None:
    own = "callbacks.checkpoint.dirpath=${trainer.default_root_dir}/ck"
    run = command("-m", "seed=1,2", "trainer.precision=8", own, *SHORT)
    assert run.status == 1
    assert run.last_line == "error: 2 of 2 jobs failed"
    assert [row["status"] for row in rows(run.folder)] == ["failed", "failed"]
    assert [path.name for path in sorted(run.folder.glob("*_seed=*"))] == ["0_seed=1", "1_seed=2"]


def test_an_error_of_our_own_callback_ends_the_command(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(folder: Path) -> None:
        raise OSError(f"cannot read {folder}")

    monkeypatch.setattr("xornet.sweeps.callback.read_jobs", fail)
    run = command("-m", "seed=1,2", *SHORT)
    assert run.status == 1
    assert run.last_line.startswith("error: cannot read")
    assert not list(run.folder.rglob("metrics.json"))


@pytest.mark.further
def test_without_hydras_own_output_subdir_a_sweep_is_the_same(command: Command, tmp_path: Path) -> None:
    sweep = ["-m", "hydra.output_subdir=null", "seed=1,2", f"hydra.sweep.dir={tmp_path}/sweep", *SHORT]
    for skipped in (0, 2):
        run = command(*sweep)
        assert run.status == 0
        assert run.err.count("skipped, finished before") == skipped
        assert [(row["seed"], row["status"]) for row in rows(tmp_path / "sweep")] == [
            ("1", "finished"),
            ("2", "finished"),
        ]


def test_an_argument_of_every_scheduler_of_a_sweep_takes_a_plus(command: Command) -> None:
    sweep = ("-m", "scheduler=step,plateau", *SHORT)
    refused = command(*sweep, "scheduler.last_epoch=-1")
    assert refused.last_line.endswith("a sweep over scheduler begins without one; use +scheduler.last_epoch=-1")
    refused = command("-m", "seed=1,range(3,5)", *SHORT)
    assert refused.last_line == "error: a list of values holds no range, choice or interval; use single values"


@pytest.mark.further
def test_a_shuffled_sweep_can_be_extended(command: Command, tmp_path: Path) -> None:
    here = ("trainer.max_epochs=3", *NO_FIGURES, f"hydra.sweep.dir={tmp_path}/sweep")
    assert command("-m", "seed=shuffle(1,2)", *here).status == 0
    assert command("-m", "seed=shuffle(1,2,3,4)", *here).status == 0
    table = rows(tmp_path / "sweep")
    assert sorted(row["seed"] for row in table) == list("1234")
    assert len({row["job"] for row in table}) == 4


@pytest.mark.further
def test_a_failure_that_cannot_be_written_ends_a_sweep_with_1(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a full disk, or in a directory that may be read only."""

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("xornet.sweeps.job.write_error", fail)
    run = command("-m", "optimizer.lr=-1,0.1", *SHORT)
    assert run.status == 1
    assert run.last_line.startswith("error: optimizer.lr=-1,0.1: 0_optimizer.lr=-1 failed: optimizer.lr must be")
    assert [row["status"] for row in rows(run.folder)] == ["finished"]  # of the one that left something
    search = ("hydra/sweeper=optuna", "hydra.sweeper.sampler.seed=1", "hydra.sweeper.n_trials=4")
    run = command("-m", *search, "optimizer.lr=choice(-1,1,3)", *SHORT)  # which goes on, and has an answer
    assert run.status == 1
    assert run.last_line.endswith("_optimizer.lr=-1 failed")
    assert "Best value" in run.err


@pytest.mark.further
def test_a_copy_of_a_job_is_not_taken_for_the_job(command: Command, tmp_path: Path) -> None:
    sweep = ("-m", "seed=1,2", *SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    assert command(*sweep).status == 0
    shutil.copytree(tmp_path / "sweep" / "1_seed=2", tmp_path / "sweep" / "1_seed=2.bak")
    before = untouched(tmp_path / "sweep")
    refused = command(*sweep)
    assert refused.status == 1
    assert refused.last_line.endswith(
        f"{tmp_path}/sweep holds job 1 twice, as 1_seed=2 and 1_seed=2.bak; move one of them out of it"
    )
    assert untouched(tmp_path / "sweep") == before


@pytest.mark.further
def test_what_a_job_was_once_refused_for_is_forgotten_when_it_is_mended(command: Command, tmp_path: Path) -> None:
    sweep = ("-m", "seed=1,2", *SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    assert command(*sweep).status == 0
    folder = tmp_path / "sweep" / "1_seed=2"
    for name in ("metrics.json", ".hydra/config.yaml"):
        kept = (folder / name).read_bytes()
        (folder / name).write_text("{")
        assert command(*sweep).status == 1
        (folder / name).write_bytes(kept)
        again = command(*sweep)
        assert again.status == 0, again.err
        assert [row["status"] for row in rows(tmp_path / "sweep")] == ["finished", "finished"]


@pytest.mark.further
@pytest.mark.parametrize("text", [None, "", "a: [", b"\xff\xfe"], ids=repr)
def test_torn_settings_of_a_job_are_named(command: Command, tmp_path: Path, text: str | bytes | None) -> None:
    sweep = ("-m", "seed=1,2", *SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    assert command(*sweep).status == 0
    given = tmp_path / "sweep" / "1_seed=2" / ".hydra" / "overrides.yaml"
    given.unlink()
    if text is not None:
        given.write_bytes(text if isinstance(text, bytes) else text.encode())
    again = command(*sweep)
    if text is None:  # what it says stands in the command, too
        assert again.status == 0
        assert [row["seed"] for row in rows(tmp_path / "sweep")] == ["1", "2"]
    else:
        assert again.last_line.endswith(f"{given} is damaged; restore it, or move {given.parents[1]} away")


@pytest.mark.further
def test_a_job_that_was_resumed_alone_is_still_a_job_of_its_sweep(command: Command, tmp_path: Path) -> None:
    sweep = ("-m", "optimizer.lr=0.1,0.3", *SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    assert command(*sweep).status == 0
    folder = tmp_path / "sweep" / "0_optimizer.lr=0.1"
    (folder / "metrics.json").unlink()
    alone = (f"ckpt_path='{folder}/checkpoints/last.ckpt'", f"hydra.run.dir='{folder}'")
    assert command(*alone, *SHORT).status == 0
    again = command(*sweep)
    assert again.status == 0, again.err
    assert [row["optimizer.lr"] for row in rows(tmp_path / "sweep")] == ["0.1", "0.3"]
    assert again.err.count("skipped, finished before") == 2
    # Another run in its place would be shown as that job.
    before = untouched(folder)
    refused = command(*SHORT, "seed=7", f"hydra.run.dir='{folder}'")
    assert refused.last_line.endswith("use another directory, or resume the job with ckpt_path")
    assert untouched(folder) == before
    elsewhere = command(*SHORT, "seed=7").folder
    foreign = (f"ckpt_path={elsewhere}/checkpoints/last.ckpt", "seed=7", f"hydra.run.dir='{folder}'")
    assert command(*foreign, *SHORT).last_line.endswith("or resume the job with ckpt_path")
    assert untouched(folder) == before


def test_a_text_for_a_number_is_refused_before_the_first_job(command: Command, tmp_path: Path) -> None:
    run = command("-m", "trainer.log_every_n_steps=often,1", *SHORT)
    assert run.last_line.endswith("trainer.log_every_n_steps=often is a text; use a whole number")
    assert not list(tmp_path.rglob("*.*"))


def test_a_launcher_whose_jobs_may_still_run_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(summary, "unstarted", lambda folder: 2)  # none has begun when the sweep is interrupted
    with redirect_stdout(StringIO()) as said:
        assert summary.write(tmp_path, ["seed"], is_elsewhere=True) == []
    assert said.getvalue() == f"{summary.STILL_RUN}\n"


@pytest.mark.further
def test_a_setting_that_changes_nothing_makes_no_other_sweep(command: Command, tmp_path: Path) -> None:
    here = (*SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    commands = (
        ("optimizer.lr=0.1,0.2", "networks=1"),  # what it is without
        ("optimizer.lr=0.1,0.2,0.3", "optimizer.momentum=0.0"),  # 0 in the file
        ("optimizer.lr=0.1,0.2,0.3", "optimizer=sgd"),
        ("optimizer.lr=0.1,0.2,0.3",),
        ("optimizer.lr=0.4", "model.hidden=[4]"),
    )
    for given in commands:
        for _ in range(2):
            run = command("-m", *given, *here)
            assert run.status == 0, run.err
            assert "To continue" not in run.out
    assert [row["optimizer.lr"] for row in rows(tmp_path / "sweep")] == ["0.1", "0.2", "0.3", "0.4"]
    assert command("-m", "optimizer.lr=0.5", "networks=2", *here).status == 1


@pytest.mark.further
def test_a_label_means_the_same_in_every_part_of_a_sweep(command: Command, tmp_path: Path) -> None:
    here = (*SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    assert command("-m", "optimizer=sgd,adam", *here).status == 0
    refused = command("-m", "optimizer=rmsprop", "optimizer.lr=0.1", *here)  # which is sgd's, but not rmsprop's own
    said = f"in {tmp_path}/sweep optimizer=rmsprop means optimizer.lr=0.01, but this sweep has optimizer.lr=0.1"
    assert refused.last_line.endswith(f"{said}; use another hydra.sweep.dir")
    assert [row["optimizer"] for row in rows(tmp_path / "sweep")] == ["sgd", "adam"]


@pytest.mark.further
def test_a_setting_of_one_group_only_makes_no_other_sweep(command: Command, tmp_path: Path) -> None:
    here = (*SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    for given in (
        ("optimizer=adam,sgd",),
        ("optimizer=adam,rmsprop", "optimizer.lr=0.01"),  # which both files say
        ("optimizer=adam,rmsprop", "optimizer.lr=0.01"),
        ("optimizer=adam,sgd,rmsprop",),
    ):
        run = command("-m", *given, *here)
        assert run.status == 0, run.err
        assert "To continue" not in run.out
    assert [row["optimizer"] for row in rows(tmp_path / "sweep")] == ["adam", "sgd", "rmsprop"]


@pytest.mark.further
def test_a_torn_configuration_of_one_job_stops_no_other(command: Command, tmp_path: Path) -> None:
    here = (*SHORT, f"hydra.sweep.dir={tmp_path}/sweep")
    assert command("-m", "seed=1,2", *here).status == 0
    (tmp_path / "sweep" / "1_seed=2" / ".hydra" / "config.yaml").write_text("a: [")
    for seed in (4, 5):
        assert command("-m", f"seed=1,{seed}", "networks=1", *here).status == 0
    (tmp_path / "sweep" / "1_seed=2" / "metrics.json").unlink()
    run = command("-m", "seed=2,6", *here)
    assert run.status == 1
    assert "1_seed=2 failed: " in run.err
    assert "a damaged .hydra/config.yaml" in run.err
    assert (tmp_path / "sweep" / "4_seed=6" / "metrics.json").exists()
