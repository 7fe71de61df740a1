"""One answer for a large picture out of overlapping tiles: their edges are blended, and rows are given out as they end.

Memory holds one row of tiles, however high the picture is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

Size = tuple[int, int]

OVERLAP = 0.25  # of a tile


def tile_starts(length: int, tile: int) -> list[int]:
    """Return where tiles begin that cover a length, each with a quarter of the next one or more.

    Examples:
        >>> tile_starts(1000, 400), tile_starts(300, 400)
        ([0, 300, 600], [0])
    """
    if length <= tile:
        return [0]
    shared = round(OVERLAP * tile)
    count = -(-(length - shared) // (tile - shared))
    return [round(i * (length - tile) / max(1, count - 1)) for i in range(count)]


def blended(answer: Callable[[int, int, int, int], Tensor], size: Size, tile: int) -> Iterator[Tensor]:
    """Yield the rows of a picture's answer from the top, each the mean of the tiles that saw it.

    A tile counts for less towards its edges, where the network saw less of what is around.

    Args:
        answer: Is called with top, left, height and width of a tile, and returns its values (C, height, width).
        size: (height, width) of the picture.
        tile: Side of the tiles in pixels; a picture that is smaller is one tile.

    Yields:
        Values (C, n, W) of the next n rows, float32.
    """
    tops = tile_starts(size[0], tile)
    total, weight = _row(answer, tops[0], size, tile)
    for last, top in pairwise(tops):
        below, below_weight = _row(answer, top, size, tile)
        final = top - last  # rows that no further tile sees
        yield total[:, :final] / weight[:final]
        shared = total.shape[1] - final
        below[:, :shared] += total[:, final:]
        below_weight[:shared] += weight[final:]
        total, weight = below, below_weight
    yield total / weight


def _row(answer: Callable[[int, int, int, int], Tensor], top: int, size: Size, tile: int) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of a row of tiles (C, h, W), and the sum of the weights (h, W)."""
    height, width = min(tile, size[0]), min(tile, size[1])
    weight = tent(height)[:, None] * tent(width)
    weights = torch.zeros(height, size[1])
    parts = [(left, answer(top, left, height, width).float()) for left in tile_starts(size[1], tile)]
    total = torch.zeros(len(parts[0][1]), height, size[1])
    for left, values in parts:
        total[..., left : left + width] += weight * values
        weights[:, left : left + width] += weight
    return total, weights


def tent(length: int) -> Tensor:
    """Return weights (length,) that fall from the middle to the ends, and are above 0 everywhere.

    Examples:
        >>> tent(4)
        tensor([0.2500, 0.7500, 0.7500, 0.2500])
    """
    place = torch.arange(length) + 0.5
    return torch.minimum(place, length - place) / (length / 2)
