"""What users hand to predict, as a sequence of images that are read one at a time."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from torch import Tensor

from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.file_notes import PAGED
from pixelry.data.loading import eval_batch
from pixelry.errors import ImageError, UsageError
from pixelry.pixels import as_float, drop_alpha, image_files, read_image, to_grey
from pixelry.pixels.collection import unreadable_heif
from pixelry.pixels.heif import left_out_note
from pixelry.pixels.io import count_pages
from pixelry.types import Result, Results

# What a folder of results holds beside its pictures: some of them on one page, and a line for each.
SHEET = "sheet.png"
SKIPPING = "--skip-errors (in Python skip_errors=True) goes on without it, and names it at the end"
PREDICTED, GENERATED = "predictions.jsonl", "images.jsonl"


@dataclass(frozen=True)
class Input:
    """One image to predict for.

    Attributes:
        name: Its path, or "#3" for the fourth of several.
        content: A path, encoded bytes, or the pixels (H, W) or (H, W, C).
    """

    name: str
    content: Path | bytes | NDArray[Any]

    def read(self) -> NDArray[Any]:
        """Return the pixels, (H, W) or (H, W, C).

        Raises:
            ImageError: It cannot be read.
        """
        return self.content if isinstance(self.content, np.ndarray) else read_image(self.content)

    @property
    def source(self) -> Path | NDArray[Any]:
        """What a result keeps of it: where it lies, or its pixels."""
        return self.content if isinstance(self.content, Path) else self.read()


def gather(inputs: Any) -> tuple[Iterable[Input], bool]:
    """Return the images that were given, and whether it was a single one.

    Raises:
        UsageError: Nothing was given, a pattern or folder holds no image, or the kind is not known.
    """
    if is_several(inputs):
        if isinstance(inputs, list | tuple) and not inputs:
            raise UsageError("no images were given")
        return _many(inputs), False
    several = list(_one(inputs, 0))
    return several, _is_single(inputs)


def is_several(inputs: Any) -> bool:
    """Return whether inputs are a list, a tuple or what yields one after the other; an open file is one image."""
    return isinstance(inputs, list | tuple) or (isinstance(inputs, Iterator) and not hasattr(inputs, "read"))


def single_pages(inputs: Iterable[Input], failed: list[tuple[str, str]] | None) -> Iterator[Input]:
    """Yield images but for files of several pages or frames, whose result under the same name would lack all but one.

    Args:
        inputs: As `gather` returns them.
        failed: Is told name and message of each such file; None raises ImageError for the first.
    """
    for item in inputs:
        pages = count_pages(item.content) if isinstance(item.content, Path) else 1
        if pages == 1:
            yield item
            continue
        problem = f"{item.name} holds {pages:,} pictures, pages or frames, and the result would be the first alone"
        remedy = "give each as a file of its own, or in Python all of them as an array (N, H, W) or (N, H, W, C)"
        note_failure(item.name, ImageError(f"{problem}; {remedy}"), failed)


def with_page_notes(inputs: Iterable[Input], announce: Callable[[str], None]) -> Iterator[Input]:
    """Yield images, and announce each file of several pages or frames, of which the first alone is predicted.

    Args:
        inputs: As `gather` returns them.
        announce: Receives a line of text.
    """
    for item in inputs:
        file = getattr(item, "content", None)
        if isinstance(file, Path) and file.suffix.lower() in PAGED and (pages := count_pages(file)) > 1:
            announce(
                f"note: {item.name} has {pages:,} pages or frames, of which the first is predicted; for all of them: "
                "pixelry pixels convert FILE --pages all --format png --out NEW"
            )
        yield item


def note_failure(name: str, error: ImageError, failed: list[tuple[str, str]] | None) -> None:
    """Keep what is wrong with an image, or raise it, with the image's name, where there is nobody to tell."""
    if failed is None:
        raise ImageError(str(error) if name in str(error) else f"{name}: {error}") from None
    failed.append((name, str(error)))


def same_size_batches(
    inputs: Iterable[Input],
    prepare: Callable[[Input], Tensor],
    *,
    batch: int | None = None,
    failed: list[tuple[str, str]] | None = None,
) -> Iterator[list[tuple[Tensor, Input]]]:
    """Yield images in batches of one size, each with the tensor that a network takes.

    Args:
        inputs: As `gather` returns them.
        prepare: Turns an image into a tensor (C, H, W), or raises ImageError.
        batch: Images at once; by default as many as two million pixels.
        failed: Is told name and message of each image that cannot be read; None raises ImageError for the first, after
            the batch with those before it.
    """
    pending: list[tuple[Tensor, Input]] = []
    broken: ImageError | None = None
    unread = iter(inputs)
    while True:
        try:
            item = next(unread, None)
            if item is None:
                break
            pixels = _prepared(item, prepare, failed)
        except ImageError as error:
            broken = error
            break
        if pixels is None:
            continue
        # Images of another size begin a batch of their own.
        full = batch or eval_batch((pixels.shape[-2], pixels.shape[-1]))
        if pending and (len(pending) >= full or pending[0][0].shape != pixels.shape):
            yield pending
            pending = []
        pending.append((pixels, item))
    if pending:
        yield pending
    if broken is not None:
        raise broken


def _prepared(item: Input, prepare: Callable[[Input], Tensor], failed: list[tuple[str, str]] | None) -> Tensor | None:
    try:
        return prepare(item)
    except ImageError as error:
        note_failure(item.name, error, failed)
        return None


def all_results(found: Iterable[Result], failed: list[tuple[str, str]], *, single: bool) -> Results:
    """Return all results; where one of several images cannot be read, the error says how to go on without it."""
    try:
        return Results(found, failed)
    except ImageError as error:
        raise error if single else ImageError(f"{error}; {SKIPPING}") from None


def has_images(item: str | Path) -> bool:
    """Return whether there are images in a folder, or that a pattern matches."""
    return bool(image_files(item))


def _many(inputs: Iterable[Any]) -> Iterator[Input]:
    number = 0
    for item in inputs:
        for found in _one(item, number):
            yield found
            number += 1


def _is_single(item: Any) -> bool:
    if isinstance(item, str | Path):
        return Path(item).is_file() or not (Path(item).is_dir() or glob.has_magic(str(item)))
    if isinstance(item, np.ndarray):
        return item.ndim == 2 or (item.ndim == 3 and item.shape[-1] <= 4)
    return not isinstance(item, Split) and (not isinstance(item, Tensor) or item.ndim <= 3)


def _one(item: Any, number: int) -> Iterator[Input]:
    """Yield the images of one argument; `number` is the position of its first."""
    if isinstance(item, str | Path):
        yield from _files(item)
    elif isinstance(item, bytes):
        yield Input(f"#{number}", item)
    elif isinstance(item, PILImage.Image):
        simple = item if item.mode in ("L", "RGB", "RGBA", "I;16", "F") else item.convert("RGB")
        yield Input(f"#{number}", np.asarray(simple))
    elif isinstance(item, Tensor):
        yield from _arrays(_channels_last(item), number, single=item.ndim <= 3)
    elif isinstance(item, np.ndarray):
        yield from _arrays(item, number, single=_is_single(item))
    elif isinstance(item, Split):
        yield from (_of_split(item, index) for index in range(len(item)))
    elif hasattr(item, "read"):  # an open file
        yield Input(f"#{number}", item.read())
    else:
        hint = "; give one of its splits, such as data['test']" if isinstance(item, Dataset) else ""
        raise UsageError(
            "predict takes paths, folders, patterns, bytes, PIL images, arrays, tensors and splits of data sets; got "
            f"{type(item).__name__}{hint}"
        )


def _of_split(split: Split, index: int) -> Input:
    """Return an image of a data set; of a file where it lies, so that it is read when its turn comes."""
    source = split.images.sources[index] if isinstance(split.images, FileImages) else None
    if source is not None:
        return Input(split.name(index), source)
    return Input(split.name(index), split.images[index].movedim(0, -1).numpy())


def _files(item: str | Path) -> Iterator[Input]:
    path = Path(item)
    if path.is_dir():
        files = [file for file in image_files(path) if not _is_sheet(file)]
    elif path.exists() or not glob.has_magic(str(item)):
        files = [path]
    else:
        files = image_files(item)
    if not files:
        heic = unreadable_heif(item)
        raise UsageError(f"no image files in '{item}'" + (f"; {left_out_note(len(heic))}" if heic else ""))
    yield from (Input(str(file), Path(file)) for file in files)


def _is_sheet(file: Path) -> bool:
    """Return whether a file is the sheet that Pixelry writes beside the pictures that it makes: none of them."""
    return file.name == SHEET and any((file.parent / lines).is_file() for lines in (PREDICTED, GENERATED))


def _channels_last(tensor: Tensor) -> NDArray[Any]:
    if tensor.ndim not in (2, 3, 4):
        raise ImageError(f"an image tensor is (H, W), (C, H, W) or (N, C, H, W); got {tuple(tensor.shape)}")
    tensor = tensor.detach().cpu()
    array: NDArray[Any] = (tensor if tensor.ndim == 2 else tensor.movedim(-3, -1)).numpy()
    return array


def _arrays(array: NDArray[Any], number: int, *, single: bool) -> Iterator[Input]:
    if array.ndim not in (2, 3, 4):
        raise ImageError(f"images are (H, W), (H, W, C), (N, H, W), (N, H, W, C) or (N, C, H, W); got {array.shape}")
    if array.ndim == 4 and array.shape[-1] > 4 and array.shape[1] in (1, 3, 4):
        array = np.moveaxis(array, 1, -1)  # (N, C, H, W), as in torch and in the images of a data set
    if single:
        yield Input(f"#{number}", array)
    else:
        yield from (Input(f"#{number + i}", image) for i, image in enumerate(array))


def single_image(given: Any, what: str) -> NDArray[Any]:
    """Return the pixels of the one image that was given to `inpaint`; raise UsageError for several."""
    found, single = gather(given)
    if not single:
        raise UsageError(f"inpaint takes one {what}; got several")
    (item,) = found
    return item.read()


def black_pixels(mask: NDArray[Any]) -> NDArray[np.bool_]:
    """Return where a mask is black, (H, W); one of 0 and 1 is taken for what it is in any dtype."""
    if mask.dtype.kind in "ui" and mask.max() <= 1:
        mask = mask.astype(np.bool_)
    grey: NDArray[Any] = to_grey(drop_alpha(as_float(mask)))
    return grey <= 0.5
