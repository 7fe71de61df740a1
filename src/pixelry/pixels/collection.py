"""Many image files as one lazy sequence."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

from pixelry.errors import ImageError
from pixelry.pixels import heif
from pixelry.pixels.dtype import Image
from pixelry.pixels.io import SUFFIXES, Mode, read_image

Files = str | Path | Iterable[str | Path]


def image_files(source: Files, recursive: bool = True) -> list[Path]:
    """List image files in natural order: img2 before img10.

    Args:
        source: A folder, a glob pattern ("photos/**/*.png"), a file, or a list of these. From folders and
            patterns come the files with the suffix of a known format, hidden ones left out, and HEIC without the
            extra `heif`; a file named by itself is listed whatever its suffix.
        recursive: Look into the folders' folders too.

    Returns:
        The files, each once.

    Raises:
        ImageError: A file or folder does not exist.

    Examples:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("img10.png", "img2.png", "notes.txt"):
        ...     _ = (folder / name).write_bytes(b"")
        >>> [file.name for file in image_files(folder)]
        ['img2.png', 'img10.png']
    """
    if not isinstance(source, str | Path):
        return naturally_sorted({file for item in source for file in image_files(item, recursive)})
    path = Path(source)
    if path.is_dir():
        return naturally_sorted(_walk(path, recursive))
    if path.exists():
        return [path]
    if not glob.has_magic(str(source)):
        raise ImageError(f"there is no file or folder {source}")
    found: set[Path] = set()
    for match in map(Path, glob.glob(str(source), recursive=True)):  # noqa: PTH207 (absolute patterns)
        if match.is_dir():
            # What a shell would have made of the same pattern without quotes.
            found.update(_walk(match, recursive))
        elif _is_image(match):
            found.add(match)
    return naturally_sorted(found)


def _walk(folder: Path, recursive: bool) -> set[Path]:
    files: set[Path] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        # Hidden folders, and links back to where one came from, are not entered.
        folders[:] = [name for name in folders if recursive and _is_inner(Path(root), name)]
        files.update(file for file in (Path(root, name) for name in names) if _is_image(file))
    return files


def _is_inner(root: Path, name: str) -> bool:
    child = root / name
    return not name.startswith(".") and not (child.is_symlink() and root.resolve().is_relative_to(child.resolve()))


def _is_image(path: Path) -> bool:
    suffix = path.suffix.lower()
    readable = suffix in SUFFIXES and (suffix not in heif.HEIF_SUFFIXES or heif.has_heif())
    return readable and not path.name.startswith(".")


def unreadable_heif(source: Files) -> list[Path]:
    """Return the HEIC and HEIF files that `image_files` leaves out of folders and patterns without the extra `heif`.

    Args:
        source: As `image_files` takes it.

    Examples:
        >>> import tempfile
        >>> unreadable_heif(tempfile.mkdtemp())
        []
    """
    if heif.has_heif():
        return []
    if not isinstance(source, str | Path):
        return naturally_sorted({file for item in source for file in unreadable_heif(item)})
    folder = Path(source)
    inside: set[Path] = set()
    if folder.is_dir():
        for root, folders, names in os.walk(folder, followlinks=True):
            folders[:] = [name for name in folders if _is_inner(Path(root), name)]
            inside.update(Path(root, name) for name in names if not name.startswith("."))
    elif not folder.exists():
        inside.update(map(Path, glob.glob(str(source), recursive=True)))  # noqa: PTH207 (absolute patterns)
    return naturally_sorted(file for file in inside if file.suffix.lower() in heif.HEIF_SUFFIXES)


def naturally_sorted(paths: Iterable[Path]) -> list[Path]:
    """Sort paths folder by folder, with the numbers in their names read as numbers."""
    from natsort import natsorted, ns

    ordered: list[Path] = natsorted(paths, key=str, alg=ns.PATH)
    return ordered


class ImageCollection(Sequence[Image]):
    """Image files as a sequence of arrays: each is read when it is asked for, and not kept.

    Attributes:
        paths: Where the images lie.
        names: What they are called: the paths relative to the folder that they share.

    Examples:
        >>> import tempfile, numpy as np
        >>> from pixelry.pixels import write_image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for number in (10, 2):
        ...     _ = write_image(folder / f"img{number}.png", np.full((4, 5), number, dtype=np.uint8))
        >>> images = ImageCollection(folder)
        >>> images.names, images[0].shape, len(images[1:])
        (('img2.png', 'img10.png'), (4, 5), 1)
    """

    def __init__(
        self,
        source: Files,
        *,
        recursive: bool = True,
        sort: bool = True,
        mode: Mode | None = None,
        max_pixels: int | None = None,
    ) -> None:
        """List the files; none is read yet.

        Args:
            source: A folder, a glob pattern, a file, or a list of these.
            recursive: Look into the folders' folders too.
            sort: Sort a list's files naturally too; False keeps its order.
            mode: "grey" or "rgb" converts each image, as in `read_image`.
            max_pixels: Larger images are refused, as in `read_image`.

        Raises:
            ImageError: A file or folder does not exist, or there is no image file.
        """
        if sort or isinstance(source, str | Path):
            files = image_files(source, recursive)
        else:
            files = list(dict.fromkeys(file for item in source for file in image_files(item, recursive)))
        if not files:
            raise ImageError(f"no image files in {source}; looked for {', '.join(SUFFIXES)}")
        self._keep(files, mode, max_pixels)

    def _keep(self, paths: Sequence[Path], mode: Mode | None, max_pixels: int | None) -> None:
        self.paths = tuple(paths)
        self.names = _names(self.paths)
        self.mode: Mode | None = mode
        self.max_pixels = max_pixels

    def __len__(self) -> int:
        return len(self.paths)

    @overload
    def __getitem__(self, index: int) -> Image: ...
    @overload
    def __getitem__(self, index: slice) -> ImageCollection: ...
    def __getitem__(self, index: int | slice) -> Image | ImageCollection:
        """Read one image, or return the collection of a slice.

        Raises:
            ImageError: The image cannot be read; the file is named.
        """
        if isinstance(index, slice):
            part = object.__new__(ImageCollection)
            part._keep(self.paths[index], self.mode, self.max_pixels)
            part.names = self.names[index]
            return part
        return read_image(self.paths[index], mode=self.mode, max_pixels=self.max_pixels)

    def __repr__(self) -> str:
        shown = ", ".join(self.names[:3]) + (", ..." if len(self) > 3 else "")
        return f"ImageCollection({len(self)} images: {shown})"


def _names(paths: Sequence[Path]) -> tuple[str, ...]:
    try:
        root = os.path.commonpath([path.parent for path in paths])
    except ValueError:
        # Some are absolute and some are not, or they lie on different drives.
        return tuple(map(str, paths))
    return tuple(path.relative_to(root).as_posix() for path in paths)
