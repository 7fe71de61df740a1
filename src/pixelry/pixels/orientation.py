"""EXIF orientation: how a camera was held, and pixels turned upright by it."""

from __future__ import annotations

import numpy as np
from PIL import Image as PILImage

from pixelry.pixels.dtype import Image
from pixelry.pixels.limits import headers_only

ORIENTATION = 274


def stated_orientation(picture: PILImage.Image) -> int:
    """Return the EXIF orientation of an opened image, 1 to 8; 1 where there is none."""
    try:
        with headers_only():
            value = picture.getexif().get(ORIENTATION, 1)
    except Exception:
        # Cameras and editors leave broken EXIF behind in good pictures; such a one has no known orientation.
        return 1
    return value if isinstance(value, int) else 1


def upright(image: Image, orientation: int) -> Image:
    """Turn an image as its EXIF orientation, 1 to 8, says (Exif 2.32, 4.6.4); other values leave it."""
    turned = {
        2: lambda: image[:, ::-1],
        3: lambda: image[::-1, ::-1],
        4: lambda: image[::-1],
        5: lambda: image.swapaxes(0, 1),
        6: lambda: np.rot90(image, -1),
        7: lambda: image[::-1, ::-1].swapaxes(0, 1),
        8: lambda: np.rot90(image),
    }.get(orientation, lambda: image)()
    return np.ascontiguousarray(turned)
