"""Limits of what is read: pixels of an image, and Pillow's settings of the whole process."""

from __future__ import annotations

import contextlib
import threading
import warnings
from collections.abc import Iterator

from PIL import Image as PILImage

from pixelry.errors import ImageError

_ONE_AT_A_TIME = threading.Lock()


def check_size(width: int, height: int, name: str, max_pixels: int) -> None:
    """Raise ImageError if the image has more pixels than allowed, before any of them is decoded."""
    if width * height > max_pixels:
        raise ImageError(
            f"{name} has {width:,} x {height:,} pixels, over the limit of {max_pixels:,}. If you trust it, "
            f"raise the limit: max_pixels={width * height} in Python, or PIXELRY_MAX_PIXELS={width * height} "
            "in the environment"
        )


class _OwnLimit:
    """Lifts Pillow's limit of pixels, a setting of the whole process, while any thread is in here.

    `check_size` has the limit that users set; some of Pillow's decoders look at their own once more.
    """

    def __init__(self) -> None:
        self.lock, self.inside, self.before = threading.Lock(), 0, PILImage.MAX_IMAGE_PIXELS

    def __enter__(self) -> None:
        with self.lock:
            if not self.inside:
                self.before, PILImage.MAX_IMAGE_PIXELS = PILImage.MAX_IMAGE_PIXELS, None
            self.inside += 1

    def __exit__(self, *error: object) -> None:
        with self.lock:
            self.inside -= 1
            if not self.inside:
                PILImage.MAX_IMAGE_PIXELS = self.before


own_limit = _OwnLimit()


@contextlib.contextmanager
def headers_only() -> Iterator[None]:
    """Lift Pillow's own limit and silence its remarks on metadata, for one thread at a time.

    Remarks are a setting of the whole process, so this is for reading headers, which is quick, not for decoding.
    """
    with own_limit, _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
