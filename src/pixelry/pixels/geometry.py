"""Size and extent: rescale, downscale, crop, pad.

One rule for all: the result has the dtype and the range of values of the image. Integers are rounded to the
nearest.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from pixelry.errors import ImageError, UsageError, unknown
from pixelry.pixels.dtype import Image, check_finite, check_image, like
from pixelry.pixels.resizing import Interpolation, Pair, resize
from pixelry.pixels.unit import pair_of

Padding = Literal["constant", "edge", "reflect", "symmetric"]

PADDINGS = ("constant", "edge", "reflect", "symmetric")


def rescale(
    image: Image,
    *,
    factor: float | tuple[float, float],
    interpolation: Interpolation = "linear",
    antialias: bool = True,
) -> Image:
    """Enlarge or shrink by a factor; sides are rounded as `skimage.transform.rescale` does.

    Args:
        image: (H, W) or (H, W, C).
        factor: Above 1 enlarges; one number, or one for the height and one for the width, such as 0.5x0.25.
        interpolation: nearest, linear, cubic or lanczos. Masks of labels want nearest.
        antialias: Smooth before making smaller, so that fine patterns do not turn into false ones.

    Returns:
        (H * factor, W * factor) or the same with C, dtype and range as given.

    Raises:
        ImageError: Not an image, NaN or infinite values, or nothing would be left of it.
        UsageError: A factor that is not positive, or an unknown interpolation.

    Examples:
        >>> rescale(np.zeros((10, 20)), factor=(0.5, 2)).shape
        (5, 40)
    """
    factors = factor if isinstance(factor, tuple | list) else (factor, factor)
    numbers = len(factors) == 2 and all(isinstance(f, int | float | np.number) for f in factors)
    if not numbers or not all(np.isfinite(f) and f > 0 for f in factors):
        raise UsageError(f"factor is {factor}; expected one positive number, or two for height and width")
    check_image(image)
    height, width = (round(side * f) for side, f in zip(image.shape[:2], factors, strict=True))
    if min(height, width) < 1:
        raise ImageError(
            f"factor {factor} would leave {height} x {width} pixels of {image.shape[0]} x {image.shape[1]}; "
            "take a larger one"
        )
    return resize(image, shape=(height, width), interpolation=interpolation, antialias=antialias)


def downscale(image: Image, *, factors: int | Pair) -> Image:
    """Shrink by whole factors, each pixel the mean of a block (`skimage.measure.block_reduce`).

    Where the sides are no multiples, the last blocks are the means of the pixels that are there;
    `skimage.transform.downscale_local_mean` would fill them up with black.

    Args:
        image: (H, W) or (H, W, C).
        factors: The block's height and width in pixels, such as 2x3; one number for a square.

    Returns:
        (H / factor, W / factor), rounded up, or the same with C; dtype and range as given.

    Raises:
        ImageError: Not an image, or NaN or infinite values.
        UsageError: A factor below 1.

    Examples:
        >>> downscale(np.array([[0, 2, 8], [4, 6, 8]], dtype=np.uint8), factors=2)
        array([[3, 8]], dtype=uint8)
    """
    from skimage.measure import block_reduce

    blocks = pair_of("factors", factors)
    check_finite(check_image(image))
    pixels = image.astype(np.float64)
    whole = image.shape[0] % blocks[0] == 0 and image.shape[1] % blocks[1] == 0
    block = (*blocks, 1)[: image.ndim]
    mean = np.mean if whole else np.nanmean
    return like(block_reduce(pixels, block, func=mean, cval=0.0 if whole else np.nan), image)


def crop(image: Image, *, shape: int | Pair, at: Pair | None = None) -> Image:
    """Cut out a rectangle.

    Args:
        image: (H, W) or (H, W, C).
        shape: Its height and width in pixels, such as 48x64; one number for a square.
        at: Row and column of its upper left pixel, such as 0x10; by default it is in the middle.

    Returns:
        (height, width) or (height, width, C), a view of the image.

    Raises:
        ImageError: Not an image, or the rectangle reaches beyond it.
        UsageError: A side below 1, or a negative row or column.

    Examples:
        >>> crop(np.arange(12).reshape(3, 4), shape=(1, 2))
        array([[5, 6]])
    """
    height, width = pair_of("shape", shape)
    check_image(image)
    middle = ((image.shape[0] - height) // 2, (image.shape[1] - width) // 2)
    top, left = middle if at is None else pair_of("at", at, least=0)
    if min(top, left) < 0 or top + height > image.shape[0] or left + width > image.shape[1]:
        where = "from its middle" if at is None else f"at {top} x {left}"
        raise ImageError(
            f"{height} x {width} pixels {where} are not in an image of {image.shape[0]} x {image.shape[1]}; "
            "take a smaller shape, or pad first"
        )
    return image[top : top + height, left : left + width]


def pad(
    image: Image,
    *,
    width: int | Pair | None = None,
    shape: int | Pair | None = None,
    mode: Padding = "constant",
    value: float = 0.0,
) -> Image:
    """Add a border (`numpy.pad`), of a width or up to a shape.

    Args:
        image: (H, W) or (H, W, C).
        width: Pixels to add on each side; two numbers for above and below, and for left and right, such as
            2x4.
        shape: Or the height and width to reach, such as 48x64, the image in the middle; one number for a
            square.
        mode: constant, edge, reflect or symmetric.
        value: Of a constant border, in the image's own range (255 is white for uint8, 1 for floats).

    Returns:
        The larger image, dtype and range as given.

    Raises:
        ImageError: Not an image, larger than the shape, or a value that its dtype does not hold.
        UsageError: Both or none of width and shape, a negative number, or an unknown mode.

    Examples:
        >>> pad(np.array([[5]], dtype=np.uint8), width=(0, 1), value=9)
        array([[9, 5, 9]], dtype=uint8)
    """
    if (width is None) == (shape is None):
        raise UsageError("pad takes either width or shape")
    if mode not in PADDINGS:
        raise unknown("padding", str(mode), PADDINGS)
    rows, columns = check_image(image).shape[:2]
    if width is not None:
        above, before = pair_of("width", width, least=0)
        widths = [(above, above), (before, before)]
    else:
        height, across = pair_of("shape", 0 if shape is None else shape)
        if height < rows or across < columns:
            raise ImageError(
                f"an image of {rows} x {columns} pixels does not fit into {height} x {across}; resize or crop it first"
            )
        widths = [((n - s) // 2, n - s - (n - s) // 2) for n, s in ((height, rows), (across, columns))]
    return _padded(image, [*widths, (0, 0)][: image.ndim], mode, value)


def _padded(image: Image, widths: list[Pair], mode: Padding, value: float) -> Image:
    if mode != "constant":
        padded: Image = np.pad(image, widths, mode=mode)
        return padded
    holds_value(image, value)
    return np.pad(image, widths, constant_values=np.array(value).astype(image.dtype))


def holds_value(image: Image, value: float) -> None:
    """Check that an image's dtype holds a value.

    Raises:
        ImageError: It does not.
    """
    if image.dtype.kind == "f":
        return
    limits = (0, 1) if image.dtype == np.bool_ else (np.iinfo(image.dtype).min, np.iinfo(image.dtype).max)
    if not limits[0] <= value <= limits[1] or value != int(value):
        raise ImageError(f"the value {value:g} is none that {image.dtype} holds")
