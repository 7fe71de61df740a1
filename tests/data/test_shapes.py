"""Rendered scenes: each a function of seed and number, with targets that agree with each other and the pixels."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch

from pixelry.data.catalog import describe_catalog, load_dataset
from pixelry.data.dataset import Dataset, Split
from pixelry.data.shapes import CLASSES, render_shapes
from pixelry.errors import UsageError

COUNT = 80


@pytest.fixture(scope="module")
def scenes() -> Split:
    return render_shapes(COUNT)


def same(one: Split, two: Split) -> bool:
    return one.digest() == two.digest()


def test_a_scene_follows_from_seed_and_number(scenes):
    alone = render_shapes(1, start=7)
    assert same(alone, scenes.subset([7]))
    assert torch.equal(alone.targets["masks"][0], scenes.targets["masks"][7])
    assert not torch.equal(render_shapes(1, seed=1, start=7).images[0], scenes.images[7])
    assert len({pixels.numpy().tobytes() for pixels in scenes.images}) == COUNT


def test_masks_boxes_and_labels_agree(scenes):
    for i in range(COUNT):
        sample = scenes[i]
        labels, masks = sample["labels"], sample["masks"]
        count = len(labels)
        assert 1 <= count <= 6
        assert (sample["image"].dtype, tuple(sample["image"].shape)) == (torch.uint8, (3, 128, 128))
        assert (labels.dtype, sample["boxes"].dtype, masks.dtype) == (torch.int64, torch.float32, torch.bool)
        assert sample["crowd"].tolist() == [False] * count
        assert masks.sum(0).max() == 1
        meaning = sum((labels[k] + 1) * masks[k] for k in range(count))
        assert torch.equal(sample["mask"], meaning.to(torch.uint8))
        for box, mask in zip(sample["boxes"], masks, strict=True):
            rows, columns = mask.any(1).nonzero(), mask.any(0).nonzero()
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_objects_differ_from_the_ground_around_them(scenes):
    # By more than the noise of one pixel, and not because all of one class have one colour.
    tints = {label: [] for label in range(len(CLASSES))}
    for i in range(COUNT):
        pixels, ground = scenes.images[i].float(), scenes.targets["mask"][i] == 0
        for label, mask in zip(scenes.targets["labels"][i].tolist(), scenes.targets["masks"][i], strict=True):
            tint = pixels[:, mask].mean(1)
            tints[label].append(tint)
            assert torch.dist(tint, pixels[:, ground].mean(1)) > 15
    for members in tints.values():
        assert torch.stack(members).std(0).min() > 30


def test_classes_are_told_apart_by_their_form():
    scenes = render_shapes(300, start=1000)
    filled: dict[str, list[float]] = {name: [] for name in CLASSES}
    middle: dict[str, list[bool]] = {name: [] for name in CLASSES}
    for boxes, labels, masks in zip(*(scenes.targets[name] for name in ("boxes", "labels", "masks")), strict=False):
        left, top, right, bottom = boxes[0].int().tolist()
        # Whole ones: nothing lies over the only object of a scene, and it touches no edge.
        if len(labels) == 1 and min(left, top) > 0 and max(right, bottom) < 128 and right - left > 24:
            name = CLASSES[labels[0]]
            filled[name].append(float(masks[0].sum()) / ((right - left) * (bottom - top)))
            middle[name].append(bool(masks[0][(top + bottom) // 2, (left + right) // 2]))
    share = {name: np.mean(values) for name, values in filled.items()}
    assert share["circle"] == pytest.approx(np.pi / 4, abs=0.02)
    assert not any(middle["ring"])
    assert all(all(middle[name]) for name in ("circle", "square", "star", "cross"))
    assert min(filled["square"]) > max(filled["star"])
    assert share["triangle"] < 0.6


def test_captions_say_what_there_is(scenes):
    numbers = {"a": 1, "an": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
    for caption, labels in zip(scenes.targets["caption"], scenes.targets["labels"], strict=True):
        counts = dict.fromkeys(CLASSES, 0)
        for part in re.split(", | and ", caption):
            number, *_, noun = part.split()
            kind = noun if numbers[number] == 1 else noun.removesuffix("es" if noun.endswith("sses") else "s")
            counts[kind] += numbers[number]
        assert [counts[name] for name in CLASSES] == labels.bincount(minlength=len(CLASSES)).tolist()
    text = " ".join(scenes.targets["caption"])
    for word in ("small", "large", "red", "blue", "two", "three", "stars", "crosses", "an orange"):
        assert f"{word} " in f"{text} ", word


def test_other_sizes():
    wide = render_shapes(20, size=(40, 90))
    assert tuple(wide.images.shape) == (20, 3, 40, 90)
    assert tuple(wide.targets["masks"][3].shape[1:]) == (40, 90)
    assert max(float(boxes[:, 3].max()) for boxes in wide.targets["boxes"]) <= 40
    assert max(float(boxes[:, 2].max()) for boxes in wide.targets["boxes"]) > 60


def test_a_part_of_the_scenes_keeps_their_targets(scenes):
    data = Dataset("scenes", {"train": scenes}, CLASSES).with_val(0.25, seed=3)
    assert (len(data["train"]), len(data["val"])) == (60, 20)
    again = data["val"].subset([4, 2])
    origin = int(again.name(0).removeprefix("#"))
    assert torch.equal(again.images[0], scenes.images[origin])
    for name in ("boxes", "labels", "crowd", "mask", "masks"):
        assert torch.equal(again[0][name], scenes[origin][name]), name
    assert again[0]["caption"] == scenes[origin]["caption"]


def test_the_fingerprint_follows_boxes_and_the_image_they_are_of():
    images, crowd = torch.zeros(2, 1, 8, 8, dtype=torch.uint8), [torch.zeros(1, dtype=torch.bool)] * 2
    boxes = torch.tensor([[0.0, 0, 4, 4], [1, 1, 5, 5], [2, 2, 6, 6]])

    def fingerprint(parts: list[torch.Tensor]) -> str:
        labels = [torch.zeros(len(part), dtype=torch.int64) for part in parts]
        return Dataset("d", {"train": Split(images, {"boxes": parts, "labels": labels, "crowd": crowd})}).fingerprint

    prints = [fingerprint([boxes[:k], boxes[k:]]) for k in (1, 2)]
    assert len({*prints, fingerprint([boxes[:1] + 1, boxes[1:]])}) == 3
    assert prints[0] == fingerprint([boxes[:1].clone(), boxes[1:]])


@pytest.mark.parametrize("wrong", [{"count": 0}, {"size": (128, 31)}, {"seed": -1}, {"start": -1}])
def test_arguments_out_of_range(wrong):
    with pytest.raises(UsageError, match=f"{next(iter(wrong))} .*expected"):
        render_shapes(**{"count": 1, **wrong})


def test_it_is_built_in():
    data = load_dataset("shapes")
    assert data.describe() == "shapes (built-in): 2,000 train, 200 val, 500 test, 6 classes"
    assert data.classes == ("circle", "square", "triangle", "star", "ring", "cross")
    assert same(data["val"].subset([5]), render_shapes(1, start=2005))
    for split in data.splits.values():
        assert torch.cat(split.targets["labels"]).bincount(minlength=6).min() > len(split) / 3
    assert "shapes" in {row["name"] for row in describe_catalog() if row["kind"] == "built-in"}
