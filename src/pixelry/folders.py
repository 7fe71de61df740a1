"""The folders that verbs write to: new or empty, and gone again where a verb failed before it wrote anything.

Nothing heavy is imported, so that a folder can be checked before torch is loaded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pixelry.errors import ExistsError, PixelryError


def is_first_process() -> bool:
    """Return whether this process was started by the user, and not by Lightning for a further device."""
    return os.environ.get("LOCAL_RANK", "0") == "0" and os.environ.get("NODE_RANK", "0") == "0"


def check_folder(out: str | Path) -> None:
    """Raise unless a folder for results is new or empty, and can be made.

    Raises:
        ExistsError: It exists and is not empty, or is a file.
        PixelryError: It may not be written to.
    """
    folder = Path(out)
    if folder.is_dir():
        if any(folder.iterdir()):
            raise ExistsError(
                f"{folder} exists and is not empty; give another --out, or remove it first (nothing is overwritten)"
            )
    elif folder.exists():
        raise ExistsError(f"{folder} is a file; --out is a folder here, new or empty")
    above = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not above.is_dir():
        raise PixelryError(f"cannot write to {folder}: {above} is a file; choose another --out")
    if not os.access(above, os.W_OK | os.X_OK):
        raise PixelryError(f"cannot write to {folder}: {above} may not be written to; choose another --out")


def free_folder(out: str | Path | None, name: str) -> Path:
    """Return `out`, or the next free folder runs/NAME, runs/NAME-2, ... where it is None; nothing is made yet.

    Raises:
        ExistsError: `out` exists and is not empty.
        PixelryError: It may not be written to.
    """
    if out is None:
        stem = Path("runs") / name
        names = (stem if n == 1 else stem.with_name(f"{name}-{n}") for n in range(1, 10_000))
        out = next(folder for folder in names if not folder.exists())
    check_folder(out)
    return Path(out)


def next_folder(out: str | Path | None, name: str) -> Path:
    """Make and return the folder that `free_folder` names."""
    return make_folder(free_folder(out, name))


def make_folder(out: str | Path) -> Path:
    """Make an empty folder for results.

    Raises:
        ExistsError: It exists and is not empty.
        PixelryError: It cannot be made.
    """
    folder = Path(out)
    try:
        check_folder(folder)
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".writable"
        probe.touch()
        probe.unlink()
    except ExistsError:
        raise
    except OSError as error:
        raise PixelryError(f"cannot write to {folder}: {error.strerror}; choose another --out") from None
    return folder


@contextmanager
def fresh_folder(out: str | Path | None, name: str) -> Iterator[Path]:
    """Make a folder as `next_folder` does; a verb that fails before it has written anything takes it away again.

    So it does with the folders above that it made; what was there before stays.
    """
    folder = free_folder(out, name)
    made = [path for path in (folder, *folder.parents) if not path.exists()]
    make_folder(folder)
    try:
        yield folder
    except BaseException:
        with suppress(OSError):  # it is not empty
            for path in made:
                path.rmdir()
        raise
