"""Heat maps over images: where the evidence for an answer lies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage

from pixelry.draw import draw_scores
from pixelry.pixels import to_color, to_grey, to_uint8

SIDE = 240  # pixels of the longer side, as in `draw_scores`
STRENGTH = 0.75  # of the colors where the heat is 1
COLORMAP = "inferno"
DIMMED = 0.65  # how bright the image stays where there is no heat


def place_heat(heat: NDArray[Any], size: tuple[int, int]) -> NDArray[np.float32]:
    """Return a heat map of an image's central part, as a network saw it, at the size of the whole image.

    Args:
        heat: (h, w) in [0, 1] of the largest central part of the image that has this aspect ratio.
        size: (height, width) of the image.

    Returns:
        (height, width) float32 in [0, 1], 0 outside of that part.
    """
    height, width = size
    scale = max(heat.shape[0] / height, heat.shape[1] / width)
    part = (min(height, round(heat.shape[0] / scale)), min(width, round(heat.shape[1] / scale)))
    page = PILImage.fromarray(heat.astype(np.float32)).resize(part[::-1], PILImage.Resampling.BILINEAR)
    whole = np.zeros(size, np.float32)
    top, left = (height - part[0]) // 2, (width - part[1]) // 2
    whole[top : top + part[0], left : left + part[1]] = np.asarray(page)
    return whole


def draw_heat(image: NDArray[Any], heat: NDArray[Any], *, side: int = SIDE) -> NDArray[np.uint8]:
    """Lay a heat map over an image, which is grey and darker where there is no heat.

    Args:
        image: (H, W) or (H, W, C), of any dtype with scikit-image's ranges; alpha is blended over white.
        heat: (h, w) in [0, 1] of the image's central part; see `place_heat`.
        side: Smaller images are enlarged by a whole factor to at most so many pixels, so that the map is smooth.

    Returns:
        (H', W', 3) uint8.

    Raises:
        ImageError: Not an image, or values out of its dtype's range.
    """
    page = to_color(to_uint8(image))
    factor = max(1, side // max(page.shape[:2]))
    page = page.repeat(factor, axis=0).repeat(factor, axis=1)
    grey = to_grey(page).astype(np.float32)[..., None] * np.float32(DIMMED)
    strength = place_heat(heat, (page.shape[0], page.shape[1]))[..., None]
    colors = matplotlib.colormaps[COLORMAP](strength[..., 0])[..., :3].astype(np.float32) * 255
    blended = grey * (1 - STRENGTH * strength) + colors * (STRENGTH * strength)
    return np.asarray(blended.round().clip(0, 255).astype(np.uint8))


def draw_explained(image: NDArray[Any], heat: NDArray[Any], scores: Sequence[tuple[str, float]]) -> NDArray[np.uint8]:
    """Draw an image with its heat map on the left, and its best classes as bars on the right, (h, w, 3) uint8.

    Args and errors as for `draw_heat` and `draw_scores`.
    """
    right = draw_scores(image, scores)
    picture = PILImage.fromarray(draw_heat(image, heat))
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    left = np.asarray(picture.resize(size, PILImage.Resampling.LANCZOS))
    height = max(left.shape[0], right.shape[0])
    page = np.full((height, left.shape[1] + 8 + right.shape[1], 3), 255, np.uint8)
    page[: left.shape[0], : left.shape[1]] = left
    page[: right.shape[0], left.shape[1] + 8 :] = right
    return page
