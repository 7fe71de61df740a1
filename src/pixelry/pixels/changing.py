"""One file read, changed and written, with what stands beside its pixels; what could not be kept is noted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pixelry.errors import ImageError, PixelryError
from pixelry.pixels.depth import used_bits
from pixelry.pixels.dtype import Image
from pixelry.pixels.encode import format_of, not_held
from pixelry.pixels.io import bytes_of, read_decoded, replace_file, write_image
from pixelry.pixels.metadata import Metadata, read_metadata
from pixelry.pixels.planning import Job
from pixelry.pixels.profile import inks_to_srgb, profile_name, srgb_profile, suits, to_srgb
from pixelry.pixels.tiff_writing import encode_tiff

Change = Callable[[Image], Image]
DEFAULT_QUALITY = 95
# Formats that hold more than 8 bits.
DEEP = {"TIFF": "uif", "PNG": "u"}


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        written: The new files.
        notes: What was converted or left out; "{files}" stands for the files that share a note.
        error: Why no more was written; "" for a file without errors.
    """

    written: tuple[Path, ...]
    notes: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True)
class Writing:
    """How files are written.

    Attributes:
        change: The operation; "dtype" of `convert` is in it.
        dtype: The kind of numbers that was asked for; None for none.
        scaled: Whether the operation scales values by bits or a range.
        quality: Of formats that have it.
        srgb: Convert colours to sRGB.
    """

    change: Change
    dtype: str | None = None
    scaled: bool = False
    quality: int = DEFAULT_QUALITY
    srgb: bool = False


def change_file(job: Job, how: Writing) -> Outcome:
    """Read the pages of a file, change them, and write them.

    Raises:
        PixelryError: Nothing could be written.
    """
    data = bytes_of(job.source)
    written: list[Path] = []
    notes: dict[str, None] = {}
    if job.unread:
        notes["{files} of several pages or frames, of which the first was taken (--pages all takes all)"] = None
    stack: list[Image] = []
    beside = Metadata()
    for number, page in enumerate(job.pages):
        target = job.targets[min(number, len(job.targets) - 1)]
        try:
            image, beside = _changed(data, str(job.source), page, how, notes, target)
            if len(job.targets) == len(job.pages):
                written.append(write_image(target, image, overwrite=True, quality=how.quality, metadata=beside))
            else:
                stack.append(image)
        except PixelryError as error:
            if not written:
                raise
            return Outcome(tuple(written), tuple(notes), f"{job.source}, page {page}: {error}")
    if stack:
        replace_file(job.targets[0], encode_tiff(stack, beside))
        written.append(job.targets[0])
    return Outcome(tuple(written), tuple(notes))


def _changed(
    data: bytes, name: str, page: int, how: Writing, notes: dict[str, None], target: Path
) -> tuple[Image, Metadata]:
    """Return a page as it is to be written, and what stands beside it; notes are added."""
    image = read_decoded(data, None, page, name)[0].pixels
    beside = read_metadata(data)
    if how.srgb:
        image, beside = _in_srgb(data, image, beside, notes)
    before = image
    image = how.change(image)
    form = format_of(target)
    _check_dtype(form, how.dtype)
    if beside.profile and not suits(beside.profile, image):
        beside = replace(beside, profile=b"")
        notes["{files} written without the colour profile, which is of other colours than the new image"] = None
    if lost := not_held(form, beside):
        notes[f"{{files}} written without {', '.join(lost)}, which {form} cannot hold"] = None
    if bits_note := _bits_note(before, image, form, how):
        notes[bits_note] = None
    return image, beside


def _in_srgb(data: bytes, image: Image, beside: Metadata, notes: dict[str, None]) -> tuple[Image, Metadata]:
    inks = inks_to_srgb(data)
    if inks is not None:
        notes["{files} converted from inks (CMYK) to sRGB"] = None
        return inks, replace(beside, profile=srgb_profile())
    if not beside.profile:
        notes["{files} without a colour profile, taken for sRGB"] = None
        return image, beside
    converted = to_srgb(image, profile=beside.profile)
    notes[f"{{files}} converted from {profile_name(beside.profile)} to sRGB"] = None
    grey = image.ndim == 2 or image.shape[2] <= 2
    return converted, replace(beside, profile=b"" if grey else srgb_profile())


def _check_dtype(form: str, dtype: str | None) -> None:
    if dtype in ("float", "int") and form != "TIFF":
        raise ImageError(f"{form} holds no {dtype} values; write TIFF (format 'tiff')")
    if dtype == "uint" and form not in ("TIFF", "PNG"):
        raise ImageError(f"{form} holds 8 bits only; write PNG or TIFF (format 'png' or 'tiff')")


def _bits_note(before: Image, image: Image, form: str, how: Writing) -> str:
    """Return what is lost where 16 bits become 8; "" for nothing that was not asked for."""
    if before.dtype != np.uint16 or how.scaled or (image.dtype == np.uint16 and form in DEEP):
        return ""
    bits = used_bits(before)
    if bits and bits < 16:
        return (
            f"{{files}} with values of {bits} of 16 bits, of which {max(0, bits - 8)} are left in 8: they look dark, "
            "unless scaled (pixels convert --bits auto)"
        )
    return "" if how.dtype else f"{{files}} of 16 bits written with 8, as many as {form} holds"


def combined(notes: Iterable[str]) -> tuple[str, ...]:
    """Return notes on single files as notes on all, with the number of files that share each.

    Examples:
        >>> combined(["{files} turned", "{files} turned", "{files} left"])
        ('2 files turned', '1 file left')
    """
    return tuple(
        note.replace("{files}", f"{count:,} file{'s' if count > 1 else ''}") for note, count in Counter(notes).items()
    )
