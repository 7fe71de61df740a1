"""Sections, tables and blocks as one HTML page that opens by itself, offline, or as a part of another page.

All rules of style begin with `.pixelry-report`, so that a report in a notebook leaves the notebook as it is.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from itertools import count
from typing import Any

from jinja2 import Environment, PackageLoader
from markupsafe import Markup
from matplotlib.figure import Figure

from pixelry.draw import to_png
from pixelry.reports.findings import Block, Gallery, Link, Table
from pixelry.reports.svg import to_svg
from pixelry.reports.threshold import threshold_data

# Of all that belongs to a report.
ROOT = ".pixelry-report"
# Images below this side are enlarged in a gallery, by a whole factor.
LEGIBLE_SIDE = 128
# Of radio buttons, which belong together by name: the same number never occurs twice in a process.
_groups = count(1)


@dataclass(frozen=True)
class Section:
    """A part of a page: a heading, sentences, code that the reader can run, tables and blocks.

    Attributes:
        title: The heading, which the list of contents has too.
        text: Paragraphs, with an empty line between two.
        code: Commands.
        tables: Shown before the blocks.
        pictures: Blocks: `Picture`, `Gallery`, `BeforeAfter`, ...
        warnings: Sentences that stand out at the head of the section.
    """

    title: str
    text: str = ""
    code: str = ""
    tables: tuple[Table, ...] = ()
    pictures: tuple[Block, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to show below the heading."""
        return not (self.text or self.code or self.tables or self.pictures or self.warnings)


def render_page(title: str, sections: list[Section], *, lead: str = "") -> str:
    """Return sections as a page: contents list, dark mode, everything within the file."""
    return _render("page.html", title, sections, lead, _asset("report.css"))


def render_fragment(title: str, sections: list[Section], *, lead: str = "") -> str:
    """Return sections as a part of another page, such as a notebook's output; it takes the notebook's theme."""
    # A notebook's rules for its own tables are as specific as two classes: with the class twice ours are no less.
    css = Markup(_asset("report.css").replace(ROOT, ROOT + ROOT))
    return _render("fragment.html", title, sections, lead, css)


def _render(template: str, title: str, sections: list[Section], lead: str, css: Markup) -> str:
    shown = [section for section in sections if not section.is_empty]
    return (
        _environment()
        .get_template(template)
        .render(title=title, lead=lead, sections=shown, css=css, script=_asset("report.js"))
    )


@cache
def _environment() -> Environment:
    loader = PackageLoader("pixelry", "templates")
    environment = Environment(loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True)
    environment.filters |= {"picture": _picture, "image": _image, "slug": _slug, "threshold": threshold_data}
    environment.tests["link"] = lambda cell: isinstance(cell, Link)
    environment.globals |= {"next_group": lambda: next(_groups), "enlargement": _enlargement, "pixel_size": _pixel_size}
    return environment


def _asset(name: str) -> Markup:
    return Markup(files("pixelry").joinpath("templates", name).read_text("utf-8"))


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "part"


def _image(content: Any) -> Markup:
    """Return pixels as the address of an image that lies within the page."""
    return Markup("data:image/png;base64," + base64.b64encode(to_png(content)).decode("ascii"))


def _picture(content: Any, title: str) -> Markup:
    """Return pixels or a figure as an element."""
    svg = to_svg(content) if isinstance(content, Figure) else None
    if svg is not None:
        return Markup(svg)
    kind = "figure-image" if isinstance(content, Figure) else "pixels"
    return Markup('<img class="px-{}" src="{}" alt="{}">').format(kind, _image(content), title)


def _pixel_size(image: Any) -> tuple[int, int]:
    """Return (width, height) of an image array."""
    return int(image.shape[1]), int(image.shape[0])


def _enlargement(gallery: Gallery) -> int:
    """Return by how much the images of a gallery are enlarged, so that the pixels of small ones can be seen."""
    largest = max((max(image.shape[:2]) for image, _ in gallery.images), default=LEGIBLE_SIDE)
    return max(1, LEGIBLE_SIDE // int(largest))
