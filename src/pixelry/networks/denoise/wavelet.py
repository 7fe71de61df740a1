"""Wavelet shrinkage by scikit-image: what is small among the coefficients of each scale is noise."""

from __future__ import annotations

from pixelry.networks.denoise import _classical
from pixelry.networks.denoise._classical import Picture, channel_axis

SUMMARY = "wavelet shrinkage: small coefficients are noise; nothing to train, and quick"
SOURCE = "Donoho and Johnstone 1994; Chang, Yu and Vetterli 2000 (BayesShrink); scikit-image"
FAMILY, RECIPES = _classical.FAMILY, _classical.RECIPES
WAVELET = "db2"


def restore(picture: Picture, sigma: float) -> Picture:
    """Return a picture (H, W) or (H, W, 3) without noise of a standard deviation."""
    from skimage.restoration import denoise_wavelet

    restored: Picture = denoise_wavelet(picture, sigma, WAVELET, rescale_sigma=True, channel_axis=channel_axis(picture))
    return restored


build = _classical.by(restore)
