"""Images at the size at which a report shows them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage


def at_most(image: NDArray[Any], side: int) -> NDArray[np.uint8]:
    """Return an image with its longer side at most `side`; a smaller one comes back as it is.

    Args:
        image: (H, W) or (H, W, 3) uint8.
        side: In pixels.

    Examples:
        >>> at_most(np.zeros((200, 100), np.uint8), 50).shape, at_most(np.zeros((8, 8), np.uint8), 50).shape
        ((50, 25), (8, 8))
    """
    if max(image.shape[:2]) <= side:
        return image
    picture = PILImage.fromarray(image)
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return np.asarray(picture.resize(size, PILImage.Resampling.LANCZOS))
