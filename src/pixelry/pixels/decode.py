"""Encoded bytes to pixels: Pillow where it keeps every bit, tifffile for deep TIFF, `png16` for deep PNG."""

from __future__ import annotations

import contextlib
import io
import lzma
import threading
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image as PILImage
from PIL import UnidentifiedImageError
from PIL.ImageFile import ImageFile

from pixelry.errors import ImageError
from pixelry.pixels.dtype import Image, check_image
from pixelry.pixels.png16 import is_deep_color, read_deep_color

# Formats that Pillow may open: its others include some that run other programs.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP")
MAGIC = {
    b"\x89PNG": "PNG",
    b"\xff\xd8\xff": "JPEG",
    b"II*\x00": "TIFF",
    b"MM\x00*": "TIFF",
    b"II+\x00": "TIFF",
    b"MM\x00+": "TIFF",
    b"BM": "BMP",
    b"GIF8": "GIF",
    b"RIFF": "WEBP",
}
MODES = {
    "1": "1-bit",
    "L": "grey",
    "LA": "grey+alpha",
    "P": "palette",
    "PA": "palette",
    "I": "grey",
    "F": "grey",
}
ORIENTATION = 274
# Bytes that a writer may have padded a strip with.
SLACK = 65_536
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Decoded:
    """An image as it was in a file.

    Attributes:
        pixels: (H, W) or (H, W, C), the way up that EXIF says.
        format: "PNG", "JPEG", ...
        mode: How the file holds it: "grey", "grey+alpha", "rgb", "rgba", "palette", "cmyk", "1-bit", ...
    """

    pixels: Image
    format: str
    mode: str


def decode(data: bytes, *, name: str, max_pixels: int) -> Decoded:
    """Decode an image; of several frames or pages the first.

    Raises:
        ImageError: It is empty, no image, damaged, or too large; the message begins with its name.
    """
    if not data:
        raise ImageError(f"{name} is empty (0 bytes); expected an image")
    try:
        if MAGIC.get(data[:4]) == "TIFF":
            return _decode_tiff(data, name, max_pixels)
        return _decode_pillow(data, name, max_pixels)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(f"{name} needs more memory than there is") from None
    except Exception as error:
        # Decoders raise almost anything on damaged input: OSError, struct.error, SyntaxError, zlib.error, ...
        raise ImageError(f"{name} is damaged or cut short: {error or type(error).__name__}") from None


def check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    """Raise ImageError if the image has more pixels than allowed, before any of them is decoded."""
    if width * height > max_pixels:
        raise ImageError(
            f"{name} has {width:,} x {height:,} pixels, over the limit of {max_pixels:,}. If you trust it, "
            f"raise the limit: max_pixels={width * height} in Python, or PIXELRY_MAX_PIXELS={width * height} "
            "in the environment"
        )


class _OwnLimit:
    """Lifts Pillow's limit of pixels, a setting of the whole process, while any thread is in here.

    `check_size` has the limit that users set; some of Pillow's decoders look at their own once more.
    """

    def __init__(self) -> None:
        self.lock, self.inside, self.before = threading.Lock(), 0, PILImage.MAX_IMAGE_PIXELS

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.before, PILImage.MAX_IMAGE_PIXELS = PILImage.MAX_IMAGE_PIXELS, None
            self.inside += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                PILImage.MAX_IMAGE_PIXELS = self.before


_own_limit = _OwnLimit()


@contextlib.contextmanager
def headers_only() -> Iterator[None]:
    """Lift Pillow's own limit and silence its remarks on metadata, for one thread at a time.

    Remarks are a setting of the whole process, so this is for reading headers, which is quick, not for decoding.
    """
    with _own_limit, _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _open(data: bytes, name: str) -> ImageFile:
    """Open with Pillow, which reads only the header until the pixels are asked for."""
    try:
        with headers_only():
            return PILImage.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError:
        raise ImageError(f"{name} {what_it_is(data)}; expected PNG, JPEG, TIFF, BMP, GIF or WebP") from None


def what_it_is(data: bytes) -> str:
    """Return what bytes that are no readable image look like, for a message."""
    for magic, kind in MAGIC.items():
        if data.startswith(magic):
            return f"begins like {kind} but is damaged or cut short"
    try:
        # The sample may end inside a character, which is no reason not to call it text.
        text = data[:512].decode("utf-8", errors="strict" if len(data) < 512 else "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if all(character.isprintable() or character.isspace() for character in text):
        return f"is text (it begins with {text[:20]!r}), not an image"
    return f"is no image (it begins with the bytes {data[:8].hex(' ')})"


def _decode_pillow(data: bytes, name: str, max_pixels: int) -> Decoded:
    with _open(data, name) as picture, _own_limit:
        check_size(*picture.size, name, max_pixels)
        deep = is_deep_color(picture)
        mode, form = mode_name(picture.mode), "JPEG" if picture.format == "MPO" else str(picture.format)
        if not deep:
            # Loaded first: orientation and transparency may stand behind the pixels in the file.
            picture.load()
        pixels = _deep_pixels(data, picture) if deep else _pixels(picture)
        return Decoded(check_image(_upright(pixels, _orientation(picture)), name=name), form, mode)


def mode_name(mode: str) -> str:
    """Return how `Decoded.mode` calls one of Pillow's modes."""
    return "grey" if mode.startswith("I;16") else MODES.get(mode, mode.lower())


def _orientation(picture: PILImage.Image) -> int:
    """Return the EXIF orientation, 1 to 8; 1 where there is none."""
    try:
        with headers_only():
            value = picture.getexif().get(ORIENTATION, 1)
    except Exception:
        # Cameras and editors leave broken EXIF behind in good pictures; such a one has no known orientation.
        return 1
    return value if isinstance(value, int) else 1


def _upright(image: Image, orientation: int) -> Image:
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


def _pixels(picture: PILImage.Image) -> Image:
    """Return a writable array of a loaded picture, palettes and foreign colour spaces expanded."""
    mode, see_through = picture.mode, "transparency" in picture.info
    if mode.startswith("I;16"):
        return _with_key(np.array(picture).astype(np.uint16), picture)
    if mode in ("I", "F", "LA", "RGBA"):
        return np.array(picture)
    if mode in ("1", "L"):
        return np.array(picture.convert("LA" if see_through and mode == "L" else "L"))
    if mode in ("PA", "RGBa", "La") or see_through:
        return np.array(picture.convert("RGBA"))
    return np.array(picture.convert("RGB"))


def _deep_pixels(data: bytes, picture: PILImage.Image) -> Image:
    pixels = read_deep_color(data)
    picture.load()
    return _with_key(pixels, picture)


def _with_key(pixels: Image, picture: PILImage.Image) -> Image:
    """Append an alpha channel to 16-bit pixels if the PNG names one colour as transparent."""
    key = picture.info.get("transparency")
    if picture.format != "PNG" or key is None:
        return pixels
    pixels = pixels if pixels.ndim == 3 else pixels[..., None]
    alpha = np.where((pixels == np.asarray(key)).all(-1, keepdims=True), 0, 65535).astype(np.uint16)
    return np.concatenate([pixels, alpha], axis=-1)


def _decode_tiff(data: bytes, name: str, max_pixels: int) -> Decoded:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        page: Any = file.pages.first
        check_size(page.imagewidth, page.imagelength, name, max_pixels)
        deep = page.bitspersample > 8 or (page.dtype is not None and page.dtype.kind not in "bu")
        if not deep or (page.samplesperpixel == 1 and _needs_codec(page)):
            decoded = _decode_pillow(data, name, max_pixels)
            # Pillow inverts "white is zero" for 8 bits only.
            return _inverted(decoded) if deep and _white_is_zero(page) else decoded
        if _needs_codec(page):
            raise ImageError(
                f"{name} is compressed with {page.compression.name}, which tifffile reads with the package "
                "imagecodecs only: pip install imagecodecs"
            )
        _check_segments(data, page, name, max_pixels)
        pixels = page.asarray()
        axes = page.axes
        tag = page.tags.get(ORIENTATION)
        mode = {1: "grey", 2: "grey+alpha", 3: "rgb", 4: "rgba"}.get(page.samplesperpixel, "other")
        white_is_zero = _white_is_zero(page)
    if axes == "SYX":
        pixels = np.moveaxis(pixels, 0, -1)
    # Files have either byte order; arithmetic and torch want the machine's.
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    pixels = _upright(check_image(pixels, name=name), tag.value if tag else 1)
    decoded = Decoded(pixels, "TIFF", mode)
    return _inverted(decoded) if white_is_zero else decoded


def _check_segments(data: bytes, page: Any, name: str, max_pixels: int) -> None:
    """Refuse strips and tiles that decompress to more than the header says: tifffile would follow them."""
    values = page.imagewidth * page.imagelength * page.samplesperpixel
    if page.is_tiled:
        check_size(page.tilewidth, page.tilelength, f"a tile of {name}", max_pixels)
        values = page.tilewidth * page.tilelength * page.samplesperpixel
    start: Any = {8: zlib.decompressobj, 32946: zlib.decompressobj, 34925: lzma.LZMADecompressor}.get(page.compression)
    limit = values * page.dtype.itemsize + SLACK
    for offset, count in zip(page.dataoffsets, page.databytecounts, strict=True):
        if start is not None and len(start().decompress(data[offset : offset + count], limit + 1)) > limit:
            raise ImageError(f"{name} is damaged: a part holds more data than an image of its size")


def _needs_codec(page: Any) -> bool:
    """Return whether tifffile needs a package that Pixelry does not ask for to decompress a page."""
    import tifffile

    try:
        return page.compression not in (1, None) and not callable(tifffile.TIFF.DECOMPRESSORS[page.compression])
    except KeyError:
        return True


def _white_is_zero(page: Any) -> bool:
    return page.photometric is not None and page.photometric.name == "MINISWHITE"


def _inverted(decoded: Decoded) -> Decoded:
    if decoded.pixels.dtype.kind != "u":
        return decoded
    return Decoded(np.iinfo(decoded.pixels.dtype).max - decoded.pixels, decoded.format, decoded.mode)
