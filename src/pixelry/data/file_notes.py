"""What image files hold that a data set leaves unused: further pages, HEIC without its extra, bits beyond 8."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import tifffile

from pixelry.data.dataset import Dataset, FileImages
from pixelry.data.findings import counted
from pixelry.errors import ImageError
from pixelry.pixels import read_image, used_bits
from pixelry.pixels.collection import unreadable_heif
from pixelry.pixels.heif import left_out_note
from pixelry.pixels.pages import count_pages, has_more_pages

# Formats with several pages, and those with more than 8 bits.
PAGED, DEEP = (".tif", ".tiff", ".gif"), (".tif", ".tiff", ".png")
# Images of a split that are looked at for their bits, spread over it: sets have one kind of camera or detector.
LOOKS = 4
# Of a PNG: its first bytes, and where its header has the bits a channel.
PNG_SIGNATURE, PNG_DEPTH = b"\x89PNG", 24


def with_file_notes(dataset: Dataset, path: Path) -> Dataset:
    """Return a data set whose notes name what its files hold beyond what is read.

    Args:
        dataset: That was read.
        path: Where it was read from.
    """
    notes = []
    if left_out := unreadable_heif(path):
        notes.append(left_out_note(len(left_out)))
    paged = [file for file in _files(dataset) if file.suffix.lower() in PAGED and has_more_pages(file)]
    several = sum(count_pages(file) > 1 for file in paged)
    if several:
        notes.append(
            f"{counted(several, 'file')} of several pages or frames, of which the first is read; write each as a "
            "file: pixelry pixels convert FOLDER --pages all --format png --out NEW"
        )
    if bits := shallow_bits(dataset):
        notes.append(shallow_note(bits))
    return replace(dataset, notes=(*dataset.notes, *notes)) if notes else dataset


def shallow_bits(dataset: Dataset) -> int | None:
    """Return the bits that 16-bit images use, if they are fewer than 16; None for other images.

    Args:
        dataset: Of whose splits a few images are looked at.
    """
    most = 0
    for split in dataset.splits.values():
        deep = [file for file in _files_of(split.images) if file.suffix.lower() in DEEP]
        if deep and not _has_16_bits(deep[0]):
            continue  # the header answers without decoding anything
        for position in np.unique(np.linspace(0, len(deep) - 1, min(LOOKS, len(deep))).astype(int)):
            try:
                image = read_image(deep[position])
            except ImageError:
                continue  # named when it is used
            if image.dtype == np.uint16:
                most = max(most, used_bits(image) or 0)
    return most if 0 < most < 16 else None


def _has_16_bits(file: Path) -> bool:
    """Return whether the header of a PNG or TIFF states 16 bits a channel; of what cannot be read it is False."""
    try:
        with file.open("rb") as stream:
            head = stream.read(PNG_DEPTH + 1)
        if head.startswith(PNG_SIGNATURE):
            return len(head) > PNG_DEPTH and head[PNG_DEPTH] == 16
        with tifffile.TiffFile(file) as tiff:
            return bool(tiff.pages[0].dtype == np.uint16)
    except Exception:  # tifffile raises what its parser meets; a damaged file is named when it is used
        return False


def shallow_note(bits: int) -> str:
    """Return what to say of images that use so many of 16 bits.

    Examples:
        >>> "16 of 256 grey levels" in shallow_note(12)
        True
    """
    return (
        f"images of 16 bits use {bits} of them: {2 ** max(0, bits - 8)} of 256 grey levels are left in the 8 bits that "
        "networks get; scale them first: pixelry pixels convert FOLDER --bits auto --dtype ubyte --format png --out NEW"
    )


def _files(dataset: Dataset) -> Iterator[Path]:
    for split in dataset.splits.values():
        yield from _files_of(split.images)


def _files_of(images: object) -> list[Path]:
    return [source for source in images.sources if isinstance(source, Path)] if isinstance(images, FileImages) else []
