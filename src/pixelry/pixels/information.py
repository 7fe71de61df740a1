"""What an image file holds: its pixels in figures, and what stands beside them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as PILImage

from pixelry.pixels.depth import used_bits
from pixelry.pixels.io import read_decoded
from pixelry.pixels.metadata import EXIF_DIRECTORY, GPS_DIRECTORY, read_metadata
from pixelry.pixels.pages import count_pages
from pixelry.pixels.profile import profile_name


@dataclass(frozen=True)
class ImageInfo:
    """What an image file holds.

    Attributes:
        path: Where it lies.
        format: "PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "AVIF" or "HEIF".
        mode: How the file holds it: "grey", "grey+alpha", "rgb", "rgba", "palette", "cmyk", "1-bit", ...
        shape: (H, W) or (H, W, C) as `read_image` gives it.
        dtype: As `read_image` gives it: "uint8", "uint16", "float32", ...
        size: Of the file, in bytes.
        min: The smallest value.
        max: The largest value.
        mean: The mean value.
        bits: That the values of unsigned integers need: 8, 10, 12, 14 or 16; None for other dtypes.
        pages: Pages or frames in the file; the other attributes are those of the first.
        dpi: Pixels for each inch along x and y; None where the file states none.
        profile: What its ICC colour profile is called; "" for none.
        exif: It has EXIF beyond orientation and resolution.
        gps: It has EXIF that tells where it was taken.
    """

    path: Path
    format: str
    mode: str
    shape: tuple[int, ...]
    dtype: str
    size: int
    min: float
    max: float
    mean: float
    bits: int | None = None
    pages: int = 1
    dpi: tuple[float, float] | None = None
    profile: str = ""
    exif: bool = False
    gps: bool = False

    def __str__(self) -> str:
        size = "x".join(map(str, self.shape))
        parts = [
            f"{self.format} {self.mode} {size} {self.dtype}",
            f"{self.min:g} to {self.max:g}, mean {self.mean:.4g}",
        ]
        if self.dtype != "uint8" and self.bits and self.bits < 16:
            parts.append(f"values up to {2**self.bits - 1}: {self.bits} bits")
        if self.pages > 1:
            parts.append(f"{self.pages:,} pages or frames")
        if self.dpi:
            parts.append(f"{self.dpi[0]:g} dpi" if self.dpi[0] == self.dpi[1] else "{:g} x {:g} dpi".format(*self.dpi))
        if self.profile:
            parts.append(f"profile {self.profile}")
        if self.exif:
            parts.append("EXIF with GPS position" if self.gps else "EXIF")
        return f"{self.path}: {', '.join(parts)}, {self.size:,} bytes"


def image_info(path: str | Path, *, max_pixels: int | None = None) -> ImageInfo:
    """Return what an image file holds: format, mode, shape, dtype, range of values, bits, pages, and metadata.

    Args:
        path: Of the file.
        max_pixels: As in `read_image`.

    Raises:
        ImageError: As `read_image`.

    Examples:
        >>> import tempfile
        >>> from pixelry.pixels import write_image
        >>> file = Path(tempfile.mkdtemp()) / "black.png"
        >>> info = image_info(write_image(file, np.zeros((2, 3), dtype=np.uint8)))
        >>> info.format, info.mode, info.shape, info.max
        ('PNG', 'grey', (2, 3), 0.0)
    """
    decoded, size = read_decoded(Path(path), max_pixels)
    pixels = decoded.pixels
    beside = read_metadata(Path(path))
    exif = PILImage.Exif()
    exif.load(beside.exif)
    return ImageInfo(
        path=Path(path),
        format=decoded.format,
        mode=decoded.mode,
        shape=pixels.shape,
        dtype=str(pixels.dtype),
        size=size,
        min=float(pixels.min()),
        max=float(pixels.max()),
        mean=float(pixels.mean(dtype=np.float64)),
        bits=used_bits(pixels),
        pages=count_pages(Path(path)),
        dpi=tuple(round(value, 2) for value in beside.dpi) if beside.dpi else None,  # type: ignore[arg-type]
        profile=profile_name(beside.profile) if beside.profile else "",
        # Orientation and resolution alone say nothing about a photograph.
        exif=bool(beside.texts or exif.get_ifd(EXIF_DIRECTORY) or exif.get_ifd(GPS_DIRECTORY)),
        gps=bool(exif.get_ifd(GPS_DIRECTORY)),
    )
