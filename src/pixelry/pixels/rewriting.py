"""Files rewritten without a new compression where that is possible: upright, or without metadata."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from pixelry.pixels.batch import BatchResult, collected
from pixelry.pixels.changing import DEFAULT_QUALITY, Outcome, Writing, change_file
from pixelry.pixels.collection import Files
from pixelry.pixels.dtype import Image
from pixelry.pixels.encode import FORMATS
from pixelry.pixels.header import read_header, read_orientation
from pixelry.pixels.io import bytes_of, read_image, replace_file, write_image
from pixelry.pixels.metadata import Metadata, read_metadata
from pixelry.pixels.planning import Job, check_quality, listed, plan
from pixelry.pixels.pool import Progress, run_tasks
from pixelry.pixels.stripping import EXIF, XMP, strip_bytes

Rewrite = Callable[[Job], Outcome]


def auto_orient(
    files: Files,
    out: str | Path,
    *,
    quality: int | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    on_progress: Progress | None = None,
) -> BatchResult:
    """Turn the pixels of each file upright, as its EXIF orientation says, which then says that they are.

    Files whose pixels are upright are copied byte by byte.

    Args:
        files: Image files, folders or patterns.
        out: The folder to write to.
        quality: Of JPEG, WebP, AVIF and HEIC that are turned, 1 to 100; by default 95.
        overwrite: Replace files that exist.
        jobs: Files to work on at the same time; by default one for each processor core.
        on_progress: Called after each file with the number of files done and of all.

    Returns:
        The files written, those that failed, and how many were turned.

    Raises:
        UsageError: A quality out of range, two files with one name in `out`, or no files.
        ExistsError: A file to be written exists, and `overwrite` was not given; nothing has been done then.

    Examples:
        >>> import tempfile, numpy as np
        >>> folder = Path(tempfile.mkdtemp())
        >>> photo = write_image(folder / "photo.png", np.zeros((4, 6), dtype=np.uint8))
        >>> auto_orient(photo, folder / "upright").notes
        ('1 file upright already, copied unchanged',)
    """

    def rewrite(job: Job) -> Outcome:
        read_header(job.source)  # names files that are no images
        if read_orientation(job.source) not in range(2, 9):
            replace_file(job.targets[0], bytes_of(job.source))
            return Outcome(job.targets, ("{files} upright already, copied unchanged",))
        outcome = change_file(job, Writing(_unchanged, quality=quality or DEFAULT_QUALITY))
        return Outcome(outcome.written, ("{files} turned upright", *outcome.notes))

    return _rewritten(files, Path(out), rewrite, overwrite, jobs, on_progress, quality)


def strip_metadata(
    files: Files,
    out: str | Path,
    *,
    profile: bool = False,
    overwrite: bool = False,
    jobs: int | None = None,
    on_progress: Progress | None = None,
) -> BatchResult:
    """Remove EXIF with its GPS position, XMP, IPTC, comments and previews, and list what was removed.

    JPEG, PNG, TIFF, WebP and GIF are not compressed again: every pixel stays as it was. AVIF and HEIC are, at quality
    95. The orientation stays where a picture would else lie on its side, and so do resolution and colour profile.

    Args:
        files: Image files, folders or patterns.
        out: The folder to write to.
        profile: Remove the colour profile too; colours then look different where it is not that of sRGB.
        overwrite: Replace files that exist.
        jobs: Files to work on at the same time; by default one for each processor core.
        on_progress: Called after each file with the number of files done and of all.

    Returns:
        The files written, those that failed, and what was removed from how many.

    Raises:
        UsageError: Two files with one name in `out`, or no files.
        ExistsError: A file to be written exists, and `overwrite` was not given; nothing has been done then.

    Examples:
        >>> import tempfile, numpy as np
        >>> folder = Path(tempfile.mkdtemp())
        >>> photo = write_image(folder / "photo.jpg", np.zeros((4, 6), dtype=np.uint8), metadata=Metadata(xmp=b"<x/>"))
        >>> strip_metadata(photo, folder / "bare").notes
        ('XMP removed from 1 file',)
    """

    def rewrite(job: Job) -> Outcome:
        read_header(job.source)
        stripped = strip_bytes(bytes_of(job.source), name=str(job.source), profile=profile)
        if stripped is None or read_orientation(stripped[0]) != read_orientation(job.source):
            return _compressed_again(job, profile, stripped[1] if stripped else ())
        replace_file(job.targets[0], stripped[0])
        notes = tuple(f"{what} removed from {{files}}" for what in stripped[1])
        return Outcome(job.targets, notes or ("nothing to remove from {files}",))

    return _rewritten(files, Path(out), rewrite, overwrite, jobs, on_progress)


def _compressed_again(job: Job, profile: bool, removed: Sequence[str]) -> Outcome:
    """Write the upright pixels of a format that is not taken apart, or that only XMP calls turned."""
    beside = read_metadata(job.source)
    found = [name for name, value in ((EXIF, beside.exif), (XMP, beside.xmp)) if value]
    kept = Metadata(profile=b"" if profile else beside.profile, dpi=beside.dpi)
    write_image(job.targets[0], read_image(job.source), overwrite=True, quality=DEFAULT_QUALITY, metadata=kept)
    notes = [f"{what} removed from {{files}}" for what in dict.fromkeys((*removed, *found))]
    return Outcome(job.targets, (*notes, "{files} compressed again, to remove all or to stand upright without XMP"))


def _rewritten(
    files: Files,
    out: Path,
    rewrite: Rewrite,
    overwrite: bool,
    jobs: int | None,
    on_progress: Progress | None,
    quality: int | None = None,
) -> BatchResult:
    sources, left_out = listed(files, out)
    planned = plan(sources, out, None, overwrite=overwrite)
    if any(job.source.suffix.lower() in FORMATS for job in planned):
        check_quality(quality, planned)
    outcomes, failed = run_tasks([(job.source, partial(rewrite, job)) for job in planned], jobs, on_progress)
    return collected(outcomes, failed, left_out)


def _unchanged(image: Image) -> Image:
    return image
