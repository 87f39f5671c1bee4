"""The hidden units: the line of each in the input plane, and the points in hidden space."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from xornet.data import point_names
from xornet.plots.decision_boundary import draw_plane, draw_points, draw_predictions, plane
from xornet.plots.principal import Plane, principal_plane
from xornet.plots.render import Array

RAISES, LOWERS, NEITHER = "#d55e00", "#0072b2", "0.4"  # of Okabe and Ito, for colour-blind readers
LARGEST_LEGEND = 8  # units
FAR = 1e6  # times the plane: matplotlib cannot draw lines further away


@dataclass
class Units:
    """The hidden units of a network with two inputs.

    Args:
        lines: (H, 3), the weights of x₁ and x₂ and the bias of each unit of the first hidden layer.
        weights: (H,), the weight of each unit in the output; with more hidden layers, the norm of its weights.
        space: (P, H'), the activations of the last hidden layer at the points.
        output: (H' + 1,), the weights of the output and its bias.
        signed: whether `weights` have a sign.

    """

    lines: Array
    weights: Array
    space: Array
    output: Array
    signed: bool


def hidden_units(units: Units, x: Array, y: Array) -> Figure:
    """Draw the line of every unit over the points, its width by the unit's weight, and the points in hidden space.

    Args:
        units: of the network.
        x: (P, 2)
        y: (P, 1)

    """
    figure, left, right = two_panels()
    draw_lines(left, units, x, y)
    draw_space(right, units, x, y)
    return figure


def two_panels() -> tuple[Figure, Axes, Axes]:
    """A figure with two panels and space for a legend between them."""
    figure = Figure(figsize=(11.2, 4.8))
    left, right = figure.subplots(1, 2, gridspec_kw={"left": 0.07, "right": 0.97, "wspace": 0.62, "bottom": 0.12})
    return figure, left, right


def draw_line(axes: Axes, line: Array, x: Array, colour: str, width: float, label: str | None = None) -> None:
    """Draw the line w₁x₁ + w₂x₂ + b = 0 in the plane of the points x (P, 2), and an arrow to its positive side."""
    normal, bias = line[:2], line[2]
    if not (length := np.hypot(*normal)):
        return
    ends = np.array([(along[0], along[-1]) for along in plane(x)])
    middle, half = ends.mean(1), (ends[:, 1] - ends[:, 0]) / 2
    foot = middle - normal * (normal @ middle + bias) / length**2  # the point of the line nearest to the middle
    if not abs(foot).max() <= FAR * half.max():
        return
    along = np.array([-normal[1], normal[0]]) / length
    axes.axline(tuple(foot), tuple(foot + along), color=colour, linewidth=width, label=label)
    if (abs(foot - middle) < 0.95 * half).all():
        tip = foot + 0.16 * half.min() * normal / length
        axes.annotate("", tuple(tip), tuple(foot), arrowprops={"color": colour, "arrowstyle": "->"})


def draw_lines(axes: Axes, units: Units, x: Array, y: Array) -> None:
    """Draw the line of every unit, where its activation is 1/2; the arrow points to larger activations."""
    draw_plane(axes, x, y)
    widths = 0.7 + 4 * abs(units.weights) / max(abs(units.weights).max(), 1e-30)
    for number, (line, weight, width) in enumerate(zip(units.lines, units.weights, widths, strict=True), 1):
        colour = (RAISES if weight > 0 else LOWERS) if units.signed else NEITHER
        amount = f"{weight:+.1f}".replace("-", "−") if units.signed else f"{weight:.1f}"
        draw_line(axes, line, x, colour, width, f"unit {number}: {amount}")
    axes.set_title("The Line of Each Hidden Unit")
    if axes.lines and len(units.lines) <= LARGEST_LEGEND:
        axes.legend(
            title="weight in the output" if units.signed else "norm of its weights",
            loc="center left",
            bbox_to_anchor=(1, 0.5),
            frameon=False,
        )


def draw_space(axes: Axes, units: Units, x: Array, y: Array) -> None:
    """Draw the points in the space of the last hidden layer, and the predictions over that plane."""
    found = hidden_plane(units.space)
    places = found.places
    low, high = places.min(0), places.max(0)
    margin = 0.25 * max(*(high - low), 0.1)
    low, high = low - margin, high + margin
    across, up = (np.linspace(*ends, 200) for ends in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(across, up), -1) @ found.directions + found.centre  # (200, 200, H')
    z = sigmoid(grid @ units.output[:-1] + units.output[-1])
    draw_predictions(axes, z, "The Points in Hidden Space", across, up)
    draw_points(axes, places, y)
    for place, name in names(places, x, margin / 2):
        axes.annotate(name, tuple(place), (0, 9), textcoords="offset points", ha="center", va="bottom")
    axes.set(xlabel=found.labels[0], ylabel=found.labels[1], xlim=across[[0, -1]], ylim=up[[0, -1]])
    axes.locator_params(nbins=5)


def sigmoid(z: Array) -> Array:
    """σ(z) without overflow."""
    return 0.5 + 0.5 * np.tanh(z / 2)


def hidden_plane(space: Array) -> Plane:
    """Return a plane in hidden space for the points (P, H').

    It is the whole space for one or two units, else the plane of the first two principal directions.
    """
    units = space.shape[1]
    if units <= 2:
        directions, labels = np.eye(2, units), [f"activation of unit {number + 1}" for number in range(units)]
        return Plane(np.zeros(units), directions, space @ directions.T, [*labels, ""][:2])
    return principal_plane(space)


def names(places: Array, x: Array, near: float) -> Sequence[tuple[Array, str]]:
    """The names of the points with their places; points close together share one: `01, 10`."""
    groups: list[tuple[Array, str]] = []
    for place, name in zip(places, point_names(torch.from_numpy(x)), strict=True):
        for number, (other, others) in enumerate(groups):
            if np.hypot(*(place - other)) < near:
                groups[number] = max(place, other, key=lambda it: it[1]), f"{others}, {name}"  # the upper one
                break
        else:
            groups.append((place, name))
    return groups
