"""Several results: a list that shows itself as a table, in a terminal, in a notebook and for pandas."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex, overload

from pixelry.display import card_html
from pixelry.errors import PixelryError

if TYPE_CHECKING:
    from pixelry.types import Result

# Lines in a terminal, rows in a notebook, generated images on a sheet.
MAX_LINES, MAX_SAMPLES = 8, 100
# Rows of a notebook's table, and pixels of the longer side of their images: labels need less than what is drawn over
# an image.
ROWS, SIDE = 16, 72
LARGE_ROWS, LARGE_SIDE = 8, 176
MAX_FAILED = 5


class Results(list["Result"]):
    """One result an image, in the order of the input.

    Attributes:
        failed: (name, message) of each image that could not be read and was skipped because that was asked for.
        folder: Where they were written, if they were.
        total: How many there are in the folder, where these are only the first of them.
        videos: What came of each video, whose frames' results are in the folder only.
        regions: The tables of measured objects, where these were asked for.
    """

    folder: Path | None = None
    total: int | None = None
    videos: Sequence[Any] = ()
    regions: Any = None

    def __init__(self, results: Iterable[Result] = (), failed: Iterable[tuple[str, str]] = ()) -> None:
        super().__init__(results)
        self.failed = list(failed)

    @overload
    def __getitem__(self, index: SupportsIndex) -> Result: ...

    @overload
    def __getitem__(self, index: slice) -> Results: ...

    def __getitem__(self, index: SupportsIndex | slice) -> Result | Results:
        """Return one result, or those of a slice as `Results`."""
        return Results(super().__getitem__(index)) if isinstance(index, slice) else super().__getitem__(index)

    def rows(self) -> list[dict[str, Any]]:
        """Return the rows of a table: one an image, or one for each box, object or class that was found in it."""
        return [row for result in self for row in result.rows()]

    def to_pandas(self) -> Any:
        """Return `rows` as a pandas DataFrame.

        Raises:
            PixelryError: pandas is not installed.
        """
        try:
            import pandas
        except ImportError:
            raise PixelryError("to_pandas needs pandas: pip install 'pixelry[pandas]'") from None
        return pandas.DataFrame(self.rows())

    def __repr__(self) -> str:
        lines = [f"  {result}" for result in self[:MAX_LINES]]
        left = len(self) - len(lines)
        return "\n".join([f"Results({self._title()})", *lines, *([f"  ... {left:,} more"] if left else [])])

    __str__ = __repr__

    def _title(self) -> str:
        kinds = Counter(type(result).__name__ for result in self)
        texts = [f"{count:,} {name}" for name, count in kinds.items()] or ["empty"]
        return ", ".join([*texts, *([f"{len(self.failed):,} skipped"] if self.failed else [])])

    def _notes(self, rows: int) -> list[str]:
        """Return the lines below a table that shows so many of the results."""
        left = (self.total or len(self)) - rows
        notes = [f"{left:,} more are not shown"] if left else []
        notes += [
            f"skipped: {message if name in message else f'{name}: {message}'}" for name, message in self._failed()
        ]
        notes += [str(video) for video in self.videos]
        return [*notes, *([f"written to {self.folder}"] if self.folder else [])]

    def _failed(self) -> list[tuple[str, str]]:
        left = len(self.failed) - MAX_FAILED
        return [*self.failed[:MAX_FAILED], *([("more", f"{left:,} more in .failed")] if left > 0 else [])]

    def _repr_html_(self) -> str:
        from pixelry.draw import draw_samples
        from pixelry.types import Generated, Labels

        title = f"{self.total or len(self):,} {'result' if len(self) == 1 else 'results'}"
        if self and all(isinstance(result, Generated) and result.given is None for result in self):
            shown = self[:MAX_SAMPLES]
            sheet = draw_samples([result.preview() for result in shown])
            return card_html(title, picture=sheet, notes=self._notes(len(shown)))
        count, side = (ROWS, SIDE) if all(isinstance(result, Labels) for result in self) else (LARGE_ROWS, LARGE_SIDE)
        shown = self[:count]
        folder, names = _short([result.name for result in shown])
        columns = list(dict.fromkeys(name for result in shown for name in result.cells()))
        rows = [
            [_thumbnail(result, side), name, *(result.cells().get(column, "") for column in columns)]
            for result, name in zip(shown, names, strict=True)
        ]
        labels = Counter(result.label for result in self if isinstance(result, Labels))
        counts = ", ".join(f"{name} ({count:,})" for name, count in labels.most_common(MAX_LINES))
        subtitle = "; ".join(filter(None, (f"in {folder}" if folder else "", counts)))
        return card_html(
            title, subtitle=subtitle, columns=("", "name", *columns), rows=rows, notes=self._notes(len(shown))
        )


def _short(names: Sequence[str]) -> tuple[str, list[str]]:
    """Return the folder that all files share, and their paths within it; "" and the names where they share none."""
    parents = [os.path.dirname(name) for name in names]  # noqa: PTH120 (names of images in memory are no paths)
    try:
        folder = os.path.commonpath(parents) if names and all(parents) else ""
    except ValueError:  # some are absolute, others are not, or they lie on several drives
        folder = ""
    return folder, [os.path.relpath(name, folder) for name in names] if folder else list(names)


def _thumbnail(result: Result, side: int) -> Any:
    try:
        return result.thumbnail(side)
    except PixelryError:  # the file that it came from is no longer there
        return ""
