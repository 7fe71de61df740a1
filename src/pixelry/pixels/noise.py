"""Noise: Gaussian, salt and pepper, Poisson (`skimage.util.random_noise`).

Amounts are those of floats in [0, 1] whatever the dtype: `sigma=0.1` on uint8 is 25.5. Alpha stays as it is.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from pixelry.errors import ImageError, UsageError, unknown
from pixelry.pixels.color import has_alpha
from pixelry.pixels.dtype import Image, as_float, check_image, check_range

Seed = int | np.random.Generator | None
Noise = Literal["gaussian", "salt_pepper", "poisson"]


def gaussian_noise(image: Image, *, sigma: float = 0.1, seed: Seed = None, clip: bool = True) -> Image:
    """Add normally distributed noise, independent for each value.

    Args:
        image: (H, W) or (H, W, C): uint8, uint16, or floats in [0, 1].
        sigma: Standard deviation, on a range of [0, 1].
        seed: A number or a NumPy generator, for the same noise again.
        clip: Cut off what leaves [0, 1]; False keeps it, for floats only, and keeps the noise unbiased.

    Returns:
        Shape and dtype as given.

    Raises:
        ImageError: Not an image, another dtype, or floats outside [0, 1].
        UsageError: A negative sigma, or integers unclipped.

    Examples:
        >>> gaussian_noise(np.full((1, 3), 0.5), sigma=0.1, seed=0).round(3)
        array([[0.513, 0.487, 0.564]])
    """
    if not sigma >= 0:
        raise UsageError(f"sigma is {sigma}; expected 0 or more")
    if not clip and check_image(image).dtype.kind != "f":
        raise UsageError(f"{image.dtype} cannot hold unclipped noise; convert the image with as_float first")
    return _noisy(image, seed, "gaussian", clip=clip, var=sigma**2)


def salt_pepper_noise(image: Image, *, amount: float = 0.05, salt: float = 0.5, seed: Seed = None) -> Image:
    """Set a share of the values to white and black, each channel on its own.

    Args:
        image: (H, W) or (H, W, C): uint8, uint16, or floats in [0, 1].
        amount: The share of values to change, 0 to 1.
        salt: The share of those that become white, 0 to 1; the others become black.
        seed: A number or a NumPy generator, for the same noise again.

    Returns:
        Shape and dtype as given.

    Raises:
        ImageError: Not an image, another dtype, or floats outside [0, 1].
        UsageError: A share outside [0, 1].

    Examples:
        >>> salt_pepper_noise(np.full((1, 6), 100, dtype=np.uint8), amount=0.5, seed=1)
        array([[100, 100,   0, 100,   0,   0]], dtype=uint8)
    """
    for name, share in (("amount", amount), ("salt", salt)):
        if not 0 <= share <= 1:
            raise UsageError(f"{name} is {share}; expected a share from 0 to 1")
    return _noisy(image, seed, "s&p", amount=amount, salt_vs_pepper=salt)


def poisson_noise(image: Image, *, seed: Seed = None, clip: bool = True) -> Image:
    """Replace each value by a Poisson-distributed count around it, as of photons.

    scikit-image takes the number of distinct values in the image, rounded up to a power of 2, as the count
    that stands for white: with few grey levels the noise is strong.

    Args:
        image: (H, W) or (H, W, C): uint8, uint16, or floats in [0, 1].
        seed: A number or a NumPy generator, for the same noise again.
        clip: Cut off what exceeds 1; False keeps it, for floats only.

    Returns:
        Shape and dtype as given.

    Raises:
        ImageError: Not an image, another dtype, or floats outside [0, 1].
        UsageError: Integers unclipped.

    Examples:
        >>> poisson_noise(np.array([[0.0, 0.25, 0.5, 1.0]]), seed=0)
        array([[0.  , 0.25, 0.  , 0.  ]])
    """
    if not clip and check_image(image).dtype.kind != "f":
        raise UsageError(f"{image.dtype} cannot hold unclipped noise; convert the image with as_float first")
    return _noisy(image, seed, "poisson", clip=clip)


def noise(image: Image, *, kind: Noise = "gaussian", amount: float | None = None, seed: Seed = None) -> Image:
    """Add noise of a kind.

    Args:
        image: (H, W) or (H, W, C): uint8, uint16, or floats in [0, 1].
        kind: gaussian, salt_pepper or poisson.
        amount: gaussian: the standard deviation on a range of [0, 1], by default 0.1. salt_pepper: the share
            of values to change, by default 0.05. poisson takes none.
        seed: A number, for the same noise again.

    Returns:
        Shape and dtype as given.

    Raises:
        ImageError: Not an image, another dtype, or floats outside [0, 1].
        UsageError: An unknown kind, or an amount out of range.

    Examples:
        >>> noise(np.zeros((2, 2), dtype=np.uint8), kind="poisson", seed=0)
        array([[0, 0],
               [0, 0]], dtype=uint8)
    """
    if kind == "gaussian":
        return gaussian_noise(image, sigma=0.1 if amount is None else amount, seed=seed)
    if kind == "salt_pepper":
        return salt_pepper_noise(image, amount=0.05 if amount is None else amount, seed=seed)
    if kind != "poisson":
        raise unknown("kind of noise", str(kind), ("gaussian", "salt_pepper", "poisson"))
    if amount is not None:
        raise UsageError("poisson noise takes no amount: it follows from the image")
    return poisson_noise(image, seed=seed)


def _noisy(image: Image, seed: Seed, mode: str, **options: float) -> Image:
    from skimage.util import random_noise

    check_range(check_image(image), low=0.0)
    if image.dtype.kind not in "uf":
        raise ImageError(f"noise takes uint8, uint16 or floats in [0, 1], not {image.dtype}; convert with as_float")
    if isinstance(seed, int) and seed < 0:
        raise UsageError(f"seed is {seed}; expected 0 or more")
    colors = image[..., :-1] if has_alpha(image) else image
    noisy = random_noise(as_float(colors), mode=mode, rng=np.random.default_rng(seed), **options)
    top = 1.0 if image.dtype.kind == "f" else float(np.iinfo(image.dtype).max)
    result: Image = (noisy * top).round().astype(image.dtype) if top != 1.0 else noisy.astype(image.dtype)
    return np.concatenate([result, image[..., -1:]], axis=-1) if has_alpha(image) else result
