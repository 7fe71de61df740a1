"""What a check finds in masks: values without a class, other sizes, interpolation, classes that are missing or rare."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelry.data.dataset import Split
from pixelry.data.findings import MAX_EXAMPLES, Example, Finding, Severity, counted, listed
from pixelry.data.masks import IGNORE, LOSSY, FileMasks, as_image, read_raw
from pixelry.data.scan import Scan
from pixelry.errors import DataError
from pixelry.machine import available_cores

# Of the changes from one value to another along the rows, those that go through a value between: with more, the mask
# was interpolated. Masks that were drawn change at once, but for things of one pixel.
BLENDED_SHARE = 0.3
FEWEST_CHANGES = 20
# Of the pixels of train: a class below is rarely learnt.
RARE = 0.001
# Classes whose shares are said one by one.
MOST_NAMED = 40


@dataclass(frozen=True)
class _Look:
    """What one mask is like: counts (256,) of its ids, what is wrong with it, and whether it looks interpolated."""

    position: int
    counts: NDArray[np.int64]
    kind: str = ""
    note: str = ""
    blended: bool = False


KINDS: Mapping[str, str] = {
    "mask-unreadable": "cannot be read: restore, or leave out image and mask",
    "mask-value": "with values that are no class: correct them, or name the classes",
    "mask-size": "of another size than the image: make them anew in its size, without interpolation",
}


def mask_findings(scan: Scan) -> Iterator[Finding]:
    """Yield what is wrong with the masks of the splits that have them; nothing for other data."""
    if not scan.dataset.mask_classes:
        return
    splits = {name: split for name, split in scan.dataset.splits.items() if "mask" in split.targets and len(split)}
    looks = {name: _looks(scan, name, split) for name, split in splits.items()}
    every = [look for found in looks.values() for look in found]
    for kind, what in KINDS.items():
        yield from _some(scan, [look for look in every if look.kind == kind], "error", kind, what)
    message = "that look interpolated, with values between those of their neighbours: resize masks with nearest, as PNG"
    yield from _some(scan, [look for look in every if look.blended], "warning", "mask-interpolated", message)
    empty = [look for look in every if not look.kind and not look.counts[:IGNORE].any()]
    yield from _some(scan, empty, "warning", "mask-ignored", "without a single pixel of a class: nothing to learn from")
    yield from _classes(scan, {name: sum((look.counts for look in found), _none()) for name, found in looks.items()})


def _none() -> NDArray[np.int64]:
    return np.zeros(IGNORE + 1, np.int64)


def _looks(scan: Scan, name: str, split: Split) -> list[_Look]:
    classes = len(scan.dataset.mask_classes)

    def look(index: int) -> _Look:
        position = scan.starts[name] + index
        masks, (height, width) = split.targets["mask"], scan.shapes[position, 1:].tolist()
        size = (height, width) if height else None
        if isinstance(masks, FileMasks):
            return _at_file(masks, index, position, known=size is not None)
        return _at_array(np.asarray(masks[index]), position, classes, size)

    with ThreadPoolExecutor(available_cores()) as pool:
        return list(pool.map(look, range(len(split))))


def _at_file(masks: FileMasks, index: int, position: int, *, known: bool) -> _Look:
    """Look at a mask in a file; its size is compared with its image's if that is known."""
    file, kind, blended = masks.files[index], "mask-unreadable", False
    try:
        raw = read_raw(file)
        blended = raw.format in LOSSY or (not raw.colored and _is_blended(raw.values))
        kind = "mask-value"
        ids = masks.table.ids(raw, str(file))
        kind = "mask-size"
        if masks.images and known:
            as_image(ids, masks.images[index], str(file))
    except DataError as error:
        return _Look(position, _none(), kind, str(error), blended)
    return _Look(position, np.bincount(ids.ravel(), minlength=IGNORE + 1), blended=blended)


def _at_array(mask: NDArray[Any], position: int, classes: int, size: tuple[int, int] | None) -> _Look:
    if size is not None and mask.shape != size:
        note = f"a mask of {mask.shape} (height, width) on an image of {size}"
        return _Look(position, _none(), "mask-size", note)
    if mask.dtype.kind not in "biu":
        return _Look(position, _none(), "mask-value", f"values of {mask.dtype}; expected whole numbers")
    mask = mask.astype(np.int64)
    beyond = mask[((mask < 0) | (mask >= classes)) & (mask != IGNORE)]
    blended = _is_blended(mask.clip(-1, IGNORE + 1).astype(np.int32))
    if len(beyond):
        values = ", ".join(map(str, np.unique(beyond)[:5].tolist()))
        note = f"{len(beyond):,} pixels of {values}; there are {counted(classes, 'class', 'classes')}"
        return _Look(position, _none(), "mask-value", note, blended)
    return _Look(position, np.bincount(mask.ravel(), minlength=IGNORE + 1), blended=blended)


def _is_blended(values: NDArray[np.int32]) -> bool:
    """Return whether many changes along the rows of a mask (H, W) go through a value between."""
    left, middle, right = values[:, :-2], values[:, 1:-1], values[:, 2:]
    changes = np.abs(left - right) > 1
    total = int(changes.sum())
    between = changes & ((left < middle) & (middle < right) | (left > middle) & (middle > right))
    # A change at once is seen twice, at its left pixel and at its right one; one through a value between up to thrice.
    return total >= FEWEST_CHANGES and int(between.sum()) > BLENDED_SHARE * total


def _some(scan: Scan, looks: list[_Look], severity: Severity, kind: str, what: str) -> Iterator[Finding]:
    if looks:
        examples = tuple(
            Example((scan.named(look.position),), look.note if look.kind == kind else "")
            for look in looks[:MAX_EXAMPLES]
        )
        yield Finding(severity, kind, f"{counted(len(looks), 'mask')} {what}", examples, len(looks))


def _classes(scan: Scan, counts: Mapping[str, NDArray[np.int64]]) -> Iterator[Finding]:
    """Yield classes without a pixel anywhere, those that train lacks, and those that are rare in it."""
    names = scan.dataset.mask_classes
    found = {name: count[: len(names)] for name, count in counts.items()}
    total = sum(found.values(), np.zeros(len(names), np.int64))
    if not total.any():
        return
    for split, count in counts.items():
        yield from _shares(split, names, count)
    if nowhere := [name for name, count in zip(names, total, strict=True) if not count]:
        classes = counted(len(nowhere), "class", "classes")
        message = f"{classes} without a single pixel ({listed(nowhere)}): add images, or take the name off the list"
        yield Finding("warning", "mask-class-empty", message, total=len(nowhere))
    train = found.get("train")
    if train is None or not train.any():
        return
    for split, count in found.items():
        if unlearnt := [name for k, name in enumerate(names) if count[k] and not train[k]]:
            classes = counted(len(unlearnt), "class", "classes")
            message = (
                f"{classes} with pixels in split '{split}' but not in train ({listed(unlearnt)}): no model learns them"
            )
            severity: Severity = "error" if split == "test" else "warning"
            yield Finding(severity, "mask-class-split", message, total=len(unlearnt))
    share = train / train.sum()
    if rare := [f"{names[k]} {share[k]:.2%}" for k in np.argsort(share, kind="stable") if 0 < share[k] < RARE]:
        classes = counted(len(rare), "class", "classes")
        message = f"{classes} with less than {RARE:.1%} of train's pixels ({listed(rare)}): weigh classes by frequency"
        yield Finding("info", "mask-class-rare", message, total=len(rare))


def _shares(split: str, names: Sequence[str], counts: NDArray[np.int64]) -> Iterator[Finding]:
    """Yield the part of a split's pixels that each class has, the largest first; nothing is wrong with it."""
    found = counts[: len(names)]
    if not (total := int(found.sum())):
        return
    order = np.argsort(-found, kind="stable").tolist()
    parts = ", ".join(f"'{names[k]}' {_percent(found[k] / total)}" for k in order[:MOST_NAMED])
    more = order[MOST_NAMED:]
    rest = f" and {len(more):,} more, {_percent(found[more].sum() / total)} together" if more else ""
    ignored = f"; {_percent(counts[IGNORE] / counts.sum())} of all pixels are ignored" if counts[IGNORE] else ""
    yield Finding("info", "mask-class-shares", f"pixels of split '{split}' by class: {parts}{rest}{ignored}")


def _percent(share: float) -> str:
    return f"{share:.1%}" if share >= RARE or not share else f"less than {RARE:.1%}"
