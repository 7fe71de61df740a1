"""BM3D by its authors' package: blocks that look alike are filtered together, as a stack."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec

from pixelry.errors import UsageError
from pixelry.networks.denoise import _classical
from pixelry.networks.denoise._classical import Classical, Picture

SUMMARY = "BM3D: blocks that look alike, filtered together; nothing to train; wants the package bm3d (not for commerce)"
SOURCE = "Dabov et al. 2007, Image Denoising by Sparse 3D Transform-Domain Collaborative Filtering; the package bm3d"
FAMILY, RECIPES = _classical.FAMILY, _classical.RECIPES


def restore(picture: Picture, sigma: float) -> Picture:
    """Return a picture (H, W) or (H, W, 3) without noise of a standard deviation."""
    bm3d = import_module("bm3d")
    restored: Picture = (bm3d.bm3d if picture.ndim == 2 else bm3d.bm3d_rgb)(picture, sigma)
    return restored


def build(*, channels: int, size: tuple[int, int], level: float = 0.0, each: bool = False) -> Classical:
    """Build it.

    Args:
        channels: 1 or 3.
        size: (height, width) of the training patches in pixels; it takes any.
        level: Standard deviation of the noise, of 255 grey levels; 0 measures it on the noisy training pictures.
        each: Measure it on each picture that is restored instead.

    Raises:
        UsageError: The authors' package is not installed.
    """
    if find_spec("bm3d") is None:
        raise UsageError(
            "the network bm3d is its authors' package, which is not installed: pip install bm3d; its licence allows "
            "non-commercial use only"
        )
    return _classical.by(restore)(channels=channels, size=size, level=level, each=each)
