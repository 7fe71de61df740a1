"""Encoded bytes to pixels: Pillow where it keeps every bit, tifffile for deep TIFF, `png16` for deep PNG."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image as PILImage
from PIL import UnidentifiedImageError
from PIL.ImageFile import ImageFile

from pixelry.errors import ImageError
from pixelry.pixels.dtype import Image, check_image
from pixelry.pixels.heif import register_heif, require_heif
from pixelry.pixels.limits import check_size, headers_only, own_limit
from pixelry.pixels.orientation import ORIENTATION, stated_orientation, upright
from pixelry.pixels.png16 import is_deep_color, read_deep_color

__all__ = [
    "FORMATS",
    "MAGIC",
    "ORIENTATION",
    "Decoded",
    "check_size",
    "decode",
    "headers_only",
    "kind_of",
    "mode_name",
    "open_formats",
    "what_it_is",
]

# Formats that Pillow may open: its others include some that run other programs.
FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "AVIF")
READ = "PNG, JPEG, TIFF, BMP, GIF, WebP, AVIF or HEIC"
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
# Brands of ISO base media files that hold images compressed by HEVC (ISO/IEC 23008-12).
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
# Bytes from which a format is recognized; the list of brands of an ISO base media file ends before.
HEAD = 64


MODES = {
    "1": "1-bit",
    "L": "grey",
    "LA": "grey+alpha",
    "P": "palette",
    "PA": "palette",
    "I": "grey",
    "F": "grey",
}


def open_formats() -> tuple[str, ...]:
    """Return the formats that Pillow may open here: those of `FORMATS`, and HEIF with the extra `heif`."""
    return (*FORMATS, "HEIF") if register_heif() else FORMATS


def kind_of(head: bytes) -> str | None:
    """Return the format that the first 64 bytes of a file belong to; None for none that is known.

    Examples:
        >>> kind_of(b"GIF89a"), kind_of(b"text")
        ('GIF', None)
    """
    if head[4:8] == b"ftyp":
        if b"avif" in head[8:HEAD] or b"avis" in head[8:HEAD]:
            return "AVIF"
        return "HEIF" if head[8:12] in HEIF_BRANDS else None
    return next((kind for magic, kind in MAGIC.items() if head.startswith(magic)), None)


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


def decode(data: bytes, *, name: str, max_pixels: int, page: int = 0) -> Decoded:
    """Decode an image.

    Args:
        data: The encoded bytes.
        name: What the image is called in messages.
        max_pixels: Larger images are refused.
        page: Of several pages or frames the one to decode, counted from 0.

    Raises:
        ImageError: It is empty, no image, damaged, or too large; the message begins with its name.
    """
    if not data:
        raise ImageError(f"{name} is empty (0 bytes); expected an image")
    try:
        if kind_of(data[:HEAD]) == "TIFF":
            return _decode_tiff(data, name, max_pixels, page)
        return _decode_pillow(data, name, max_pixels, page)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError(f"{name} needs more memory than there is") from None
    except Exception as error:
        # Decoders raise almost anything on damaged input: OSError, struct.error, SyntaxError, zlib.error, ...
        raise ImageError(f"{name} is damaged or cut short: {error or type(error).__name__}") from None


def _open(data: bytes, name: str) -> ImageFile:
    """Open with Pillow, which reads only the header until the pixels are asked for."""
    try:
        if kind_of(data[:HEAD]) == "HEIF":
            require_heif(name)
        with headers_only():
            return PILImage.open(io.BytesIO(data), formats=open_formats())
    except UnidentifiedImageError:
        raise ImageError(f"{name} {what_it_is(data)}; expected {READ}") from None


def what_it_is(data: bytes) -> str:
    """Return what bytes that are no readable image look like, for a message."""
    if kind := kind_of(data[:HEAD]):
        return f"begins like {kind} but is damaged or cut short"
    try:
        # The sample may end inside a character, which is no reason not to call it text.
        text = data[:512].decode("utf-8", errors="strict" if len(data) < 512 else "ignore")
    except UnicodeDecodeError:
        text = "\0"
    if all(character.isprintable() or character.isspace() for character in text):
        return f"is text (it begins with {text[:20]!r}), not an image"
    return f"is no image (it begins with the bytes {data[:8].hex(' ')})"


def _decode_pillow(data: bytes, name: str, max_pixels: int, page: int) -> Decoded:
    with _open(data, name) as picture, own_limit:
        if page:
            picture.seek(page)
        check_size(*picture.size, name, max_pixels)
        deep = is_deep_color(picture)
        mode, form = mode_name(picture.mode), "JPEG" if picture.format == "MPO" else str(picture.format)
        if not deep:
            # Loaded first: orientation and transparency may stand behind the pixels in the file.
            picture.load()
        pixels = _deep_pixels(data, picture) if deep else _pixels(picture)
        return Decoded(check_image(upright(pixels, stated_orientation(picture)), name=name), form, mode)


def mode_name(mode: str) -> str:
    """Return how `Decoded.mode` calls one of Pillow's modes."""
    return "grey" if mode.startswith("I;16") else MODES.get(mode, mode.lower())


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


def _decode_tiff(data: bytes, name: str, max_pixels: int, page: int) -> Decoded:
    from pixelry.pixels.tiff import read_tiff

    tiff = read_tiff(data, name, max_pixels, page)
    if tiff.pixels is None:
        decoded = _decode_pillow(data, name, max_pixels, tiff.position)
        pixels, mode = decoded.pixels, decoded.mode
    else:
        pixels, mode = upright(check_image(tiff.pixels, name=name), tiff.orientation), tiff.mode
    if tiff.white_is_zero and pixels.dtype.kind == "u":
        pixels = np.iinfo(pixels.dtype).max - pixels
    return Decoded(pixels, "TIFF", mode)
