"""Where Pixelry keeps what it downloads or measures, and where it finds the user's data."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """Return the folder for downloads and measurements: `PIXELRY_CACHE`, or the platform's cache folder."""
    if given := os.environ.get("PIXELRY_CACHE"):
        return Path(given)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "pixelry"
    if sys.platform == "darwin":
        return Path.home() / "Library/Caches/pixelry"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "pixelry"


def data_dir() -> Path | None:
    """Return the folder under which relative names of data sets are looked for: `PIXELRY_DATA`, if set."""
    given = os.environ.get("PIXELRY_DATA")
    return Path(given) if given else None
