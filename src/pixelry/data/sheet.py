"""A look at a data set: some pictures of each class, as one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as PILImage
from PIL import ImageDraw, ImageFont
from torch import Tensor

from pixelry.data.dataset import Dataset, Split
from pixelry.data.pairs import apart, is_paired, joined
from pixelry.draw import INK, class_colors, draw_boxes, draw_mask, draw_objects
from pixelry.errors import DataError, UsageError
from pixelry.pixels import contact_sheet

Picture = NDArray[np.uint8]

MOST_CLASSES = 20
SMALLEST_CELL, LARGEST_CELL = 64, 112
# Room for boxes and their names.
BOXES_CELL = 192
LARGEST_MARGIN = 160
FONT_SIZE = 14


def dataset_sheet(dataset: Dataset, *, split: str = "train", per_class: int = 8, seed: int = 0) -> Picture:
    """Draw pictures of a split: a row for each class, with its name and number of images before it.

    Of more than 20 classes, 20 are drawn by lot. A class without images has an empty row. Of data without labels
    `per_class` rows of any pictures are drawn. Of detection data a row has pictures that contain the class, larger,
    with their boxes; those of the class carry its name. Masks lie over the pictures in the colours of their classes,
    which stand below them; without such masks those of objects, each in a colour of its own. Where the masks of a
    picture's objects cannot be drawn, its boxes stand alone, and `check_dataset` says why. A noisy picture has the
    clean one beside it.

    Args:
        dataset: The data.
        split: Which of its splits.
        per_class: Pictures of each class.
        seed: Of the choice of classes and pictures.

    Returns:
        (H, W, 3) uint8; small pictures are enlarged so that their pixels can be seen.

    Raises:
        UsageError: There is no such split, it has no images, or `per_class` is less than 1.
        ImageError: A picture that was chosen cannot be read.
        DataError: Its mask cannot be read, or does not fit it.
    """
    part = dataset[split]
    if per_class < 1:
        raise UsageError(f"per_class is {per_class}; expected 1 or more")
    if not len(part):
        raise UsageError(f"split '{split}' of {dataset.name} has no images to show")
    generator = np.random.default_rng(seed)
    rows = []
    if (of_class := _members(dataset, part)) is not None:
        for k in np.sort(generator.permutation(len(dataset.classes))[:MOST_CLASSES]).tolist():
            count, members = of_class[k]
            chosen = generator.permutation(members)[:per_class]
            rows.append((f"{dataset.classes[k]}\n{count}", [draw_sample(dataset, part, int(i), k) for i in chosen]))
    else:
        drawn = [draw_sample(dataset, part, int(i)) for i in generator.permutation(len(part))[: per_class**2]]
        rows += [("", drawn[start : start + per_class]) for start in range(0, len(drawn), per_class)]
    masked = "mask" in part.targets and dataset.mask_classes
    large = masked or "boxes" in part.targets or is_paired(part)
    sheet = _rows(rows, per_class, BOXES_CELL if large else LARGEST_CELL)
    return stacked([("", sheet), ("", _legend(dataset.mask_classes, sheet.shape[1]))]) if masked else sheet


def _legend(classes: Sequence[str], width: int) -> Picture:
    """Draw the colours of classes with their names, (h, width, 3)."""
    font, places, x, y = ImageFont.load_default(FONT_SIZE), [], 8, 4
    for name in classes:
        text = _shortened(name, max(width - 40, 1), font)
        wide = int(font.getlength(text)) + 40
        if x > 8 and x + wide > width:
            x, y = 8, y + FONT_SIZE + 10
        places.append((x, y, text))
        x += wide
    page = PILImage.new("RGB", (width, y + FONT_SIZE + 12), "white")
    pen = ImageDraw.Draw(page)
    for (x, y, text), color in zip(places, class_colors(len(classes)).tolist(), strict=True):
        pen.rectangle((x, y + 2, x + FONT_SIZE, y + FONT_SIZE + 2), fill=tuple(color), outline=INK)
        pen.text((x + FONT_SIZE + 6, y), text, fill=INK, font=font)
    return np.array(page)


def _members(dataset: Dataset, part: Split) -> list[tuple[str, NDArray[np.int64]]] | None:
    """Return for each class a count to write beside it, and the images with it; None for data without classes."""
    if "boxes" in part.targets and dataset.classes:
        of_image = [np.asarray(labels) for labels in part.targets["labels"]]
        at = np.repeat(np.arange(len(of_image)), [len(labels) for labels in of_image])
        labels = np.concatenate(of_image)
        boxes = [at[labels == k] for k in range(len(dataset.classes))]
        return [(f"{len(found):,} {'box' if len(found) == 1 else 'boxes'}", np.unique(found)) for found in boxes]
    if "label" in part.targets:
        members = [np.flatnonzero(part.labels.numpy() == k) for k in range(len(dataset.classes))]
        return [(f"{len(found):,}", found) for found in members]
    return None


def draw_sample(dataset: Dataset, part: Split, index: int, label: int | None = None) -> Picture:
    """Return an image with its targets; with boxes as large as its cell, those of one class with the name."""
    if is_paired(part):
        return np.concatenate([as_picture(one) for one in apart(joined(part, 3).images[index])], axis=1)
    picture = as_picture(part.images[index])
    if "mask" in part.targets and dataset.mask_classes:
        ids = np.asarray(part.targets["mask"][index])
        if ids.shape != picture.shape[:2]:
            raise DataError(f"the mask of {part.name(index)} has shape {ids.shape}, the image {picture.shape[:2]}")
        picture = draw_mask(picture, ids, dataset.mask_classes)
    elif "masks" in part.targets:
        picture = _with_objects(picture, part.targets["masks"], index)
    if "boxes" not in part.targets:
        return picture
    page = PILImage.fromarray(picture)
    scale = BOXES_CELL / max(page.size)
    size = (max(1, round(page.width * scale)), max(1, round(page.height * scale)))
    # Tiny pictures keep their pixels visible.
    large = np.asarray(page.resize(size, PILImage.Resampling.NEAREST if scale > 3 else PILImage.Resampling.LANCZOS))
    xyxy = np.asarray(part.targets["boxes"][index], dtype=np.float64) * (np.array(size * 2) / np.array(page.size * 2))
    labels = np.asarray(part.targets["labels"][index])
    # A sheet is for looking at faulty data too.
    drawable = np.isfinite(xyxy).all(1)
    xyxy, labels = xyxy[drawable].clip(-BOXES_CELL, 2 * BOXES_CELL), labels[drawable]
    if label is None:
        return draw_boxes(large, xyxy, labels)
    named = labels == label
    large = draw_boxes(large, xyxy[~named], labels[~named])
    return draw_boxes(large, xyxy[named], labels[named], [dataset.classes[label]] * int(named.sum()))


def _with_objects(picture: Picture, masks: Any, index: int) -> Picture:
    """Return a picture under the masks of its objects, or as it is where they cannot be drawn or do not fit."""
    # A sheet is for looking at faulty data too.
    try:
        objects = np.asarray(masks[index])
    except DataError:
        return picture
    return draw_objects(picture, objects) if objects.shape[1:] == picture.shape[:2] else picture


def as_picture(pixels: Tensor) -> Picture:
    """Return uint8 (C, H, W) as (H, W) for one channel, else (H, W, C)."""
    picture: Picture = pixels.permute(1, 2, 0).numpy()
    return picture[..., 0] if picture.shape[2] == 1 else picture


def _rows(rows: Sequence[tuple[str, list[Picture]]], columns: int, most: int) -> Picture:
    largest = max((max(image.shape[:2]) for _, images in rows for image in images), default=1)
    # A whole multiple of a small image's side fills the cell without a rest.
    cell = min(most, largest * -(-SMALLEST_CELL // largest))
    nothing = [np.full((1, 1), 255, dtype=np.uint8)]
    blocks = [(text, contact_sheet(images or nothing, columns=columns, cell=cell)) for text, images in rows]
    font = ImageFont.load_default(FONT_SIZE)
    widest = max(font.getlength(line) for text, _ in rows for line in text.split("\n"))
    return stacked(blocks, margin=min(LARGEST_MARGIN, int(widest) + 24) if widest else 0)


def stacked(blocks: Sequence[tuple[str, Picture]], *, margin: int = 0, head: int = 0) -> Picture:
    """Set pictures one below the other, each with a text.

    Args:
        blocks: Texts, and pictures (h, w, 3) uint8.
        margin: Pixels on the left; the texts go there, unless there is a head.
        head: Pixels above each picture for its text.

    Returns:
        (H, W, 3) uint8 on white.
    """
    width = margin + max(picture.shape[1] for _, picture in blocks)
    page = PILImage.new("RGB", (width, sum(head + picture.shape[0] for _, picture in blocks)), "white")
    pen, font, top = ImageDraw.Draw(page), ImageFont.load_default(FONT_SIZE), 0
    for text, picture in blocks:
        page.paste(PILImage.fromarray(picture), (margin, top + head))
        if text:
            lines = "\n".join(_shortened(line, (width if head else margin) - 16, font) for line in text.split("\n"))
            pen.text((8, top + (head or picture.shape[0]) / 2), lines, fill=INK, font=font, anchor="lm")
        top += head + picture.shape[0]
    return np.array(page)


def _shortened(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "…") > width:
        text = text[:-1]
    return text + "…"
