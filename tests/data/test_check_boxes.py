"""Each fault is planted into good boxes and found, with the image named; good boxes give no finding."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from pixelry.data.check import CheckReport, check_dataset
from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.shapes import CLASSES, render_shapes
from pixelry.pixels import encode_image

NAN, INF = float("nan"), float("inf")


@pytest.fixture(scope="module")
def clean() -> Dataset:
    return Dataset("scenes", {"train": render_shapes(80), "test": render_shapes(80, start=80)}, CLASSES)


def with_boxes(split: Split, index: int, boxes: list[list[float]], labels: list[int]) -> Split:
    """The split with other boxes in one image."""
    new = {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "crowd": torch.zeros(len(labels), dtype=torch.bool),
    }
    targets = {name: [*split.targets[name]] for name in new}
    for name, value in new.items():
        targets[name][index] = value
    return Split(split.images, targets, split.names)


def planted(dataset: Dataset, index: int, boxes: list[list[float]], labels: list[int], split: str = "train") -> Dataset:
    return replace(dataset, splits={**dataset.splits, split: with_boxes(dataset[split], index, boxes, labels)})


def only(report: CheckReport, kind: str):
    """The finding, which must be the only one."""
    assert [finding.kind for finding in report.findings] == [kind], report.summary()
    return report.findings[0]


def test_good_boxes(clean):
    report = check_dataset(clean)
    assert report.findings == (), report.summary()
    # Rounding puts a box up to a pixel outside.
    assert check_dataset(planted(clean, 3, [[-1, -0.5, 50, 50], [60, 60, 129, 128.9]], [0, 1])).findings == ()


def test_boxes_outside_of_the_image(clean):
    data = planted(clean, 3, [[10, 10, 50, 50], [-2.5, 10, 40, 30]], [0, 1])
    data = planted(data, 9, [[10, 100, 50, 158.5]], [2], split="test")
    found = only(check_dataset(data), "box-outside")
    assert (found.severity, found.total) == ("error", 2)
    assert "2 boxes beyond the edge of the image by up to 30.5 pixels" in found.message
    # The farthest first.
    assert [example.images[0] for example in found.examples] == [("test", "#9"), ("train", "#3")]
    assert found.examples[0].note == (
        "box 0, 'triangle': 30.5 pixels beyond the lower edge: left 10, top 100, right 50, bottom 158.5 in an image "
        "128 wide and 128 high"
    )
    assert found.examples[1].note.startswith("box 1, 'square': 2.5 pixels beyond the left edge")
    assert found.examples[1].values["pixels"] == 2.5


@pytest.mark.parametrize(
    ("box", "kind", "severity", "said"),
    [
        ([10, 10, 10, 30], "box-empty", "error", "without width or height"),
        ([40, 10, 20, 30], "box-empty", "error", "corners in the wrong order"),
        ([40, NAN, 60, 30], "box-nan", "error", "no numbers"),
        ([INF, 10, INF, 30], "box-nan", "error", "no numbers"),
        ([40, 10, 60, 11.5], "box-tiny", "info", "less than 2 pixels"),
    ],
)
def test_impossible_boxes(clean, box, kind, severity, said):
    found = only(check_dataset(planted(clean, 5, [[10, 10, 50, 50], box], [4, 3])), kind)
    assert (found.severity, found.total, found.names) == (severity, 1, ("#5",))
    assert said in found.message
    assert found.examples[0].note.startswith("box 1, 'star': left ")
    json.loads(json.dumps(found.to_dict(), allow_nan=False))


def test_an_object_that_is_marked_twice(clean):
    box = [20.0, 20, 90, 90]
    data = planted(clean, 5, [box, [5, 5, 30, 30], [20, 20, 90, 91], [21, 21, 60, 60], box], [2, 2, 2, 2, 1])
    found = only(check_dataset(data), "box-duplicate")
    assert (found.severity, found.total, found.names) == ("warning", 1, ("#5",))
    assert found.examples[0].note == "box 2, 'triangle': the same as box 0"


def test_class_ids_without_a_name(clean):
    data = planted(planted(clean, 5, [[10, 10, 50, 50]], [6]), 8, [[10, 10, 50, 50]], [-1])
    found = only(check_dataset(data), "box-class")
    assert (found.severity, found.total, found.names) == ("error", 2, ("#5", "#8"))
    assert "6 class names, counted from 0" in found.message
    assert found.examples[0].note.startswith("box 0, class 6: ")


def test_images_without_boxes(clean):
    data = clean
    for index in range(3):
        data = planted(data, index, [], [])
    found = only(check_dataset(data), "no-boxes")
    assert (found.severity, found.total, found.names) == ("info", 3, ("#0", "#1", "#2"))
    assert "3 of 80 images in split 'train' without a box" in found.message
    few = Dataset("few", {"train": clean["train"].subset(range(5))}, CLASSES)
    for index in range(3):
        few = planted(few, index, [], [])
    found = next(finding for finding in check_dataset(few).findings if finding.kind == "no-boxes")
    assert found.severity == "warning"
    assert "annotations are lost" in found.message


def test_classes_with_no_or_few_boxes(clean):
    def without(split: Split, label: int, keep: int = 0) -> Split:
        """The split with no more than some boxes of a class."""
        left = keep
        for i, labels in enumerate(split.targets["labels"]):
            kept = []
            for k, other in enumerate(labels.tolist()):
                left -= other == label
                kept += [k] if other != label or left >= 0 else []
            split = with_boxes(split, i, split.targets["boxes"][i][kept].tolist(), labels[kept].tolist())
        return split

    def kinds(train: Split, test: Split, names: tuple[str, ...] = CLASSES) -> list[tuple[str, str, str]]:
        report = check_dataset(Dataset("scenes", {"train": train, "test": test}, names))
        return [(f.kind, f.severity, f.message) for f in report.findings if f.kind != "no-boxes"]

    train, test = clean["train"], clean["test"]
    [(kind, severity, message)] = kinds(train, test, (*CLASSES, "moon"))
    assert (kind, severity) == ("class-empty", "warning")
    assert "1 class without a single box ('moon')" in message
    [(kind, severity, message)] = kinds(without(train, 3), test)
    assert (kind, severity) == ("class-split", "error")
    assert "in split 'test' but not in train ('star')" in message
    [(kind, severity, message)] = kinds(train, without(test, 3))
    assert (kind, severity) == ("class-split", "warning")
    assert "in train only ('star')" in message
    [(kind, severity, message)] = kinds(without(train, 3, keep=4), test)
    assert (kind, severity) == ("class-few", "warning")
    assert "1 class with fewer than 10 boxes in split 'train' ('star' 4)" in message
    [(kind, severity, message)] = kinds(train, without(without(test, 3, keep=4), 0, keep=2))
    assert (kind, severity) == ("class-few", "info")
    assert "2 classes with fewer than 10 boxes in split 'test' ('circle' 2, 'star' 4)" in message


def photograph(index: int, orientation: int | None) -> bytes:
    """A JPEG file of 90 wide and 60 high, which EXIF may turn."""
    pixels = np.random.default_rng(index).integers(0, 256, (6, 9, 3), dtype=np.uint8).repeat(10, 0).repeat(10, 1)
    exif, file = PILImage.Exif(), io.BytesIO()
    if orientation is not None:
        exif[274] = orientation
    PILImage.fromarray(pixels).save(file, format="JPEG", exif=exif)
    return file.getvalue()


@pytest.mark.parametrize("in_files", [True, False])
def test_boxes_for_the_picture_before_exif_turns_it(in_files: bool, tmp_path: Path):
    encoded = [photograph(i, {1: 6, 2: 8, 3: 3, 4: 6}.get(i)) for i in range(6)]
    names = [f"{i}.jpg" for i in range(6)]
    for name, content in zip(names, encoded, strict=True):
        (tmp_path / name).write_bytes(content)
    images = FileImages([tmp_path / name for name in names]) if in_files else FileImages(encoded, names)
    # The first, plain, and the fourth, upside down, have the size that the file says; the fifth is marked upright.
    boxes = [[[5.0, 5, 85, 55]], [[5, 5, 85, 55], [0, 0, 9, 9]], [[5, 5, 80, 50]], [[5, 5, 85, 55]], [[5, 5, 55, 85]]]
    split = Split(images, {"boxes": [None] * 6, "labels": [None] * 6, "crowd": [None] * 6})
    for i, mine in enumerate([*boxes, [[5, 5, 85, 65]]]):
        split = with_boxes(split, i, mine, [0] * len(mine))
    report = check_dataset(Dataset("exif", {"train": split}, ("cat",)))
    found = {finding.kind: finding for finding in report.findings if finding.severity == "error"}
    assert set(found) == {"box-rotated", "box-outside"}, report.summary()
    assert [Path(name).name for name in found["box-rotated"].names] == ["1.jpg", "2.jpg"]
    assert "EXIF" in found["box-rotated"].message
    assert found["box-rotated"].examples[0].note == (
        "upright it is 60 wide and 90 high; the boxes fit 90 wide and 60 high"
    )
    # Outside of a picture that nothing turns: a plain fault.
    assert [Path(name).name for name in found["box-outside"].names] == ["5.jpg"]


def test_images_that_cannot_be_read(clean):
    sources = [encode_image(image.permute(1, 2, 0).numpy(), format="PNG") for image in clean["train"].images]
    sources[4] = b"no image"
    split = clean["train"]
    split = with_boxes(
        Split(FileImages(sources, [f"{i}.png" for i in range(80)]), split.targets), 4, [[0, 0, 999, 9]], [0]
    )
    found = only(check_dataset(Dataset("files", {"train": split}, CLASSES)), "unreadable")
    assert found.names == ("4.png",)


def test_targets_that_do_not_go_together(clean):
    split = clean["train"]
    targets = {name: [*split.targets[name]] for name in ("boxes", "labels", "crowd")}
    targets["labels"][2] = torch.zeros(9, dtype=torch.int64)
    targets["boxes"][7] = torch.tensor([1.0, 2, 3, 4])
    found = only(check_dataset(Dataset("scenes", {"train": Split(split.images, targets)}, CLASSES)), "box-shape")
    assert (found.severity, found.names) == ("error", ("#2", "#7"))
    assert found.examples[1].note.endswith("expected (n, 4) and (n,)")


def test_data_without_boxes_is_left_alone(clean):
    labels = torch.arange(80) % 2
    plain = Dataset("plain", {"train": Split(clean["train"].images, {"label": labels})}, ("even", "odd"))
    assert not {finding.kind for finding in check_dataset(plain).findings} & {"no-boxes", "class-few", "class-empty"}
    empty = Split(torch.empty(0, 3, 8, 8, dtype=torch.uint8), {"boxes": [], "labels": [], "crowd": []})
    assert only(check_dataset(replace(clean, splits={**clean.splits, "val": empty})), "empty-split").total == 0
