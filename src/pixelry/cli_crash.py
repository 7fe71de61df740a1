"""The last net of the command line: an error that nobody foresaw becomes a sentence and a log file."""

from __future__ import annotations

import os
import platform
import sys
import tempfile
import time
import traceback
from pathlib import Path

from pixelry.paths import cache_dir

EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h
DEBUG_VARIABLE = "PIXELRY_DEBUG"
MEMORY_SIGNS = ("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory")


def debugging() -> bool:
    """Return whether tracebacks are to be shown: `pixelry --debug`, or PIXELRY_DEBUG=1."""
    return os.environ.get(DEBUG_VARIABLE, "") not in ("", "0")


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ended, of the machine or of a GPU; torch says so in several ways."""
    text = str(error).lower()
    by_torch = isinstance(error, RuntimeError) and any(sign in text for sign in MEMORY_SIGNS)
    return by_torch or isinstance(error, MemoryError)


def crash_message(error: BaseException) -> str:
    """Write the traceback to a log file, and return what to print instead of it."""
    kind = type(error).__name__
    text = (str(error).strip().splitlines() or [""])[0][:200]
    sentence = f"{kind}{f': {text}' if text else ''}. This is a fault in Pixelry, not a mistake of yours"
    file = _write_log(error)
    if file is None:
        return f"{sentence}; PIXELRY_DEBUG=1 shows the traceback"
    return f"{sentence}: please report it with the traceback in {file} (PIXELRY_DEBUG=1 shows it here)"


def _write_log(error: BaseException) -> Path | None:
    """Return the file with the traceback, in the cache, or where that cannot be written among temporary files."""
    from pixelry import __version__

    facts = f"pixelry {__version__}, Python {platform.python_version()}, {platform.platform()}\n{sys.argv}\n\n"
    name = f"pixelry-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}.log"
    for folder in (cache_dir() / "logs", Path(tempfile.gettempdir())):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(facts + "".join(traceback.format_exception(error)), encoding="utf-8")
        except OSError:
            continue
        return folder / name
    return None
