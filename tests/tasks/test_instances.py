"""Objects with masks: maps of them, what is learnt, how they are judged, and what is said of a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision

import pixelry as px
from pixelry.data.dataset import Dataset, Split
from pixelry.data.framing import fitted_objects, framed_objects
from pixelry.data.masks import IGNORE
from pixelry.data.shapes import CLASSES, render_shapes
from pixelry.errors import DataError, UsageError
from pixelry.instances import Instances, decode, encode
from pixelry.tasks.segment.instances import SIDE, Objects, at_own_size
from pixelry.tasks.segment.objects import InstanceEvaluator
from rectangles import FAST


@pytest.fixture(scope="module")
def data() -> Dataset:
    splits = {"train": render_shapes(16, size=(64, 64)), "test": render_shapes(5, size=(64, 64), start=16)}
    return Dataset("few", splits, CLASSES, mask_classes=("background", *CLASSES))


@pytest.fixture(scope="module")
def model(data: Dataset) -> px.Model:
    settings = {"confidence": 0.0, "most": 12, "batch": 4}
    return px.train("segment", data, network="mask_rcnn", steps=2, val_fraction=0, settings=settings, **FAST)


def picture(image: Tensor) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def test_objects_become_a_map_with_small_ones_on_top() -> None:
    large, small = torch.zeros(2, 8, 8, dtype=torch.bool)
    large[1:7, 1:7], small[2:4, 2:4] = True, True
    masks = [torch.stack([small, large, ~large])]
    targets = {"masks": masks, "labels": [torch.tensor([4, 2, 0])], "crowd": [torch.tensor([False, False, True])]}
    split = Split(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), targets)
    framed = framed_objects(split, frame=(8, 12), channels=3)
    objects = framed.targets["objects"][0]
    assert framed.targets["labels"].tolist() == [[4, 2, 0]]
    assert (objects[:, :2] == IGNORE).all()
    assert (objects[:, 10:] == IGNORE).all()
    inner = objects[:, 2:10]
    assert (inner[small] == 1).all()
    assert (inner[large & ~small] == 2).all()
    # The crowd is no object.
    assert (inner[~large] == 0).all()


def test_targets_are_those_of_the_moved_objects(data: Dataset) -> None:
    task = Objects.from_dataset(data, mirror=1.0, smallest=1.0, largest=1.0)
    split = task.fit_split(data["train"], size=(64, 64), channels=3, training=True)
    batch = {"image": split.images[:4].float() / 255, "index": torch.arange(4)}
    batch |= {name: values[:4] for name, values in split.targets.items()}
    torch.manual_seed(0)
    seen = task.observe(batch, training=True)
    told: list[dict[str, Tensor]] = []

    def network(images: Tensor, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        told.extend(targets)
        return {"loss_mask": images.mean(), "loss_objectness": images.mean()}

    losses = task.losses(network, seen)
    assert set(losses) == {"loss", "mask_loss", "objectness_loss"}
    for i, target in enumerate(told):
        masks = data["train"].targets["masks"][i].flip(-1)
        kept = masks.flatten(1).sum(1) >= 8
        assert torch.equal(target["masks"].bool(), masks[kept])
        assert torch.equal(target["labels"], data["train"].targets["labels"][i][kept])
        for box, mask in zip(target["boxes"].tolist(), masks[kept], strict=True):
            rows, columns = mask.nonzero(as_tuple=True)
            assert box == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]


def test_masks_are_stretched_over_their_boxes() -> None:
    found = torch.zeros(1, 6 + SIDE**2)
    found[0, :6] = torch.tensor([8.0, 4, 24, 12, 0.9, 0])
    places = torch.zeros(SIDE, SIDE)
    places[:, : SIDE // 2] = 1
    found[0, 6:] = places.flatten()
    boxes, masks = at_own_size(found, (64, 80), (32, 40))
    assert boxes.tolist() == [[16, 8, 48, 24]]
    rows, columns = np.nonzero(masks[0])
    assert abs(rows.min() - 8) <= 1
    assert abs(rows.max() + 1 - 24) <= 1
    assert abs(columns.min() - 16) <= 1
    assert abs(columns.max() + 1 - 32) <= 1
    assert masks.shape == (1, 64, 80)


def test_figures_equal_those_of_torchmetrics(data: Dataset) -> None:
    """The evaluator, told what was found as shifted true masks, against an independent judge."""
    split = fitted_objects(data["test"], frame=(64, 64), channels=3)
    generator = torch.Generator().manual_seed(0)
    shifted = [masks.roll(int(torch.randint(0, 7, (), generator=generator)), 2) for masks in split.targets["masks"]]
    count = max(len(masks) for masks in shifted)
    output = torch.zeros(len(shifted), count, 6 + SIDE**2)
    output[..., 5] = -1
    for into, masks, labels in zip(output, shifted, split.targets["labels"], strict=True):
        into[: len(masks), 4] = torch.rand(len(masks), generator=generator)
        into[: len(masks), 5] = labels
    turn = iter(shifted)
    evaluator = InstanceEvaluator(CLASSES, lambda found, own, seen: (found[:, :4], next(turn).numpy()))
    batch = {"image": split.images, "index": torch.arange(len(shifted)), **split.targets}
    evaluator.update(output, batch)
    # COCO's thresholds, which it would round to float32.
    thresholds = {
        "iou_thresholds": np.linspace(0.5, 0.95, 10).tolist(),
        "rec_thresholds": np.linspace(0, 1, 101).tolist(),
    }
    judge = MeanAveragePrecision(iou_type="segm", **thresholds)
    for into, masks, truth, labels in zip(
        output, shifted, split.targets["masks"], split.targets["labels"], strict=True
    ):
        n = len(masks)
        judge.update(
            [{"masks": masks, "scores": into[:n, 4], "labels": into[:n, 5].long()}],
            [{"masks": truth, "labels": labels}],
        )
    figures, expected = evaluator.compute(), judge.compute()
    assert 0.05 < figures["mask_map"] < 0.95
    for name in ("map", "map_50", "map_75"):
        assert figures[f"mask_{name.replace('_', '')}"] == pytest.approx(float(expected[name]), abs=1e-6)
    assert figures["images"] == len(shifted)


def test_a_model_names_outlines_and_judges(model: px.Model, data: Dataset, here: Path) -> None:
    large = np.kron(picture(data["test"].images[0]), np.ones((2, 3, 1), np.uint8))
    found = model.predict(large)
    assert isinstance(found, Instances)
    assert len(found) == 12
    assert found.masks.shape == (12, 128, 192)
    assert (np.diff(found.scores) <= 0).all()
    assert found.pixels.tolist() == found.masks.sum((1, 2)).tolist()
    some = found[found.labels == found.labels[0]]
    assert set(some.names) == {found.names[0]}
    assert np.array_equal(some.masks[0], found.masks[0])
    (entry, *_) = found.to_coco(7)
    assert coco_mask.area(entry["segmentation"]) == found.masks[0].sum()
    assert np.array_equal(decode((entry["segmentation"],))[0], found.masks[0])
    assert found.draw().shape == (128, 192, 3)
    found.save(here / "found.jpg")
    report = model.evaluate(data)
    assert {"mask_map", "mask_map50", "map"} <= set(report.metrics)
    assert report.metrics == model.evaluate(data).metrics
    model.save(here / "m.safetensors")
    again = px.load_model(here / "m.safetensors").predict(large)
    assert isinstance(again, Instances)
    np.testing.assert_allclose(again.scores, found.scores, atol=1e-5)


def test_weak_objects_and_other_classes_are_left_out(model: px.Model, data: Dataset) -> None:
    image = picture(data["test"].images[0])
    found: Any = model.predict(image)
    middle = float(np.median(found.scores))
    few: Any = model.predict(image, settings={"confidence": middle, "only": (found.names[0],)})
    assert 0 < len(few) < len(found)
    assert set(few.names) == {found.names[0]}
    assert few.scores.min() >= middle
    none: Any = model.predict(image, settings={"confidence": 1.0})
    assert none.masks.shape == (0, 64, 64)


def test_objects_with_masks_are_not_predicted_by_tiles(model: px.Model) -> None:
    with pytest.raises(UsageError, match=r"tiles are for detectors, and .* this is mask_rcnn, for segment"):
        px.predict(model, np.zeros((64, 64, 3), np.uint8), tile=64)


def test_runs_are_lossless() -> None:
    masks = np.random.default_rng(0).random((3, 9, 7)) > 0.5
    assert np.array_equal(decode(encode(masks)), masks)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"confidence": 2.0}, "confidence is 2.0; expected 0 to 1"),
        ({"most": 0}, "most is 0; expected 1 or more"),
        ({"only": ("dragon",)}, "dragon"),
        ({"smallest": 2.0}, "scales go from 2.0"),
    ],
)
def test_settings_out_of_range(data: Dataset, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Objects.from_dataset(data, **settings)


def test_data_without_objects_is_refused(data: Dataset) -> None:
    plain = Split(data["train"].images, {"mask": data["train"].targets["mask"]})
    with pytest.raises(DataError, match="has no masks of objects; COCO with outlines"):
        px.train("segment", Dataset("m", {"train": plain}, CLASSES, mask_classes=("a",)), network="mask_rcnn", steps=1)
    empty = {"masks": [torch.zeros(0, 8, 8, dtype=torch.bool)], "labels": [torch.zeros(0, dtype=torch.int64)]}
    nothing = Split(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), empty)
    with pytest.raises(DataError, match="has no object in its 1 training images"):
        Objects.from_dataset(Dataset("m", {"train": nothing}, CLASSES))
    many = {"masks": [torch.ones(255, 8, 8, dtype=torch.bool)], "labels": [torch.zeros(255, dtype=torch.int64)]}
    with pytest.raises(DataError, match="has 255 objects; at most 254"):
        framed_objects(Split(nothing.images, many), frame=(8, 8), channels=3)
