"""How objects show themselves in a notebook: images no larger than a screen needs, and cards of facts.

All rules of style begin with `.pixelry-card`, so that the rest of the notebook stays as it is.
"""

from __future__ import annotations

import base64
import io
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from numpy.typing import NDArray
from PIL import Image as PILImage

from pixelry.draw import magnified
from pixelry.errors import PixelryError
from pixelry.pixels import to_uint8, write_image

# Pixels of the longer side: of an image in a notebook, of a page of several, of one that is enlarged to be visible.
MAX_SIDE, MAX_PAGE, MIN_SIDE = 512, 1024, 128
# Bytes up to which a PNG is taken whatever a JPEG would need, and from which a JPEG is made of lower quality.
SMALL_PNG, MAX_JPEG = 8_000, 200_000
JPEG_QUALITY, LOW_QUALITY = 88, 70


def downscaled(image: NDArray[Any], max_side: int = MAX_SIDE) -> NDArray[np.uint8]:
    """Return an image for display, with its longer side at most `max_side` pixels.

    Args:
        image: (H, W) or (H, W, C) of any dtype with scikit-image's ranges; floats outside of [0, 1] are clipped.
        max_side: In pixels.

    Returns:
        (h, w) or (h, w, 3) uint8; alpha is blended over white.
    """
    pixels = to_uint8(image.clip(0, 1) if image.dtype.kind == "f" else image)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        alpha = pixels[..., -1:] / np.float32(255)
        pixels = (pixels[..., :-1] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    scale = max_side / max(pixels.shape[:2])
    if scale >= 1:
        return pixels
    height, width = (max(1, round(scale * side)) for side in pixels.shape[:2])
    return np.asarray(PILImage.fromarray(pixels).resize((width, height), PILImage.Resampling.LANCZOS))


def fitted(image: NDArray[Any], side: int) -> NDArray[np.uint8]:
    """Return an image with its longer side at most `side` pixels; a small one is enlarged by a whole factor."""
    pixels = downscaled(image, side)
    return magnified(pixels, max(1, side // max(pixels.shape[:2])))


def side_by_side(before: NDArray[Any], after: NDArray[Any]) -> NDArray[np.uint8]:
    """Return two images (H, W) or (H, W, C) of one size beside each other, uint8, with a white gap."""
    gap = np.full((before.shape[0], max(1, before.shape[1] // 50), *before.shape[2:]), 255, dtype=np.uint8)
    return np.concatenate([to_uint8(before), gap, to_uint8(after)], axis=1)


def of_size(image: NDArray[Any], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return an image at a height and width by bicubic interpolation; floats that noise took out of [0, 1] are cut."""
    pixels = to_uint8(image.clip(0, 1) if image.dtype.kind == "f" else image)
    if pixels.shape[:2] == size:
        return pixels
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[2] == 1 else pixels
    resized = PILImage.fromarray(flat).resize(size[::-1], PILImage.Resampling.BICUBIC)
    return np.asarray(resized).reshape(*size, *pixels.shape[2:])


def encoded(image: NDArray[np.uint8]) -> tuple[str, str]:
    """Return an image as its MIME type and base64: PNG, or JPEG where that is smaller, as for photographs.

    Args:
        image: (H, W) or (H, W, 3) uint8.
    """
    page = PILImage.fromarray(image)
    png = _file(page, format="PNG", optimize=True)
    if len(png) <= SMALL_PNG:
        return "image/png", base64.b64encode(png).decode("ascii")
    jpeg = _file(page, format="JPEG", quality=JPEG_QUALITY, subsampling=0)
    if len(jpeg) > MAX_JPEG:  # noise, whose color may be coarser
        jpeg = _file(page, format="JPEG", quality=LOW_QUALITY)
    kind, content = ("image/png", png) if len(png) <= len(jpeg) else ("image/jpeg", jpeg)
    return kind, base64.b64encode(content).decode("ascii")


def _file(page: PILImage.Image, **options: Any) -> bytes:
    buffer = io.BytesIO()
    page.save(buffer, **options)
    return buffer.getvalue()


def image_bundle(image: NDArray[np.uint8], text: str) -> dict[str, str]:
    """Return an image and the text that stands for it where images cannot be shown, by MIME type.

    The pixels of a tiny image are enlarged by a whole factor.
    """
    kind, content = encoded(magnified(image, max(1, MIN_SIDE // max(image.shape[:2]))))
    return {"text/plain": text, kind: content}


def card_html(
    title: str,
    *,
    subtitle: str = "",
    facts: Mapping[str, Any] | None = None,
    columns: Sequence[str] = (),
    rows: Sequence[Sequence[Any]] = (),
    picture: NDArray[np.uint8] | None = None,
    notes: Sequence[str] = (),
) -> str:
    """Return a card as HTML.

    Args:
        title: Its first line.
        subtitle: Stands below it.
        facts: Name and value, a line each; values None and "" are left out.
        columns: Headings of a table.
        rows: Its cells: text, numbers, or images (H, W) or (H, W, 3) uint8.
        picture: An image below all, as large as it is.
        notes: Lines at the end.
    """
    shown = {name: value for name, value in (facts or {}).items() if value not in (None, "")}
    numeric = {
        i for i in range(len(columns)) if rows and all(isinstance(row[i], int | float | _Number) for row in rows)
    }
    return _template().render(
        title=title, subtitle=subtitle, facts=shown, columns=columns, rows=rows, numeric=numeric, picture=picture,
        notes=notes,
    )  # fmt: skip


class _Number(str):
    """A number as it is to be read, such as "97.2%"; set flush right."""


def number(text: str) -> str:
    """Return a formatted number, which a table sets flush right."""
    return _Number(text)


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("pixelry", "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["uri"] = lambda image: Markup("data:{};base64,{}").format(*encoded(image))
    environment.tests["image"] = lambda cell: isinstance(cell, np.ndarray)
    return environment.get_template("card.html")


class Shown(ABC):
    """Shows itself in a notebook as the image that `preview` returns."""

    @abstractmethod
    def preview(self) -> NDArray[np.uint8]:
        """Return an image to look at, (H, W) or (H, W, 3) uint8, at most about a thousand pixels wide."""

    def thumbnail(self, side: int) -> NDArray[np.uint8]:
        """Return the preview with its longer side at most `side` pixels, and at least half as many."""
        return fitted(self.preview(), side)

    def _repr_mimebundle_(self, **kwargs: Any) -> dict[str, str]:
        try:
            return image_bundle(self.preview(), repr(self))
        except PixelryError as error:  # the file that it came from is no longer there, or no longer what it was
            return {"text/plain": f"{self!r}; not shown: {error}"}


@dataclass(frozen=True, eq=False)
class Sheet(Shown):
    """Images on one page. Shows itself in a notebook; `save` writes it, and NumPy takes it for its `image`.

    Attributes:
        image: (H, W, 3) uint8.
        title: What it shows.
    """

    image: NDArray[np.uint8]
    title: str

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write the sheet as an image file.

        Raises:
            ExistsError: The file exists and `overwrite` is off.
        """
        write_image(Path(path), self.image, overwrite=overwrite)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.image, dtype=dtype) if copy else np.asarray(self.image, dtype=dtype)

    def __repr__(self) -> str:
        height, width = self.image.shape[:2]
        return f"Sheet({self.title}, {width}x{height} pixels; .save('sheet.png') writes it)"

    def preview(self) -> NDArray[np.uint8]:
        """Return the sheet, at most 1,024 pixels wide and high."""
        return downscaled(self.image, MAX_PAGE)
