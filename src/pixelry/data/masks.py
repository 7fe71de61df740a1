"""Masks in files: the values or colours of their pixels become classes when a mask is read."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from torch import Tensor

from pixelry.data.dataset import file_digest
from pixelry.errors import DataError, ImageError
from pixelry.pixels import read_header
from pixelry.pixels.decode import FORMATS, check_size, headers_only
from pixelry.pixels.header import read_orientation
from pixelry.pixels.io import pixel_limit

# Of a pixel that belongs to no class: nothing is learnt from it, and nothing judged by it.
IGNORE = 255
# Names of classes that say that a pixel has none.
VOID_NAMES = ("void", "ignore", "ignored", "unlabeled", "unlabelled", "unknown")
LOSSY = ("JPEG", "MPO", "WEBP")

Color = tuple[int, int, int]
# Red, green and blue alike, as one number: times 0 to 255.
GREY = 0x010101
NO_COLOR = -1


@dataclass(frozen=True)
class RawMask:
    """A mask as it is in its file.

    Attributes:
        values: (H, W) int32: grey values, indices into a palette, or colours as red * 65536 + green * 256 + blue.
        colored: Whether they are colours.
        format: "PNG", "JPEG", ...
        colors: (256,) int32, the colour behind each grey value or index, `NO_COLOR` where a palette ends before; None
            for masks in colour, and for values beyond a byte.
        palette: Whether the values are indices into a palette.
    """

    values: NDArray[np.int32]
    colored: bool
    format: str
    colors: NDArray[np.int32] | None = None
    palette: bool = False

    @property
    def is_grey(self) -> bool:
        """Whether red, green and blue are equal in all pixels: grey values, saved in colour."""
        return bool(((self.values >> 16 == self.values & 255) & (self.values >> 8 & 255 == self.values & 255)).all())


@dataclass(frozen=True)
class ValueTable:
    """Which class a pixel of a mask belongs to, by its value or its colour.

    Attributes:
        values: Class by grey value or index of a palette; `IGNORE` for none.
        colors: Class by (red, green, blue) of a file in colour; {} refuses such files, unless red, green and blue are
            equal everywhere: grey values, saved in colour.
        source: Where the table is from, for messages.
        by_color: Grey values and palettes count by the colours behind them, not by `values`; the value 255 is
            `IGNORE` where its colour is no class. Values beyond a byte have no colour, and count by `values`.
    """

    values: Mapping[int, int] = field(default_factory=dict)
    colors: Mapping[Color, int] = field(default_factory=dict)
    source: str = ""
    by_color: bool = False

    @cached_property
    def _values(self) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        return _sorted(dict(self.values))

    @cached_property
    def _colors(self) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        return _sorted({pack_color(color): label for color, label in self.colors.items()})

    def ids(self, raw: RawMask, name: str) -> NDArray[np.uint8]:
        """Return the class of each pixel, uint8 (H, W), `IGNORE` where there is none.

        Args:
            raw: The mask.
            name: What it is called in messages.

        Raises:
            DataError: A pixel's value or colour stands for no class; it is named with its place.
        """
        values, colored = raw.values, raw.colored
        if colored and not self.colors and raw.is_grey:
            values, colored = values & 255, False
        spared = None
        if self.by_color and raw.colors is not None:
            values, colored, spared = raw.colors[raw.values], True, raw.values == IGNORE
        keys, labels = self._colors if colored else self._values
        if not len(keys):
            raise DataError(
                f"{name} is in colour, and no table says which class a colour is; put a classes.csv with the columns "
                "name,r,g,b beside the images, or save the masks with class numbers as values"
                if colored
                else f"{name} holds grey values, and no value stands for a class"
            )
        place = np.searchsorted(keys, values).clip(max=len(keys) - 1)
        wrong, ids = keys[place] != values, labels[place]
        if spared is not None:
            ids[wrong & spared] = IGNORE
            wrong &= ~spared
        if wrong.any():
            row, column = (int(n) for n in np.argwhere(wrong)[0])
            what = _said(int(values[row, column]), colored)
            raise DataError(
                f"{name} has {what} at row {row}, column {column} ({int(wrong.sum()):,} such pixels), which is no "
                f"class{f' of {self.source}' if self.source else ''}; {self._known(raw.format, colored)}"
            )
        return ids

    def _known(self, form: str, colored: bool) -> str:
        if form in LOSSY:
            return f"{form} changes the values of pixels: save masks as PNG"
        if colored:
            return f"known are {len(self.colors)} colours: add this one, or correct the mask"
        values = sorted(self.values)
        dense = values == list(range(values[0], values[-1] + 1)) and len(values) > 2
        known = f"{values[0]} to {values[-1]}" if dense else ", ".join(map(str, values[:24]))
        known = f"0 to {values[-2]}, {IGNORE}" if values == [*range(len(values) - 1), IGNORE] else known
        return f"known are {known}: add a class, or correct the mask"


def number_table(count: int, *, void: Sequence[int] = (), source: str = "") -> tuple[ValueTable, tuple[int, ...]]:
    """Return the table of masks whose values are class numbers, and the values that are classes, in order.

    Args:
        count: Values that have a name, from 0 on.
        void: Those of them, or others, that stand for no class; the classes after them move up.
        source: Where the names are from.

    Raises:
        DataError: There are more classes than a mask of bytes can hold.
    """
    kept = tuple(value for value in range(count) if value not in void)
    if len(kept) > IGNORE:
        raise DataError(f"{source or 'the masks'}: {len(kept)} classes; a mask holds at most {IGNORE}")
    values = {IGNORE: IGNORE, **dict.fromkeys(void, IGNORE), **{value: label for label, value in enumerate(kept)}}
    return ValueTable(values, source=source), kept


@dataclass(frozen=True)
class FileMasks:
    """Masks in files, read on access as class ids, uint8 (H, W).

    Attributes:
        files: One for each image.
        table: What their values mean.
        images: The images that they belong to, in the same order: a mask of another size is an error, and one of an
            image that EXIF turns is turned with it. () checks nothing.
        filed: As in `as_image`.
    """

    files: Sequence[Path]
    table: ValueTable
    images: Sequence[Path | bytes] = ()
    filed: bool = False

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        """Return a mask, uint8 (H, W).

        Raises:
            DataError: The file cannot be read, has a value without a class, or another size than its image.
        """
        file = self.files[index]
        ids = self.table.ids(read_raw(file), str(file))
        if self.images:
            ids = as_image(ids, self.images[index], str(file), filed=self.filed)
        return torch.from_numpy(np.ascontiguousarray(ids))

    def take(self, positions: Sequence[int]) -> FileMasks:
        """Return the masks at some positions; nothing is read."""
        images = [self.images[i] for i in positions] if self.images else ()
        return replace(self, files=[self.files[i] for i in positions], images=images)

    def digest(self, index: int) -> bytes:
        """Return a hash of a file, as `FileImages.digest`, of the table, and of how masks lie."""
        table = repr((sorted(self.table.values.items()), sorted(self.table.colors.items())))
        table += " by colour" * self.table.by_color + " as filed" * self.filed
        return hashlib.blake2b(file_digest(self.files[index]) + table.encode(), digest_size=16).digest()


@dataclass(frozen=True)
class InstanceFiles:
    """Masks of objects in files, one file for all objects of an image, bool (n, H, W) on access.

    Attributes:
        files: One for each image; each object has a value or a colour of its own.
        values: By image, that of each object, as in `RawMask`.
        images: As in `FileMasks`.
        filed: As in `as_image`.
    """

    files: Sequence[Path]
    values: Sequence[Sequence[int]]
    images: Sequence[Path | bytes] = ()
    filed: bool = False

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> Tensor:
        """Return the pixels of each object of an image, bool (n, H, W).

        Raises:
            DataError: The file cannot be read, or has another size than its image.
        """
        raw = read_raw(self.files[index]).values
        masks = raw == np.array(self.values[index], np.int32)[:, None, None]
        if self.images:
            masks = as_image(masks, self.images[index], str(self.files[index]), filed=self.filed)
        return torch.from_numpy(np.ascontiguousarray(masks))

    def take(self, positions: Sequence[int]) -> InstanceFiles:
        """Return the masks at some positions; nothing is read."""
        images = [self.images[i] for i in positions] if self.images else ()
        files, values = [self.files[i] for i in positions], [self.values[i] for i in positions]
        return replace(self, files=files, values=values, images=images)

    def digest(self, index: int) -> bytes:
        """Return a hash of a file, as `FileImages.digest`, of the objects' values, and of how masks lie."""
        values = repr(list(self.values[index])) + " as filed" * self.filed
        return hashlib.blake2b(file_digest(self.files[index]) + values.encode(), digest_size=16).digest()


def is_colored(path: Path) -> bool:
    """Return whether a mask is in colour, by its header alone; False where that cannot be read."""
    try:
        with headers_only(), PILImage.open(path, formats=FORMATS) as picture:
            return picture.mode in ("RGB", "RGBA")
    except Exception:  # decoders raise almost anything on damaged input; reading the mask says what is wrong
        return False


def read_raw(path: Path) -> RawMask:
    """Read a mask as it is in its file: no palette is applied, no value scaled.

    Raises:
        DataError: The file is missing or damaged, has transparent parts, or fractions.
    """
    try:
        data = path.read_bytes()
        with headers_only():
            picture = PILImage.open(io.BytesIO(data), formats=FORMATS)
        check_size(*picture.size, str(path), pixel_limit())
        pixels = np.asarray(picture)
    except ImageError as error:
        raise DataError(str(error)) from None
    except FileNotFoundError:
        raise DataError(f"there is no mask {path}") from None
    except Exception as error:  # decoders raise almost anything on damaged input
        raise DataError(f"{path} cannot be read as a mask: {error or type(error).__name__}") from None
    form, mode = str(picture.format), picture.mode
    if mode in ("LA", "RGBA", "PA"):
        if pixels[..., -1].min() < 255:
            raise DataError(f"{path} is transparent in parts, which says nothing of classes; save it without alpha")
        pixels = pixels[..., 0] if mode in ("LA", "PA") else pixels[..., :3]
    elif mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        raise DataError(f"{path} has the colours of {mode}; save masks as PNG, with class numbers or in RGB")
    if pixels.dtype.kind == "f":
        raise DataError(f"{path} holds fractions; expected class numbers, or colours")
    if pixels.ndim == 2:
        step = _scaled(data, mode)
        palette = picture.getpalette("RGB") if mode in ("P", "PA") else None
        colors = _colors(mode, step, palette)
        return RawMask(pixels.astype(np.int32) // step, False, form, colors, palette is not None)
    values = pixels.astype(np.int32)
    return RawMask(values[..., 0] << 16 | values[..., 1] << 8 | values[..., 2], True, form)


def as_image(mask: NDArray[Any], image: Path | bytes, name: str, *, filed: bool = False) -> NDArray[Any]:
    """Return a mask the way up of its image, whose pixels EXIF may turn.

    A mask of the image's height and width the other way round lies as the pixels in the image's file do, and is turned.

    Args:
        mask: (H, W) or (n, H, W) as it lies in the file.
        image: The image that it belongs to.
        name: Of the mask, for messages.
        filed: Where sizes do not tell, of images that EXIF mirrors, turns upside down, or turns as a square: the mask
            lies as the pixels in the image's file do. Else it fits the upright picture.

    Raises:
        DataError: It has another size.
    """
    try:
        header = read_header(image)
    except ImageError as error:
        raise DataError(f"{name}: its image cannot be read: {error}") from None
    size, wanted = mask.shape[-2:], (header.height, header.width)
    if size == wanted:
        how = read_orientation(image) if filed else 1
        return turned(mask, how) if how < 5 or size[0] == size[1] else mask
    how = read_orientation(image) if size == wanted[::-1] else 1
    if not 5 <= how <= 8:
        called = "its image" if isinstance(image, bytes) else f"its image {image}"
        raise DataError(
            f"{name} has {size[1]} x {size[0]} pixels (width x height), but {called} has {wanted[1]} x {wanted[0]}: "
            "make the mask anew in the image's size, without interpolation"
        )
    return turned(mask, how)


def turned(mask: NDArray[Any], how: int) -> NDArray[Any]:
    """Return masks (..., H, W) turned or mirrored as an EXIF orientation, 1 to 8, says; other values leave them."""
    if how in (5, 7):
        flat = mask.swapaxes(-1, -2)
        return flat if how == 5 else flat[..., ::-1, ::-1]
    if how in (6, 8):
        return np.rot90(mask, -1 if how == 6 else 1, axes=(-2, -1))
    mask = mask[..., ::-1] if how in (2, 3) else mask
    return mask[..., ::-1, :] if how in (3, 4) else mask


def pack_color(color: Color) -> int:
    """Return a colour as one number, as in `RawMask.values`."""
    return color[0] << 16 | color[1] << 8 | color[2]


def _said(value: int, colored: bool) -> str:
    if colored and value == NO_COLOR:
        return "an index that its palette has no colour for"
    return f"the colour ({value >> 16}, {value >> 8 & 255}, {value & 255})" if colored else f"the value {value}"


def _sorted(table: Mapping[int, int]) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
    keys = np.array(sorted(table), np.int32)
    return keys, np.array([table[int(key)] for key in keys], np.uint8)


def _scaled(data: bytes, mode: str) -> int:
    """Return by what Pillow multiplies grey values: it stretches PNG of 2 and 4 bits to 0..255."""
    depth, kind = (data[24], data[25]) if data[1:4] == b"PNG" and len(data) > 25 else (8, 0)
    return 255 // (2**depth - 1) if mode == "L" and kind == 0 and depth in (2, 4) else 1


def _colors(mode: str, step: int, palette: Sequence[int] | None) -> NDArray[np.int32] | None:
    """Return the colours behind grey values, which Pillow multiplies by `step`, or behind the indices of a palette."""
    if palette is not None:
        known = np.array(palette, np.int32).reshape(-1, 3)[:256]
        packed = known[:, 0] << 16 | known[:, 1] << 8 | known[:, 2]
        if len(packed) > IGNORE and packed[IGNORE] in packed[:IGNORE]:
            packed = packed[:IGNORE]  # what fills a palette up is no colour that anyone gave to 255
        return np.concatenate([packed, np.full(256 - len(packed), NO_COLOR, np.int32)])
    if mode not in ("1", "L", "LA"):
        return None
    light = 255 if mode == "1" else step
    return (np.arange(256, dtype=np.int32) * light).clip(max=255) * GREY
