"""What a check finds in boxes and masks of objects: impossible and repeated ones, classes and images without any."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from torchvision.ops import box_iou

from pixelry.data.dataset import FileImages, Split
from pixelry.data.findings import MAX_EXAMPLES, Example, Finding, Severity, counted, listed
from pixelry.data.outlines import Outlines
from pixelry.data.scan import Scan
from pixelry.errors import DataError
from pixelry.machine import available_cores
from pixelry.pixels.decode import FORMATS, headers_only

# Pixels beyond the edge that rounding explains.
SLACK = 1.0
# Sides in pixels below which nothing can be seen in a box.
TINY = 2.0
# Intersection over union above which two boxes of a class are one object that was marked twice.
SAME = 0.95
# Boxes of a class: with fewer, no model learns it, and its scores are chance.
FEW = 10
EDGES = ("left", "upper", "right", "lower")


@dataclass(frozen=True)
class _Boxes:
    """All boxes of a data set, M of them, image after image.

    Attributes:
        positions: (M,) of the image in the scan.
        numbers: (M,) index in the image.
        xyxy: (M, 4).
        labels: (M,) class ids as they are given.
        sizes: (M, 2) height and width of the image, 0 where it cannot be read.
        without: Positions of images without a box.
        broken: Images whose targets contradict each other, and how; their boxes are left out.
    """

    positions: NDArray[np.int64]
    numbers: NDArray[np.int64]
    xyxy: NDArray[np.float64]
    labels: NDArray[np.int64]
    sizes: NDArray[np.int32]
    without: list[int]
    broken: dict[int, str]


def box_findings(scan: Scan) -> Iterator[Finding]:
    """Yield what is wrong with the boxes of the splits that have them; nothing for other data."""
    splits = {name: split for name, split in scan.dataset.splits.items() if "boxes" in split.targets and len(split)}
    if not splits:
        return
    boxes = _gathered(scan, splits)
    if boxes.broken:
        examples = tuple(Example((scan.named(p),), note) for p, note in list(boxes.broken.items())[:MAX_EXAMPLES])
        message = f"{counted(len(boxes.broken), 'image')} with boxes and labels that do not go together: correct them"
        yield Finding("error", "box-shape", message, examples, len(boxes.broken))
    finite = np.all(np.isfinite(boxes.xyxy), axis=1)
    with np.errstate(invalid="ignore"):  # infinity less infinity, which `finite` sorts out
        sides = boxes.xyxy[:, 2:] - boxes.xyxy[:, :2]
    solid = finite & np.all(sides > 0, axis=1)
    yield from _some(scan, boxes, ~finite, "error", "box-nan", "with coordinates that are no numbers: correct them")
    message = "without width or height, or with corners in the wrong order: correct them, or remove"
    yield from _some(scan, boxes, finite & ~solid, "error", "box-empty", message)
    yield from _beyond(scan, boxes, np.flatnonzero(solid & (boxes.sizes[:, 0] > 0)))
    nameless = (boxes.labels < 0) | (boxes.labels >= len(scan.dataset.classes))
    names = counted(len(scan.dataset.classes), "class name")
    message = f"with a class id that has no name ({names}, counted from 0): correct the ids, or add names"
    yield from _some(scan, boxes, nameless, "error", "box-class", message)
    yield from _repeated(scan, boxes, solid)
    message = f"less than {TINY:.0f} pixels wide or high: nothing can be seen in them"
    yield from _some(scan, boxes, solid & np.any(sides < TINY, axis=1), "info", "box-tiny", message)
    yield from _unmarked(scan, boxes)
    yield from _rare(scan, boxes, splits)
    yield from _broken_masks(scan, splits)


def _gathered(scan: Scan, splits: Mapping[str, Split]) -> _Boxes:
    xyxy, labels, counts, positions = [np.empty((0, 4))], [np.empty(0, np.int64)], [], []
    broken: dict[int, str] = {}
    for name, split in splits.items():
        kinds = split.targets.get("labels")
        for position, index in zip(scan.range(name), range(len(split)), strict=True):
            given = np.asarray(split.targets["boxes"][index], dtype=np.float64)
            kind = np.full(len(given), -1) if kinds is None else np.asarray(kinds[index], dtype=np.int64)
            if given.shape != (len(given), 4) or kind.shape != (len(given),):
                broken[position] = f"boxes have shape {given.shape}, labels {kind.shape}; expected (n, 4) and (n,)"
                continue
            xyxy.append(given)
            labels.append(kind)
            counts.append(len(given))
            positions.append(position)
    at = np.repeat(np.array(positions, np.int64), counts)
    without = [position for position, count in zip(positions, counts, strict=True) if not count]
    numbers = np.concatenate([np.empty(0, np.int64), *map(np.arange, counts)])
    return _Boxes(at, numbers, np.concatenate(xyxy), np.concatenate(labels), scan.shapes[at, 1:], without, broken)


def _some(
    scan: Scan, boxes: _Boxes, which: NDArray[np.bool_], severity: Severity, kind: str, what: str
) -> Iterator[Finding]:
    """Yield a finding of some boxes, if there are any."""
    if found := np.flatnonzero(which).tolist():
        examples = tuple(_example(scan, boxes, i, _coordinates(boxes.xyxy[i])) for i in found[:MAX_EXAMPLES])
        yield Finding(severity, kind, f"{counted(len(found), 'box', 'boxes')} {what}", examples, len(found))


def _beyond(scan: Scan, boxes: _Boxes, which: NDArray[np.int64]) -> Iterator[Finding]:
    """Yield boxes that reach out of their image; apart from them images that EXIF turns, but not their boxes."""
    xyxy, positions, sizes = boxes.xyxy[which], boxes.positions[which], boxes.sizes[which]
    # Left, top, right, bottom; and the same if the image lay on its side.
    over, aside = (np.concatenate([-xyxy[:, :2], xyxy[:, 2:] - size], 1) for size in (sizes[:, ::-1], sizes))
    out, turned = over.max(1, initial=-np.inf) > SLACK, []
    for position in np.unique(positions[out]).tolist():
        here = slice(*np.searchsorted(positions, [position, position + 1]))
        if aside[here].max() <= SLACK and _is_turned(scan, position):
            turned.append(position)
            out[here] = False
    if turned:
        message = (
            f"{counted(len(turned), 'image')} turned by EXIF with boxes for the picture before it is turned: take the "
            "orientation out of the files (exiftool -Orientation= FILE), or turn the boxes; boxes of other images that "
            "EXIF turns are likely to be wrong too"
        )
        examples = tuple(_rotated(scan, position) for position in turned[:MAX_EXAMPLES])
        yield Finding("error", "box-rotated", message, examples, len(turned))
    worst = np.flatnonzero(out)[np.argsort(-over[out].max(1, initial=-np.inf), kind="stable")]
    if len(worst):
        far = f"up to {over[worst[0]].max():,.1f} pixels"
        message = (
            f"{counted(len(worst), 'box', 'boxes')} beyond the edge of the image by {far}: correct, or cut them off"
        )
        examples = tuple(_outside(scan, boxes, int(which[i]), over[i]) for i in worst[:MAX_EXAMPLES])
        yield Finding("error", "box-outside", message, examples, len(worst))


def _is_turned(scan: Scan, position: int) -> bool:
    """Return whether the file's pixels lie on their side, and EXIF turns them upright."""
    split, index = scan.place(position)
    images = scan.dataset.splits[split].images
    if not isinstance(images, FileImages):
        return False
    source = images.sources[index]
    file = source if isinstance(source, Path) else io.BytesIO(source)
    with headers_only(), PILImage.open(file, formats=FORMATS) as picture:
        upright = tuple(scan.shapes[position, 1:].tolist())
        # Pillow gives width and height as they are in the file.
        return bool(picture.size == upright)


def _rotated(scan: Scan, position: int) -> Example:
    height, width = scan.shapes[position, 1:].tolist()
    note = f"upright it is {width} wide and {height} high; the boxes fit {height} wide and {width} high"
    return Example((scan.named(position),), note)


def _outside(scan: Scan, boxes: _Boxes, i: int, over: NDArray[np.float64]) -> Example:
    far, (height, width) = float(over.max()), boxes.sizes[i]
    note = f"{far:,.1f} pixels beyond the {EDGES[int(over.argmax())]} edge: {_coordinates(boxes.xyxy[i])} in an image "
    return _example(scan, boxes, i, f"{note}{width} wide and {height} high", {"pixels": round(far, 2)})


def _repeated(scan: Scan, boxes: _Boxes, solid: NDArray[np.bool_]) -> Iterator[Finding]:
    """Yield boxes that mark an object which another box of the same class marks already."""
    starts = np.unique(boxes.positions, return_index=True)[1]
    found: list[tuple[int, int]] = []
    for start, stop in zip(starts, np.append(starts[1:], len(boxes.positions)), strict=True):
        here = start + np.flatnonzero(solid[start:stop])
        if len(here) < 2:
            continue
        xyxy, labels = torch.from_numpy(boxes.xyxy[here]), boxes.labels[here]
        same = (box_iou(xyxy, xyxy).numpy() > SAME) & (labels == labels[:, None])
        # The first of the earlier ones that a box repeats.
        earlier = np.tril(same, -1)
        found += [(int(here[earlier[k].argmax()]), int(here[k])) for k in np.flatnonzero(earlier.any(1))]
    if found:
        message = f"{counted(len(found), 'box', 'boxes')} of an object that is marked already: remove one of each two"
        examples = tuple(
            _example(scan, boxes, second, f"the same as box {boxes.numbers[first]}")
            for first, second in found[:MAX_EXAMPLES]
        )
        yield Finding("warning", "box-duplicate", message, examples, len(found))


def _unmarked(scan: Scan, boxes: _Boxes) -> Iterator[Finding]:
    """Yield images without a box, by split."""
    for name in scan.starts:
        images = [position for position in boxes.without if position in scan.range(name)]
        if not images:
            continue
        total = len(scan.range(name))
        most = 2 * len(images) > total
        message = f"{len(images):,} of {counted(total, 'image')} in split '{name}' without a box: " + (
            "see that no annotations are lost" if most else "right if there is nothing to find in them"
        )
        examples = tuple(Example((scan.named(position),)) for position in images[:MAX_EXAMPLES])
        yield Finding("warning" if most else "info", "no-boxes", message, examples, len(images))


def _rare(scan: Scan, boxes: _Boxes, splits: Iterable[str]) -> Iterator[Finding]:
    """Yield classes with no box at all, with none in a split that needs them, and with few."""
    classes, counts = scan.dataset.classes, dict[str, NDArray[np.int64]]()
    known = (boxes.labels >= 0) & (boxes.labels < len(classes))
    for name in splits:
        here, stop = scan.range(name), scan.range(name).stop
        inside = known & (boxes.positions >= here.start) & (boxes.positions < stop)
        counts[name] = np.bincount(boxes.labels[inside], minlength=len(classes))
    none = np.zeros(len(classes), np.int64)
    held = sum((count for name, count in counts.items() if name != "train"), none)
    anywhere = held + counts.get("train", none) > 0
    if not anywhere.all():
        what, names = _named(classes, ~anywhere)
        message = f"{what} without a single box ({names}): add images, or take the name off the list"
        yield Finding("warning", "class-empty", message, total=int((~anywhere).sum()))
    only = none > 0
    if "train" in counts and len(counts) > 1:
        only = anywhere & (held == 0)
        for name in counts:
            if (unlearnt := (counts[name] > 0) & (counts["train"] == 0)).any():
                what, names = _named(classes, unlearnt)
                message = (
                    f"{what} with boxes in split '{name}' but not in train ({names}): no model can learn them there"
                )
                severity: Severity = "error" if name == "test" else "warning"
                yield Finding(severity, "class-split", message, total=int(unlearnt.sum()))
        if only.any():
            what, names = _named(classes, only)
            message = f"{what} with boxes in train only ({names}): nothing will say how well they are found"
            yield Finding("warning", "class-split", message, total=int(only.sum()))
    for name, count in counts.items():
        few = (count < FEW) & anywhere & ((count > 0) if name == "train" else ~only)
        if few.any():
            what, names = _named(classes, few, count)
            hint = "too few to learn, add images" if name == "train" else "their scores are a matter of chance"
            message = f"{what} with fewer than {FEW} boxes in split '{name}' ({names}): {hint}"
            yield Finding("warning" if name == "train" else "info", "class-few", message, total=int(few.sum()))


def _broken_masks(scan: Scan, splits: Mapping[str, Split]) -> Iterator[Finding]:
    """Yield the masks of objects that cannot be drawn, or do not fit; outlines are looked at, and not drawn."""
    found: list[tuple[int, str]] = []
    for name, split in splits.items():
        if "masks" not in split.targets:
            continue
        positions = scan.range(name)
        sizes = scan.shapes[positions.start : positions.stop, 1:].tolist()
        with ThreadPoolExecutor(available_cores()) as pool:
            faults = pool.map(partial(_mask_faults, split), range(len(split)), sizes)
            found += [(at, fault) for at, cases in zip(positions, faults, strict=True) for fault in cases]
    if found:
        message = (
            f"{counted(len(found), 'mask')} of objects that cannot be drawn, or do not fit: correct them, or take them "
            "out; outlines of no good form are left out, all else stops a training"
        )
        examples = tuple(Example((scan.named(position),), note) for position, note in found[:MAX_EXAMPLES])
        yield Finding("error", "mask-broken", message, examples, len(found))


def _mask_faults(split: Split, index: int, size: Sequence[int]) -> list[str]:
    """Return what is wrong with the masks of an image of (height, width); one without a size is reported as such."""
    masks = split.targets["masks"]
    if not min(size):
        return []
    if isinstance(masks, Outlines):
        return masks.faults(index)
    try:
        shape = tuple(masks[index].shape)
    except DataError as error:
        return [str(error)]
    wanted = (len(split.targets["boxes"][index]), *size)
    return [] if shape == wanted else [f"masks of shape {shape}; expected {wanted}: boxes, height and width"]


def _named(
    classes: Sequence[str], which: NDArray[np.bool_], counts: NDArray[np.int64] | None = None
) -> tuple[str, str]:
    """Return how many classes these are, and their names, with counts the rarest first."""
    found: list[int] = np.flatnonzero(which).tolist()
    what = counted(len(found), "class", "classes")
    if counts is None:
        return what, listed([classes[k] for k in found])
    found.sort(key=lambda k: int(counts[k]))
    more = f" and {len(found) - 5:,} more" if len(found) > 5 else ""
    return what, ", ".join(f"'{classes[k]}' {counts[k]}" for k in found[:5]) + more


def _example(scan: Scan, boxes: _Boxes, i: int, note: str, values: Mapping[str, Any] | None = None) -> Example:
    label, number = int(boxes.labels[i]), int(boxes.numbers[i])
    classes = scan.dataset.classes
    name = f"'{classes[label]}'" if 0 <= label < len(classes) else f"class {label}"
    facts = {
        "box": number,
        "xyxy": [round(v, 2) if isfinite(v) else None for v in boxes.xyxy[i].tolist()],
        "label": label,
        **(values or {}),
    }
    return Example((scan.named(int(boxes.positions[i])),), f"box {number}, {name}: {note}", facts)


def _coordinates(xyxy: NDArray[np.float64]) -> str:
    return "left {:g}, top {:g}, right {:g}, bottom {:g}".format(*xyxy.round(1))
