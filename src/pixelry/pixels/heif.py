"""HEIC and HEIF, the photographs of telephones, by the package pillow-heif of the extra `heif`."""

from __future__ import annotations

import functools
import importlib.util

from pixelry.errors import ImageError

HEIF_SUFFIXES = (".heic", ".heif")
INSTALL = "pip install 'pixelry[heif]'"


def has_heif() -> bool:
    """Return whether HEIC and HEIF can be read here; nothing is imported for it.

    Examples:
        >>> has_heif() in (True, False)
        True
    """
    return importlib.util.find_spec("pillow_heif") is not None


@functools.cache
def register_heif() -> bool:
    """Make Pillow read and write HEIF, and return whether it does."""
    if not has_heif():
        return False
    from pillow_heif import register_heif_opener

    register_heif_opener()
    return True


def require_heif(name: str) -> None:
    """Register HEIF with Pillow.

    Args:
        name: Of the file, for the message.

    Raises:
        ImageError: The extra is not installed.
    """
    if not register_heif():
        raise ImageError(f"{name} is HEIC or HEIF, which needs the extra 'heif': {INSTALL}")


def left_out_note(count: int) -> str:
    """Return what to say of HEIC files that were left out because the extra is not installed.

    Examples:
        >>> left_out_note(2)
        "2 HEIC or HEIF files left out; reading them needs the extra 'heif': pip install 'pixelry[heif]'"
    """
    files = "file" if count == 1 else "files"
    return f"{count:,} HEIC or HEIF {files} left out; reading them needs the extra 'heif': {INSTALL}"
