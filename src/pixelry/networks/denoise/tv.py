"""Total variation by scikit-image: the picture nearest to the noisy one among those that change little."""

from __future__ import annotations

from pixelry.networks.denoise import _classical
from pixelry.networks.denoise._classical import Picture, channel_axis

SUMMARY = "total variation: pictures of flat parts and sharp edges; nothing to train"
SOURCE = "Rudin, Osher and Fatemi 1992; Chambolle 2004; scikit-image"
FAMILY, RECIPES = _classical.FAMILY, _classical.RECIPES
STRENGTH = 0.7  # of the standard deviation


def restore(picture: Picture, sigma: float) -> Picture:
    """Return a picture (H, W) or (H, W, 3) without noise of a standard deviation."""
    from skimage.restoration import denoise_tv_chambolle

    restored: Picture = denoise_tv_chambolle(picture, weight=STRENGTH * sigma, channel_axis=channel_axis(picture))
    return restored


build = _classical.by(restore)
