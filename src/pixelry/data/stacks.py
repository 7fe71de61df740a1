"""Stacks: images and masks with the same number of pages, one image a page.

Pages are written once into the cache folder, as files that all of the data layer reads like others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelry.data.findings import counted
from pixelry.errors import DataError, ImageError
from pixelry.paths import cache_dir
from pixelry.pixels import read_image, write_image
from pixelry.pixels.pages import count_pages, has_more_pages
from pixelry.pixels.tiff import page_positions

STACKED = (".tif", ".tiff")


def pages_of_pairs(pairs: Sequence[tuple[Path, Path]]) -> tuple[list[tuple[Path, Path]], list[str]]:
    """Return images and masks with each page of a stack as a file of its own, where both have as many.

    Args:
        pairs: Images and their masks.

    Returns:
        The pairs; a note where there were stacks.

    Raises:
        DataError: A page cannot be read, or the cache folder cannot be written.
    """
    found: list[tuple[Path, Path]] = []
    stacks = 0
    for image, mask in pairs:
        pages = _pages(image)
        if pages > 1 and pages == _pages(mask):
            stacks += 1
            found += zip(_unpacked(image, pages, is_mask=False), _unpacked(mask, pages, is_mask=True), strict=True)
        else:
            found.append((image, mask))
    notes = [f"{counted(stacks, 'stack')} with masks of as many pages: one image a page"] if stacks else []
    return found, notes


def _pages(file: Path) -> int:
    return count_pages(file) if file.suffix.lower() in STACKED and has_more_pages(file) else 1


def _unpacked(file: Path, pages: int, *, is_mask: bool) -> list[Path]:
    """Return a file for each page; those of an earlier call are taken while the stack is the same."""
    state = file.stat()
    key = hashlib.blake2b(f"{file.resolve()}|{state.st_size}|{state.st_mtime_ns}|{is_mask}".encode(), digest_size=8)
    folder = cache_dir() / "pages" / key.hexdigest()
    targets = [folder / f"{file.stem}_p{page:03d}.tif" for page in range(1, pages + 1)]
    try:
        for page, target in enumerate(targets, 1):
            if not target.exists():
                pixels = _raw_page(file, page) if is_mask else read_image(file, page=page)
                write_image(target, pixels, overwrite=True)
    except ImageError as error:
        raise DataError(f"the pages of {file} cannot be unpacked into {folder}: {error}") from None
    return targets


def _raw_page(file: Path, page: int) -> NDArray[Any]:
    """Return the values of a mask's page as they are in the file: indices of a palette stay numbers of classes."""
    import tifffile

    with tifffile.TiffFile(file) as stack:
        values: NDArray[Any] = stack.pages[page_positions(stack)[page - 1]].asarray()
    return values.astype(np.uint8) if values.dtype == np.bool_ else values
