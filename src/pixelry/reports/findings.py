"""What an evaluation returns for a report: metrics by name, tables, and blocks.

A block is one thing on the page below a heading of its own. `Findings.pictures` takes any of them, in any order:

    Picture(title, content, note)              an image array, or a matplotlib Figure (SVG in the page's colors)
    Gallery(title, images, note)               images with captions in HTML text, which wrap and are never cut
    BeforeAfter(title, before, after, note)    two images of one size under a slider, at 1:1; the target beside
    ThresholdChooser(title, scores, positive)  a two-class threshold to drag: ROC, precision-recall, confusion counts
    Tabs(title, tabs, note)                    alternatives, of which one is shown: the same curves over time or passes
    Interactive(title, html, note)             HTML of one's own, for what none of these can show

`Table` cells are plain values or `Link`s. All of it ends up in one HTML file that loads nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Link:
    """A table cell that leads to another page.

    Attributes:
        text: What is shown.
        href: Where it leads, relative to the page.
    """

    text: str
    href: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class Table:
    """A table of a report: a title, column names, rows of plain values, and a sentence on how to read it."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Any, ...], ...]
    note: str = ""


@dataclass(frozen=True)
class Block:
    """What all blocks of a report have: a title and a caption."""

    kind: ClassVar[str]
    title: str


@dataclass(frozen=True)
class Picture(Block):
    """A picture of a report: (H, W) or (H, W, 3) uint8 pixels, or a matplotlib Figure, with a title and a caption."""

    kind: ClassVar[str] = "picture"
    content: Any
    note: str = ""


@dataclass(frozen=True)
class Gallery(Block):
    """Images with a caption each; captions are text of the page, wrap, and are never cut.

    Attributes:
        images: Pairs of (H, W) or (H, W, 3) uint8 pixels and a caption; line breaks in captions are kept. Images
            below 128 pixels are enlarged by a whole factor.
        note: Caption of the whole.
        columns: Images in a row on a wide screen; None for as many as fit.
    """

    kind: ClassVar[str] = "gallery"
    images: tuple[tuple[NDArray[Any], str], ...]
    note: str = ""
    columns: int | None = None


@dataclass(frozen=True)
class BeforeAfter(Block):
    """Two images of one size on top of each other, with a slider that moves the boundary between them.

    They are shown at 1:1, a pixel of the image for one of the screen, or enlarged by a whole factor: give crops, not
    whole photographs (`crop_with_detail` finds one).

    Attributes:
        before: (H, W) or (H, W, 3) uint8, left of the boundary.
        after: The same shape, right of it.
        note: Caption.
        labels: What the two are called.
        reference: What both are compared with, the same height and width, shown beside them; None for nothing.
        reference_label: What it is called.
        scale: Pixels of the screen for one of the image, in both directions.

    Raises:
        ValueError: The images differ in height or width.
    """

    kind: ClassVar[str] = "before-after"
    before: NDArray[Any]
    after: NDArray[Any]
    note: str = ""
    labels: tuple[str, str] = ("before", "after")
    reference: NDArray[Any] | None = None
    reference_label: str = "target"
    scale: int = 1

    def __post_init__(self) -> None:
        shapes = {image.shape[:2] for image in (self.before, self.after, self.reference) if image is not None}
        if len(shapes) != 1:
            raise ValueError(f"before, after and reference have different sizes: {sorted(shapes)}; give one size")


@dataclass(frozen=True)
class ThresholdChooser(Block):
    """A threshold on two-class scores to drag: precision, recall, false positive rate and counts follow.

    ROC and precision-recall curves stand beside it with a marker at the threshold. Without JavaScript the page shows
    the figures of nine thresholds in a table.

    Attributes:
        scores: (N,) floats in [0, 1], the probability of the positive class.
        positive: (N,) bool, whether the image is of the positive class.
        note: Caption.
        positive_name: What the positive class is called.
        negative_name: What the other is called.
        threshold: Where the slider begins, in [0, 1].

    Raises:
        ValueError: Lengths differ, there are no scores, or a score is outside [0, 1].
    """

    kind: ClassVar[str] = "threshold"
    scores: NDArray[Any]
    positive: NDArray[Any]
    note: str = ""
    positive_name: str = "positive"
    negative_name: str = "negative"
    threshold: float = 0.5

    def __post_init__(self) -> None:
        scores = np.asarray(self.scores)
        if scores.shape != np.asarray(self.positive).shape or scores.ndim != 1 or not len(scores):
            raise ValueError(f"expected scores and positive of one length (N,), N > 0; got {scores.shape}")
        if not (np.isfinite(scores).all() and scores.min() >= 0 and scores.max() <= 1):
            raise ValueError("expected scores in [0, 1]")


@dataclass(frozen=True)
class Tabs(Block):
    """Alternatives of which the reader sees one: pairs of a label and the pictures below it.

    Attributes:
        tabs: (label, pictures) each; the first is shown first.
        note: Caption of the whole.
    """

    kind: ClassVar[str] = "tabs"
    tabs: tuple[tuple[str, tuple[Picture, ...]], ...]
    note: str = ""


@dataclass(frozen=True)
class Interactive(Block):
    """HTML of one's own.

    It must load nothing from elsewhere, and its scripts must do without element ids: a report may be on a page twice.

    Attributes:
        html: Trusted HTML; nothing in it is escaped.
        note: Caption.
    """

    kind: ClassVar[str] = "interactive"
    html: str
    note: str = ""


@dataclass(frozen=True)
class Findings:
    """What an evaluation found: figures by name, tables and blocks.

    Attributes:
        metrics: Values by key; `pixelry.reports.metrics` explains the keys.
        tables: Shown below the pictures.
        pictures: Blocks, shown in this order.
        protocol: How the figures came about, in a sentence that is printed with them.
    """

    metrics: Mapping[str, float]
    tables: tuple[Table, ...] = ()
    pictures: tuple[Block, ...] = ()
    protocol: str = ""

    def and_pictures(self, pictures: tuple[Block, ...]) -> Findings:
        """Return the findings with further pictures, which come first."""
        return dataclasses.replace(self, pictures=(*pictures, *self.pictures))

    def and_findings(self, more: Findings) -> Findings:
        """Return these findings, and after them others."""
        return Findings(
            {**self.metrics, **more.metrics},
            (*self.tables, *more.tables),
            (*self.pictures, *more.pictures),
            " ".join(text for text in (self.protocol, more.protocol) if text),
        )
