"""One operation over many files, on all cores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pixelry.errors import UsageError
from pixelry.pixels.changing import DEFAULT_QUALITY, Outcome, Writing, change_file, combined
from pixelry.pixels.collection import Files
from pixelry.pixels.depth import AUTO, used_bits
from pixelry.pixels.information import ImageInfo, image_info
from pixelry.pixels.io import read_image
from pixelry.pixels.operations import OPERATIONS, check_options
from pixelry.pixels.planning import Job, check_quality, listed, plan, suffix_of
from pixelry.pixels.pool import Failure, Progress, run_tasks


@dataclass(frozen=True)
class BatchResult:
    """What became of the files.

    Attributes:
        written: The new files, in the natural order of those they were made from.
        failed: The files that failed, each with the reason; nothing was written for them.
        notes: What was converted or could not be kept, each once with the number of files.
    """

    written: tuple[Path, ...]
    failed: tuple[Failure, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class InfoResult:
    """What files hold.

    Attributes:
        found: One entry for each image, in natural order.
        failed: The files that cannot be read, each with the reason.
        notes: What was left out.
    """

    found: tuple[ImageInfo, ...]
    failed: tuple[Failure, ...]
    notes: tuple[str, ...] = ()


def process(
    files: Files,
    operation: str,
    out: str | Path,
    *,
    format: str | None = None,
    quality: int | None = None,
    to_srgb: bool = False,
    pages: str | None = None,
    stack: bool = False,
    overwrite: bool = False,
    jobs: int | None = None,
    on_progress: Progress | None = None,
    **options: Any,
) -> BatchResult:
    """Read each file, apply an operation, and write the result under the same name into a folder.

    What lies in folders below a folder given, or below the fixed part of a pattern, keeps its place below
    `out`. A file that fails is named in the result, and the others go on. EXIF, colour profile, resolution and XMP are
    kept; EXIF orientation is applied, and then says that the picture stands upright. What a format cannot hold is named
    in the notes.

    Args:
        files: Image files, folders or patterns.
        operation: convert, resize, rescale, downscale, crop, pad, rotate, flip, noise, expose, equalize, sharpen or
            deblur.
        out: The folder to write to.
        format: Write another format: png, jpeg, tiff, bmp, gif, webp, avif or heic.
        quality: Of JPEG, WebP, AVIF and HEIC, 1 to 100; by default 95.
        to_srgb: Convert colours from the file's profile, that of inks (CMYK) too, to sRGB before the operation.
        pages: Of files with several pages or frames: all, a number, or ranges such as 2-5 and 1,3,7-9. Each becomes a
            file, NAME_p001 and so on; by default the first page alone is taken.
        stack: Write the pages of a file into one TIFF.
        overwrite: Replace files that exist.
        jobs: Files to work on at the same time; by default one for each processor core.
        on_progress: Called after each file with the number of files done and of all.
        **options: Those of the operation; a seed gives each file noise of its own.

    Returns:
        The files written, and those that failed.

    Raises:
        UsageError: An unknown operation, option or format, two files with one name in `out`, or no files.
        ExistsError: A file to be written exists, and `overwrite` was not given; nothing has been done then.

    Examples:
        >>> import tempfile
        >>> from pixelry.pixels import write_image
        >>> folder = Path(tempfile.mkdtemp())
        >>> photo = write_image(folder / "photo.png", np.zeros((40, 60), dtype=np.uint8))
        >>> result = process(photo, "rescale", folder / "small", factor=0.5)
        >>> read_image(result.written[0]).shape, result.failed
        ((20, 30), ())
    """
    given = check_options(operation, options)
    if operation == "convert" and not given and format is None and not to_srgb:
        raise UsageError("convert needs a dtype, a color, bits or a range, a format, or to_srgb")
    sources, left_out = listed(files, Path(out))
    planned = plan(sources, Path(out), suffix_of(format), overwrite=overwrite, pages=pages, stack=stack)
    check_quality(quality, planned)
    if given.get("bits") == AUTO:
        given["bits"] = _bits_of_all(planned, jobs)
    scaled = "bits" in given or "range" in given
    tasks = []
    for number, job in enumerate(planned):
        change = _operation(operation, given, number)
        how = Writing(change, given.get("dtype"), scaled, quality or DEFAULT_QUALITY, to_srgb)
        tasks.append((job.source, partial(change_file, job, how)))
    return collected(*run_tasks(tasks, jobs, on_progress), left_out)


def collected(outcomes: Sequence[Outcome], failed: Sequence[Failure], notes: Sequence[str]) -> BatchResult:
    """Return what became of files, with notes on all of them before those on single ones."""
    written = tuple(path for outcome in outcomes for path in outcome.written)
    partly = [(Path(outcome.written[0]), outcome.error) for outcome in outcomes if outcome.error]
    each = combined(note for outcome in outcomes for note in outcome.notes)
    return BatchResult(written, (*failed, *partly), (*notes, *each))


def inspect_files(files: Files, *, jobs: int | None = None, on_progress: Progress | None = None) -> InfoResult:
    """Return what image files hold: format, mode, shape, dtype, range of values, bits, pages, and metadata.

    Args:
        files: Image files, folders or patterns.
        jobs: Files to work on at the same time; by default one for each processor core.
        on_progress: Called after each file with the number of files done and of all.

    Raises:
        UsageError: There are no files.

    Examples:
        >>> import tempfile
        >>> from pixelry.pixels import write_image
        >>> photo = write_image(Path(tempfile.mkdtemp()) / "photo.png", np.zeros((4, 6), dtype=np.uint8))
        >>> inspect_files(photo).found[0].shape
        (4, 6)
    """
    sources, left_out = listed(files, None)
    found, failed = run_tasks([(path, partial(image_info, path)) for path in sources], jobs, on_progress)
    return InfoResult(tuple(found), tuple(failed), left_out)


def _operation(name: str, options: Mapping[str, Any], number: int) -> partial[Any]:
    """Return the operation for a file, with a random generator of its own, the same whatever the order."""
    seed = options.get("seed")
    if isinstance(seed, int):
        if seed < 0:
            raise UsageError(f"seed is {seed}; expected 0 or more")
        options = {**options, "seed": np.random.default_rng([seed, number])}
    return partial(OPERATIONS[name], **options)


def _bits_of_all(planned: Sequence[Job], jobs: int | None) -> int | str:
    """Return the bits that are used by the images of all files, so that all are scaled alike."""

    def bits_of(job: Job) -> int:
        return max((used_bits(read_image(job.source, page=page)) or 0 for page in job.pages), default=0)

    # A file that cannot be read fails once more, and is named, when it is converted.
    found, _ = run_tasks([(job.source, partial(bits_of, job)) for job in planned], jobs, None)
    return max(found, default=0) or AUTO
