"""The atlas: tables made of sweeps, cells found again, and the stored ones rerun."""

import csv
import re
import shlex
import shutil
from pathlib import Path

import pytest
from conftest import SRC, Command

from xornet.atlas.collect import from_sweep
from xornet.atlas.laws import laws
from xornet.atlas.pictures import DEFAULT_RANGE, grid_picture
from xornet.atlas.store import read, write
from xornet.atlas.table import RESULTS, Table, number
from xornet.engine.scores import wilson

DOCS = SRC.parent / "docs"
STORED = sorted(path.stem for path in (DOCS / "atlas").glob("*.csv"))
SWEPT = [name for name in STORED if "networks" in read(name, DOCS / "atlas").columns]
QUIET = ("~callbacks", "~logger")
TINY = ("experiment=grid", "model.hidden=[2],[1]", "optimizer.lr=3,0.3", "networks=20", "trainer.max_epochs=4")


@pytest.mark.further
def test_a_table_has_a_row_for_each_cell_in_the_order_of_the_values(command: Command, tmp_path: Path) -> None:
    """An interrupted sweep makes no table, the same command resumes it, and a further value adds its cells alone."""
    here = f"hydra.sweep.dir={tmp_path}/logs/atlas/grid"
    assert command(*TINY, "model.init=1,null", here).status == 0
    table, unfinished, is_whole = from_sweep(tmp_path / "logs/atlas/grid")
    assert (unfinished, is_whole) == ([], True)
    assert table.keys == ["model.hidden", "model.init", "optimizer.lr"]
    cells = [tuple(row[key] for key in table.keys) for row in table.rows]
    assert cells == [(f"[{h}]", r, lr) for h in (1, 2) for r in ("null", "1") for lr in ("0.3", "3")]
    row = table.rows[0]
    assert [row[name] for name in ("networks", "epochs", "solved", "solved_low", "solved_epoch", "unsolved")] == [
        *("20", "4", "0.0000", "0.0000", "", "20")
    ]
    assert number(row["solved_high"]) == pytest.approx(wilson(0, 20)[1], abs=1e-4)

    finished = sorted((tmp_path / "logs/atlas/grid").glob("*/metrics.json"))
    finished[3].unlink()
    made = command(script="atlas.py")
    (job,) = (path for path in (tmp_path / "logs/atlas/grid").iterdir() if path.name.startswith("3_"))
    assert made.out == (
        f"{job}: interrupted\ngrid: not all jobs are finished, so no table is written; make atlas resumes them, "
        "or the command that added them\n"
    )
    assert made.status == 1
    again = command(*TINY, "model.init=1,null,2,2.0", here)
    assert again.status == 1
    assert "model.init=2" in again.last_line
    assert "is given twice" in again.last_line
    again = command(*TINY, "model.init=1,null,2", here)
    assert again.err.count("skipped, finished before") == 7
    assert len(from_sweep(tmp_path / "logs/atlas/grid")[0].rows) == 12
    made = command(script="atlas.py")
    assert made.out.startswith(f"grid: 12 rows, {tmp_path}/docs/atlas/grid.csv\n")
    stored = read("grid", tmp_path / "docs/atlas")
    assert stored == from_sweep(tmp_path / "logs/atlas/grid")[0]
    assert {path.name for path in (tmp_path / "docs/atlas").glob("*.png")} == {"grid_solved.png"}  # nothing is solved

    (tmp_path / "logs/atlas/grid").rename(tmp_path / "elsewhere")  # as in a fresh clone, which has the table alone
    assert command(*TINY, "model.init=4", "model.hidden=[1]", here).status == 0
    derived = {name: (DOCS / "atlas" / f"{name}.csv").read_bytes() for name in ("laws", "places", "escapes")}
    for name, text in derived.items():  # of sweeps that are not here
        (tmp_path / f"docs/atlas/{name}.csv").write_bytes(text)
    assert command(script="atlas.py").status == 0
    assert {name: (tmp_path / f"docs/atlas/{name}.csv").read_bytes() for name in derived} == derived
    extended = read("grid", tmp_path / "docs/atlas")
    assert [row for row in extended.rows if row["model.init"] != "4"] == stored.rows
    assert len(extended.rows) == 14
    before = (tmp_path / "docs/atlas/grid.csv").read_bytes()
    for nth, other in enumerate(("networks=10", "optimizer.momentum=0.9", "seed=777")):
        (tmp_path / "logs/atlas/grid").rename(tmp_path / f"sweep {nth}")
        assert command(*TINY, "model.init=4", "model.hidden=[1]", other, here).status == 0
        refused = command(script="atlas.py")
        assert refused.status == 1
        cause = "" if other == "networks=10" else f" has {other} and"
        assert f"grid{cause} does not extend docs/atlas/grid.csv" in refused.err
        assert (tmp_path / "docs/atlas/grid.csv").read_bytes() == before


@pytest.mark.further
def test_failed_jobs_are_named_and_cost_the_table_no_other_cell(command: Command, tmp_path: Path) -> None:
    sweep = tmp_path / "logs/atlas/grid"
    assert command(*TINY, "model.init=-1,1", f"hydra.sweep.dir={sweep}").status == 1
    made = command(script="atlas.py")
    assert made.status == 1
    *failed, table, _ = made.out.splitlines()
    assert len(failed) == 4
    for line in failed:
        assert line.startswith(f"{sweep}/")
        assert re.search(
            r"model\.init=-1\S*: failed \(model\.init must be .*\); correct it, or delete it and give .*$", line
        )
    assert table == f"grid: 4 rows, {tmp_path}/docs/atlas/grid.csv"
    for folder in sweep.glob("*model.init=-1*"):
        shutil.rmtree(folder)
    left = command(script="atlas.py")
    assert left.status == 1
    assert f"{sweep}: 4 of its jobs have not been started\n" in left.out
    assert command(*TINY, "model.init=1", f"hydra.sweep.dir={sweep}").status == 0
    assert command(script="atlas.py").status == 0


@pytest.mark.further
def test_a_sweep_of_further_values_costs_no_row_of_what_follows_from_the_stored_ones(
    command: Command, tmp_path: Path
) -> None:
    """As in a fresh clone, where there is no sweep: rows that it does not compute anew stay."""
    shutil.copytree(DOCS / "atlas", tmp_path / "docs/atlas", ignore=shutil.ignore_patterns("*.png"))
    for name, added in (("width_law", "optimizer.momentum=0.5"), ("plateaus_by_init", "model.init=0.01,0.02,0.03")):
        small = ["model.hidden=[2],[4],[8]"] if name == "width_law" else []
        sizes = {row[key] for row in read(name, DOCS / "atlas").rows for key in ("networks",)}
        overrides = [f"experiment={name}", added, *small, f"networks={min(sizes)}", "trainer.max_epochs=3"]
        assert command(*overrides, f"hydra.sweep.dir={tmp_path}/logs/atlas/{name}").status == 0
    for path in (tmp_path / "docs/atlas").glob("*.csv"):  # 3 epochs, to be quick
        path.write_text(re.sub(r"(?m)^(.*,(?:500|1000),)(?:40000|10000)(,)", r"\g<1>3\2", path.read_text()))
    before = {name: read(name, tmp_path / "docs/atlas") for name in STORED}
    assert command(script="atlas.py").status == 0
    for name in ("laws", "places", "escapes", "exponents", "width_law", "plateaus_by_init"):
        after = read(name, tmp_path / "docs/atlas")
        assert all(row in after.rows for row in before[name].rows), name
    assert len(read("width_law", tmp_path / "docs/atlas").rows) > len(before["width_law"].rows)
    (tmp_path / "logs/atlas/width_law").rename(tmp_path / "logs/atlas/laws")
    assert "has the name of a table that is made of others; move it away" in command(script="atlas.py").last_line


@pytest.mark.further
def test_an_interrupted_sweep_makes_no_table_though_all_begun_jobs_have_finished(
    command: Command, tmp_path: Path
) -> None:
    sweep = tmp_path / "logs/atlas/local_minima"
    small = ["experiment=local_minima", "model.init=1", "optimizer.momentum=0", "networks=20", "trainer.max_epochs=4"]
    small += [f"hydra.sweep.dir={sweep}"]
    assert command(*small, "optimizer.lr=0.5,1").status == 0
    shutil.rmtree(next(sweep.glob("1_*")))  # as a signal leaves it that comes between two jobs
    made = command(script="atlas.py")
    assert made.status == 1
    assert f"{sweep}: 1 of its jobs have not been started\nlocal_minima: not all jobs are finished" in made.out
    assert not list((tmp_path / "docs").rglob("*.csv"))
    assert command(*small, "optimizer.lr=0.5,1").err.count("skipped, finished before") == 1
    assert command(script="atlas.py").status == 0
    # What is the same in all jobs is a column too, so that a longer sweep extends the table.
    assert read("local_minima", tmp_path / "docs/atlas").keys == ["optimizer.lr", "model.init", "optimizer.momentum"]
    before = {path: path.read_bytes() for path in (tmp_path / "docs/atlas").iterdir()}
    assert command(script="atlas.py").status == 0
    assert {path: path.read_bytes() for path in (tmp_path / "docs/atlas").iterdir()} == before
    assert command(*small, "optimizer.lr=0.5,1,2").status == 0
    assert command(script="atlas.py").status == 0
    assert len(read("local_minima", tmp_path / "docs/atlas").rows) == 3

    (next(sweep.glob("0_*")) / "metrics.json").write_text("{")  # the smallest rate, with which the others are compared
    escapes = (tmp_path / "docs/atlas/escapes.csv").read_bytes()
    assert command(script="atlas.py").status == 1
    assert (tmp_path / "docs/atlas/escapes.csv").read_bytes() == escapes


@pytest.mark.further
def test_a_sweep_of_single_networks_is_named(command: Command, tmp_path: Path) -> None:
    sweep = tmp_path / "logs/atlas/single"
    assert command("-m", "seed=1,2", "trainer.max_epochs=3", *QUIET, f"hydra.sweep.dir={sweep}").status == 0
    refused = command(script="atlas.py")
    assert refused.status == 1
    assert f"{sweep}/0_seed=1 trained one network, which has no share of solved ones; move {sweep} away" in (
        refused.last_line
    )
    assert not list((tmp_path / "docs/atlas").iterdir())


@pytest.mark.further
def test_sweeps_in_which_no_network_is_solved_have_their_tables_and_pictures(command: Command, tmp_path: Path) -> None:
    few = ("networks=4", "~logger")
    for name, *values in (
        ("parity_range", "trainer.max_epochs=5"),
        ("plateaus", "trainer.max_epochs=5,10,20"),
        ("plateaus_by_init", "trainer.max_epochs=5"),
    ):
        run = command(f"experiment={name}", *few, *values, f"hydra.sweep.dir={tmp_path}/logs/atlas/{name}")
        assert run.status == 0, run.err
    made = command(script="atlas.py")
    assert made.status == 0, made.err
    written = {path.name for path in (tmp_path / "docs/atlas").iterdir()}
    assert {"parity_range.csv", "parity_range.png", "exponents.csv", "plateaus.png"} <= written
    exponents = read("exponents", tmp_path / "docs/atlas")
    assert {(row["stay"], row["exponent"]) for row in exponents.rows} == {("0", "")}


@pytest.mark.further
def test_a_sweep_without_the_experiment_of_a_table_does_not_extend_it(command: Command, tmp_path: Path) -> None:
    """Its cells would be of sigmoid networks, among those of tanh."""
    sweep = tmp_path / "logs/atlas/grid_tanh"
    one = ("model.hidden=[2]", "model.init=2", "optimizer.lr=0.05,0.1", "networks=20", "trainer.max_epochs=4")
    assert command("-m", *one, f"hydra.sweep.dir={sweep}").status == 0
    (tmp_path / "docs/atlas").mkdir(parents=True)
    shutil.copy(DOCS / "atlas/grid_tanh.csv", tmp_path / "docs/atlas")
    refused = command(script="atlas.py")
    assert refused.status == 1
    assert "is no sweep of experiment=grid_tanh; use that, or another hydra.sweep.dir" in refused.last_line
    assert (tmp_path / "docs/atlas/grid_tanh.csv").read_bytes() == (DOCS / "atlas/grid_tanh.csv").read_bytes()


@pytest.mark.further
def test_a_setting_that_changes_nothing_is_no_column_of_a_table(command: Command, tmp_path: Path) -> None:
    here = ("networks=3", "trainer.max_epochs=4", f"hydra.sweep.dir={tmp_path}/logs/atlas/own", "~logger", "~callbacks")
    assert command("-m", "optimizer.lr=1,3", *here).status == 0
    assert command("-m", "optimizer.lr=1,3,10", "model.activation=sigmoid", *here).status == 0
    made = command(script="atlas.py")
    assert made.status == 0, made.err
    table = (tmp_path / "docs/atlas/own.csv").read_text().splitlines()
    assert table[0].startswith("optimizer.lr,networks,")
    assert [row.partition(",")[0] for row in table[1:]] == ["1", "3", "10"]


@pytest.mark.further
def test_a_table_of_a_name_of_its_own_says_how_its_cells_are_computed_again(command: Command, tmp_path: Path) -> None:
    folder = f"hydra.sweep.dir={tmp_path}/logs/atlas/mine"
    some = ("model.hidden=[2]", "model.init=null,1", "optimizer.lr=0.1", "networks=20", "trainer.max_epochs=4")
    assert command("experiment=grid_relu", "~callbacks", "~logger", *some, folder).status == 0
    for _ in range(2):  # the second time, the table that the first has written is one to be extended
        assert command(script="atlas.py").status == 0
    table = read("mine", tmp_path / "docs/atlas")
    (row,) = table.where({"model.init": "1"}).rows
    _, script, *overrides = shlex.split(table.command(row))
    again = command(*overrides, script=Path(script).name)
    (sweep,) = {path.parent.parent for path in again.folder.glob("*/metrics.json")}
    found = from_sweep(sweep)[0].rows
    assert [{name: one[name] for name in RESULTS} for one in found] == [{name: row[name] for name in RESULTS}]
    with pytest.raises(ValueError, match=r"or add it: python src/train.py -m networks=20 .*experiment=grid_relu"):
        table.where({"model.init": "2"})


@pytest.mark.parametrize("text", ["", "a,b\n", "a,b\n1\n", "a,b\n1,2,3\n", "a,b\n1,2\n3", b"\xff\xfe\x00"], ids=repr)
def test_a_damaged_table_is_refused_by_its_file(tmp_path: Path, text: str | bytes) -> None:
    (tmp_path / "grid.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=r"grid\.csv is damaged; restore it \(git checkout\), or delete it"):
        read("grid", tmp_path)
    (tmp_path / "grid.csv").write_bytes(b"\xef\xbb\xbfa,b\n1,2\n")  # as a spreadsheet saves it
    assert read("grid", tmp_path).rows == [{"a": "1", "b": "2"}]


def test_a_table_that_cannot_be_written_leaves_the_one_before(tmp_path: Path) -> None:
    table = Table("grid", ["a"], [{"a": "1"}])
    write(table, tmp_path)
    with pytest.raises(UnicodeEncodeError):
        write(Table("grid", ["a"], [{"a": "2"}, {"a": "\udcff"}]), tmp_path)  # fails in the middle of the file
    assert read("grid", tmp_path) == table
    assert [path.name for path in tmp_path.iterdir()] == ["grid.csv"]


@pytest.mark.parametrize("word", ["model.init=-1", "model.init=1e300", "model.hidden=9", "model.hidden=[2.5]"])
def test_no_value_is_offered_that_cannot_be_run(word: str) -> None:
    with pytest.raises(ValueError, match=r"use one of them$"):
        read("grid", DOCS / "atlas").where(dict([word.split("=")]))


REFUSED = {
    "model.init=abc": "whose values are null, 0.1, 0.3, 0.5, 1, 2, 4, 8; use one of them\n",
    "model.init=1.5": "model.init=1.5 is not stored in docs/atlas/grid.csv, whose values are null, 0.1,",
    "optimizer.momentum=0.9": "grid.csv has no such key; use one of model.hidden, model.init, optimizer.lr",
    "nothing": "nothing is no table of docs/atlas; use one of escapes, ",
    "grid 0.1": "0.1 is one word too many; use python src/atlas.py [table] [key=value ...]",
    "": "logs/atlas holds no sweep; use make atlas",
    "model.init=1 model.init=2": "model.init is given twice; use one value of it, or none for all",
    "--all": "--all is no option of atlas.py; use python src/atlas.py [table] [key=value ...]",
}


@pytest.mark.parametrize("line", REFUSED)
def test_what_is_not_stored_is_refused_in_one_line(command: Command, line: str) -> None:
    run = command(*line.split(), script="atlas.py")
    assert (run.status, run.out) == (1, "")
    assert run.err.count("\n") == 1
    assert REFUSED[line] in run.err


@pytest.mark.parametrize(
    ("override", "cause"),
    [
        ("networks=0", "networks must be an integer from 1 to 1000000, got 0; use networks=1 for a single network"),
        ("networks=1000000 model.hidden=[999]", "need more than 8 GiB at a time; use fewer networks, units or bits"),
        ("optimizer.lr=range(3,1)", "optimizer.lr=range(3,1) names no value; use a list of values"),
        ("optimizer.lr=interval(3,1)", "is an interval; use a list of values, or hydra/sweeper=optuna"),
    ],
)
def test_a_grid_that_cannot_run_ends_in_one_line_and_writes_nothing(
    command: Command, tmp_path: Path, override: str, cause: str
) -> None:
    one = ("model.hidden=[1]", "model.init=1", "optimizer.lr=1")
    keys = [word.partition("=")[0] for word in override.split()]
    run = command("experiment=grid", *(word for word in one if word.partition("=")[0] not in keys), *override.split())
    assert run.status == 1
    assert run.err.count("\n") == 1
    assert cause in run.err
    assert list(tmp_path.rglob("*.*")) == []


def fastest(table: Table) -> dict[str, str]:
    """The row whose first three quarters of the networks, of those that solve the table at all, are there soonest."""
    rows = [row for row in table.rows if number(row["solved"]) >= 0.5 and number(row["solved_epoch_q75"]) >= 20]
    return min(rows, key=lambda row: number(row["solved_epoch_q75"]))


@pytest.mark.parametrize("name", [SWEPT[0], *(pytest.param(name, marks=pytest.mark.further) for name in SWEPT[1:])])
def test_a_small_part_of_every_stored_table_runs_again_to_the_same_numbers(command: Command, name: str) -> None:
    """The first networks of one cell, until three quarters of those that solve the table should have done so.

    Within 3.3 standard deviations, which one comparison in 1,000 leaves by chance: there are three for each table.
    """
    table = read(name, DOCS / "atlas")
    row = fastest(table)
    assert list(table.rows[0]) == [*table.keys, *RESULTS]
    _, script, *overrides = shlex.split(table.command(row))
    short = ["networks=200", f"trainer.max_epochs={int(number(row['solved_epoch_q75']))}", "model.compile=false"]
    run = command(*overrides, *short, script=Path(script).name)
    assert run.status == 0, run.err
    (path,) = run.folder.glob("*/networks.csv")
    with path.open(newline="") as file:
        epochs = [number(networks["solved_epoch"]) for networks in csv.DictReader(file)]
    ever = 1 - number(row["unsolved"]) / number(row["networks"])
    for quantile, epoch in zip(
        (0.25, 0.5, 0.75), ("solved_epoch_q25", "solved_epoch", "solved_epoch_q75"), strict=True
    ):
        share = sum(at <= number(row[epoch]) for at in epochs) / len(epochs)
        expected = quantile * ever
        assert abs(share - expected) <= 3.3 * (expected * (1 - expected) / len(epochs)) ** 0.5, (quantile, row)


def test_the_laws_are_those_of_the_stored_tables() -> None:
    stored = {name: read(name, DOCS / "atlas") for name in STORED}
    assert laws(stored).rows == stored["laws"].rows


def test_a_picture_of_epochs_leaves_out_what_a_tenth_of_the_networks_do_not_reach() -> None:
    rows = read("grid", DOCS / "atlas").where({"model.hidden": "[4]", "optimizer.lr": "100"}).rows
    rows.sort(key=lambda row: DEFAULT_RANGE if row["model.init"] == "null" else number(row["model.init"]))
    table = Table("grid", ["model.hidden", "model.init", "optimizer.lr"], rows)
    (texts,) = ([text.get_text() for text in axes.texts] for axes in grid_picture(table, "solved_epoch").axes[:1])
    assert texts == [f"{number(row['solved_epoch']):.0f}" if number(row["unsolved"]) <= 900 else "–" for row in rows]
    assert 1 < texts.count("–") < len(texts)


PAGE = "".join((DOCS / f"{name}.md").read_text() for name in ("atlas", "plateaus"))


@pytest.mark.parametrize(
    ("line", "printed"), re.findall(r"```console\n(python src/atlas\.py [^\n]*)\n```\n+```\n(.*?)```", PAGE, re.S)
)
def test_the_page_shows_what_its_commands_print(command: Command, line: str, printed: str) -> None:
    assert command(*shlex.split(line)[2:], script="atlas.py").out == printed


@pytest.mark.parametrize("row", re.findall(r"^\| .* \| `python src/atlas\.py [^`]*` \|$", PAGE, re.M))
def test_every_figure_of_ours_beside_a_source_stands_in_the_stored_table(command: Command, row: str) -> None:
    """The figures of the column `ours`, to the digits that it shows: 88.8% as 0.888, 6,268 as 6268."""
    _, _, _, ours, line, _ = (cell.strip() for cell in row.split("|"))
    printed = command(*shlex.split(line.strip("`"))[2:], script="atlas.py").out
    stored = [float(text) for text in re.findall(r"(?<![\w.])-?\d+(?:\.\d+)?(?:e[+-]\d+)?", printed)]
    shown = re.findall(r"(?<![\w.])\d[\d,]*(?:\.\d+)?%?", ours)
    assert shown
    for text in shown:
        digits = len(text.rstrip("%").partition(".")[2])
        value, half = float(text.rstrip("%").replace(",", "")), 0.5 * 10.0**-digits
        scale = 0.01 if text.endswith("%") else 1.0
        assert any(abs(scale * value - abs(one)) <= scale * half * 1.001 for one in stored), (text, row)
