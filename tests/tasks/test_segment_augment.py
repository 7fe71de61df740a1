"""Augmentation of pictures with their masks: each pixel keeps its class."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from pixelry.data.letterbox import GREY
from pixelry.data.masks import IGNORE
from pixelry.errors import UsageError
from pixelry.tasks.segment.augment import MaskJitter, jitter_masks

STILL = MaskJitter(smallest=1, largest=1, turn=0, mirror=0, hue=0, saturation=0, value=0)


def scenes(count: int = 6, side: tuple[int, int] = (40, 56), channels: int = 3) -> tuple[Tensor, Tensor]:
    """Return pictures of blocks whose brightness is that of their class: class k is (k + 1) / 5."""
    generator = torch.Generator().manual_seed(3)
    coarse = torch.randint(0, 4, (count, side[0] // 8, side[1] // 8), generator=generator, dtype=torch.uint8)
    masks = coarse.repeat_interleave(8, 1).repeat_interleave(8, 2)
    return ((masks + 1) / 5)[:, None].repeat(1, channels, 1, 1), masks


def test_nothing_changes_where_nothing_is_asked_for() -> None:
    images, masks = scenes()
    pixels, classes = jitter_masks(images, masks, STILL)
    torch.testing.assert_close(pixels, images, atol=1e-5, rtol=0)
    assert (classes == masks).all()
    assert classes.dtype == torch.uint8


@pytest.mark.parametrize("frame", [None, (32, 48), (80, 64)])
@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_keep_their_class(channels: int, frame: tuple[int, int] | None) -> None:
    images, masks = scenes(channels=channels)
    torch.manual_seed(0)
    how = MaskJitter(turn=20, upend=0.5, hue=0, saturation=0, value=0)
    pixels, classes = jitter_masks(images, masks, how, frame=frame)
    size = frame or (40, 56)
    assert pixels.shape == (6, channels, *size)
    assert classes.shape == (6, *size)
    assert set(classes.unique().tolist()) <= {0, 1, 2, 3, IGNORE}
    meant = torch.where(classes == IGNORE, GREY / 255, (classes + 1) / 5)
    # Away from where classes meet, which may be just outside of the frame, a pixel is as bright as its class says.
    high = F.max_pool2d(meant[:, None], 5, 1)
    low = -F.max_pool2d(-meant[:, None], 5, 1)
    same = high == low
    assert same.float().mean() > 0.1
    assert ((pixels[..., 2:-2, 2:-2] - high).abs() < 1e-4)[same.expand(-1, channels, -1, -1)].all()


def test_mirrors_are_exact() -> None:
    images, masks = scenes()
    for how, axis in (
        (MaskJitter(1, 1, 0, mirror=1, hue=0, saturation=0, value=0), -1),
        (MaskJitter(1, 1, 0, mirror=0, upend=1, hue=0, saturation=0, value=0), -2),
    ):
        pixels, classes = jitter_masks(images, masks, how)
        torch.testing.assert_close(pixels, images.flip(axis), atol=1e-5, rtol=0)
        assert (classes == masks.flip(axis)).all()


def test_small_ones_are_shown_whole_and_large_ones_are_cut() -> None:
    images, masks = scenes(side=(32, 32))
    half = MaskJitter(0.5, 0.5, 0, hue=0, saturation=0, value=0)
    _, classes = jitter_masks(images, masks, half)
    assert ((classes != IGNORE).flatten(1).sum(1) == 16 * 16).all()
    twice = MaskJitter(2, 2, 0, hue=0, saturation=0, value=0)
    _, classes = jitter_masks(images, masks, twice)
    assert (classes != IGNORE).all()
    # A turn of the picture is a turn on the screen: it stays a square, whatever the frame's shape.
    one = torch.zeros(1, 41, 61, dtype=torch.uint8)
    one[0, 15:26, 25:36] = 1
    torch.manual_seed(1)
    turned = MaskJitter(1, 1, 45, mirror=0, hue=0, saturation=0, value=0)
    for _ in range(5):
        _, classes = jitter_masks(torch.zeros(1, 1, 41, 61), one, turned)
        assert int((classes == 1).sum()) == pytest.approx(121, abs=12)


def test_the_draw_is_torchs_own() -> None:
    images, masks = scenes()
    runs = []
    for _ in range(2):
        torch.manual_seed(5)
        runs.append(jitter_masks(images, masks, MaskJitter()))
    assert (runs[0][0] == runs[1][0]).all()
    assert (runs[0][1] == runs[1][1]).all()
    assert (jitter_masks(images, masks, MaskJitter())[1] != runs[0][1]).any()


def test_scales_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="scales go from 2 to 1"):
        MaskJitter(2, 1)
