"""Non-local means by scikit-image: each pixel as the mean of those whose surroundings look alike."""

from __future__ import annotations

from pixelry.networks.denoise import _classical
from pixelry.networks.denoise._classical import Picture, channel_axis

SUMMARY = "non-local means: pixels whose surroundings look alike are averaged; nothing to train"
SOURCE = "Buades, Coll and Morel 2005, A Non-Local Algorithm for Image Denoising; scikit-image"
FAMILY, RECIPES = _classical.FAMILY, _classical.RECIPES
PATCH, DISTANCE = 7, 11  # pixels
STRENGTH = 0.6  # of the standard deviation


def restore(picture: Picture, sigma: float) -> Picture:
    """Return a picture (H, W) or (H, W, 3) without noise of a standard deviation."""
    from skimage.restoration import denoise_nl_means

    restored: Picture = denoise_nl_means(
        picture, PATCH, DISTANCE, STRENGTH * sigma, fast_mode=True, sigma=sigma, channel_axis=channel_axis(picture)
    )
    return restored


build = _classical.by(restore)
