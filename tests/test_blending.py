"""Answers to large pictures out of overlapping tiles."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from pixelry.blending import blended, tent, tile_starts


@pytest.mark.parametrize(("length", "tile"), [(1000, 400), (401, 400), (799, 400), (5000, 640)])
def test_tiles_cover_a_length_and_overlap(length: int, tile: int) -> None:
    starts = tile_starts(length, tile)
    assert starts[0] == 0
    assert starts[-1] + tile == length
    assert max(np.diff(starts)) <= 0.75 * tile + 1


@pytest.mark.parametrize("size", [(100, 75), (20, 75), (20, 10), (64, 64), (65, 31)])
def test_tiles_that_agree_give_the_picture(size: tuple[int, int]) -> None:
    picture = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    rows = list(blended(lambda y, x, h, w: picture[:, y : y + h, x : x + w], size, 32))
    torch.testing.assert_close(torch.cat(rows, 1), picture)


def test_between_tiles_that_differ_values_change_step_by_step() -> None:
    (rows,) = blended(lambda _y, x, h, w: torch.full((1, h, w), float(x)), (16, 28), 16)
    steps = rows[0, 8].diff()
    assert rows[0, :, 0].eq(0).all()
    assert rows[0, :, -1].eq(12).all()
    assert (steps >= 0).all()
    assert steps.max() <= 12 / 4 + 1e-4


def test_rows_are_given_out_before_the_next_tiles_are_asked_for() -> None:
    asked: list[int] = []

    def answer(top: int, left: int, height: int, width: int) -> Tensor:
        asked.append(top)
        return torch.zeros(2, height, width)

    starts = tile_starts(400, 32)
    for number, rows in enumerate(blended(answer, (400, 20), 32)):
        assert len(asked) <= number + 2
        assert rows.shape == (2, (starts[number + 1] - starts[number]) if number + 1 < len(starts) else 32, 20)
    assert asked == starts


def test_weights_are_even() -> None:
    torch.testing.assert_close(tent(7), tent(7).flip(0))
    assert float(tent(7).min()) > 0
