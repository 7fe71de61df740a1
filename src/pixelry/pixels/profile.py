"""Colour profiles: what they are called, and colours converted from them to sRGB (by LittleCMS in Pillow).

Source: ICC.1:2022, International Color Consortium.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image as PILImage
from PIL import ImageCms

from pixelry.errors import ImageError
from pixelry.pixels.color import has_alpha
from pixelry.pixels.dtype import Image
from pixelry.pixels.limits import headers_only

# Where a profile names the colours that it is of, and what it calls red, green and blue, grey, and inks.
SPACE = slice(16, 20)
DATE = slice(24, 36)
RGB, GREY, INKS = b"RGB ", b"GRAY", b"CMYK"


def profile_name(profile: bytes) -> str:
    """Return what an ICC profile is called, such as "Display P3".

    Examples:
        >>> profile_name(srgb_profile())
        'sRGB built-in'
    """
    try:
        return ImageCms.getProfileDescription(ImageCms.getOpenProfile(io.BytesIO(profile))).strip() or "unnamed"
    except (ImageCms.PyCMSError, OSError):
        return "unreadable"


def srgb_profile() -> bytes:
    """Return the ICC profile of sRGB.

    Examples:
        >>> srgb_profile()[16:19]
        b'RGB'
    """
    made = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # The date in it would make each run's files different.
    return made[: DATE.start] + struct.pack(">6H", 2000, 1, 1, 0, 0, 0) + made[DATE.stop :]


def suits(profile: bytes, image: Image) -> bool:
    """Return whether a profile is of the kind of colours that an image has: grey, or red, green and blue."""
    grey = image.ndim == 2 or image.shape[2] <= 2
    return profile[SPACE] == (GREY if grey else RGB)


def to_srgb(image: Image, *, profile: bytes) -> Image:
    """Convert colours from their profile to sRGB, perceptually as the profile has it; alpha stays.

    Args:
        image: uint8 (H, W) or (H, W, C).
        profile: The ICC profile of the colours.

    Returns:
        The same shape, uint8.

    Raises:
        ImageError: More than 8 bits, or a profile that cannot be read or is of other colours.

    Examples:
        >>> to_srgb(np.full((2, 2, 3), 90, dtype=np.uint8), profile=srgb_profile())[0, 0]
        array([90, 90, 90], dtype=uint8)
    """
    if image.dtype != np.uint8:
        raise ImageError(
            f"colours of {image.dtype} are not converted to sRGB, which is done for 8 bits only; convert to them first "
            "(pixels convert --dtype ubyte), or leave the profile as it is"
        )
    if not suits(profile, image):
        raise ImageError("the colour profile is of other colours than the image has; leave the profile as it is")
    colors = image[..., :-1] if has_alpha(image) else image
    grey = colors.ndim == 2 or colors.shape[2] == 1
    picture = PILImage.fromarray(colors.reshape(colors.shape[:2]) if grey else np.ascontiguousarray(colors))
    converted = np.asarray(_to_srgb(picture, profile))
    converted = (converted[..., 1] if grey else converted).reshape(colors.shape)
    return np.concatenate([converted, image[..., -1:]], axis=-1) if has_alpha(image) else converted.copy()


def inks_to_srgb(data: bytes) -> Image | None:
    """Return the pixels of an encoded CMYK image by its own profile, (H, W, 3) uint8; None for other images."""
    from pixelry.pixels.decode import open_formats
    from pixelry.pixels.orientation import stated_orientation, upright

    with headers_only(), PILImage.open(io.BytesIO(data), formats=open_formats()) as picture:
        profile = picture.info.get("icc_profile", b"")
        if picture.mode != "CMYK" or profile[SPACE] != INKS:
            return None
        return upright(np.asarray(_to_srgb(picture, profile)), stated_orientation(picture))


def _to_srgb(picture: PILImage.Image, profile: bytes) -> PILImage.Image:
    try:
        source = ImageCms.getOpenProfile(io.BytesIO(profile))
        intent = ImageCms.Intent(ImageCms.getDefaultIntent(source))
        converted = ImageCms.profileToProfile(
            picture, source, ImageCms.createProfile("sRGB"), renderingIntent=intent, outputMode="RGB"
        )
    except (ImageCms.PyCMSError, OSError) as error:
        raise ImageError(f"the colour profile cannot be used: {error}") from None
    assert converted is not None
    return converted
