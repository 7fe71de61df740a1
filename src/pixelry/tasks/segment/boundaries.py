"""How well the boundaries of classes are met, apart from how large the classes are."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt
from scipy.spatial import cKDTree

TOLERANCE = 0.0075  # of the picture's diagonal, as Csurka et al. have it
NEAR = 1e-6  # pixels by which a distance may be rounded


def boundary_scores(
    found: NDArray[np.uint8], truth: NDArray[np.uint8], classes: int, *, ignore: int = 255, tolerance: float = TOLERANCE
) -> NDArray[np.float64]:
    """Return the F score of the boundaries of each class in one picture, (K,), NaN for a class without a boundary.

    The boundary of a class is those of its pixels that have a pixel of another class beside, above or below them. A
    pixel of the one boundary is met where the other has one within the tolerance; precision is the share of found
    boundary pixels that are met, recall that of true ones, F their harmonic mean (Csurka et al. 2013, What is a good
    evaluation measure for semantic segmentation?). The edges of the picture are no boundary.

    Pixels that are not judged take the class of the nearest judged one, in the truth and in what was found alike: where
    an ignored band lies between two classes, their boundary runs along its middle, and what was found inside of the
    band makes no difference.

    Args:
        found: (H, W) class ids, of any value where the truth is not judged.
        truth: (H, W) class ids.
        classes: K.
        ignore: Of pixels of the truth that are not judged.
        tolerance: Part of the diagonal.
    """
    reach = tolerance * math.hypot(*truth.shape)
    judged = truth != ignore
    if not judged.any():
        return np.full(classes, np.nan)
    if not judged.all():
        nearest = distance_transform_edt(~judged, return_distances=False, return_indices=True)
        found, truth = found[tuple(nearest)], truth[tuple(nearest)]
    points = [_boundary(ids) for ids in (found, truth)]
    labels = [ids[tuple(p.T)].astype(np.int64) for ids, p in zip((found, truth), points, strict=True)]
    # As a third axis, on which they lie far apart, classes keep to themselves: one search serves all of them.
    apart = [np.column_stack([p, 2 * (reach + 1) * k]) for p, k in zip(points, labels, strict=True)]
    shares = []
    for own, other, label in ((apart[0], apart[1], labels[0]), (apart[1], apart[0], labels[1])):
        met = np.zeros(len(own), dtype=bool)
        if len(own) and len(other):
            distances, _ = cKDTree(other).query(own, distance_upper_bound=reach + 2 * NEAR)
            met = distances <= reach + NEAR
        total = np.bincount(label, minlength=classes)
        shares.append((np.bincount(label[met], minlength=classes) / np.maximum(total, 1), total))
    (precision, of_found), (recall, of_truth) = shares
    scores = 2 * precision * recall / np.maximum(precision + recall, 1e-12)
    return np.where(of_found + of_truth > 0, scores, np.nan)


def _boundary(ids: NDArray[np.uint8]) -> NDArray[np.intp]:
    """Return rows and columns (n, 2) of the pixels that have a neighbour of another class."""
    edge = np.zeros(ids.shape, dtype=bool)
    down, across = ids[1:] != ids[:-1], ids[:, 1:] != ids[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= across
    edge[:, :-1] |= across
    return np.argwhere(edge)
