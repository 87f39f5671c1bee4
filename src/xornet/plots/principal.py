"""The plane that shows most of a cloud of points."""

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
        shares: (2,), of the points' variance along each direction.

    """

    centre: Array
    directions: Array
    places: Array
    shares: Array

    @property
    def labels(self) -> list[str]:
        """The names of the two axes."""
        words = zip(("first", "second"), self.shares, strict=True)
        return [f"{word} principal direction ({share:.1%} of the variance)" for word, share in words]


def principal_plane(points: Array) -> Plane:
    """The plane of the first two principal directions of points (S, K)."""
    centre = points.mean(0)
    _, spread, directions = np.linalg.svd(points - centre, full_matrices=len(points) < 2)
    shares = spread**2 / max((spread**2).sum(), 1e-300)
    return Plane(centre, directions[:2], (points - centre) @ directions[:2].T, np.append(shares, 0.0)[:2])
