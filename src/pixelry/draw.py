"""Results to pictures. Figures are made without pyplot: no global state, no display needed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont

from pixelry.pixels import contact_sheet, to_color, to_uint8

INK = "#1b1f24"
QUIET = "#8b949e"
GRID = "#eaeef2"
PAGE = "#ffffff"
# Text on a light patch of color, which stays light where the page is dark.
ON_LIGHT = "#14181d"
ON_DARK = "#fefefe"
ACCENT = "#0b6e99"
# Okabe and Ito 2008: told apart by readers with any colour vision.
COLORS = ("#0072b2", "#e69f00", "#009e73", "#d55e00", "#cc79a7", "#56b4e9", "#f0e442", "#000000")
LIGHT = ("#e69f00", "#56b4e9", "#f0e442")
DPI = 110
LEGIBLE = 480  # pixels of the longer side that are enough for names to be read
NAMING = 160  # pixels of the longer side at which the places for names are looked for


class Masks(Protocol):
    """Masks of objects, each (H, W) bool: an array (N, H, W), or what makes one when it is asked for."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int, /) -> NDArray[np.bool_]: ...


def new_figure(width: float = 5.5, height: float = 4.0) -> tuple[Figure, Any]:
    """Return a matplotlib figure of a size in inches, and its axes, in the house style."""
    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(colors=INK, labelsize=9)
    return figure, axes


def to_png(content: Figure | NDArray[Any]) -> bytes:
    """Return a figure, or an image (H, W) or (H, W, 3) uint8, as PNG bytes."""
    buffer = io.BytesIO()
    if isinstance(content, Figure):
        content.savefig(buffer, format="png", dpi=DPI)
    else:
        PILImage.fromarray(content).save(buffer, format="png", optimize=True)
    return buffer.getvalue()


def _page(image: NDArray[Any]) -> NDArray[np.uint8]:
    """Return an image (H, W) or (H, W, C) of any dtype as a network sees it: (H, W, 3) uint8, alpha over white."""
    return to_color(to_uint8(image))


def legible_scale(size: Sequence[int]) -> int:
    """Return how many times as large a small picture is to be drawn for names on it to be read; 1 for larger ones.

    Args:
        size: (height, width, ...) in pixels.

    Examples:
        >>> legible_scale((128, 96)), legible_scale((300, 500))
        (3, 1)
    """
    return max(1, LEGIBLE // max(size[:2]))


def magnified(image: NDArray[Any], scale: int) -> NDArray[Any]:
    """Return an image or map (H, W, ...) with each pixel `scale` times as high and wide."""
    return image.repeat(scale, axis=0).repeat(scale, axis=1) if scale > 1 else image


def draw_boxes(
    image: NDArray[Any], xyxy: NDArray[Any], labels: NDArray[Any], texts: Sequence[str] = ()
) -> NDArray[np.uint8]:
    """Draw boxes over an image.

    Args:
        image: (H, W) or (H, W, C), of any dtype with scikit-image's ranges; alpha is blended over white.
        xyxy: (N, 4) left, top, right, bottom in pixels.
        labels: (N,) class indices, which choose the colours.
        texts: What to write on each box; () for nothing.

    Returns:
        (H, W, 3) uint8.

    Raises:
        ImageError: Not an image, or values out of its dtype's range.
    """
    page = PILImage.fromarray(_page(image))
    pen = ImageDraw.Draw(page)
    longest = max(page.size)
    width, font = max(1, round(longest / 320)), ImageFont.load_default(max(9, round(longest / 50)))
    # The surest come first and are drawn last, on top of the others.
    for i in reversed(range(len(xyxy))):
        color = COLORS[int(labels[i]) % len(COLORS)]
        left, top, right, bottom = (float(v) for v in xyxy[i])
        pen.rectangle((left, top, max(left, right - 1), max(top, bottom - 1)), outline=color, width=width)
        if texts:
            _, _, wide, high = font.getbbox(texts[i])
            # Above the box where there is room, else just inside.
            y = top - high - 2 if top >= high + 2 else top + width
            x = max(0.0, min(left, page.width - wide - 4))
            pen.rectangle((x, y, x + wide + 4, y + high + 2), fill=color)
            pen.text((x + 2, y), texts[i], fill="black" if color in LIGHT else "white", font=font)
    return np.array(page)


def draw_objects(image: NDArray[Any], masks: Masks, *, strength: float = 0.5) -> NDArray[np.uint8]:
    """Lay the pixels of objects over an image, each in a colour of its own.

    Args:
        image: (H, W) or (H, W, C), of any dtype with scikit-image's ranges; alpha is blended over white.
        masks: (N, H, W) bool, the surest first: they come to lie on top. One after the other is asked for.
        strength: Of the colours, in [0, 1].

    Returns:
        (H, W, 3) uint8.

    Raises:
        ImageError: Not an image, or values out of its dtype's range.
    """
    page = np.array(_page(image))
    colors = class_colors(len(masks) + 1)[1:]
    for k in reversed(range(len(masks))):
        mask, color = masks[k], colors[k].astype(float)
        page[mask] = np.round((1 - strength) * page[mask] + strength * color).astype(np.uint8)
    return page


def class_colors(count: int) -> NDArray[np.uint8]:
    """Return a colour for each class, uint8 (K, 3): those of Pascal VOC, all different and always the same.

    Class 0, the background of most data, is black. The bits of a class's number are dealt out to red, green and blue in
    turn, the lowest to the highest bit of the colours (VOC development kit, `VOClabelcolormap`).

    Args:
        count: Of classes, at most 256.

    Examples:
        >>> class_colors(3).tolist()
        [[0, 0, 0], [128, 0, 0], [0, 128, 0]]
    """
    ids = np.arange(count)
    colors = np.zeros((count, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            colors[:, channel] |= ((ids >> (3 * bit + channel) & 1) << (7 - bit)).astype(np.uint8)
    return colors


def draw_mask(
    image: NDArray[Any], ids: NDArray[np.uint8], classes: Sequence[str], *, strength: float = 0.55
) -> NDArray[np.uint8]:
    """Lay the colours of classes over an image.

    Pixels without a class (255, or an id beyond the classes) get a dark hatch, through which the image shows. Where
    class 0 is called "background", the image stays as it is there.

    Args:
        image: (H, W) or (H, W, C), of any dtype with scikit-image's ranges; alpha is blended over white.
        ids: (H, W) uint8, the class of each pixel, index into `classes`.
        classes: Their names; the count decides which ids are classes.
        strength: Of the colours, from 0 (the image alone) to 1 (the colours alone).

    Returns:
        (H, W, 3) uint8.

    Raises:
        ValueError: The mask has another size than the image.
        ImageError: Not an image, or values out of its dtype's range.
    """
    if image.shape[:2] != ids.shape:
        raise ValueError(f"a mask of shape {ids.shape} does not fit an image of shape {image.shape[:2]}")
    page = _page(image)
    table = np.zeros((256, 3), np.uint8)
    table[: len(classes)] = class_colors(len(classes))[:256]
    drawn = (page * np.float32(1 - strength) + table[ids] * np.float32(strength)).round().astype(np.uint8)
    if classes and classes[0].lower() == "background":
        drawn[ids == 0] = page[ids == 0]
    outside = ids >= len(classes)
    if outside.any():
        rows, columns = np.arange(ids.shape[0])[:, None], np.arange(ids.shape[1])
        stripe = max(2, round(max(ids.shape) / 160))
        hatched = outside & ((rows + columns) // stripe % 2 == 0)
        drawn[outside] = page[outside]
        drawn[hatched] = (page[hatched] * np.float32(1 - strength)).astype(np.uint8)
    return drawn


def name_regions(
    page: NDArray[np.uint8], ids: NDArray[np.uint8], classes: Sequence[str], *, least: float = 0.005
) -> NDArray[np.uint8]:
    """Write the name of each class into the middle of its largest region.

    Args:
        page: (H, W, 3) uint8, such as of `draw_mask`.
        ids: (H, W) uint8, the class of each pixel.
        classes: Their names; a background (class 0 of that name) gets none.
        least: Classes with a smaller share of the pixels get none.

    Returns:
        (H, W, 3) uint8.
    """
    from scipy.ndimage import distance_transform_edt

    named = PILImage.fromarray(page)
    pen, longest = ImageDraw.Draw(named), max(named.size)
    font = ImageFont.load_default(max(9, round(longest / 45)))
    step = max(1, longest // NAMING)
    coarse = ids[step // 2 :: step, step // 2 :: step]
    for k, name in enumerate(classes):
        region = coarse == k
        if region.mean() < least or (k == 0 and name.lower() == "background"):
            continue
        # The place that is farthest from all that is not the class, the picture's border included.
        depth = distance_transform_edt(np.pad(region, 1))[1:-1, 1:-1]
        row, column = np.unravel_index(int(depth.argmax()), depth.shape)
        _, _, wide, high = font.getbbox(name)
        x = min(max(2.0, column * step + step / 2 - wide / 2), max(2.0, named.width - wide - 3.0))
        y = min(max(2.0, row * step + step / 2 - high / 2), max(2.0, named.height - high - 3.0))
        pen.text((x, y), name, fill="white", font=font, stroke_width=max(1, longest // 400), stroke_fill="black")
    return np.array(named)


def confusion_figure(matrix: NDArray[Any], classes: Sequence[str]) -> Figure:
    """Draw a confusion matrix: counts (K, K), rows the truth, coloured by the share of the row."""
    count = len(classes)
    side = float(np.clip(1.5 + 0.45 * count, 4.0, 11.0))
    figure, axes = new_figure(side + 0.8, side)
    share = matrix / np.maximum(matrix.sum(1, keepdims=True), 1)
    picture = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, ax=axes, shrink=0.8, label="share of the true class")
    if count <= 25:
        axes.set_xticks(range(count), classes, rotation=45 if max(map(len, classes)) > 2 else 0, ha="right")
        axes.set_yticks(range(count), classes)
    if count <= 15:
        for (i, j), value in np.ndenumerate(matrix):
            if value:
                color = ON_DARK if share[i, j] > 0.6 else ON_LIGHT
                axes.text(j, i, f"{value:,}", ha="center", va="center", color=color, fontsize=8)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    return figure


def curves_figure(
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]], *, xlabel: str, ylabel: str, focus: bool = False
) -> Figure:
    """Draw named curves (x, y).

    Args:
        curves: Points by name.
        xlabel: Of the axis.
        ylabel: Of the axis.
        focus: Keep the y axis near where the curves end, so that ends close to each other can be told apart; far
            beginnings are cut off.
    """
    figure, axes = new_figure(6.5, 4.0)
    for color, (name, (x, y)) in zip(np.resize(COLORS, max(1, len(curves))), curves.items(), strict=False):
        axes.plot(x, y, "-", marker="o" if len(x) <= 40 else None, markersize=3.5, color=color, label=name)
    if focus and len(curves) > 1:
        axes.set_ylim(*_window([y for _, y in curves.values() if len(y)]))
    axes.set(xlabel=xlabel, ylabel=ylabel)
    axes.grid(axis="y", color=GRID)
    if curves:
        axes.legend(frameon=False, fontsize=9)
    return figure


def _window(curves: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Return the limits of an axis on which the ends of curves fill a good part, within what the curves span."""
    ends, values = [y[-1] for y in curves], [value for y in curves for value in y]
    span = max(max(ends) - min(ends), 0.02 * max(map(abs, ends)))
    low, high = max(min(values), min(ends) - 2 * span), min(max(values), max(ends) + 2 * span)
    margin = 0.05 * (high - low) or 0.01
    return low - margin, high + margin


def draw_scores(image: NDArray[Any], scores: Sequence[tuple[str, float]]) -> NDArray[np.uint8]:
    """Draw an image (H, W) or (H, W, C) with class names and probabilities as bars beside it, (h, w, 3) uint8.

    Raises:
        ImageError: Not an image, or values out of its dtype's range.
    """
    picture = PILImage.fromarray(_page(image))
    scale = 240 / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    # Tiny pictures keep their pixels visible; photographs are resampled.
    picture = picture.resize(size, PILImage.Resampling.NEAREST if scale > 3 else PILImage.Resampling.LANCZOS)
    canvas = PILImage.new("RGB", (picture.width + 260, max(picture.height, 48 * len(scores) + 16)), "white")
    canvas.paste(picture, (0, 0))
    pen, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    left = picture.width + 16
    for row, (name, score) in enumerate(scores):
        top = 8 + 48 * row
        pen.text((left, top), f"{_shorten(name)}  {score:.1%}", fill=INK, font=font)
        pen.rectangle((left, top + 22, left + 228, top + 32), fill="#eaeef2")
        pen.rectangle((left, top + 22, left + round(228 * score), top + 32), fill=ACCENT if row == 0 else QUIET)
    return np.asarray(canvas)


def _shorten(name: str, length: int = 24) -> str:
    return name if len(name) <= length else name[: length - 1] + "…"


def draw_samples(pictures: Sequence[NDArray[np.uint8]], *, cell: int = 64) -> NDArray[np.uint8]:
    """Return pictures that a model made in rows of ten, (H, W, 3) uint8; small ones enlarged by a whole factor."""
    largest = max(max(picture.shape[:2]) for picture in pictures)
    return contact_sheet(pictures, columns=min(10, len(pictures)), cell=max(cell // largest, 1) * largest)
