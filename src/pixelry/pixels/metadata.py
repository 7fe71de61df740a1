"""What a file says beside its pixels, EXIF and the colour profile, for another file that is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image as PILImage

from pixelry.errors import ImageError
from pixelry.pixels.decode import FORMATS, ORIENTATION, headers_only

PROFILE = 34675
# Tags that say how the old file was stored, which is not true of a new one: size, bits, compression, strips, tiles,
# thumbnail, and the profile, which has a place of its own.
STORAGE = {
    254, 255, 256, 257, 258, 259, 262, 273, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 338, 339, 513, 514,
    PROFILE,
}  # fmt: skip
# Of EXIF's own directory: width and height in pixels, which are those of the old file.
EXIF_DIRECTORY, EXIF_SIZE = 34665, (40962, 40963)
# Description, make, model, software, date, artist, copyright: of EXIF what a TIFF holds as plain text.
TEXTS = (270, 271, 272, 305, 306, 315, 33432)


@dataclass(frozen=True)
class Metadata:
    """What `write_image` writes beside the pixels.

    Attributes:
        exif: The EXIF block of a picture that stands upright; b"" for none.
        profile: The ICC colour profile; b"" for none.
        texts: Tag and text of the entries that a TIFF holds as text.
    """

    exif: bytes = b""
    profile: bytes = b""
    texts: tuple[tuple[int, str], ...] = ()


def read_metadata(source: Path) -> Metadata:
    """Return a file's EXIF and colour profile, as its pixels should carry them once they are upright.

    EXIF that cannot be read is left out: cameras and editors leave it broken in good pictures. So is a profile of CMYK,
    whose pixels `read_image` makes RGB.

    Args:
        source: A picture.

    Raises:
        ImageError: There is none.

    Examples:
        >>> import tempfile
        >>> import numpy as np
        >>> from pixelry.pixels import write_image
        >>> read_metadata(write_image(Path(tempfile.mkdtemp()) / "plain.png", np.zeros((2, 2), dtype=np.uint8)))
        Metadata(exif=b'', profile=b'', texts=())
    """
    try:
        with headers_only(), PILImage.open(source, formats=FORMATS) as picture:
            return _of_picture(picture)
    except OSError as error:
        found = _of_tiff(source)
        if found is None:
            raise ImageError(f"{source} cannot be read: {error}") from None
        return found


def _of_picture(picture: PILImage.Image) -> Metadata:
    # Inks are read as red, green and blue, of which a profile of inks says nothing.
    profile = b"" if picture.mode == "CMYK" else picture.info.get("icc_profile") or b""
    try:
        exif = picture.getexif()
        for tag in STORAGE & set(exif):
            del exif[tag]
        for tag in EXIF_SIZE if EXIF_DIRECTORY in exif else ():
            exif.get_ifd(EXIF_DIRECTORY).pop(tag, None)
        texts = tuple((tag, exif[tag]) for tag in TEXTS if isinstance(exif.get(tag), str))
        if ORIENTATION in exif:
            exif[ORIENTATION] = 1
        return Metadata(exif.tobytes() if len(exif) else b"", profile, texts)
    except Exception:
        return Metadata(b"", profile)


def _of_tiff(source: Path) -> Metadata | None:
    """Return what stands beside the pixels of a TIFF that Pillow does not know, such as one of floats in colour."""
    import tifffile

    try:
        with tifffile.TiffFile(source) as file:
            tags = {tag.code: tag.value for tag in file.pages.first.tags.values()}
    except (OSError, tifffile.TiffFileError):
        return None
    texts = tuple((tag, tags[tag]) for tag in TEXTS if isinstance(tags.get(tag), str))
    profile = tags.get(PROFILE)
    return Metadata(b"", profile if isinstance(profile, bytes) else b"", texts)
