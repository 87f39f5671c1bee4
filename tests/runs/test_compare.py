from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import NO_FIGURES, Command, CommandResult
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox
from oracle import X, Y

from xornet.checkpoint import REMEDY
from xornet.network import XORNet
from xornet.plots import comparison, render
from xornet.plots.decision_boundary import boundary_grid
from xornet.plots.render import Array
from xornet.runs.compare import apart, labels, read_run
from xornet.runs.record import Run, read_job, read_jobs
from xornet.sweeps.table import loss_words

SHORT = ("trainer.max_epochs=300", *NO_FIGURES)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures of the comparisons that a test makes."""
    figures: list[Figure] = []
    draw = comparison.comparison

    def keep(*args: Any) -> Figure:
        figures.append(draw(*args))
        return figures[-1]

    monkeypatch.setattr(comparison, "comparison", keep)
    return figures


def labels_of(*runs: CommandResult) -> list[str]:
    """The labels of runs."""
    return labels(apart([read_run(run.folder)[0] for run in runs]))


def curve(run: CommandResult) -> Array:
    """The epochs and losses in a run's checkpoint, (S, 2)."""
    kept = torch.load(run.folder / "checkpoints" / "last.ckpt", weights_only=True)["history"]["curve"]
    return torch.stack([kept["epochs"].double(), kept["losses"][:, 1]], 1).numpy()


def test_a_comparison_is_a_table_and_a_picture_of_the_runs_own_curves_and_boundaries(
    command: Command, drawn: list[Figure]
) -> None:
    trained = [command(*SHORT, "seed=4"), command(*SHORT, "seed=4", "optimizer=adam", "optimizer.lr=0.1")]
    run = command(*(str(each.folder) for each in trained), script="compare.py")
    assert (run.status, run.err) == (0, "")
    assert run.folder.parent.parts[-3:] == ("logs", "compare", "runs")
    assert [path.name for path in run.folder.iterdir()] == ["comparison.png"]
    heading, *rows, where = run.out.splitlines()
    assert where == f"Comparison: {run.folder}/comparison.png"
    assert heading.split() == ["run", "optimizer", "epochs", "loss", "solved", "solved_epoch"]
    for row, each, differs in zip(rows, trained, ("SGD", "Adam"), strict=True):
        name, *values = row.split()
        assert name == each.folder.name
        loss = loss_words(read_job(each.folder))
        reached = ["300", loss, "yes" if each.metrics["solved"] else "no", str(each.metrics["solved_epoch"] or "")]
        assert values == [differs, *filter(None, reached)]

    (figure,) = drawn
    losses, *panels, bar = figure.axes
    assert losses.get_yscale() == "log"
    names = ["optimizer=SGD", "optimizer=Adam"]
    assert [line.get_label() for line in losses.lines] == [axes.get_title() for axes in panels] == names
    for line, axes, each in zip(losses.lines, panels, trained, strict=True):
        np.testing.assert_array_equal(np.asarray(line.get_xydata()), curve(each))
        network = XORNet()
        network.load_state_dict(torch.load(each.folder / "xornet.pt", weights_only=True))
        np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), boundary_grid(network, X.numpy()), atol=1e-6)
        assert axes.spines["top"].get_edgecolor() == line.get_color()
    assert bar.get_ylabel() == "prediction"


@pytest.mark.further
def test_labels_name_exactly_what_differs(command: Command) -> None:
    one, two = command(*SHORT, "seed=1"), command(*SHORT, "seed=1", "optimizer.lr=0.3", "model.hidden=[2,3]")
    assert labels_of(one, two) == ["hidden=[4] lr=0.1", "hidden=[2,3] lr=0.3"]
    # what only one run has is unset in the other; of a callback that is on or off, its arguments say nothing more
    more = command(
        *SHORT,
        "seed=1",
        "callbacks=early_stopping",
        "optimizer.momentum=0.5",
        "callbacks.loss_table.every_n_epochs=7",
    )
    assert labels_of(one, more) == [
        "momentum=0 every_n_epochs=1000 early_stopping=unset",
        "momentum=0.5 every_n_epochs=7 early_stopping=EarlyStopping",
    ]
    drawing = command(*SHORT[:1], *SHORT[2:], "seed=1")
    assert labels_of(one, drawing) == ["animation=null", "animation=BoundaryAnimation"]
    # two keys that end alike are written in full, and runs that nothing sets apart by their directories
    every = command(
        *SHORT, "seed=1", "callbacks.loss_table.every_n_epochs=7", "callbacks.gradient_monitor.every_n_epochs=8"
    )
    assert (
        labels_of(one, every)[1] == "callbacks.loss_table.every_n_epochs=7 callbacks.gradient_monitor.every_n_epochs=8"
    )
    again = command(*SHORT, "seed=1")
    assert labels_of(one, again) == [one.folder.name, again.folder.name]
    assert labels_of(one, again, two)[::2] == [f"hidden=[4] lr=0.1 {one.folder.name}", "hidden=[2,3] lr=0.3"]


def test_classes_of_the_same_name_keep_their_modules(tmp_path: Path) -> None:
    runs = [Run(tmp_path / name, {"optimizer": f"{name}.Adam"}, None, None) for name in ("torch.optim", "mine")]
    assert labels(apart(runs)) == ["optimizer=torch.optim.Adam", "optimizer=mine.Adam"]


def test_a_run_that_has_not_finished_is_compared_by_its_checkpoint(command: Command) -> None:
    trained = [command(*SHORT, f"seed={seed}") for seed in (1, 2)]
    folders = [str(run.folder) for run in trained]
    finished = command(*folders, script="compare.py").out.splitlines()
    (trained[1].folder / "metrics.json").unlink()
    assert command(*folders, script="compare.py").out.splitlines()[:-1] == finished[:-1]


@pytest.mark.further
def test_jobs_of_a_sweep_are_compared_by_the_share_solved(command: Command, drawn: list[Figure]) -> None:
    sweep = command("-m", "optimizer.lr=0.5,5", "networks=20", *SHORT)
    jobs = sorted(sweep.folder.glob("*_*"))
    run = command(*map(str, jobs), script="compare.py")
    rows = run.out.splitlines()[1:3]
    for row, line in zip(rows, sweep.out.splitlines()[-4:-2], strict=True):  # the sweep's own table
        assert row.split()[3:] == line.split()[2:-2]
    assert [row.split()[0] for row in rows] == ["0_optimizer.lr=0.5", "1_optimizer.lr=5"]
    losses, *panels, _ = drawn[0].axes
    assert losses.get_ylabel() == "Loss (median)"
    assert [axes.get_title() for axes in panels] == ["lr=0.5", "lr=5"]


@pytest.mark.further
def test_only_two_inputs_have_a_boundary(command: Command, drawn: list[Figure]) -> None:
    two, three = (str(command(*SHORT, f"data.bits={bits}").folder) for bits in (2, 3))
    four = str(command(*SHORT, "data.bits=4").folder)
    assert command(three, two, script="compare.py").status == 0
    assert command(three, four, script="compare.py").status == 0
    losses, panel, _ = drawn[0].axes
    assert [line.get_label() for line in losses.lines] == ["bits=3", "bits=2"]
    assert panel.get_title() == "bits=2"
    assert panel.spines["top"].get_edgecolor() == losses.lines[1].get_color()
    assert len(drawn[1].axes) == 1


@pytest.mark.further
def test_an_error_is_one_line_and_nothing_is_written(command: Command, tmp_path: Path) -> None:
    good, bad = (command(*SHORT, f"seed={seed}").folder for seed in (1, 2))
    empty = tmp_path / "empty"
    empty.mkdir()
    checkpoint = bad / "checkpoints" / "last.ckpt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:-200])
    usage, run = "use python src/compare.py <run> <run> ...", "use the directory of a run, or of one job of a sweep"
    for arguments, message in (
        ([], f"a comparison takes at least 2 runs, got 0; {usage}"),
        ([good], f"a comparison takes at least 2 runs, got 1; {usage}"),
        ([good, good.parent / "." / good.name], f"{good} is given twice; use each run once"),
        ([good, "--fast"], f"--fast is no option of compare.py; {usage}"),
        ([good, tmp_path / "none"], f"there is no directory {tmp_path}/none; {run}"),
        ([empty, good], f"{empty} is no run: it has no .hydra/config.yaml; {run}"),
        ([good, bad], f"ckpt_path={checkpoint} cannot be read as a checkpoint; {REMEDY}"),
    ):
        refused = command(*map(str, arguments), script="compare.py")
        assert (refused.status, refused.out, refused.err) == (1, "", f"error: {message}\n")
        assert not (tmp_path / "logs" / "compare").exists()
    (tmp_path / "logs" / "compare").write_text("a file where the directory should be")
    blocked = command(str(good), str(command(*SHORT, "seed=3").folder), script="compare.py")
    assert (blocked.status, blocked.out) == (1, "")
    assert "/logs/compare/runs/" in blocked.last_line
    assert blocked.last_line.endswith("'; make room there, or make it writable")


@pytest.mark.further
@pytest.mark.parametrize("runs", range(2, 9))
@pytest.mark.parametrize("label", ["lr=0.1", "hidden=[8,8] optimizer=Adam lr=0.05 max_epochs=20000 ckpt_path=/a" * 2])
def test_labels_neither_overlap_nor_leave_the_picture(runs: int, label: str) -> None:
    z = boundary_grid(lambda points: (points[:, :1] + 0.5) / 2, X.numpy())
    curves = [(np.arange(0, 20000, 20.0), np.geomspace(0.25, 0.01, 1000))] * runs
    figure = comparison.comparison(curves, [z] * runs, [label] * runs, [(X.numpy(), Y.numpy())] * runs)
    width, height = render.drawn(figure).size
    losses, *panels, _ = figure.axes
    legend = losses.get_legend()
    assert legend is not None
    texts = [*(axes.title for axes in panels), *(tick.label1 for tick in losses.xaxis.get_major_ticks()[1:-1])]
    boxes = [legend.get_window_extent(), *(text.get_window_extent() for text in texts)]
    boxes += [axes.get_window_extent() for axes in figure.axes]
    for one, other in combinations(boxes, 2):
        assert Bbox.intersection(one, other) is None
    for box in boxes:
        assert min(box.x0, box.y0) >= 0
        assert box.x1 <= width
        assert box.y1 <= height
    assert losses.get_window_extent().height > 200


@pytest.mark.further
def test_a_run_that_begins_anew_and_fails_is_not_shown_as_the_one_before(command: Command, tmp_path: Path) -> None:
    other = command("trainer.max_epochs=20").folder
    here = ["trainer.max_epochs=20", "logger=csv", f"hydra.run.dir={tmp_path}/reused"]
    assert command("trainer.max_epochs=20", "seed=1", here[-1]).status == 0
    diverges = ["optimizer.momentum=2", "trainer.max_epochs=500", "callbacks.loss_table.every_n_epochs=10"]
    assert command(*here, *diverges).status == 1
    compared = command(str(tmp_path / "reused"), str(other), script="compare.py")
    said = f"{tmp_path}/reused cannot be compared: there is no {tmp_path}/reused/checkpoints/last.ckpt"
    assert f"{said}; use runs with their checkpoints" in compared.last_line
    assert not list((tmp_path / "reused").glob("events.out.tfevents.*"))


@pytest.mark.further
def test_runs_whose_checkpoints_are_elsewhere_are_compared_and_drawn(command: Command, tmp_path: Path) -> None:
    sweep = command("-m", "seed=1,2", *SHORT, "callbacks.checkpoint.dirpath=${hydra:runtime.output_dir}/kept")
    assert all(job.curve for job in read_jobs(sweep.folder))
    one, two = sorted(sweep.folder.glob("*_*/"))
    assert command(str(one), str(two), script="compare.py").status == 0
    # one that is elsewhere may be of a later run
    other = command(*SHORT, "seed=3", f"callbacks.checkpoint.dirpath={tmp_path}/kept").folder
    refused = command(str(one), str(other), script="compare.py")
    line = f"there is no {other}/checkpoints/last.ckpt; use runs with their checkpoints in their directory"
    assert refused.last_line.endswith(line)
