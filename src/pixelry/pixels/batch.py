"""One operation over many files, on all cores."""

from __future__ import annotations

import glob
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from pixelry.errors import ExistsError, ImageError, PixelryError, UsageError, unknown
from pixelry.pixels.collection import Files, image_files, naturally_sorted
from pixelry.pixels.dtype import Image
from pixelry.pixels.encode import FORMATS, format_of
from pixelry.pixels.io import ImageInfo, image_info, read_image, write_image
from pixelry.pixels.operations import OPERATIONS, check_options

Failure = tuple[Path, str]
Progress = Callable[[int, int], None]
Result = TypeVar("Result")


@dataclass(frozen=True)
class BatchResult:
    """What became of the files.

    Attributes:
        written: The new files, in the natural order of those they were made from.
        failed: The files that failed, each with the reason; nothing was written for them.
    """

    written: tuple[Path, ...]
    failed: tuple[Failure, ...]


@dataclass(frozen=True)
class InfoResult:
    """What files hold.

    Attributes:
        found: One entry for each image, in natural order.
        failed: The files that cannot be read, each with the reason.
    """

    found: tuple[ImageInfo, ...]
    failed: tuple[Failure, ...]


def process(
    files: Files,
    operation: str,
    out: str | Path,
    *,
    format: str | None = None,
    overwrite: bool = False,
    jobs: int | None = None,
    on_progress: Progress | None = None,
    **options: Any,
) -> BatchResult:
    """Read each file, apply an operation, and write the result under the same name into a folder.

    What lies in folders below a folder given, or below the fixed part of a pattern, keeps its place below
    `out`. A file that fails is named in the result, and the others go on. EXIF and other metadata are not
    kept; EXIF orientation is applied.

    Args:
        files: Image files, folders or patterns.
        operation: convert, resize, rescale, downscale, crop, pad, noise, expose, equalize, sharpen or deblur.
        out: The folder to write to.
        format: Write another format: png, jpeg, tiff, bmp, gif or webp.
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
        >>> folder = Path(tempfile.mkdtemp())
        >>> photo = write_image(folder / "photo.png", np.zeros((40, 60), dtype=np.uint8))
        >>> result = process(photo, "rescale", folder / "small", factor=0.5)
        >>> read_image(result.written[0]).shape, result.failed
        ((20, 30), ())
    """
    given = check_options(operation, options)
    if operation == "convert" and not given and format is None:
        raise UsageError("convert needs a dtype, a color or a format to convert to")
    targets = _plan(_listed(files, Path(out)), Path(out), _suffix(format), overwrite)
    tasks = [
        (source, partial(_one, source, target, operation, _seeded(operation, given, number)))
        for number, (source, target) in enumerate(targets.items())
    ]
    written, failed = _run(tasks, jobs, on_progress)
    return BatchResult(tuple(written), tuple(failed))


def inspect_files(files: Files, *, jobs: int | None = None, on_progress: Progress | None = None) -> InfoResult:
    """Return what image files hold: format, mode, shape, dtype, size and the range of their values.

    Args:
        files: Image files, folders or patterns.
        jobs: Files to work on at the same time; by default one for each processor core.
        on_progress: Called after each file with the number of files done and of all.

    Raises:
        UsageError: There are no files.

    Examples:
        >>> import tempfile
        >>> photo = write_image(Path(tempfile.mkdtemp()) / "photo.png", np.zeros((4, 6), dtype=np.uint8))
        >>> inspect_files(photo).found[0].shape
        (4, 6)
    """
    tasks = [(path, partial(image_info, path)) for path in _listed(files, None)]
    found, failed = _run(tasks, jobs, on_progress)
    return InfoResult(tuple(found), tuple(failed))


def _listed(files: Files, out: Path | None) -> dict[Path, Path]:
    """Return each file with its path below the folder or pattern that it came from."""
    placed: dict[Path, Path] = {}
    for source in [files] if isinstance(files, str | Path) else files:
        root = _root(source)
        for path in _members(source):
            # Results of an earlier run, in a folder below their sources, are no sources.
            if out is None or path.parent == root or not path.resolve().is_relative_to(out.resolve()):
                placed.setdefault(path, path.relative_to(root))
    if not placed:
        raise UsageError(f"no image files in {files}; looked for {', '.join(FORMATS)}")
    return {path: placed[path] for path in naturally_sorted(placed)}


def _members(source: str | Path) -> Iterable[Path]:
    try:
        return image_files(source)
    except ImageError:
        # A file that is missing fails like one that is damaged: it is named, and the others go on.
        return [Path(source)]


def _root(source: str | Path) -> Path:
    path = Path(source)
    if path.is_dir():
        return path
    if path.exists():
        return path.parent
    fixed = Path()
    for part in path.parts[:-1]:
        if glob.has_magic(part):
            break
        fixed /= part
    return fixed


def _suffix(format: str | None) -> str | None:
    if format is None:
        return None
    suffix = "." + format.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise unknown("format", format, [known[1:] for known in FORMATS])
    return {".jpeg": ".jpg", ".tiff": ".tif"}.get(suffix, suffix)


def _plan(files: Mapping[Path, Path], out: Path, suffix: str | None, overwrite: bool) -> dict[Path, Path]:
    """Return the file to write for each file to read; what cannot go well is said before any work."""
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; expected a folder to write to")
    targets: dict[Path, Path] = {}
    taken: dict[Path, Path] = {}
    for source, place in files.items():
        target = out / (place.with_suffix(suffix) if suffix else place)
        # File systems that ignore case would hold one file for both.
        key = Path(str(target).lower())
        if key in taken:
            raise UsageError(
                f"{taken[key]} and {source} would both be written to {target}; give one of them another "
                "name, or process them into different folders"
            )
        taken[key] = source
        targets[source] = target
    existing = [target for target in targets.values() if target.exists()]
    if existing and not overwrite:
        others = f" and {len(existing) - 1:,} more files" if len(existing) > 1 else ""
        verb = "exist" if others else "exists"
        raise ExistsError(f"{existing[0]}{others} {verb} already; choose another folder, or overwrite (--overwrite)")
    return targets


def _seeded(operation: str, options: Mapping[str, Any], number: int) -> dict[str, Any]:
    """Give each file a random generator of its own, the same whatever the order they are done in."""
    seed = options.get("seed")
    if isinstance(seed, int):
        if seed < 0:
            raise UsageError(f"seed is {seed}; expected 0 or more")
        return {**options, "seed": np.random.default_rng([seed, number])}
    return dict(options)


def _one(source: Path, target: Path, operation: str, options: Mapping[str, Any]) -> Path:
    result: Image = OPERATIONS[operation](read_image(source), **options)
    form = format_of(target)
    if options.get("dtype") in ("float", "int") and form != "TIFF":
        raise ImageError(f"{form} holds no {options['dtype']} values; write TIFF (format 'tiff')")
    if options.get("dtype") == "uint" and form not in ("TIFF", "PNG"):
        raise ImageError(f"{form} holds 8 bits only; write PNG or TIFF (format 'png' or 'tiff')")
    return write_image(target, result, overwrite=True)


def _run(
    tasks: Sequence[tuple[Path, Callable[[], Result]]], jobs: int | None, on_progress: Progress | None
) -> tuple[list[Result], list[Failure]]:
    """Run tasks in threads: decoding, filtering and encoding all run outside Python's lock."""
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs is {jobs}; expected 1 or more")
    outcomes: dict[int, Result | str] = {}
    with ThreadPoolExecutor(jobs or _cores()) as pool:
        futures = {pool.submit(_attempt, path, task): number for number, (path, task) in enumerate(tasks)}
        try:
            for done, future in enumerate(as_completed(futures), 1):
                outcomes[futures[future]] = future.result()
                if on_progress is not None:
                    on_progress(done, len(tasks))
        except BaseException:
            # A wrong option is wrong for every file, and CTRL-C means now.
            pool.shutdown(cancel_futures=True)
            raise
    found, failed = [], []
    for number, (path, _) in enumerate(tasks):
        outcome = outcomes[number]
        if isinstance(outcome, str):
            failed.append((path, outcome))
        else:
            found.append(outcome)
    return found, failed


def _cores() -> int:
    # Those that this process may use: in a container or a batch queue they are fewer than the machine has.
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _attempt(path: Path, task: Callable[[], Result]) -> Result | str:
    try:
        return task()
    except UsageError:
        raise
    except PixelryError as error:
        message = str(error)
    except Exception as error:
        message = f"{type(error).__name__}: {error}"
    return message if str(path) in message else f"{path}: {message}"
