"""Images that occur more than once: the same pixels, and nearly the same picture.

Nearly the same is a question of the data set: two handwritten ones may differ less than two prints of one
photograph. So a picture is compared with its neighbours. Thumbnails of 16 x 16 pixels are brought to mean 0 and
length 1 (all channels together: colours count, brightness and contrast do not) and projected on their 64
principal components. Pictures belong together when

1. they are at most a third as far from each other as from what comes four places further in the list of nearest
   neighbours, seen from both, for groups of at most 13 pictures;
2. their detail agrees too: thumbnails less a smooth version of themselves (means of 4 x 4 pixels), at length 1
   again, differ by at most 0.75, a correlation of 0.72. Two pieces of sky pass the first condition, but not this.

Among 70,000 handwritten digits, which lie close to each other, no pair meets both conditions; among 60,000 small
photographs collected from the web several hundred do, and they are prints of one photograph. A crop, a turned or a
mirrored picture is not found. Every picture is compared with every other up to 100,000; above, with the 100,000 that
are nearest to it along the first principal component.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

Positions = NDArray[np.int64]

COMPONENTS = 64
RATIO = 1 / 3
FURTHER = 4
NEIGHBOURS = 16
MAX_DIFFERENCE = 0.75
# Standard deviation in grey levels below which a thumbnail shows noise more than a picture.
MIN_CONTRAST = 4.0
# Distances below this are rounding.
ROUNDING = 2e-3
MIN_REFERENCE = 0.02
WINDOW = 100_000
BLOCK = 512
PART = 8192


def exact_groups(digests: NDArray[np.uint64], positions: Positions) -> list[Positions]:
    """Return groups of two or more images with the same digest, in the order of their first members.

    Args:
        digests: (N,) of the decoded pixels.
        positions: Which of the N to look at, ascending.
    """
    _, inverse, counts = np.unique(digests[positions], return_inverse=True, return_counts=True)
    return _groups(inverse, counts, positions)


def near_groups(thumbs: Tensor, positions: Positions) -> list[Positions]:
    """Return groups of images that look nearly the same, in the order of their first members.

    Args:
        thumbs: (N, C, h, w) uint8.
        positions: Which of the N to look at, ascending; of exact copies only one.
    """
    if not len(positions):
        return []
    contrast = torch.cat([part.flatten(1).float().std(1) for part in thumbs.split(PART)])
    positions = positions[contrast.numpy()[positions] >= MIN_CONTRAST]
    if len(positions) <= FURTHER + 1:
        return []
    points, order = _points(thumbs, positions)
    first, second = _pairs(points, _radii(points))
    first, second = positions[order[first]], positions[order[second]]
    near = _difference(thumbs, first, second) <= MAX_DIFFERENCE
    count = len(thumbs)
    graph = coo_array((np.ones(near.sum()), (first[near], second[near])), shape=(count, count))
    _, component = connected_components(graph, directed=False)
    component = component[positions]
    return _groups(component, np.bincount(component), positions)


def _groups(group: NDArray[np.integer], counts: NDArray[np.integer], positions: Positions) -> list[Positions]:
    """Split positions by their group's number; groups of one are left out."""
    several = np.flatnonzero(counts[group] > 1)
    order = several[np.argsort(group[several], kind="stable")]
    cuts = np.flatnonzero(np.diff(group[order])) + 1
    groups = [positions[members] for members in np.split(order, cuts) if len(members)]
    return sorted(groups, key=lambda members: int(members[0]))


def _standardised(thumbs: Tensor, positions: Positions) -> Tensor:
    """Return thumbnails with mean 0 and length 1: float32 (n, C * h * w)."""
    flat = thumbs[torch.from_numpy(positions)].flatten(1).float()
    flat -= flat.mean(1, keepdim=True)
    return flat / flat.norm(dim=1, keepdim=True)


def _points(thumbs: Tensor, positions: Positions) -> tuple[Tensor, Positions]:
    """Return the pictures' principal components (n, at most 64), sorted by the first, and the order."""
    size = thumbs[0].numel()
    total, square = torch.zeros(size), torch.zeros(size, size)
    blocks = [positions[start : start + PART] for start in range(0, len(positions), PART)]
    for block in blocks:
        flat = _standardised(thumbs, block)
        total += flat.sum(0)
        square += flat.T @ flat
    mean = total / len(positions)
    _, axes = torch.linalg.eigh(square / len(positions) - mean[:, None] * mean)
    axes = axes[:, -COMPONENTS:].flip(1)
    points = torch.cat([(_standardised(thumbs, block) - mean) @ axes for block in blocks])
    order = points[:, 0].argsort(stable=True)
    return points[order].contiguous(), order.numpy()


def _distances(rows: Tensor, columns: Tensor) -> Tensor:
    """Return squared Euclidean distances (n, m), by one matrix product."""
    product = rows @ columns.T
    return product.mul_(-2).add_(rows.square().sum(1)[:, None]).add_(columns.square().sum(1)).clamp_(min=0)


def _radii(points: Tensor) -> Tensor:
    """Return how far each picture's group reaches (n,), or -1 where it has none."""
    count = len(points)
    radii = torch.full((count,), -1.0)
    for start in range(0, count, BLOCK):
        rows = points[start : start + BLOCK]
        low = max(0, min(start + BLOCK // 2 - WINDOW // 2, count - WINDOW))
        squares = _distances(rows, points[low : low + WINDOW])
        squares[torch.arange(len(rows)), torch.arange(start - low, start - low + len(rows))] = torch.inf
        near = _smallest(squares).sqrt()
        inner, outer = near[:, :-FURTHER], near[:, FURTHER:]
        gap = (inner <= RATIO * outer) & (outer > MIN_REFERENCE) & outer.isfinite()
        radii[start : start + BLOCK] = torch.where(gap, inner, -1.0).amax(1)
    return radii


def _smallest(squares: Tensor) -> Tensor:
    """Return about the 16 smallest of each row (n, m), ascending; the very smallest exactly.

    Of every 64 columns that lie far apart only the smallest takes part: that is many times faster than a full
    selection, and two of the 16 rarely share their 64.
    """
    count = squares.shape[1]
    share = max(1, min(64, count // 1024))
    even = count - count % share
    smallest = torch.cat([squares[:, :even].unflatten(1, (share, -1)).amin(1), squares[:, even:]], 1)
    return smallest.topk(min(NEIGHBOURS, smallest.shape[1]), largest=False, sorted=True).values


def _pairs(points: Tensor, radii: Tensor) -> tuple[Positions, Positions]:
    """Return the pairs, first before second, each of which lies within the other's radius."""
    members = (radii >= 0).nonzero().flatten()
    points, radii = points[members], radii[members] + ROUNDING
    along = points[:, 0].contiguous()
    found: list[Tensor] = []
    for start in range(0, len(members), BLOCK):
        rows = slice(start, start + BLOCK)
        # Sorted by the first component: what is further along it than the radius is further altogether.
        stop = int(torch.searchsorted(along, along[rows][-1] + radii[rows].max(), right=True))
        distances = _distances(points[rows], points[start:stop]).sqrt()
        within = distances <= torch.minimum(radii[rows, None], radii[start:stop])
        found.append(within.triu(1).nonzero() + start)
    pairs = members[torch.cat(found)] if found else torch.empty(0, 2, dtype=torch.int64)
    return pairs[:, 0].numpy(), pairs[:, 1].numpy()


def _detail(thumbs: Tensor, positions: Positions) -> Tensor:
    """Return thumbnails less their smooth part at length 1, float32 (n, C * h * w); NaN where nothing is left."""
    pixels = thumbs[torch.from_numpy(positions)].float()
    smooth = interpolate(avg_pool2d(pixels, 4), pixels.shape[-2:], mode="bilinear")
    detail = (pixels - smooth).flatten(1)
    return detail / detail.norm(dim=1, keepdim=True)


def _difference(thumbs: Tensor, first: Positions, second: Positions) -> NDArray[np.float32]:
    """Return the distance of the thumbnails' detail, (n,) in [0, 2]."""
    blocks = [slice(start, start + PART) for start in range(0, len(first), PART)]
    parts = [_detail(thumbs, first[block]) - _detail(thumbs, second[block]) for block in blocks]
    return torch.cat([part.norm(dim=1) for part in parts] or [torch.empty(0)]).numpy()
