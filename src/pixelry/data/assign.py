"""Which images go into which split: whole groups, in the proportions of the classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pixelry.errors import DataError

Labels = NDArray[np.int64]


def merge_groups(count: int, groups: Sequence[Sequence[int] | Labels]) -> Labels:
    """Return the number of each image's unit, (count,): images that share a group, directly or not, have one unit.

    Examples:
        >>> merge_groups(5, [[0, 1], [1, 4]]).tolist()
        [0, 0, 1, 2, 0]
    """
    links = [(int(group[0]), int(other)) for group in groups for other in group[1:]]
    first, second = np.array(links, np.int64).reshape(-1, 2).T
    graph = coo_array((np.ones(len(links)), (first, second)), shape=(count, count))
    _, unit = connected_components(graph, directed=False)
    return np.asarray(unit, np.int64)


def assign(units: Labels, strata: Labels, shares: Mapping[str, float], *, seed: int = 0) -> list[str]:
    """Divide images between splits: a unit goes as a whole, classes keep their proportions.

    The units are taken in random order, large ones first. Each goes to the split that is farthest behind its part of
    the unit's classes and of all images (the divisor method of Webster and Sainte-Laguë, whose rounding favors neither
    large nor small splits). scikit-learn's `StratifiedGroupKFold` works in the same way, but for parts of equal size.

    Args:
        units: (N,) number of each image's unit, from 0 on.
        strata: (N,) class of each image, from 0 on.
        shares: Part of the images for each split, above 0; the sum is 1.
        seed: Of the order.

    Returns:
        The split of each image.

    Raises:
        DataError: There are fewer units than splits.
    """
    names, count = list(shares), int(units.max()) + 1 if len(units) else 0
    if count < len(names):
        raise DataError(f"{count} groups of images cannot fill {len(names)} splits ({', '.join(names)})")
    classes = int(strata.max()) + 1
    of_unit = coo_array((np.ones(len(units)), (units, strata)), shape=(count, classes)).tocsr()
    sizes = np.bincount(units, minlength=count)
    totals = np.bincount(strata, minlength=classes)
    part = np.array(list(shares.values()))
    held, held_all = np.zeros((len(names), classes)), np.zeros(len(names))
    order = np.random.default_rng(seed).permutation(count)
    order = order[np.argsort(-sizes[order], kind="stable")]
    chosen = np.zeros(count, np.int64)
    for unit in order:
        here = slice(of_unit.indptr[unit], of_unit.indptr[unit + 1])
        kinds, number = of_unit.indices[here], of_unit.data[here]
        filled = (held[:, kinds] + number / 2) / (part[:, None] * totals[kinds])
        behind = filled @ (number / sizes[unit]) + (held_all + sizes[unit] / 2) / (part * len(units))
        split = int(behind.argmin())
        chosen[unit] = split
        held[split, kinds] += number
        held_all[split] += sizes[unit]
    _fill_empty(chosen, sizes, len(names))
    return [names[split] for split in chosen[units]]


def _fill_empty(chosen: Labels, sizes: Labels, count: int) -> None:
    """Give a split without a unit the smallest unit of the split that has the most units."""
    for split in range(count):
        if not (chosen == split).any():
            richest = int(np.bincount(chosen, minlength=count).argmax())
            members = np.flatnonzero(chosen == richest)
            chosen[members[sizes[members].argmin()]] = split


def assign_blocks(sequences: Sequence[Labels], shares: Mapping[str, float]) -> list[str]:
    """Cut each sequence into contiguous blocks, one for each split, in the order of the splits.

    Args:
        sequences: Indices of the images of each sequence, in their order; together 0 to N - 1.
        shares: As in `assign`.

    Returns:
        The split of each image.

    Examples:
        >>> assign_blocks([np.array([3, 2, 1, 0])], {"train": 0.5, "test": 0.5})
        ['test', 'test', 'train', 'train']
    """
    names = list(shares)
    ends = np.cumsum(list(shares.values()))
    found = np.empty(sum(map(len, sequences)), np.int64)
    for members in sequences:
        middle = (np.arange(len(members)) + 0.5) / len(members)
        found[members] = np.minimum(np.searchsorted(ends, middle), len(names) - 1)
    return [names[k] for k in found]
