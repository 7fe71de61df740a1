"""Data sets that come with the libraries Pixelry stands on, or are rendered: nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.shapes import shapes

PHOTOS = {
    "train": (
        "brick.png", "chelsea.png", "coins.png", "grass.png", "gravel.png", "hubble_deep_field.jpg", "moon.png",
        "motorcycle_left.png", "rocket.jpg",
    ),
    "test": ("astronaut.png", "camera.png", "coffee.png"),
}  # fmt: skip


def digits() -> Dataset:
    """Return scikit-learn's digits: 8x8 grey, 16 levels stretched to 0..255; every fifth of a class is test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    pixels = torch.from_numpy((bunch.images * (255 / 16)).round().astype(np.uint8))[:, None]
    labels = torch.from_numpy(bunch.target.astype(np.int64))
    rank = torch.zeros(len(labels), dtype=torch.int64)
    for label in range(10):
        members = (labels == label).nonzero().flatten()
        rank[members] = torch.arange(len(members))
    held_out = rank % 5 == 4
    splits = {
        "train": Split(pixels[~held_out], {"label": labels[~held_out]}),
        "test": Split(pixels[held_out], {"label": labels[held_out]}),
    }
    return Dataset("digits", splits, tuple("0123456789"), "built-in", "digits")


def photos() -> Dataset:
    """Return the photographs in scikit-image, of several sizes, grey and colour, without labels."""
    import skimage.data

    folder = Path(skimage.data.__file__).parent
    splits = {split: Split(FileImages([folder / name for name in names])) for split, names in PHOTOS.items()}
    return Dataset("photos", splits, (), "built-in", "photos")


@dataclass(frozen=True)
class BuiltIn:
    """A data set that is always there: how to read it, and a line on what it is."""

    read: Callable[[], Dataset]
    description: str


BUILT_IN = {
    "digits": BuiltIn(
        digits, "handwritten digits, 8x8 grey, 1,442 + 355: ships with scikit-learn, nothing is downloaded"
    ),
    "photos": BuiltIn(
        photos, "photographs without labels, 9 + 3, grey and colour: ships with scikit-image, nothing is downloaded"
    ),
    "shapes": BuiltIn(
        shapes,
        "circles, squares, triangles, stars, rings and crosses with boxes, masks and captions, 128x128 in colour, "
        "2,000 + 200 + 500: rendered in some seconds, nothing is downloaded",
    ),
}
