"""From images as arrays to those of a data set: uint8 tensors (C, H, W) of one channel or three."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from pixelry.errors import ImageError
from pixelry.pixels import to_uint8


def image_to_tensor(image: np.ndarray, *, channels: int | None = None) -> Tensor:
    """Return an image as uint8 (C, H, W): the one way from NumPy into a data set.

    Args:
        image: (H, W) or (H, W, C) with 1 to 4 channels, any dtype with scikit-image's ranges.
        channels: 1 converts to grey (ITU-R 601 luma, as Pillow does), 3 to colour, None keeps grey or colour.
            Alpha is blended over white.

    Raises:
        ImageError: The shape is not an image's, or float values lie outside [-1, 1].
    """
    if image.ndim == 2:
        image = image[..., None]
    if image.ndim != 3 or image.shape[-1] not in (1, 2, 3, 4) or 0 in image.shape:
        raise ImageError(f"an image has shape (H, W) or (H, W, 1 to 4), none of them 0; got {image.shape}")
    if image.dtype == np.bool_:
        image = image.astype(np.uint8) * 255
    pixels = torch.from_numpy(np.require(to_uint8(image), requirements=["C", "W"])).permute(2, 0, 1)
    if pixels.shape[0] in (2, 4):
        alpha = pixels[-1:].float() / 255
        pixels = (pixels[:-1].float() * alpha + 255 * (1 - alpha)).round().to(torch.uint8)
    return to_channels(pixels, channels)


def to_channels(pixels: Tensor, channels: int | None) -> Tensor:
    """Convert uint8 (..., C, H, W) with C of 1 or 3 to 1 or 3 channels; None returns it unchanged."""
    if channels is None or pixels.shape[-3] == channels:
        return pixels
    if channels == 3:
        return pixels.expand(*pixels.shape[:-3], 3, *pixels.shape[-2:])
    weights = torch.tensor([0.299, 0.587, 0.114], device=pixels.device).view(3, 1, 1)
    return (pixels.float() * weights).sum(-3, keepdim=True).round().to(torch.uint8)
