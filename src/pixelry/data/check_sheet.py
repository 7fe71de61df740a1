"""The picture that goes with a check: labels to look at, and duplicates side by side."""

from __future__ import annotations

from collections.abc import Sequence

from pixelry.data.check_classes import MOST_LABELS
from pixelry.data.duplicates import Positions
from pixelry.data.label_noise import Judgement
from pixelry.data.scan import Scan
from pixelry.data.sheet import FONT_SIZE, Picture, as_picture, stacked
from pixelry.pixels import contact_sheet

# Pairs stay side by side in an even number of columns.
COLUMNS = 8
CELL = 128
MOST_PAIRS = 16
LETTERS = 14

Part = tuple[str, list[int], list[str]]


def check_sheet(
    scan: Scan, judged: Judgement | None, copies: Sequence[Positions], near: Sequence[Positions]
) -> Picture | None:
    """Draw the suspicious labels, the least probable first, and pairs of duplicates, those across splits first.

    Args:
        scan: Of the data set; the pictures that are drawn are read again.
        judged: The labels' judgement, if there is one.
        copies: Groups of the same pixels.
        near: Groups of nearly the same.

    Returns:
        (H, W, 3) uint8, or None if there is nothing to draw.

    Raises:
        ImageError: A picture that could be read a moment ago cannot be read any more.
    """
    parts = [_labels(scan, judged)] if judged is not None and len(judged.suspicious) else []
    parts += [
        _pairs(scan, title, groups) for title, groups in (("exact copies", copies), ("nearly the same", near)) if groups
    ]
    blocks = []
    for title, positions, texts in parts:
        images = [as_picture(scan.image(position)) for position in positions]
        largest = max(max(image.shape[:2]) for image in images)
        # A whole multiple of a small image's side fills the cell without a rest.
        cell = max(CELL * 3 // 4, CELL // largest * largest) if largest < CELL else CELL
        blocks.append((title, contact_sheet(images, labels=texts, columns=COLUMNS, cell=cell)))
    return stacked(blocks, head=2 * FONT_SIZE) if blocks else None


def _labels(scan: Scan, judged: Judgement) -> Part:
    worst = judged.suspicious[:MOST_LABELS].tolist()
    classes, texts = scan.dataset.classes, []
    positions = judged.positions[worst].tolist()
    for index, position in zip(worst, positions, strict=True):
        given, predicted = classes[int(judged.given[index])], classes[int(judged.predicted[index])]
        texts.append(f"labelled {given}\nlike {predicted}, {judged.confidence[index]:.0%}\n{_place(scan, position)}")
    return f"improbable labels: {len(worst)} of {len(judged.suspicious):,}", positions, texts


def _pairs(scan: Scan, title: str, groups: Sequence[Positions]) -> Part:
    pairs = sorted((_pair(scan, group) for group in groups), key=lambda pair: pair[0])
    shown = [position for _, *pair in pairs[:MOST_PAIRS] for position in pair]
    texts = [_place(scan, position) + _label(scan, position) for position in shown]
    return f"{title}, side by side: {len(pairs[:MOST_PAIRS])} of {len(pairs):,}", shown, texts


def _pair(scan: Scan, group: Positions) -> tuple[bool, int, int]:
    """Return whether a group lies within one split, and two of its images, of different splits if there are."""
    first, *others = (int(position) for position in group)
    split = scan.place(first)[0]
    across = [other for other in others if scan.place(other)[0] != split]
    return not across, first, (across or others)[0]


def _place(scan: Scan, position: int) -> str:
    split, name = scan.named(position)
    # The end of a name tells images apart.
    end = name.replace("\\", "/").rsplit("/")[-1]
    return f"{split} {end if len(end) <= LETTERS else '…' + end[-LETTERS:].lstrip()}"


def _label(scan: Scan, position: int) -> str:
    label = int(scan.labels[position])
    return f"\n{scan.dataset.classes[label]}" if label >= 0 else ""
