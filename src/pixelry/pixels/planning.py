"""Which files are read and which are written for them; what cannot go well is refused before any work."""

from __future__ import annotations

import glob
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pixelry.errors import ExistsError, ImageError, UsageError, unknown
from pixelry.pixels.collection import Files, image_files, naturally_sorted, unreadable_heif
from pixelry.pixels.encode import FORMATS, WITH_QUALITY, format_of
from pixelry.pixels.heif import HEIF_SUFFIXES, left_out_note, require_heif
from pixelry.pixels.pages import chosen_pages, count_pages


@dataclass(frozen=True)
class Job:
    """A file to read, and what is written for it.

    Attributes:
        source: The file.
        pages: Numbers of the pages to take, from 1 on.
        targets: A file for each of them, or one for all.
        unread: Pages of the file that nobody asked to leave out.
    """

    source: Path
    pages: tuple[int, ...]
    targets: tuple[Path, ...]
    unread: int = 0


def listed(files: Files, out: Path | None) -> tuple[dict[Path, Path], tuple[str, ...]]:
    """Return each file with its path below the folder or pattern that it came from, and notes on what is left out.

    Args:
        files: Image files, folders or patterns.
        out: The folder that will be written to, whose files are no sources; None for none.

    Raises:
        UsageError: There are no files.
    """
    placed: dict[Path, Path] = {}
    for source in [files] if isinstance(files, str | Path) else files:
        root = _root(source)
        for path in _members(source):
            # Results of an earlier run, in a folder below their sources, are no sources.
            if out is not None and path.parent != root and path.resolve().is_relative_to(out.resolve()):
                continue
            placed.setdefault(path, path.relative_to(root))
    left_out = unreadable_heif(files)
    notes = (left_out_note(len(left_out)),) if left_out else ()
    if not placed:
        raise UsageError("; ".join([f"no image files in {files}; looked for {', '.join(FORMATS)}", *notes]))
    return {path: placed[path] for path in naturally_sorted(placed)}, notes


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


def suffix_of(format: str | None) -> str | None:
    """Return the suffix of a format to write; None for that of each source.

    Raises:
        UsageError: The format is not known.
        ImageError: It needs an extra that is not installed.
    """
    if format is None:
        return None
    suffix = "." + format.lower().removeprefix(".")
    if suffix not in FORMATS:
        raise unknown("format", format, [known[1:] for known in FORMATS])
    if suffix in HEIF_SUFFIXES:
        require_heif(f"format {format}")
    return {".jpeg": ".jpg", ".tiff": ".tif"}.get(suffix, suffix)


def plan(
    files: Mapping[Path, Path],
    out: Path,
    suffix: str | None,
    *,
    overwrite: bool,
    pages: str | int | None = None,
    stack: bool = False,
) -> list[Job]:
    """Return what is written for each file to read.

    Args:
        files: Each with its place below `out`.
        out: The folder to write to.
        suffix: Of the new files; None for their own.
        overwrite: Files that exist are replaced.
        pages: As `chosen_pages` takes them.
        stack: Write the pages of a file into one TIFF, not into a file each.

    Raises:
        UsageError: `out` is a file, two files would be one, or a stack in another format.
        ExistsError: A file to be written exists, and `overwrite` is off.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file; expected a folder to write to")
    if stack and pages is None:
        raise UsageError("stack goes with pages, such as --pages all --stack")
    jobs, taken = [], dict[Path, Path]()
    for source, place in files.items():
        target = out / (place.with_suffix(suffix) if suffix else place)
        if stack and FORMATS.get(target.suffix.lower()) != "TIFF":
            raise UsageError(
                f"{target} would be a stack, which is written as TIFF only; add format tiff (--format tiff)"
            )
        count = count_pages(source)
        chosen = chosen_pages(pages, count)
        numbered = pages is not None and count > 1 and not stack
        job = Job(source, chosen, _targets(target, chosen, numbered=numbered), count - 1 if pages is None else 0)
        for each in job.targets:
            # File systems that ignore case would hold one file for both.
            key = Path(str(each).lower())
            if key in taken:
                raise UsageError(
                    f"{taken[key]} and {source} would both be written to {each}; give one of them another "
                    "name, or process them into different folders"
                )
            taken[key] = source
        jobs.append(job)
    _refuse_existing([target for job in jobs for target in job.targets if target.exists()], overwrite)
    return jobs


def check_quality(quality: int | None, jobs: Iterable[Job]) -> None:
    """Check that a quality is one, and that a file is written whose format has it.

    Raises:
        UsageError: It is not from 1 to 100, or no format has it.
    """
    if quality is None:
        return
    if not 1 <= quality <= 100:
        raise UsageError(f"quality is {quality}; expected 1 to 100")
    formats = {format_of(target) for job in jobs for target in job.targets if target.suffix.lower() in FORMATS}
    if formats and not formats & set(WITH_QUALITY):
        raise UsageError(
            f"{' and '.join(sorted(formats))} has no quality, which JPEG, WebP, AVIF and HEIC have; leave it out, or "
            "write one of them (--format jpeg)"
        )


def _targets(target: Path, pages: tuple[int, ...], *, numbered: bool) -> tuple[Path, ...]:
    if not numbered:
        return (target,)
    return tuple(target.with_stem(f"{target.stem}_p{page:03d}") for page in pages)


def _refuse_existing(existing: list[Path], overwrite: bool) -> None:
    if existing and not overwrite:
        others = f" and {len(existing) - 1:,} more files" if len(existing) > 1 else ""
        verb = "exist" if others else "exists"
        raise ExistsError(f"{existing[0]}{others} {verb} already; choose another folder, or overwrite (--overwrite)")
