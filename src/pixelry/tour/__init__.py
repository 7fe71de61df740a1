"""The tour: the main job on data that ships with Pixelry, as one HTML page with pictures.

A stop is a module of this package with `visit(stop: Stop) -> list[Section]`; `STOPS` is their order.
"""

from __future__ import annotations

import importlib
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from pixelry.errors import ExistsError, PixelryError
from pixelry.preflight import TOUR_MARK
from pixelry.report import Section, render_page

STOPS = ("pixels", "classify", "denoise", "upscale", "generate", "diffuse", "detect", "segment")
PAGE = "index.html"
LEAD = (
    "From pixels through logistic regression to deep networks, on data that ships with Pixelry: every picture and "
    "every figure on this page was made on this machine, just now, by the commands that stand above it."
)


@dataclass(frozen=True)
class Stop:
    """What a stop of the tour gets.

    Attributes:
        out: The tour's folder.
        seconds: Of training for each network.
        seed: Of everything that is random.
    """

    out: Path
    seconds: float
    seed: int


def tour(*, out: str | Path, seconds: float, seed: int) -> Path:
    """Make the tour and return its page.

    Args:
        out: A new or empty folder, or one of an earlier tour, which is written anew.
        seconds: Of training for each network.
        seed: Of everything that is random.

    Raises:
        ExistsError: The folder holds something else.
    """
    folder = _prepare(Path(out))
    console = Console(stderr=True)
    sections = list(_visit_all(Stop(folder, seconds, seed), console))
    page = folder / PAGE
    page.write_text(render_page("A tour of Pixelry", sections, lead=LEAD), encoding="utf-8")
    return page


def _visit_all(stop: Stop, console: Console) -> Iterator[Section]:
    for number, name in enumerate(STOPS, 1):
        console.print(f"stop {number} of {len(STOPS)}: {name}", highlight=False)
        yield from importlib.import_module(f"pixelry.tour.{name}").visit(stop)


def _prepare(folder: Path) -> Path:
    if folder.is_dir() and any(folder.iterdir()):
        if not (folder / TOUR_MARK).is_file():
            problem = f"{folder} is not empty, and holds something that is no tour"
            raise ExistsError(f"{problem}; give another --out (nothing is overwritten)")
        shutil.rmtree(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / TOUR_MARK).touch()
    except OSError as error:
        raise PixelryError(f"cannot write to {folder}: {error.strerror}; choose another --out") from None
    return folder
