"""Read and write image files."""

from __future__ import annotations

import contextlib
import errno
import os
import uuid
from pathlib import Path
from typing import IO, Literal

from pixelry.errors import ExistsError, ImageError, UsageError, did_you_mean, unknown
from pixelry.pixels.decode import Decoded, decode
from pixelry.pixels.dtype import Image
from pixelry.pixels.encode import FORMATS, encode_image, format_of
from pixelry.pixels.metadata import Metadata
from pixelry.pixels.pages import count_pages as count_pages

Source = str | Path | bytes | IO[bytes]
Mode = Literal["grey", "rgb"]

SUFFIXES = tuple(FORMATS)
# More than the largest cameras take, and 600 MB as RGB; what claims more is more likely a decompression bomb.
MAX_PIXELS = 200_000_000
MAX_PIXELS_VARIABLE = "PIXELRY_MAX_PIXELS"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def read_image(source: Source, *, mode: Mode | None = None, page: int = 1, max_pixels: int | None = None) -> Image:
    """Read an image: PNG, JPEG, TIFF, BMP, GIF, WebP, AVIF, and HEIC with the extra `heif`.

    Palettes are expanded, CMYK becomes RGB, 1-bit images 0 and 255, and EXIF orientation is applied.

    Args:
        source: A path, the encoded bytes, or a file object opened for reading bytes.
        mode: "grey" or "rgb" converts, alpha blended over white; None keeps what the file has.
        page: Of several pages or frames the one to read, counted from 1.
        max_pixels: Larger images are refused. By default 200 million, or PIXELRY_MAX_PIXELS of the
            environment.

    Returns:
        (H, W) or (H, W, C), C 2 (grey and alpha), 3 or 4, in the file's own dtype: uint8, uint16, float32,
        ...

    Raises:
        ImageError: Missing, a folder, empty, no image, damaged, or too large; the file is named.
        UsageError: An unknown mode, or a page or a limit that is no positive number.

    Examples:
        >>> import numpy as np
        >>> encoded = encode_image(np.zeros((2, 3), dtype=np.uint16), format="PNG")
        >>> read_image(encoded).dtype, read_image(encoded, mode="rgb").shape
        (dtype('uint16'), (2, 3, 3))
    """
    from pixelry.pixels.color import to_color, to_grey

    if mode not in (None, "grey", "rgb"):
        raise unknown("mode", str(mode), ("grey", "rgb"))
    pixels = read_decoded(source, max_pixels, page)[0].pixels
    if mode is None:
        return pixels
    return to_grey(pixels) if mode == "grey" else to_color(pixels)


def read_decoded(source: Source, max_pixels: int | None, page: int = 1, name: str | None = None) -> tuple[Decoded, int]:
    """Return an image as `decode` has it, and the number of its encoded bytes; arguments as of `read_image`.

    Encoded bytes may have a `name` for messages.

    Raises:
        ImageError: As `read_image`.
        UsageError: As `read_image`.
    """
    if page < 1:
        raise UsageError(f"page is {page}; expected 1 or more")
    limit = pixel_limit() if max_pixels is None else max_pixels
    if limit < 1:
        raise UsageError(f"max_pixels is {limit}; expected a positive number")
    if isinstance(source, bytes):
        name, data = name or "the image in memory", source
    elif isinstance(source, str | Path):
        name, data = str(source), bytes_of(Path(source))
    elif hasattr(source, "read"):
        name, data = str(getattr(source, "name", "the image in memory")), source.read()
        if not isinstance(data, bytes):
            raise ImageError(f"{name} was opened as text; open it with mode 'rb'")
    else:
        raise UsageError(f"expected a path, bytes or a file object; got {type(source).__name__}")
    return decode(data, name=name, max_pixels=limit, page=page - 1), len(data)


def pixel_limit() -> int:
    """Return how many pixels an image may have: 200 million, or what the environment says."""
    text = os.environ.get(MAX_PIXELS_VARIABLE, "").replace("_", "")
    if text and not text.isdigit():
        raise UsageError(f"{MAX_PIXELS_VARIABLE} is '{text}'; expected a number of pixels such as {MAX_PIXELS}")
    return int(text) if text else MAX_PIXELS


def bytes_of(path: Path) -> bytes:
    """Return the bytes of a file.

    Raises:
        ImageError: It is missing, a folder, or cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ImageError(f"there is no file {path}{_nearest(path)}") from None
    except IsADirectoryError:
        raise ImageError(f"{path} is a folder; expected an image file (ImageCollection reads folders)") from None
    except OSError as error:
        raise ImageError(f"{path} cannot be read: {error.strerror}") from None


def _nearest(path: Path) -> str:
    with contextlib.suppress(OSError):
        hint = did_you_mean(path.name, [other.name for other in path.parent.iterdir()])
        return hint if "did you mean" in hint else ""
    return ""


def write_image(
    path: str | Path,
    image: Image,
    *,
    overwrite: bool = False,
    quality: int = 95,
    metadata: Metadata | None = None,
) -> Path:
    """Write an image; its format follows from the suffix. Folders on the way are made.

    TIFF keeps every dtype (bool becomes 0 and 255), PNG uint8 and uint16; all others hold uint8.
    What a format does not hold is converted to uint8 by scikit-image's ranges, so floats must lie in [0, 1].
    GIF keeps 256 colours. The file is complete or not there: it is written under another name and then
    renamed.

    Args:
        path: With the suffix .png, .jpg, .jpeg, .tif, .tiff, .bmp, .gif, .webp, .avif, .heic or .heif; the last two
            need the extra `heif`.
        image: (H, W) or (H, W, C); C 2 and 4 have alpha, which PNG, TIFF, WebP, AVIF and HEIC keep.
        overwrite: Replace a file that exists.
        quality: Of JPEG, WebP, AVIF and HEIC, 1 to 100.
        metadata: EXIF, colour profile, resolution and XMP, such as `read_metadata` has of another file. BMP holds the
            resolution alone, GIF nothing; the other formats hold all.

    Returns:
        The path.

    Raises:
        ExistsError: The file exists, and `overwrite` was not given.
        ImageError: Not an image, values that the format cannot hold, or the file cannot be written.
        UsageError: An unknown suffix, or a quality out of range.

    Examples:
        >>> import tempfile, numpy as np
        >>> file = write_image(Path(tempfile.mkdtemp()) / "half.png", np.full((2, 2), 0.5))
        >>> read_image(file)[0, 0]
        np.uint8(128)
    """
    path = Path(path)
    form = format_of(path)
    if path.is_dir():
        raise ImageError(f"{path} is a folder; expected the name of a file")
    if not overwrite and path.exists():
        raise ExistsError(f"{path} exists; choose another name, or overwrite it with overwrite=True (--overwrite)")
    try:
        data = encode_image(image, format=form, quality=quality, metadata=metadata)
    except ImageError as error:
        raise ImageError(f"{path} cannot be written: {error}") from None
    replace_file(path, data)
    return path


def replace_file(path: Path, data: bytes) -> None:
    """Write a file that is complete or not there; one of its name stays as it was until the new one is complete.

    Args:
        path: Of the file; folders on the way are made.
        data: What it will hold.

    Raises:
        ImageError: It cannot be written, such as to a full disk.

    Examples:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp()) / "note.txt"
        >>> replace_file(file, b"new")
        >>> file.read_bytes()
        b'new'
    """
    # A name that no one else uses, next to the file: renaming is atomic within a folder.
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_bytes(data)
        draft.replace(path)
    except OSError as error:
        hint = "; make room, or choose another place" if error.errno in FULL else ""
        raise ImageError(f"{path} cannot be written: {error.strerror}{hint}") from None
    finally:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
