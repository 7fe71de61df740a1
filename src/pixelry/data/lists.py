"""Images that a program has in a list: files, PIL images, arrays or tensors, of one size or of many."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as PILImage
from torch import Tensor

from pixelry.data.dataset import FileImages, Images
from pixelry.data.tensors import image_to_tensor, to_channels
from pixelry.errors import DataError, ImageError

# PIL's modes whose pixels are their values; those of the others are indices, or of other color spaces.
PLAIN_MODES = ("1", "L", "LA", "RGB", "RGBA", "I;16", "F")


def listed_images(items: Sequence[Any], what: str) -> Images:
    """Return a list of images as those of a data set.

    Args:
        items: Paths of files, which are read as they are used; or PIL images, arrays (H, W) or (H, W, C), and tensors
            (H, W) or (C, H, W), uint8 or of another dtype with scikit-image's ranges.
        what: What they are called in messages.

    Returns:
        uint8 (N, C, H, W) where all have one size, else a list of (C, H, W); C is 3 where one has colors.

    Raises:
        DataError: A file is not there, or an item is no image; it is named.
    """
    if all(isinstance(item, str | Path) for item in items):
        paths = [Path(item).expanduser() for item in items]
        missing = next((path for path in paths if not path.is_file()), None)
        if missing is not None:
            raise DataError(f"{what}: there is no file {missing}")
        return FileImages(paths)
    images = [_tensor(item, f"{what}, image {number}") for number, item in enumerate(items)]
    channels = max(image.shape[0] for image in images)
    images = [to_channels(image, channels) for image in images]
    return torch.stack(images) if len({image.shape for image in images}) == 1 else images


def _tensor(item: Any, what: str) -> Tensor:
    """Return an image as uint8 (C, H, W) of 1 or 3 channels."""
    if isinstance(item, PILImage.Image):
        item = item if item.mode in PLAIN_MODES else item.convert("RGBA" if "transparency" in item.info else "RGB")
    elif isinstance(item, Tensor):
        item = item.detach().cpu()
        item = item if item.ndim == 2 else item.movedim(0, -1)
    elif not isinstance(item, np.ndarray):
        raise DataError(f"{what}: expected a path, a PIL image, an array or a tensor; got {type(item).__name__}")
    try:
        return image_to_tensor(np.asarray(item))
    except ImageError as error:
        raise DataError(f"{what}: {error}") from None
