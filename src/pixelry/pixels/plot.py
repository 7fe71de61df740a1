"""Pictures of pictures: contact sheets as arrays, plots as matplotlib figures without global state."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from pixelry.errors import UsageError
from pixelry.pixels.color import drop_alpha, to_color
from pixelry.pixels.dtype import Image, check_finite, check_image, to_uint8

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK = "#1b1f24"
PAGE = "#ffffff"
CELL = "#f3f5f7"
COLORS = ("#d1495b", "#2e8b57", "#2f6db5")
GAP = 8
LARGEST_CELL = 192
DPI = 110


def contact_sheet(
    images: Iterable[Image],
    *,
    labels: Sequence[str] | None = None,
    columns: int | None = None,
    cell: int | None = None,
) -> NDArray[np.uint8]:
    """Lay images out on one sheet, in rows, each fitted into a cell of its own.

    Tiny images are enlarged by a whole factor so that their pixels stay visible; large ones are resampled.

    Args:
        images: (H, W) or (H, W, C) each, sizes and dtypes as they come; floats in [0, 1].
        labels: A text below each; a line break makes a second line, and what is too long ends in "…".
        columns: Cells in a row; by default the sheet is somewhat wider than high.
        cell: A cell's width in pixels, and its height unless all images are flatter; by default 96 to 192,
            as the images' sizes suggest.

    Returns:
        (height, width, 3) uint8.

    Raises:
        ImageError: One is no image, or has floats outside [-1, 1].
        UsageError: There are none, the number of labels differs, or columns or cell is too small.

    Examples:
        >>> contact_sheet([np.zeros((8, 8)), np.ones((20, 10, 3))], columns=2, cell=64).shape
        (80, 152, 3)
    """
    if cell is not None and cell < 16:
        raise UsageError(f"cell is {cell}; expected 16 pixels or more")
    # Shrunk as they come, so that a long collection of photographs needs little memory.
    pictures = [_at_most(to_color(to_uint8(image)), cell or LARGEST_CELL) for image in images]
    texts = _checked_labels(pictures, labels)
    columns = _columns(len(pictures), columns)
    largest = max(max(picture.shape[:2]) for picture in pictures)
    # Whole multiples of a small image's side fill the cell without a rest.
    side = cell or (largest * math.ceil(96 / largest) if largest < 96 else largest)
    font: Any = ImageFont.load_default(min(16, max(10, round(side / 14))))
    return _drawn([_fitted(picture, side) for picture in pictures], texts, columns, side, font)


def _drawn(
    thumbnails: Sequence[PILImage.Image], texts: Sequence[str], columns: int, side: int, font: Any
) -> NDArray[np.uint8]:
    tallest = max(thumbnail.height for thumbnail in thumbnails)
    line = math.ceil(sum(font.getmetrics()))
    lines = max((text.count("\n") + 1 for text in texts), default=0)
    height = tallest + (lines * line + 4 if lines else 0)
    rows = math.ceil(len(thumbnails) / columns)
    sheet = PILImage.new("RGB", (columns * (side + GAP) + GAP, rows * (height + GAP) + GAP), PAGE)
    pen = ImageDraw.Draw(sheet)
    for number, thumbnail in enumerate(thumbnails):
        row, column = divmod(number, columns)
        top, left = GAP + row * (height + GAP), GAP + column * (side + GAP)
        pen.rectangle((left, top, left + side - 1, top + tallest - 1), fill=CELL)
        sheet.paste(thumbnail, (left + (side - thumbnail.width) // 2, top + (tallest - thumbnail.height) // 2))
        for below, text in enumerate(texts[number].split("\n") if texts else ()):
            middle = (left + side / 2, top + tallest + 4 + below * line)
            pen.text(middle, _shortened(text, side, font), fill=INK, font=font, anchor="ma")
    return np.array(sheet)


def _checked_labels(images: Sequence[Image], labels: Sequence[str] | None) -> list[str]:
    if not images:
        raise UsageError("there are no images to show")
    if labels is not None and len(labels) != len(images):
        raise UsageError(f"{len(labels)} labels for {len(images)} images; expected one for each")
    return [str(label) for label in labels or ()]


def _columns(count: int, columns: int | None) -> int:
    if columns is None:
        if count <= 5:
            return count
        # Somewhat wider than high, with as few empty places in the last row as that allows.
        ideal = math.sqrt(count * 1.6)
        near = range(math.ceil(ideal * 0.75), math.floor(ideal * 1.25) + 1)
        return min(near, key=lambda columns: (-count % columns, abs(columns - ideal)))
    if columns < 1:
        raise UsageError(f"columns is {columns}; expected 1 or more")
    return min(columns, count)


def _at_most(image: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    return image if max(image.shape[:2]) <= side else np.array(_fitted(image, side))


def _fitted(image: NDArray[np.uint8], side: int) -> PILImage.Image:
    """Return the image with its longer side at most `side`, enlarged by a whole factor if it is tiny."""
    picture, largest = PILImage.fromarray(image), max(image.shape[:2])
    if largest * 2 <= side:
        factor = side // largest
        return picture.resize((picture.width * factor, picture.height * factor), PILImage.Resampling.NEAREST)
    scale = side / largest
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, PILImage.Resampling.LANCZOS)


def _shortened(text: str, width: int, font: Any) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text.rstrip() + "…"


def _clipped(text: str, letters: int) -> str:
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"


def histogram(image: Image, *, bins: int = 256, log: bool = False) -> Figure:
    """Draw how often each value occurs, one line a channel; alpha is left out.

    Args:
        image: (H, W) or (H, W, C), any range.
        bins: Intervals between the smallest and largest value shown: of the dtype for uint8, of the image
            otherwise.
        log: Count in powers of ten, so that one frequent value does not flatten all others.

    Returns:
        A matplotlib figure; `figure.savefig("histogram.png")` writes it.

    Raises:
        ImageError: Not an image, or NaN or infinite values.
        UsageError: No bins.

    Examples:
        >>> len(histogram(np.zeros((4, 4, 3), dtype=np.uint8)).axes)
        1
    """
    if bins < 1:
        raise UsageError(f"bins is {bins}; expected 1 or more")
    pixels = drop_alpha(check_finite(check_image(image)))
    pixels = pixels.astype(np.uint8) if pixels.dtype == np.bool_ else pixels
    channels = [pixels] if pixels.ndim == 2 else [pixels[..., c] for c in range(pixels.shape[2])]
    # A value in the middle of its own bar: bytes are whole numbers.
    limits = (-0.5, 255.5) if pixels.dtype == np.uint8 else (float(pixels.min()), float(pixels.max()))
    figure = _figure(5.5, 3.4)
    axes = figure.add_subplot()
    for channel, color, name in zip(channels, COLORS if len(channels) == 3 else (INK,), "rgb", strict=False):
        counts, edges = np.histogram(channel, bins=bins, range=limits)
        label = {"r": "red", "g": "green", "b": "blue"}[name]
        axes.stairs(counts, edges, color=color, fill=True, alpha=0.9 if len(channels) == 1 else 0.2)
        axes.stairs(counts, edges, color=color, label=label)
    axes.set(xlabel="value", ylabel="pixels", xlim=limits if limits[0] < limits[1] else None)
    axes.set_yscale("log" if log else "linear")
    axes.set_ylim(bottom=0.8 if log else 0)
    axes.spines[["top", "right"]].set_visible(False)
    if len(channels) == 3:
        axes.legend(frameon=False, fontsize=8)
    return figure


def side_by_side(images: Iterable[Image], *, titles: Sequence[str] | None = None) -> Figure:
    """Draw images in one row, for comparison.

    Args:
        images: (H, W) or (H, W, C) each; floats in [0, 1].
        titles: A text above each.

    Returns:
        A matplotlib figure.

    Raises:
        ImageError: One is no image, or has floats outside [-1, 1].
        UsageError: There are none, or the number of titles differs.

    Examples:
        >>> len(side_by_side([np.zeros((4, 4)), np.ones((4, 4))], titles=["before", "after"]).axes)
        2
    """
    pictures = list(images)
    return show_collection(pictures, labels=titles, columns=max(1, len(pictures)), width=3.2)


def show_collection(
    images: Iterable[Image],
    *,
    labels: Sequence[str] | None = None,
    columns: int | None = None,
    width: float = 1.8,
) -> Figure:
    """Draw images in a grid, as a figure.

    Args:
        images: An `ImageCollection` or any images, (H, W) or (H, W, C) each; floats in [0, 1].
        labels: A text above each; by default the names of an `ImageCollection`.
        columns: Images in a row.
        width: Of an image, in inches.

    Returns:
        A matplotlib figure.

    Raises:
        ImageError: One is no image, or has floats outside [-1, 1].
        UsageError: There are none, or the number of labels differs.

    Examples:
        >>> len(show_collection([np.zeros((4, 4))] * 7).axes)
        7
    """
    labels = labels if labels is not None else getattr(images, "names", None)
    pictures = [to_color(to_uint8(image)) for image in images]
    texts = _checked_labels(pictures, labels)
    columns = _columns(len(pictures), columns)
    rows = math.ceil(len(pictures) / columns)
    tallest = max(min(2.0, picture.shape[0] / picture.shape[1]) for picture in pictures)
    figure = _figure(columns * width, rows * (width * tallest + (0.25 if texts else 0.0)))
    for number, picture in enumerate(pictures):
        axes = figure.add_subplot(rows, columns, number + 1)
        axes.imshow(picture, interpolation="nearest" if max(picture.shape) < 64 else "auto")
        axes.set_axis_off()
        if texts:
            # Nine points are about 0.07 inches a letter.
            axes.set_title(_clipped(texts[number], int(width / 0.07)), fontsize=9, color=INK)
    return figure


def _figure(width: float, height: float) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure
