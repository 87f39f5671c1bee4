from collections.abc import Iterator
from fractions import Fraction

import pytest
import torch
from torch import Tensor

from xornet.data import truth_table
from xornet.engine import plateaus

XOR = truth_table()[1]


def partitions(points: list[int]) -> Iterator[list[list[int]]]:
    """Every way to put points into groups."""
    if not points:
        yield []
        return
    first, *rest = points
    for groups in partitions(rest):
        yield [[first], *groups]
        for i, group in enumerate(groups):
            yield [*groups[:i], [first, *group], *groups[i + 1 :]]


def standing(*predictions: list[float], y: Tensor = XOR) -> list[str]:
    """Where networks with these predictions stand."""
    return plateaus.names(torch.tensor(predictions).T[:, None], y)


def test_networks_that_tell_groups_apart_stand_near_the_least_loss_of_these_groups() -> None:
    targets = [0, 1, 1, 0]
    found = set()
    for groups in partitions([0, 1, 2, 3]):
        means = {i: Fraction(sum(targets[j] for j in group), len(group)) for group in groups for i in group}
        loss = str(sum((means[i] - targets[i]) ** 2 for i in range(4)) / 4)
        for away in (0.0, 0.09, -0.09):  # all points together, so that no group is torn
            assert standing([float(means[i]) + away for i in range(4)]) == [loss]
        found.add(loss)
    assert found == {"0", "1/8", "1/6", "1/4"}  # and XOR has no others


@pytest.mark.parametrize(
    ("predictions", "place"),
    [
        ([0.0, 2 / 3, 2 / 3, 2 / 3], "1/6"),
        ([1 / 3, 1 / 3, 1.0, 1 / 3], "1/6"),
        ([0.05, 0.45, 0.95, 0.55], "1/8"),
        ([0.45, 0.55, 0.42, 0.58], "1/4"),
        ([0.0, 0.61, 1.0, 0.39], "elsewhere"),  # further than 0.1 from 1/2
        ([0.177, 0.666, 0.695, 0.513], "elsewhere"),  # its loss is 0.1246: on its way from 1/6 to the solution
        ([1.0, 1.0, 1.0, 0.0], "saturated"),  # its loss is 1/4
        ([0.0, 0.09, 0.0, 0.0], "saturated"),
        ([0.0, 0.11, 0.0, 0.0], "elsewhere"),
        ([0.5, 0.0, 0.5, 0.0], "elsewhere"),
        ([0.0, torch.nan, 0.5, 0.5], ""),
    ],
)
def test_a_network_is_named_by_its_predictions_and_not_by_its_loss_alone(predictions: list[float], place: str) -> None:
    assert standing(predictions) == [place]
    assert standing([0.5] * 4, predictions, [0.0, 0.5, 0.5, 1.0]) == ["1/4", place, "elsewhere"]  # wrong points right


def test_other_tables_have_other_plateaus_by_the_same_rule() -> None:
    parity = truth_table(3)[1]
    right = parity[:4, 0].tolist()
    assert standing([0.5] * 8, [*right, *[0.5] * 4], y=parity) == ["1/4", "1/8"]
    both = torch.tensor([[0.0], [0.0], [0.0], [1.0]])
    assert standing([0.25] * 4, [0.5] * 4, y=both) == ["3/16", "elsewhere"]


def test_places_are_counted_the_most_frequent_first_and_other_last() -> None:
    counts = plateaus.count(["elsewhere", "1/4", "", "1/8", "elsewhere", "1/8", "elsewhere"])
    assert list(counts.items()) == [("1/8", 2), ("1/4", 1), ("elsewhere", 3)]
    assert plateaus.names(torch.zeros(4, 1, 0), XOR) == []
