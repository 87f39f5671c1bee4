from functools import partial
from pathlib import Path

import events
import numpy as np
import PIL.Image
import pytest
import torch
from conftest import Command, StopAt, fit
from lightning.pytorch import Callback

from xornet.callbacks.animation import BoundaryAnimation
from xornet.callbacks.checkpoint import LastCheckpoint
from xornet.callbacks.figures import HiddenUnits, LossCurve
from xornet.callbacks.loss_surface import LossSurface
from xornet.callbacks.pictures import examples
from xornet.plots.decision_boundary import plane
from xornet.runs.metrics import evaluate_networks, places_of


def test_examples_are_the_fastest_the_median_the_slowest_and_an_unsolved_network_of_each_place(tmp_path: Path) -> None:
    optimizer = partial(torch.optim.Adam, lr=0.05)
    _, module = fit(tmp_path, 250, optimizer=optimizer, networks=30, seed=1, hidden=[2], init=3.0)
    when, places = module.history.solved_epoch.tolist(), places_of(module)
    solved = sorted(epoch for epoch in when if epoch >= 0)
    assert 3 <= len(solved) < 30
    (fast, fastest), (middle, median), (slow, slowest), *unsolved = examples(module)
    assert when[fast] == solved[0]
    assert when[middle] == solved[(len(solved) - 1) // 2]
    assert when[slow] == solved[-1]
    assert fastest == f"fastest: seed {1 + fast}\nsolved at epoch {solved[0]}"
    assert (median.splitlines()[0], slowest.splitlines()[0]) == (
        f"median: seed {1 + middle}",
        f"slowest: seed {1 + slow}",
    )
    losses = evaluate_networks(module)[1].tolist()
    assert {places[i] for i, _ in unsolved} == set(places) - {""}
    assert len(unsolved) == len(set(places) - {""}) > 1
    for i, title in unsolved:
        alike = sorted(loss for loss, place in zip(losses, places, strict=True) if place == places[i])
        assert losses[i] == alike[(len(alike) - 1) // 2]
        words = places[i] if places[i] == "elsewhere" else f"near {places[i]}"
        assert title == f"{words}: seed {1 + i}\nunsolved, loss {losses[i]:.4f}"


def test_examples_of_an_ensemble_that_nobody_or_everybody_solved(tmp_path: Path) -> None:
    _, module = fit(tmp_path, 3, networks=3)
    assert [title.partition(":")[0] for _, title in examples(module)] == ["near 1/4"]
    module.history.solved_epoch[:] = torch.tensor([5, 3, 4])
    assert [title.partition(":")[0] for _, title in examples(module)] == ["near 1/4"]  # solved before, not any more
    module.ensemble.weights[1].data[..., 0] = torch.nan  # one that has diverged is not shown
    assert [i for i, _ in examples(module)] in ([1], [2])
    module.ensemble.weights[1].data[..., 0] = 0.0
    module.history.tolerance = 2.0
    assert [i for i, _ in examples(module)] == [1, 2, 0]


def test_no_example_of_one_or_two_solved_networks_is_shown_twice(tmp_path: Path) -> None:
    for networks, names in (1, ["fastest"]), (2, ["fastest", "slowest"]):
        _, module = fit(tmp_path, 3, networks=networks)
        module.history.solved_epoch[:] = torch.arange(networks)
        module.history.tolerance = 2.0
        assert [title.partition(":")[0] for _, title in examples(module)] == names


def test_examples_of_networks_that_start_from_the_same_seed_are_told_apart(tmp_path: Path) -> None:
    _, module = fit(tmp_path, 3, networks=6, initialisations=2)
    module.history.solved_epoch[:] = torch.arange(6)
    module.history.tolerance = 2.0
    assert [title for _, title in examples(module)] == [
        "fastest: seed 0\nnetwork 0, solved at epoch 0",
        "median: seed 0\nnetwork 2, solved at epoch 2",
        "slowest: seed 1\nnetwork 5, solved at epoch 5",
    ]


@pytest.mark.parametrize(
    ("points", "ends"),
    [
        ([[0, 0], [1, 1]], [(-0.5, 1.5), (-0.5, 1.5)]),  # the sheet's
        ([[-3, 2]], [(-4, -2), (1, 3)]),
        ([[100, 0], [104, 1]], [(99, 105), (-0.5, 1.5)]),
        ([[-1, -1], [3, 3]], [(-2, 4), (-2, 4)]),
    ],
)
def test_the_plane_shows_all_points_with_a_margin(points: list[list[float]], ends: list[tuple[float, float]]) -> None:
    shown = plane(np.array(points, dtype=float))
    assert [(along[0], along[-1]) for along in shown] == ends


def test_a_trainer_of_a_notebook_may_name_a_directory_that_is_not_there_yet(tmp_path: Path) -> None:
    fit(tmp_path / "not" / "there", 3, [LossCurve(), BoundaryAnimation(), HiddenUnits(), LossSurface()])
    drawn = {path.name for path in (tmp_path / "not" / "there").iterdir()}
    assert drawn >= {"decision_boundary.gif", "decision_boundary.png", "hidden_units.png", "loss_surface.png"}


def test_an_ensemble_leaves_its_own_pictures_and_a_single_network_does_not(command: Command) -> None:
    one, three = command("trainer.max_epochs=5"), command("trainer.max_epochs=5", "networks=3")
    for name in ("solved.png", "examples.png"):
        assert not (one.folder / name).exists()
        assert (three.folder / name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.further
def test_frames_never_exceed_their_number_and_always_show_both_ends(command: Command) -> None:
    run = command("optimizer=adam", "optimizer.lr=0.1", "trainer.max_epochs=1000", "callbacks.animation.max_frames=5")
    images = events.read(run.folder).Images("plots/decision_boundary")
    assert {(image.width, image.height) for image in images} == {(640, 480)}
    steps = [image.step for image in images]
    assert len(steps) == 5  # there would be more: the table is correct
    assert run.metrics["solved"] is True
    assert (steps[0], steps[-1]) == (0, 1000)


def test_a_frame_is_due_where_predictions_move_against_each_other_or_long_have_not(tmp_path: Path) -> None:
    animation = BoundaryAnimation(max_frames=25)
    animation.errors, animation.snapshots, animation.frames = np.zeros(4), [(100, [])], [PIL.Image.new("P", (1, 1))]

    def is_due(*errors: float, epoch: int = 101) -> bool:
        return bool(animation.is_due(epoch, np.array(errors), 1000))

    assert not is_due(0.5, 0.5, 0.5, 0.5)  # a plane that only rises moves no line
    assert is_due(0.1, 0, 0, 0)
    assert not is_due(0.07, 0, 0, 0)
    assert is_due(0, 0, 0, 0, epoch=300)  # a fifth of the run
    assert not is_due(0, 0, 0, 0, epoch=299)
    animation.frames *= 16  # of 25
    assert not is_due(0.1, 0, 0, 0)  # as they run out
    assert is_due(0.4, 0, 0, 0)
    animation.frames *= 2
    assert not is_due(9, 0, 0, 0)


@pytest.mark.parametrize(
    ("drawing", "name"), [(BoundaryAnimation, "decision_boundary.gif"), (LossSurface, "loss_surface.png")]
)
@pytest.mark.further
def test_what_a_resumed_run_draws_of_its_past_is_the_uninterrupted_runs(
    tmp_path: Path, drawing: type[Callback], name: str
) -> None:
    def picture(run: str, *callbacks: Callback, ckpt_path: Path | None = None) -> bytes:
        keeping = [drawing(), LastCheckpoint(str(tmp_path / run)), *callbacks]
        fit(tmp_path / run, 400, keeping, ckpt_path, optimizer=partial(torch.optim.Adam, lr=0.05), seed=1)
        return (tmp_path / run / name).read_bytes()

    straight = picture("straight")
    assert picture("interrupted", StopAt(150)) != straight
    assert picture("resumed", ckpt_path=tmp_path / "interrupted" / "last.ckpt") == straight


def test_the_animation_has_the_colours_of_its_frames(tmp_path: Path) -> None:
    animation = BoundaryAnimation()
    fit(tmp_path, 300, [animation], optimizer=partial(torch.optim.Adam, lr=0.1), seed=7)
    with PIL.Image.open(tmp_path / "decision_boundary.gif") as film:
        for number, frame in enumerate(animation.frames):
            film.seek(number)
            difference = np.abs(np.asarray(film.convert("RGB"), float) - np.asarray(frame, float))
            assert difference.mean() < 3  # of 255
