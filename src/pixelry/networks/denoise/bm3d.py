"""BM3D by its authors' package: blocks that look alike are filtered together, as a stack."""

from __future__ import annotations

from importlib import import_module

from pixelry.networks.denoise import _classical
from pixelry.networks.denoise._classical import Picture

SUMMARY = "BM3D: blocks that look alike, filtered together; nothing to train; wants the package bm3d (not for commerce)"
SOURCE = "Dabov et al. 2007, Image Denoising by Sparse 3D Transform-Domain Collaborative Filtering; the package bm3d"
FAMILY, RECIPES = _classical.FAMILY, _classical.RECIPES


def restore(picture: Picture, sigma: float) -> Picture:
    """Return a picture (H, W) or (H, W, 3) without noise of a standard deviation."""
    bm3d = import_module("bm3d")
    restored: Picture = (bm3d.bm3d if picture.ndim == 2 else bm3d.bm3d_rgb)(picture, sigma)
    return restored


build = _classical.by(restore, package="bm3d", terms="its licence allows non-commercial use only")
