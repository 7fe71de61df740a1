"""How images of another aspect than the network's are brought to its size, by timm's names."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from pixelry.data.dataset import FileImages, Split
from pixelry.data.letterbox import letterbox, place_in
from pixelry.data.loading import Fit, fit_image
from pixelry.data.patches import image_sizes

# "center": scaled to cover the size, and cropped at the center. "border": the whole image, with gray around it.
# "squash": the whole image, stretched.
CropMode = Literal["center", "border", "squash"]
# A center crop of an image that is so many times as long as wide loses three tenths of it, ...
MAX_ASPECT = 1.4
# ... which is too much where it happens to more than this share of the images: what they show may lie there.
MAX_SHARE = 0.05
HEADERS = 500  # images whose sizes decide


def squash_image(image: Tensor, *, size: tuple[int, int]) -> Tensor:
    """Stretch an image to a size: uint8 (C, h, w) to (C, height, width), bilinear with antialiasing."""
    return image if tuple(image.shape[-2:]) == size else F.resize(image, list(size), antialias=True)


def border_image(image: Tensor, *, size: tuple[int, int]) -> Tensor:
    """Scale an image to lie within a size, with gray around it: uint8 (C, h, w) to (C, height, width)."""
    return letterbox(image, size)


FITS: dict[CropMode, Fit] = {"center": fit_image, "border": border_image, "squash": squash_image}


def crop_mode_for(split: Split) -> CropMode:
    """Return "squash" where a center crop would lose much of many of the images, else "center".

    Only headers are read; images that would have to be decoded count as ordinary photographs.
    """
    return "squash" if _share_of_long_images(split) > MAX_SHARE else "center"


def crop_notes(split: Split) -> tuple[str, ...]:
    """Return a note where many images are so long that a center crop would lose much of them."""
    share = _share_of_long_images(split)
    if share <= MAX_SHARE:
        return ()
    return (
        f"{share:.0%} of the training images are more than {MAX_ASPECT:g} times as long as wide: unless crop_mode is "
        "set, all are stretched to the network's size, so that nothing is cropped",
    )


def _share_of_long_images(split: Split) -> float:
    if not isinstance(split.images, FileImages) or not len(split):
        return 0.0
    chosen = torch.linspace(0, len(split) - 1, min(HEADERS, len(split))).round().long()
    sizes = torch.tensor(image_sizes(split.subset(chosen)), dtype=torch.float64)
    return float((sizes.amax(1) / sizes.amin(1) > MAX_ASPECT).double().mean())


def uncropped(values: Tensor, size: tuple[int, int], crop_mode: CropMode) -> Tensor:
    """Return a map of values over a network's input as one over the largest part of the image with its aspect.

    After "center" it is that already: the network saw the central part. After the others it becomes one of the whole
    image.

    Args:
        values: (H, W) over the network's input.
        size: (height, width) of the image.
        crop_mode: How the image came to the network's size.
    """
    if crop_mode == "center":
        return values
    if crop_mode == "border":
        place = place_in(size, (int(values.shape[0]), int(values.shape[1])))
        (top, left), (height, width) = place.corner, place.size
        return values[top : top + height, left : left + width]
    side = max(values.shape)
    shape = [max(1, round(side * own / max(size))) for own in size]
    return F.resize(values[None], shape, antialias=True)[0]
