"""A data set at a glance, as a card in a notebook: what it holds, and some of its images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray

from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.pairs import is_paired
from pixelry.data.sheet import draw_sample
from pixelry.display import card_html
from pixelry.errors import PixelryError
from pixelry.pixels import contact_sheet, read_header

# Images that are read and shown, and the width of each in pixels; those with boxes or masks need room.
COUNT, CELL, COLUMNS = 16, 88, 8
LARGE_COUNT, LARGE_CELL, LARGE_COLUMNS = 8, 176, 4
MAX_CLASSES, MAX_NOTES = 20, 4


def dataset_card(dataset: Dataset) -> str:
    """Return a data set as a card for a notebook; no more images are read than are shown."""
    split = "train" if "train" in dataset.splits else next(iter(dataset.splits), None)
    picture, sizes, notes = preview(dataset, split) if split is not None else (None, "", [])
    facts = {
        "images": ", ".join(f"{len(part):,} {name}" for name, part in dataset.splits.items()) or "none",
        "targets": contents(dataset),
        **_classes(dataset, split),
        "mask classes": _listed(dataset.mask_classes) if dataset.mask_classes != dataset.classes else "",
        "size": sizes,
        "format": dataset.format,
        "source": dataset.source if dataset.source != dataset.name else "",
    }
    left = len(dataset.notes) - MAX_NOTES
    notes = [*notes, *dataset.notes[:MAX_NOTES], *([f"{left} more notes in .notes"] if left > 0 else [])]
    return card_html(dataset.name, facts=facts, picture=picture, notes=notes)


def contents(dataset: Dataset) -> str:
    """Return what the images of a data set come with, such as "labels" or "boxes"."""
    for split in dataset.splits.values():
        if is_paired(split):
            return "pairs of a degraded and a clean image"
        names = {"label": "labels", "boxes": "boxes", "masks": "masks of objects", "mask": "masks of classes"}
        return ", ".join(text for name, text in names.items() if name in split.targets) or "no labels"
    return ""


def class_counts(split: Split, classes: Sequence[str]) -> dict[str, int]:
    """Return how many images, or boxes, there are of each class; {} where images have neither."""
    if "boxes" in split.targets:
        labels = np.concatenate([np.zeros(0, int), *(np.asarray(one) for one in split.targets["labels"])])
    elif "label" in split.targets:
        labels = split.labels.numpy()
    else:
        return {}
    counts = np.bincount(labels.astype(int), minlength=len(classes))
    return {name: int(count) for name, count in zip(classes, counts, strict=False)}


def preview(dataset: Dataset, split: str, *, seed: int = 0) -> tuple[NDArray[np.uint8] | None, str, list[str]]:
    """Draw a few images of a split, of all classes in turn.

    Returns:
        One page (H, W, 3) uint8, None where no image can be shown; the sizes of what is shown; and a note on images
        that cannot be read.
    """
    part = dataset[split]
    large = bool({"boxes", "mask", "masks"} & set(part.targets)) or is_paired(part)
    count, cell, columns = (LARGE_COUNT, LARGE_CELL, LARGE_COLUMNS) if large else (COUNT, CELL, COLUMNS)
    images, labels, shapes, failed = [], [], [], []
    for index in _chosen(part, count, seed):
        try:
            image = draw_sample(dataset, part, index)
            shapes.append(_shape(part, index))
        except PixelryError as error:
            failed.append(str(error))
            continue
        images.append(image)
        labels.append(_caption(dataset, part, index))
    notes = [f"not shown: {message}" for message in failed[:1]]
    if not images:
        return None, "", notes
    page = contact_sheet(images, labels=labels if any(labels) else None, columns=min(columns, len(images)), cell=cell)
    return page, _sizes(shapes, len(images) == len(part)), notes


def _chosen(part: Split, count: int, seed: int) -> list[int]:
    """Return indices of images: of each class in turn where they have labels, else by lot."""
    generator = np.random.default_rng(seed)
    if "label" not in part.targets:
        chosen: list[int] = generator.permutation(len(part))[:count].tolist()
        return chosen
    labels = part.labels.numpy()
    rows = [generator.permutation(np.flatnonzero(labels == k))[:count].tolist() for k in np.unique(labels)[:count]]
    turns = [index for index in chain.from_iterable(zip_longest(*rows)) if index is not None]
    return turns[:count]


def _shape(part: Split, index: int) -> tuple[int, int, int]:
    """Return channels, height and width of an image; of a file they stand in its header."""
    if isinstance(part.images, FileImages):
        header = read_header(part.images.sources[index])
        return part.images.channels or header.channels, header.height, header.width
    channels, height, width = part.images[index].shape
    return channels, height, width


def _caption(dataset: Dataset, part: Split, index: int) -> str:
    if "boxes" in part.targets and dataset.classes:
        found = Counter(dataset.classes[int(k)] for k in np.asarray(part.targets["labels"][index]))
        return ", ".join(f"{count} {name}" for name, count in found.most_common()) or "no boxes"
    return dataset.classes[int(part.labels[index])] if "label" in part.targets else ""


def _sizes(shapes: Sequence[tuple[int, ...]], is_all: bool) -> str:
    """Return width x height of images (C, H, W), and whether they are grey."""
    colors = {"grey" if shape[0] == 1 else "color" for shape in shapes}
    ordered = sorted({(shape[2], shape[1]) for shape in shapes}, key=lambda size: size[0] * size[1])
    texts = [f"{width}x{height}" for width, height in (ordered[0], ordered[-1])]
    span = texts[0] if len(ordered) == 1 else f"{texts[0]} to {texts[1]}"
    return f"{span} pixels, {' and '.join(sorted(colors))}{'' if is_all else ' (of those shown)'}"


def _classes(dataset: Dataset, split: str | None) -> dict[str, str]:
    """Return the line of a card that names classes, with the number of images or boxes of each."""
    if not dataset.classes:
        return {}
    counts = class_counts(dataset[split], dataset.classes) if split is not None else {}
    texts = [f"{name} ({counts[name]:,})" if name in counts else name for name in dataset.classes]
    unit = f" ({'boxes' if split and 'boxes' in dataset[split].targets else 'images'} in {split})" if counts else ""
    return {f"classes{unit}": f"{len(texts)}: {_listed(texts)}"}


def _listed(names: Sequence[str]) -> str:
    more = len(names) - MAX_CLASSES
    return ", ".join(names[:MAX_CLASSES]) + (f", and {more:,} more" if more > 0 else "")
