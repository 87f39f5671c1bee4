from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.collections import PathCollection
from matplotlib.contour import ContourSet
from oracle import X, Y

from xornet.plots import decision_boundary, loss_curves
from xornet.plots.frames import FrameRenderer
from xornet.plots.render import drawn

ENDS = ((-0.5, 1.5), (-0.5, 1.5))  # of the sheet's plane


def test_the_grid_is_the_sheets_with_rows_along_the_second_input() -> None:
    z = decision_boundary.boundary_grid(lambda points: points[:, :1] + 10 * points[:, 1:], X.numpy())
    assert z.shape == (200, 200)
    corners = [z[0, 0], z[0, -1], z[-1, 0], z[-1, -1]]  # x1 + 10 x2 at the corners of [-0.5, 1.5]²
    np.testing.assert_allclose(corners, [-5.5, -3.5, 14.5, 16.5], rtol=1e-6)


def test_the_plane_of_other_points_reaches_a_quarter_of_their_extent_beyond_them() -> None:
    for x, across, up in ((2 * X - 1, (-1.5, 1.5), (-1.5, 1.5)), (X * 100 + 7, (-18, 132), (-18, 132)), (X / 2, *ENDS)):
        figure = decision_boundary.decision_boundaries(
            [(decision_boundary.boundary_grid(lambda points: points[:, :1], x.numpy()), "")], x.numpy(), Y.numpy()
        )
        axes = figure.axes[0]
        assert (axes.get_xlim(), axes.get_ylim()) == (across, up)
        z = np.asarray(axes.images[0].get_array())
        np.testing.assert_allclose([z[0, 0], z[-1, -1]], across)
        np.testing.assert_allclose(z[:, 1] - z[:, 0], (across[1] - across[0]) / 199, rtol=1e-4)


def test_the_boundary_has_fifty_fixed_bands_the_contour_and_the_points() -> None:
    z = decision_boundary.boundary_grid(lambda points: (points[:, :1] + 0.5) / 2, X.numpy())
    figure = decision_boundary.decision_boundaries([(z, decision_boundary.BOUNDARY_TITLE)], X.numpy(), Y.numpy())
    axes, bar = figure.axes
    (contour,) = (child for child in axes.get_children() if isinstance(child, ContourSet))
    ((line,),) = contour.allsegs  # x1 = 0.5
    np.testing.assert_allclose(line[:, 0], 0.5, atol=1e-6)
    np.testing.assert_allclose(sorted(line[[0, -1], 1]), [-0.5, 1.5])
    (points,) = (
        c for c in axes.get_children() if isinstance(c, PathCollection) and len(np.asarray(c.get_offsets())) == 4
    )
    np.testing.assert_allclose(np.asarray(points.get_offsets()), X)
    np.testing.assert_allclose(np.asarray(points.get_array()), Y[:, 0])
    assert points.get_clim() == (0, 1)
    assert axes.get_title() == "Decision Boundary of Neural Network"
    assert (axes.get_xlabel(), axes.get_ylabel(), bar.get_ylabel()) == ("x₁", "x₂", "prediction")


def test_more_than_four_boundaries_stand_in_two_rows() -> None:
    z = np.zeros((200, 200))
    for count, rows in ((4, [4]), (5, [3, 2]), (8, [4, 4])):
        figure = decision_boundary.decision_boundaries([(z, str(i)) for i in range(count)], X.numpy(), Y.numpy())
        panels = figure.axes[:count]
        heights = [round(axes.get_position().y0, 3) for axes in panels]
        assert [axes.get_title() for axes in panels] == [str(i) for i in range(count)]
        assert [heights.count(row) for row in sorted(set(heights), reverse=True)] == rows


def test_a_prediction_has_the_colour_of_its_band_at_its_place() -> None:
    z = decision_boundary.boundary_grid(lambda points: (points[:, :1] + 0.5) / 2, X.numpy())
    figure = decision_boundary.decision_boundaries([(z, "")], X.numpy(), Y.numpy())
    image, axes = np.asarray(drawn(figure)), figure.axes[0]
    for prediction in (0.01, 0.11, 0.31, 0.81, 0.99):  # the middle of a band of 1/50, far from points and lines
        for x2 in (-0.48, 0.25, 1.48):
            across, up = axes.transData.transform((2 * prediction - 0.5, x2))
            expected = 0.7 * np.array(colormaps["coolwarm"](prediction)[:3]) + 0.3
            np.testing.assert_allclose(image[len(image) - 1 - int(up), int(across)] / 255, expected, atol=0.01)


def test_where_there_is_no_prediction_the_plane_is_white() -> None:
    z = np.where(np.indices((200, 200))[0] < 100, np.nan, 0.2)  # the lower half
    image = np.asarray(drawn(decision_boundary.decision_boundaries([(z, "")], X.numpy(), Y.numpy())))
    assert image[350, 150].tolist() == [255, 255, 255]
    assert image[150, 150].tolist() != [255, 255, 255]


def test_a_frame_of_the_animation_is_the_picture_drawn_anew() -> None:
    rising = decision_boundary.boundary_grid(lambda points: (points[:, :1] + 0.5) / 2, X.numpy())
    for x in (X.numpy(), 3 * X.numpy() - 5):
        renderer = FrameRenderer(x, Y.numpy())
        for z, title in ((rising, "first"), (1 - rising, "second"), (0.4 + 0 * rising, "flat"), (rising, "first")):
            anew = drawn(decision_boundary.decision_boundaries([(z, title)], x, Y.numpy()))
            np.testing.assert_array_equal(np.asarray(renderer.frame(z, title)), np.asarray(anew))


def test_a_flat_network_has_no_contour() -> None:
    figure = decision_boundary.decision_boundaries([(np.full((200, 200), 0.4), "")], X.numpy(), Y.numpy())
    assert not any(isinstance(child, ContourSet) for child in figure.axes[0].get_children())


def test_the_loss_curve_of_one_network_is_the_sheets() -> None:
    epochs, loss = np.arange(5.0), np.linspace(0.3, 0.1, 5)
    (axes,) = loss_curves.loss_curve(epochs, np.stack([loss] * 3, 1), loss[:, None]).axes
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.get_title()) == ("Epochs", "Loss", "Training Loss Curve")
    (line,) = axes.lines
    np.testing.assert_allclose(np.asarray(line.get_xydata()), np.stack([epochs, loss], 1))
    assert not axes.collections


def test_the_loss_curve_of_an_ensemble_is_a_band_with_single_networks_drawn_through() -> None:
    epochs, loss = np.arange(5.0), np.linspace(0.3, 0.1, 5)
    singles = np.stack([loss + 0.05, loss - 0.02], 1)
    (axes,) = loss_curves.loss_curve(epochs, np.stack([loss - 0.1, loss, loss + 0.1], 1), singles).axes
    median, *others = axes.lines
    np.testing.assert_allclose(np.asarray(median.get_ydata()), loss)
    np.testing.assert_allclose([np.asarray(line.get_ydata()) for line in others], singles.T)
    band: Any = axes.collections[0].get_paths()[0].vertices
    np.testing.assert_allclose([band[:, 1].min(), band[:, 1].max()], [0.0, 0.4], atol=1e-12)
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["median", "10% to 90%", "single networks"]


def test_the_share_of_solved_networks_is_drawn_in_percent() -> None:
    (axes,) = loss_curves.solved_share(np.arange(3.0), np.array([0.0, 0.25, 1.0])).axes
    np.testing.assert_allclose(np.asarray(axes.lines[0].get_ydata()), [0, 25, 100])


def test_several_boundaries_share_one_colour_bar() -> None:
    z = decision_boundary.boundary_grid(lambda points: points[:, :1], X.numpy())
    *panels, bar = decision_boundary.decision_boundaries([(z, "first"), (z, "second")], X.numpy(), Y.numpy()).axes
    assert [axes.get_title() for axes in panels] == ["first", "second"]
    assert bar.get_ylabel() == "prediction"


def test_a_drawn_figure_is_an_image_of_its_size() -> None:
    figure = loss_curves.loss_curve(np.arange(3.0), np.ones((3, 3)), np.ones((3, 1)))
    image = np.asarray(drawn(figure))
    assert image.shape == (480, 640, 3)
    assert image.dtype == np.uint8
    assert (image.min(), image.max()) == (0, 255)  # black on white
