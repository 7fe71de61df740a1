"""Enhancement: exposure, contrast and sharpness.

One rule for all: pictures are uint8, uint16 or floats in [0, 1], and the result has their dtype. Numbers are those of
floats in [0, 1] whatever the dtype. Alpha stays as it is, and colours under transparent pixels are treated like all
others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pixelry.errors import ImageError, UsageError
from pixelry.pixels.color import has_alpha
from pixelry.pixels.dtype import Image, as_uint
from pixelry.pixels.unit import Floats, colors_of, number, whole, with_colors

# Of ITU-R BT.709, as in `skimage.color.rgb2gray`.
LUMINANCE = (0.2125, 0.7154, 0.0721)
# Automatic exposure: the percentiles that become black and white. Rarer values are specks of dust and glints.
BLACK, WHITE = 0.1, 99.9
# How many times as far as from the darkest to the brightest value: a few lights in the night are kept apart.
MAX_STRETCH = 4
# The mean luminance of midtones that is left as it is, to whose nearer end others are brought, and how far gamma may
# go for that: a photograph taken at night or in snow still looks so.
MIDDLES = (0.4, 0.6)
GAMMAS = (0.6, 1.5)
# Luminance of midtones: a black background or a burnt-out sky is no reason to change the subject.
MIDTONES = (0.06, 0.97)
# The share of an image that its midtones must have to count alone.
FEW = 0.02
# Tiles with fewer pixels than grey levels come out white in good part, as scikit-image shares out what it clips.
SMALLEST_TILE = 32


def expose(
    image: Image,
    *,
    gamma: float | None = None,
    gain: float | None = None,
    low: float | None = None,
    high: float | None = None,
) -> Image:
    """Correct exposure: automatically, or by contrast stretching, gamma and gain.

    They follow each other in this order: stretching (`skimage.exposure.rescale_intensity`), then gamma and gain
    (`skimage.exposure.adjust_gamma`). All channels of colour are treated alike, so that no colour is shifted. Without
    any option the exposure is automatic and gentle: percentiles 0.1 and 99.9 become black and white (the darkest and
    the brightest value where these lie more than four times as far apart), and where the mean luminance of the midtones
    (0.06 to 0.97) then lies outside 0.4 to 0.6, a gamma of 0.6 to 1.5 brings it there. Transparent pixels do not count
    for that.

    Source: Babakhani and Zarei, "Automatic gamma correction based on average of brightness", Advances in Computer
    Science, 2015.

    Args:
        image: (H, W) or (H, W, C): uint8, uint16, or floats in [0, 1].
        gamma: The power of the values: below 1 brightens, above 1 darkens, the darkest and the brightest stay.
        gain: The factor of the values; what exceeds white is cut off.
        low: The percentile that becomes black, with all that is darker; by default 0.
        high: The percentile that becomes white, with all that is brighter; by default 100.

    Returns:
        Shape and dtype as given.

    Raises:
        ImageError: Not an image, another dtype, floats outside [0, 1], or both percentiles are the same value though
            the image is not constant. One that is constant is not stretched.
        UsageError: A gamma or gain that is not above 0, percentiles outside [0, 100], or low not below high.

    Examples:
        >>> expose(np.array([[50, 100, 175]], dtype=np.uint8), low=0, high=100)
        array([[  0, 102, 255]], dtype=uint8)
        >>> expose(np.array([[0.0, 0.25, 1.0]]), gamma=0.5)
        array([[0. , 0.5, 1. ]])
    """
    from skimage.exposure import adjust_gamma

    automatic = gamma is None and gain is None and low is None and high is None
    power = 1.0 if gamma is None else number("gamma", gamma, 0, 100, above=True)
    factor = 1.0 if gain is None else number("gain", gain, 0, 100, above=True)
    bottom = 0.0 if low is None else number("low", low, 0, 100)
    top = 100.0 if high is None else number("high", high, 0, 100)
    if bottom >= top:
        raise UsageError(f"low is {bottom:g} and high {top:g}; expected percentiles with low below high")
    colors = colors_of(image)
    seen = image[..., -1] > 0 if has_alpha(image) else np.ones(image.shape[:2], bool)
    seen = seen if seen.any() else ~seen
    if automatic:
        colors = _stretch(colors, seen, BLACK, WHITE, widen=True)
        power = _automatic_gamma(colors[seen])
    elif low is not None or high is not None:
        colors = _stretch(colors, seen, bottom, top, widen=False)
    return with_colors(adjust_gamma(colors, power, factor), image)


def equalize(image: Image, *, strength: float = 0.5, clip: float = 0.01, tiles: int = 8) -> Image:
    """Raise local contrast by CLAHE, adaptive histogram equalization (`skimage.exposure.equalize_adapthist`).

    The luminance is stretched to the whole range and equalized; hues stay, and so does saturation where the range
    permits. By default half of the effect is taken: all of it makes faces hard and skies dark in photographs, and shows
    the most in scans, X-rays and micrographs.

    Source: Zuiderveld, "Contrast limited adaptive histogram equalization", Graphics Gems IV, 1994.

    Args:
        image: (H, W) or (H, W, C): uint8, uint16, or floats in [0, 1].
        strength: How much of the effect is taken, from 0 (the stretched luminance) to 1.
        clip: The largest share of a tile's pixels in one of 256 grey levels, above 0 and up to 1: higher gives more
            contrast, and more noise; 1 limits nothing.
        tiles: Regions with a histogram of their own, along each side; fewer where they would be smaller than 32 pixels.

    Returns:
        Shape and dtype as given; a constant image as it is.

    Raises:
        ImageError: Not an image, another dtype, or floats outside [0, 1].
        UsageError: A strength outside [0, 1], a clip outside (0, 1], or tiles that are no whole number from 1 to 1,000.

    Examples:
        >>> dark = np.arange(64, dtype=np.uint8).reshape(8, 8)
        >>> int(dark.max()), int(equalize(dark).max())
        (63, 255)
    """
    from skimage.exposure import equalize_adapthist

    share = number("strength", strength, 0, 1)
    limit = number("clip", clip, 0, 1, above=True)
    count = whole("tiles", tiles, 1000)
    colors = colors_of(image)
    light = np.clip(colors @ _weights(colors), 0, 1)
    # By these levels scikit-image reckons, and it turns an image that has one only into white.
    if np.ptp(as_uint(light)) == 0:
        return image.copy()
    # Tiny pictures are enlarged for it, which leaves their histograms as they are.
    rows, columns = (-(-SMALLEST_TILE // side) for side in light.shape)
    large = light.repeat(rows, axis=0).repeat(columns, axis=1)
    kernel = tuple(max(side // count, SMALLEST_TILE) for side in large.shape)
    equalized = equalize_adapthist(large, kernel_size=kernel, clip_limit=limit)
    stretched = (light - light.min()) / np.ptp(light)
    target = (share * equalized[rows // 2 :: rows, columns // 2 :: columns] + (1 - share) * stretched)[..., None]
    light = light[..., None]
    # Grey plus a multiple of the deviation from grey keeps hue and luminance; the multiple that keeps saturation is
    # the first, the one that stays in range the second.
    tiny = np.finfo(float).tiny
    room = (1 - target) / np.maximum(colors.max(axis=-1, keepdims=True) - light, tiny)
    scale = np.minimum(target / np.maximum(light, tiny), room)
    return with_colors(target + scale * (colors - light), image)


def sharpen(image: Image, *, radius: float = 1.0, amount: float = 1.0) -> Image:
    """Sharpen by an unsharp mask, each channel on its own (`skimage.filters.unsharp_mask`).

    Args:
        image: (H, W) or (H, W, C): uint8, uint16, or floats in [0, 1].
        radius: Standard deviation in pixels of the Gaussian whose result is the unsharp mask, up to 100.
        amount: How many times the difference to the mask is added.

    Returns:
        Shape and dtype as given; what leaves the range is cut off.

    Raises:
        ImageError: Not an image, another dtype, or floats outside [0, 1].
        UsageError: A radius outside (0, 100], or an amount outside [0, 100].

    Examples:
        >>> sharpen(np.array([[100, 100, 100, 150, 150, 150]], dtype=np.uint8), radius=0.5)
        array([[100, 100,  95, 155, 150, 150]], dtype=uint8)
    """
    from skimage.filters import unsharp_mask

    spread = number("radius", radius, 0, 100, above=True)
    strength = number("amount", amount, 0, 100)
    # scikit-image takes -1 for the rows (its issue 7264).
    return with_colors(unsharp_mask(colors_of(image), spread, strength, channel_axis=2), image)


def _stretch(colors: Floats, seen: NDArray[np.bool_], low: float, high: float, *, widen: bool) -> Floats:
    from skimage.exposure import rescale_intensity

    values = colors[seen]
    ends = tuple(map(float, np.percentile(values, (low, high))))
    ends_of_all = (float(values.min()), float(values.max()))
    if ends_of_all[0] == ends_of_all[1]:
        return colors
    if widen and ends[1] - ends[0] < (ends_of_all[1] - ends_of_all[0]) / MAX_STRETCH:
        ends = ends_of_all
    if ends[0] == ends[1]:
        raise ImageError(
            f"percentiles {low:g} and {high:g} are both {ends[0]:.4g} on a range of [0, 1], so that nothing lies "
            "between them to be stretched; take a lower low or a higher high"
        )
    return rescale_intensity(colors, in_range=ends, out_range=(0.0, 1.0))


def _automatic_gamma(values: Floats) -> float:
    """Return the gamma in `GAMMAS` that brings the mean luminance of the midtones of (N, C) into `MIDDLES`."""
    from scipy.optimize import brentq

    light = np.clip(values @ _weights(values), 0, 1)
    middle = light[(light > MIDTONES[0]) & (light < MIDTONES[1])]
    chosen = middle if len(middle) > FEW * len(light) else light
    target = float(np.clip(chosen.mean(), *MIDDLES))
    if target == chosen.mean():
        return 1.0
    # A histogram stands for the pixels: the search takes ten means.
    shares = np.bincount(np.rint(chosen * 1023).astype(int), minlength=1024) / len(chosen)

    def excess(gamma: float) -> float:
        return float(shares @ np.linspace(0, 1, 1024) ** gamma) - target

    brightest, darkest = GAMMAS
    if excess(brightest) <= 0:
        return brightest
    return darkest if excess(darkest) >= 0 else float(brentq(excess, brightest, darkest))


def _weights(colors: Floats) -> Floats:
    return np.array(LUMINANCE if colors.shape[-1] == 3 else (1.0,))
