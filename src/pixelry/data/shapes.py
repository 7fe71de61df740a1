"""Rendered scenes of shapes with boxes, masks and captions: detection and segmentation without a download.

Every scene is a function of the seed and its number: each can be rendered alone. Edges are anti-aliased with signed
distances, in pixels, negative inside (Quilez, 2D distance functions, https://iquilezles.org/articles/distfunctions2d).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelry.data.dataset import Dataset, Split
from pixelry.errors import UsageError

Floats = NDArray[np.floating[Any]]  # float32
Ids = NDArray[np.uint8]

SIZES = {"train": 2_000, "val": 200, "test": 500}
MOST = 6  # objects in a scene
SMALLEST_SIDE = 32
DIAMETERS = (0.1, 0.6)  # of an object's surrounding circle, in parts of the shorter side
SMALLEST = 10.0  # pixels: below, shapes cannot be told apart
SMALL, LARGE = 0.2, 0.4  # where "small" ends and "large" begins
VISIBLE = 0.25  # of an object stays visible, at least
TWINS = 0.35  # of objects have class, colour and size of an earlier one, so that there is something to count
TRIES = 6  # for each object
CONTRAST = 80.0  # between an object's colour and the background's, as a distance in RGB of 0 to 255
COLORS = {
    "red": (210, 45, 45), "orange": (240, 140, 30), "yellow": (240, 215, 50), "green": (50, 160, 70),
    "turquoise": (50, 190, 190), "blue": (45, 85, 205), "purple": (125, 60, 170), "pink": (240, 140, 185),
    "brown": (125, 75, 40), "white": (240, 240, 240), "black": (28, 28, 28),
}  # fmt: skip
NUMBERS = ("", "a", "two", "three", "four", "five", "six")


def _circle(u: Floats, v: Floats) -> Floats:
    return np.sqrt(u * u + v * v) - 1


def _square(u: Floats, v: Floats) -> Floats:
    return np.maximum(np.abs(u), np.abs(v)) - math.sqrt(0.5)


def _triangle(u: Floats, v: Floats) -> Floats:
    return np.maximum(math.sqrt(0.75) * np.abs(u) + 0.5 * v, -v) - 0.5


def _star(u: Floats, v: Floats) -> Floats:
    """Five points: folded into half a point, whose edge is a line from the tip to the notch."""
    c, s, notch = math.cos(math.pi / 5), math.sin(math.pi / 5), 0.45
    u = np.abs(u)
    for sign in (1, -1):
        fold = 2 * np.maximum(sign * c * u - s * v, 0)
        u, v = u - fold * sign * c, v + fold * s
    across, along = notch * s, notch * c - 1
    return ((v - 1) * across - np.abs(u) * along) / math.hypot(across, along)


def _ring(u: Floats, v: Floats) -> Floats:
    return np.abs(np.sqrt(u * u + v * v) - 0.76) - 0.24


def _cross(u: Floats, v: Floats) -> Floats:
    u, v, arm = np.abs(u), np.abs(v), 0.3
    return np.maximum(np.maximum(u, v) - math.sqrt(1 - arm * arm), np.minimum(u, v) - arm)


# Signed distances in parts of the radius, at (u, v) in parts of the radius.
SHAPES: Mapping[str, Callable[[Floats, Floats], Floats]] = {
    "circle": _circle, "square": _square, "triangle": _triangle, "star": _star, "ring": _ring, "cross": _cross,
}  # fmt: skip
CLASSES = tuple(SHAPES)


@dataclass(frozen=True)
class _Object:
    """What an object is, and where: its colour by name, its diameter in parts of the shorter side, its window."""

    label: int
    color: str
    diameter: float
    window: tuple[slice, slice]
    whole: float  # area in pixels, seen or not


@dataclass(frozen=True)
class _Frame:
    """An object's own coordinates at the pixels of its window (h, w), and its signed distance, in pixels."""

    u: Floats
    v: Floats
    distance: Floats
    radius: float


@dataclass(frozen=True)
class _Scene:
    """Pixels (3, H, W) uint8, the number of the object that is seen at each pixel from 1 on (H, W), the objects."""

    pixels: NDArray[np.uint8]
    ids: Ids
    objects: tuple[_Object, ...]


class InstanceMasks:
    """The masks of every object, made on access from one map of object numbers: n times less memory.

    Args:
        ids: uint8 (N, H, W): 0 for background, k for object k - 1 of its picture.
        counts: Objects of each picture.
    """

    def __init__(self, ids: Tensor, counts: Sequence[int]) -> None:
        self.ids, self.counts = ids, tuple(counts)

    def __len__(self) -> int:
        return len(self.counts)

    def __getitem__(self, index: int) -> Tensor:
        """Return the visible pixels of each object of a picture, bool (n, H, W)."""
        return self.ids[index] == torch.arange(1, self.counts[index] + 1, dtype=torch.uint8)[:, None, None]


def shapes() -> Dataset:
    """Return scenes of one to six shapes, 128x128 in colour: 2,000 train, 200 val, 500 test."""
    splits, start = {}, 0
    for name, count in SIZES.items():
        splits[name] = render_shapes(count, start=start)
        start += count
    return Dataset("shapes", splits, CLASSES, "built-in", "shapes", mask_classes=("background", *CLASSES))


def render_shapes(count: int, *, size: tuple[int, int] = (128, 128), seed: int = 0, start: int = 0) -> Split:
    """Render scenes: circles, squares, triangles, stars, rings and crosses, one to six, some partly covered.

    Args:
        count: Scenes.
        size: (height, width) in pixels, each 32 or more.
        seed: Other seeds, other scenes.
        start: Number of the first scene. A scene depends on seed, number and size alone.

    Returns:
        Images uint8 (N, 3, H, W), and the targets "boxes" (tight around visible pixels), "labels", "crowd" (all
        False), "mask" uint8 (N, H, W) with 0 for background and k + 1 for class k, "masks" bool (n, H, W) for each
        picture, and "caption".

    Raises:
        UsageError: An argument is out of range.
    """
    if count < 1 or start < 0 or seed < 0 or min(size) < SMALLEST_SIDE:
        raise UsageError(
            f"got count {count}, size {size}, seed {seed}, start {start}; expected count of 1 or more, sides of "
            f"{SMALLEST_SIDE} pixels or more, seed and start of 0 or more"
        )
    images = np.empty((count, 3, *size), np.uint8)
    ids, mask = np.empty((count, *size), np.uint8), np.empty((count, *size), np.uint8)
    boxes, labels, counts, captions = [], [], [], []
    for i in range(count):
        scene = _render(seed, start + i, size)
        kinds = [thing.label for thing in scene.objects]
        images[i], ids[i] = scene.pixels, scene.ids
        mask[i] = np.array([0, *(kind + 1 for kind in kinds)], np.uint8)[scene.ids]
        boxes.append(torch.tensor([_box(scene.ids, k, thing) for k, thing in enumerate(scene.objects, 1)]))
        labels.append(torch.tensor(kinds))
        counts.append(len(kinds))
        captions.append(_caption(scene.objects))
    targets = {
        "boxes": boxes,
        "labels": labels,
        "crowd": [torch.zeros(n, dtype=torch.bool) for n in counts],
        "mask": torch.from_numpy(mask),
        "masks": InstanceMasks(torch.from_numpy(ids), counts),
        "caption": captions,
    }
    return Split(torch.from_numpy(images), targets)


def _render(seed: int, number: int, size: tuple[int, int]) -> _Scene:
    rng = np.random.default_rng([seed, number])
    image, grounds = _background(rng, size)
    ids, visible = np.zeros(size, np.uint8), np.zeros(MOST + 1, np.int64)
    objects: list[_Object] = []
    colors = [name for name, color in COLORS.items() if all(math.dist(color, g) >= CONTRAST for g in grounds)]
    wanted = int(rng.integers(1, MOST + 1))
    for _ in range(TRIES * wanted):
        thing, frame = _candidate(rng, size, objects, colors)
        seen, inside = ids[thing.window], frame.distance < 0
        covered = np.bincount(seen[inside], minlength=MOST + 1)
        if any(_spoilt(thing, other, int(visible[k]), int(covered[k])) for k, other in enumerate(objects, 1)):
            continue
        objects.append(thing)
        visible -= covered
        visible[len(objects)] = inside.sum()
        seen[inside] = len(objects)
        _paint(rng, image[:, *thing.window], thing.color, frame)
        if len(objects) == wanted:
            break
    image += rng.uniform(1, 9) * rng.standard_normal(image.shape, np.float32)
    return _Scene((image.clip(0, 255) + 0.5).astype(np.uint8), ids, tuple(objects))


def _spoilt(thing: _Object, other: _Object, visible: int, covered: int) -> bool:
    """Return whether an object would hide too much of an earlier one, or flow together with it."""
    return covered > 0 and (visible - covered < VISIBLE * other.whole or thing.color == other.color)


def _candidate(
    rng: np.random.Generator, size: tuple[int, int], objects: Sequence[_Object], colors: Sequence[str]
) -> tuple[_Object, _Frame]:
    """Draw an object and its place; at most half a radius of it lies beyond the picture's edge."""
    side = min(size)
    if objects and rng.random() < TWINS:
        twin = objects[int(rng.integers(len(objects)))]
        label, color, diameter = twin.label, twin.color, twin.diameter
    else:
        label, color = int(rng.integers(len(CLASSES))), colors[int(rng.integers(len(colors)))]
        least, most = (math.log(max(part, SMALLEST / side)) for part in DIAMETERS)
        diameter = math.exp(rng.uniform(least, most))
    radius, turn = diameter * side / 2, rng.uniform(0, 2 * math.pi)
    places, window = [], []
    for length in size:
        middle = rng.uniform(radius / 2, length - radius / 2)
        low, high = max(0, int(middle - radius)), min(length, int(middle + radius) + 1)
        window.append(slice(low, high))
        places.append(np.arange(low, high, dtype=np.float32) + (0.5 - middle))
    y, x = places[0][:, None], places[1]
    cos, sin = math.cos(turn), math.sin(turn)
    u, v = cos * x + sin * y, cos * y - sin * x
    distance = SHAPES[CLASSES[label]](u / radius, v / radius) * radius
    thing = _Object(label, color, diameter, (window[0], window[1]), _area(label) * radius**2)
    return thing, _Frame(u, v, distance, radius)


@cache
def _area(label: int) -> float:
    """Area of a shape of radius 1."""
    u, v = np.meshgrid(*[(np.arange(512, dtype=np.float32) + 0.5) / 256 - 1] * 2)
    return float((SHAPES[CLASSES[label]](u, v) < 0).mean()) * 4


def _paint(rng: np.random.Generator, image: Floats, color: str, frame: _Frame) -> None:
    """Draw an object over a window of the picture, (3, h, w) float32."""
    base = np.array(COLORS[color]) + rng.uniform(-12, 12, 3)
    bright = base.mean() / 255
    # The second colour is a shade of the first, so that the colour has one name.
    toward = 0.0 if bright > 0.7 or (bright > 0.3 and rng.random() < 0.5) else 255.0
    change = (toward - base) * rng.uniform(0.35, 0.65)
    colors = _tint(base) + _tint(change) * _filling(rng, frame)
    image += np.clip(0.5 - frame.distance, 0, 1) * (colors - image)


def _filling(rng: np.random.Generator, frame: _Frame) -> Floats:
    """Draw a plain, striped, dotted or graded filling: the part of the second colour in [0, 1]."""
    u, v, radius = frame.u, frame.v, frame.radius
    kind, scale, phase = rng.integers(4), rng.uniform(0.3, 0.6), rng.uniform(0, 2 * math.pi)
    if kind == 0:
        return np.zeros_like(u)
    if kind == 1:
        period = max(4.0, radius * scale)
        return np.clip(0.5 + (np.sin(u * (2 * math.pi / period) + phase) - 0.2) * (period / (2 * math.pi)), 0, 1)
    if kind == 2:
        period = max(5.0, radius * scale)
        across, along = u % period - period / 2, v % period - period / 2
        return np.clip(0.5 + 0.32 * period - np.sqrt(across * across + along * along), 0, 1)
    return np.clip(0.5 + u / (2 * radius), 0, 1)


def _background(rng: np.random.Generator, size: tuple[int, int]) -> tuple[Floats, list[list[float]]]:
    """Draw two muted colours in smooth noise, a gradient or stripes; return it (3, H, W), and the colours."""
    first = rng.uniform(40, 215, 3)
    first = 0.5 * first + 0.5 * first.mean()
    second = (first + rng.uniform(-60, 60, 3)).clip(15, 240)
    kind, turn, side = rng.integers(3), rng.uniform(0, 2 * math.pi), min(size)
    y, x = (np.arange(length, dtype=np.float32) / side for length in size)
    along = math.cos(turn) * x + math.sin(turn) * y[:, None]
    if kind == 0:
        part = _smooth(rng, size, int(rng.integers(3, 9)))
    elif kind == 1:
        low, high = along.min(), along.max()
        part = (along - low) / (high - low)
    else:
        part = np.clip(0.5 + rng.uniform(0.4, 3) * np.sin(along * rng.uniform(8, 60)), 0, 1)
    # Never quite smooth: fine grain lies over all of it.
    grain = (_smooth(rng, size, int(rng.integers(10, 40))) - 0.5) * rng.uniform(5, 50)
    return _tint(first) + _tint(second - first) * part + grain, [first.tolist(), second.tolist()]


def _tint(color: NDArray[np.float64]) -> Floats:
    return color.astype(np.float32)[:, None, None]


def _smooth(rng: np.random.Generator, size: tuple[int, int], cells: int) -> Floats:
    """Draw noise (H, W) in [0, 1] that changes over a cell, of which there are some along each side."""
    return _spread(size[0], cells) @ rng.random((cells + 1, cells + 1), np.float32) @ _spread(size[1], cells).T


@cache
def _spread(length: int, cells: int) -> Floats:
    """Return the matrix (length, cells + 1) that spreads values at cells' borders smoothly over pixels."""
    place = (np.arange(length) + 0.5) / length * cells
    cell = place.astype(np.int64)
    part = place - cell
    part = part * part * (3 - 2 * part)
    matrix = np.zeros((length, cells + 1), np.float32)
    rows = np.arange(length)
    matrix[rows, cell], matrix[rows, cell + 1] = 1 - part, part
    return matrix


def _box(ids: Ids, number: int, thing: _Object) -> list[float]:
    """Return the box around an object's visible pixels: left, top, right, bottom."""
    rows, columns = thing.window
    seen = ids[thing.window] == number
    down, right = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    left, top = columns.start, rows.start
    return [float(n) for n in (left + right[0], top + down[0], left + right[-1] + 1, top + down[-1] + 1)]


def _caption(objects: Sequence[_Object]) -> str:
    """Return such as "a large red circle and two small blue stars", the largest first."""
    counts: dict[tuple[str, ...], int] = {}
    for thing in sorted(objects, key=lambda thing: -thing.diameter):
        size = ("small",) if thing.diameter < SMALL else ("large",) if thing.diameter >= LARGE else ()
        key = (*size, thing.color, CLASSES[thing.label])
        counts[key] = counts.get(key, 0) + 1
    *parts, last = (_counted(" ".join(words), count) for words, count in counts.items())
    return f"{', '.join(parts)} and {last}" if parts else last


def _counted(what: str, count: int) -> str:
    if count == 1:
        return f"an {what}" if what[0] in "aeiou" else f"a {what}"
    return f"{NUMBERS[count]} {what}{'es' if what.endswith('s') else 's'}"
