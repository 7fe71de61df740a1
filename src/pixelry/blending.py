"""One answer for a large picture out of overlapping tiles: their edges are blended, and rows are given out as they end.

Memory holds two rows of tiles, however high the picture is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise

import torch
from torch import Tensor

Size = tuple[int, int]

OVERLAP = 0.25  # of a tile


def tile_starts(length: int, tile: int, *, overlap: float = OVERLAP) -> list[int]:
    """Return where the fewest tiles begin that cover a length evenly and overlap by a part of their side, or more.

    Examples:
        >>> tile_starts(1000, 400), tile_starts(300, 400)
        ([0, 300, 600], [0])
        >>> tile_starts(180, 64, overlap=0)
        [0, 58, 116]
    """
    if length <= tile:
        return [0]
    shared = round(overlap * tile)
    count = -(-(length - shared) // (tile - shared))
    return [round(i * (length - tile) / max(1, count - 1)) for i in range(count)]


def blended(
    answer: Callable[[int, int, int, int], Tensor], size: Size, tile: int, *, scale: int = 1
) -> Iterator[Tensor]:
    """Yield the rows of a picture's answer from the top, each the mean of the tiles that saw it.

    A tile counts for less towards its edges, where the network saw less of what is around.

    Args:
        answer: Is called with top, left, height and width of a tile, and returns its values (C, height, width), times
            the scale.
        size: (height, width) of the picture.
        tile: Side of the tiles in pixels; a picture that is smaller is one tile.
        scale: How many times as high and wide as the picture its answer is.

    Yields:
        Values (C, n, W) of the next n rows of the answer, float32.
    """
    tops = tile_starts(size[0], tile)
    total, weight = _row(answer, tops[0], size, tile, scale)
    for last, top in pairwise(tops):
        below, below_weight = _row(answer, top, size, tile, scale)
        final = scale * (top - last)  # rows that no further tile sees
        yield total[:, :final] / weight[:final]
        shared = total.shape[1] - final
        below[:, :shared] += total[:, final:]
        below_weight[:shared] += weight[final:]
        total, weight = below, below_weight
    yield total / weight


def _row(
    answer: Callable[[int, int, int, int], Tensor], top: int, size: Size, tile: int, scale: int
) -> tuple[Tensor, Tensor]:
    """Return the weighted sum of a row of tiles (C, h, W), and the sum of the weights (h, W)."""
    height, width = min(tile, size[0]), min(tile, size[1])
    weight = tent(scale * height)[:, None] * tent(scale * width)
    lefts = tile_starts(size[1], tile)
    values = answer(top, lefts[0], height, width)
    total = torch.zeros(len(values), scale * height, scale * size[1])
    weights = torch.zeros_like(total[0])
    for left in lefts:
        # Tiles are asked for one at a time: memory holds their sum.
        values = values if left == lefts[0] else answer(top, left, height, width)
        place = slice(scale * left, scale * (left + width))
        total[..., place] += weight * values.float()
        weights[:, place] += weight
    return total, weights


def tent(length: int) -> Tensor:
    """Return weights (length,) that fall from the middle to the ends, and are above 0 everywhere.

    Examples:
        >>> tent(4)
        tensor([0.2500, 0.7500, 0.7500, 0.2500])
    """
    place = torch.arange(length) + 0.5
    return torch.minimum(place, length - place) / (length / 2)
