"""The plane of the first two principal directions of points."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from xornet.plots.render import Array


@dataclass
class Plane:
    """The plane of the first two principal directions of points p_s (K,), s = 1, ..., S.

    They are the first two right singular vectors of p_s - mean.

    Args:
        centre: (K,), the mean.
        directions: (2, K), orthonormal.
        places: (S, 2), the points in these coordinates.
        labels: of the two axes, with the share of the variance along each.

    """

    centre: Array
    directions: Array
    places: Array
    labels: Sequence[str]


def principal_plane(points: Array) -> Plane:
    """The plane of the first two principal directions of points (S, K)."""
    centre = points.mean(0)
    _, spread, directions = np.linalg.svd(points - centre, full_matrices=len(points) < 2)
    shares = np.append(spread**2 / max((spread**2).sum(), 1e-300), 0.0)  # points on a line have only one
    words = zip(("first", "second"), shares, strict=False)
    labels = [f"{word} principal direction ({share:.1%} of the variance)" for word, share in words]
    return Plane(centre, directions[:2], (points - centre) @ directions[:2].T, labels)
