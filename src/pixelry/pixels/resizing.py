"""The size of an image: to a shape, a side, or a box of width x height.

The result has the dtype and the range of values of the image. Integers are rounded to the nearest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from pixelry.errors import UsageError, unknown
from pixelry.pixels.dtype import Image, check_finite, check_image, like
from pixelry.pixels.unit import pair_of, whole

Interpolation = Literal["nearest", "linear", "cubic", "lanczos"]
Pair = tuple[int, int]
# Width and height, as screens and web pages have it; a `Pair` is height and width, as arrays have it.
Box = tuple[int, int]

ORDERS = {"nearest": 0, "linear": 1, "cubic": 3}
INTERPOLATIONS = (*ORDERS, "lanczos")
MAX_SIDE = 1_000_000
WAYS = ("shape", "longest", "shortest", "fit", "cover")


def resize(
    image: Image,
    *,
    shape: int | Pair | None = None,
    longest: int | None = None,
    shortest: int | None = None,
    fit: Box | None = None,
    cover: Box | None = None,
    enlarge: bool = False,
    interpolation: Interpolation | None = None,
    antialias: bool = True,
) -> Image:
    """Resize to a longest side, into a box, or to any height and width.

    One of shape, longest, shortest, fit and cover is given. A shape changes the proportions if need be; the others keep
    them. By default longest, shortest and fit leave smaller images as they are.

    Source: `skimage.transform.resize` for linear and cubic, Pillow for lanczos.

    Args:
        image: (H, W) or (H, W, C).
        shape: HEIGHTxWIDTH in pixels, such as 48x64, whatever the proportions become; one number for a square.
        longest: Pixels of the longer side, such as 1600.
        shortest: Pixels of the shorter side.
        fit: WIDTHxHEIGHT in pixels of a box, such as 1600x1200, inside of which the image is as large as can be.
        cover: WIDTHxHEIGHT in pixels that the image fills; what reaches beyond is cut off at both sides alike.
        enlarge: Enlarge images that are smaller than longest, shortest or fit.
        interpolation: nearest, linear, cubic or lanczos; by default linear for a shape and lanczos, sharper and
            quicker, for the others. Masks of labels want nearest.
        antialias: Smooth before making smaller, so that fine patterns do not turn into false ones; lanczos always does.

    Returns:
        (height, width) or (height, width, C), dtype and range as given.

    Raises:
        ImageError: Not an image, or NaN or infinite values.
        UsageError: None or several of the ways to give the size, a side below 1, or an unknown interpolation.

    Examples:
        >>> photo = np.zeros((30, 40, 3), dtype=np.uint8)
        >>> resize(photo, longest=20).shape, resize(photo, fit=(20, 20)).shape, resize(photo, cover=(20, 20)).shape
        ((15, 20, 3), (15, 20, 3), (20, 20, 3))
        >>> resize(photo, shape=(5, 8)).shape, resize(photo, longest=800).shape
        ((5, 8, 3), (30, 40, 3))
    """
    check_ways({"shape": shape, "longest": longest, "shortest": shortest, "fit": fit, "cover": cover}, enlarge)
    kind: str = interpolation or ("linear" if shape is not None else "lanczos")
    if kind not in INTERPOLATIONS:
        raise unknown("interpolation", str(kind), INTERPOLATIONS)
    if shape is not None:
        return _to(check_image(image), pair_of("shape", shape), kind, antialias)
    if cover is not None:
        width, height = box_of("cover", cover)
        return _to(_cut(check_image(image), height, width), (height, width), kind, antialias)
    size = _size(check_image(image).shape, longest, shortest, fit, enlarge)
    return image if size == image.shape[:2] else _to(image, size, kind, antialias)


def check_ways(ways: Mapping[str, Any], enlarge: bool = False) -> None:
    """Check that one way to give a size is taken, before any image is read.

    Args:
        ways: Values by name; None for those not given. Other options are left alone.
        enlarge: Whether images may become larger.

    Raises:
        UsageError: None or several are given, or `enlarge` goes with one that needs no permission.
    """
    given = [name for name in WAYS if ways.get(name) is not None]
    if len(given) != 1:
        got = f"; got {' and '.join(given)}" if given else ""
        raise UsageError(f"resize needs shape, longest, shortest, fit or cover, one of them{got}")
    if enlarge and given[0] in ("shape", "cover"):
        raise UsageError(f"enlarge goes with longest, shortest or fit; {given[0]} is reached in any case")


def box_of(name: str, value: Box) -> Box:
    """Return an option's width and height.

    Raises:
        UsageError: They are no two whole numbers of 1 or more.
    """
    box = tuple(value) if isinstance(value, tuple | list) else ()
    if len(box) != 2 or not all(isinstance(n, int | np.integer) and n >= 1 for n in box):
        raise UsageError(f"{name} is {value}; expected two whole numbers, WIDTHxHEIGHT, such as 1600x1200")
    return int(box[0]), int(box[1])


def _size(shape: tuple[int, ...], longest: int | None, shortest: int | None, fit: Box | None, enlarge: bool) -> Pair:
    """Return height and width of an image of a shape when one of its sides, or a box, is given."""
    height, width = shape[:2]
    if longest is not None:
        scale = whole("longest", longest, MAX_SIDE) / max(height, width)
    elif shortest is not None:
        scale = whole("shortest", shortest, MAX_SIDE) / min(height, width)
    else:
        box = box_of("fit", fit or (0, 0))
        scale = min(box[0] / width, box[1] / height)
    if scale >= 1 and not enlarge:
        return height, width
    return max(1, round(height * scale)), max(1, round(width * scale))


def _cut(image: Image, height: int, width: int) -> Image:
    """Return the middle of an image with the proportions of a height and a width."""
    scale = max(height / image.shape[0], width / image.shape[1])
    rows, columns = (min(side, max(1, round(n / scale))) for side, n in zip(image.shape, (height, width), strict=False))
    top, left = (image.shape[0] - rows) // 2, (image.shape[1] - columns) // 2
    return image[top : top + rows, left : left + columns]


def _to(image: Image, size: Pair, interpolation: str, antialias: bool) -> Image:
    from skimage import transform

    check_finite(image)
    if interpolation == "nearest":
        # Values are only copied, so that labels stay labels: nothing to smooth, nothing to compute.
        return image[_nearest(image.shape[0], size[0])][:, _nearest(image.shape[1], size[1])]
    if interpolation == "lanczos":
        return _lanczos(image, size)
    # scikit-image filters float32 as it is and everything else as float64; bool it does not filter.
    pixels = image.astype(np.float64) if image.dtype.type not in (np.float32, np.float64) else image
    resized = transform.resize(pixels, size, order=ORDERS[interpolation], anti_aliasing=antialias, preserve_range=True)
    return like(resized, image)


def _nearest(size: int, target: int) -> Image:
    """Return for each target pixel the source pixel that its centre falls into."""
    return ((np.arange(target) + 0.5) * size / target).astype(int)


def _lanczos(image: Image, size: Pair) -> Image:
    """Resize by Pillow's Lanczos filter: bytes as they are, other values as float32 channel by channel."""
    from PIL import Image as PILImage

    sides = (size[1], size[0])
    squeezed = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if image.dtype == np.uint8:
        # Colours count by their alpha, so that those of invisible pixels do not show at the edges.
        resized = np.asarray(PILImage.fromarray(squeezed).resize(sides, PILImage.Resampling.LANCZOS))
        return resized.reshape(*size, *image.shape[2:]).copy()
    channels = image.reshape(*image.shape[:2], -1).astype(np.float32)
    planes = [
        PILImage.fromarray(plane).resize(sides, PILImage.Resampling.LANCZOS) for plane in np.moveaxis(channels, 2, 0)
    ]
    resized = np.stack([np.asarray(plane) for plane in planes], axis=-1)
    # The filter overshoots at edges: values stay within those of the image.
    bounded = np.clip(resized, image.min(), image.max())
    return like(bounded.reshape(*size, *image.shape[2:]), image)
