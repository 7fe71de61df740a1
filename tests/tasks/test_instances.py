"""Objects with masks: maps of them, what is learnt, how they are judged, and what is said of a picture."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision.models.detection.roi_heads import paste_masks_in_image

import pixelry as px
from pixelry.data.catalog import load_dataset
from pixelry.data.check import check_dataset
from pixelry.data.dataset import Dataset, Split
from pixelry.data.framing import fitted_objects, framed_objects
from pixelry.data.loading import SeededBatches, make_loader
from pixelry.data.masks import IGNORE
from pixelry.data.shapes import CLASSES, render_shapes
from pixelry.data.sheet import dataset_sheet
from pixelry.errors import DataError, UsageError
from pixelry.instances import Instances, decode, encode
from pixelry.plugins import network_for
from pixelry.tasks.base import Form
from pixelry.tasks.segment import instances
from pixelry.tasks.segment.instances import SIDE, Objects, at_own_size
from pixelry.tasks.segment.objects import FIGURES, InstanceEvaluator
from rectangles import FAST

HEIGHT, WIDTH = 160, 200
CATEGORIES = [{"id": 3, "name": "cat"}, {"id": 8, "name": "dog"}]
GREY = 100


@pytest.fixture(scope="module")
def data() -> Dataset:
    splits = {"train": render_shapes(16, size=(64, 64)), "test": render_shapes(5, size=(64, 64), start=16)}
    return Dataset("few", splits, CLASSES, mask_classes=("background", *CLASSES))


@pytest.fixture(scope="module")
def model(data: Dataset) -> px.Model:
    settings = {"confidence": 0.0, "most": 12, "batch": 4}
    short: dict[str, Any] = {"steps": 2, "size": (64, 64), "val_fraction": 0, "settings": settings}
    return px.train("segment", data, network="mask_rcnn", **short, **FAST)


def test_pictures_are_scaled_the_more_the_more_often_they_were_seen() -> None:
    task = Objects(classes=CLASSES, turn=20.0)
    assert task.grown(0.0) == replace(task.changes(), smallest=1.0, largest=1.0, turn=0.0)
    assert task.grown(0.5).turn == 10.0
    assert task.grown(1.0) == task.changes()


def test_small_pictures_are_enlarged(data: Dataset) -> None:
    task = Objects(classes=CLASSES)
    assert task.input_form(data["train"], Form()).size == (128, 128)
    assert task.input_form(data["train"], Form(size=(64, 64))).size == (64, 64)
    assert task.input_form(render_shapes(2, size=(128, 192)), Form()).size == (192, 256)


def test_places_are_looked_at_where_they_are_whatever_the_size() -> None:
    network = network_for("mask_rcnn", "segment").build(channels=3, size=(72, 104), classes=2).eval()
    seen: list[Tensor] = []
    network.body.rpn.anchor_generator.register_forward_hook(lambda module, given, made: seen.extend(made))
    with torch.no_grad():
        network(torch.rand(1, 3, 72, 104))
    # Three shapes of anchors at each place of the finest grid, row by row: places lie four pixels apart.
    centres = (seen[0][::3, :2] + seen[0][::3, 2:]) / 2
    assert centres[1].tolist() == [4, 0]
    assert centres[128 // 4].tolist() == [0, 4]


def picture(image: Tensor) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def block(left: int, top: int, right: int, bottom: int) -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[top:bottom, left:right] = True
    return mask


def entry(
    number: int, image: int, box: Sequence[int], *, category: int = 3, outline: Any = None, **more: Any
) -> dict[str, Any]:
    """An annotation of COCO, by default with the box's polygon."""
    left, top, right, bottom = box
    polygon = [[left, top, right, top, right, bottom, left, bottom]]
    facts = {"id": number, "image_id": image, "category_id": category, "iscrowd": 0}
    facts |= {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
    return {**facts, "segmentation": polygon if outline is None else outline, **more}


def coco(root: Path, entries: list[dict[str, Any]], *, split: str = "train", images: int = 1) -> Path:
    """Write grey pictures and a file of annotations."""
    (root / split).mkdir(parents=True)
    (root / "annotations").mkdir(exist_ok=True)
    for k in range(images):
        PILImage.fromarray(np.full((HEIGHT, WIDTH, 3), GREY + k, np.uint8)).save(root / split / f"{k}.png")
    pictures = [{"id": k, "file_name": f"{k}.png", "height": HEIGHT, "width": WIDTH} for k in range(images)]
    content = {"images": pictures, "categories": CATEGORIES, "annotations": entries}
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return root


def told(masks: Sequence[NDArray[np.bool_]], scores: Sequence[float], labels: Sequence[int], most: int) -> Tensor:
    """Return rows (most, 6 + 28 * 28) of found objects; their masks go another way."""
    rows = torch.zeros(most, 6 + SIDE**2)
    rows[:, 5] = -1
    rows[: len(masks), 4], rows[: len(masks), 5] = torch.tensor(scores), torch.tensor(labels).float()
    return rows


def judged(
    split: Split, found: list[tuple[list[NDArray[np.bool_]], list[float], list[int]]], classes: tuple[str, ...]
) -> InstanceEvaluator:
    """Return an evaluator that was told what was found in each picture: masks, scores and labels."""
    most = max(len(masks) for masks, _, _ in found)
    output = torch.stack([told(*one, most) for one in found])
    turn = iter([encode(np.array(masks, bool)) for masks, _, _ in found])
    evaluator = InstanceEvaluator(classes, lambda kept, own, seen: (kept[:, :4], next(turn)))
    for batch in make_loader(split, SeededBatches(len(split), 2), workers=0):
        evaluator.update(output[batch["index"]], batch)
    return evaluator


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
    boxes, runs = at_own_size(found, (64, 80), (32, 40))
    masks = decode(runs)
    assert boxes.tolist() == [[16, 8, 48, 24]]
    rows, columns = np.nonzero(masks[0])
    assert abs(rows.min() - 8) <= 1
    assert abs(rows.max() + 1 - 24) <= 1
    assert abs(columns.min() - 16) <= 1
    assert abs(columns.max() + 1 - 32) <= 1
    assert masks.shape == (1, 64, 80)
    assert at_own_size(found[:0], (64, 80), (32, 40))[1] == ()


@pytest.mark.parametrize(("own", "together"), [((60, 90), 9), ((2100, 3000), 2), ((4200, 5000), 1)])
def test_masks_of_large_pictures_are_stretched_a_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch, own: tuple[int, int], together: int
) -> None:
    generator = torch.Generator().manual_seed(0)
    found = torch.rand(9 if together == 9 else 3, 6 + SIDE**2, generator=generator)
    found[:, :4] = found[:, :4].sort(1).values * 30
    counts = []

    def pasted(places: Tensor, boxes: Tensor, size: Any, padding: int) -> Tensor:
        counts.append(len(places))
        return paste_masks_in_image(places, boxes, size, padding=padding)

    monkeypatch.setattr(instances, "paste_masks_in_image", pasted)
    boxes, runs = at_own_size(found, own, (30, 30))
    assert max(counts) == together
    assert sum(counts) == len(found)
    if together < 9:
        return
    # All at once, as it was.
    masks = paste_masks_in_image(found[:, 6:].view(-1, 1, SIDE, SIDE), boxes, own, padding=1)[:, 0] >= 0.5
    assert np.array_equal(decode(runs), masks.numpy())
    monkeypatch.setattr(instances, "PASTED", 2 * own[0] * own[1])
    assert at_own_size(found, own, (30, 30))[1] == runs
    assert max(counts[1:]) == 2


def test_many_objects_of_a_large_picture_are_drawn_one_after_the_other() -> None:
    count, side = 40, 1000
    masks = np.zeros((count, side, side), bool)
    for k, mask in enumerate(masks):
        mask[20 * k : 20 * k + 30, :50] = True
    boxes = np.array([[0, 20 * k, 50, 20 * k + 30] for k in range(count)], np.float32)
    scores, labels = np.linspace(1, 0.5, count, dtype=np.float32), np.zeros(count, np.int64)
    found = Instances(boxes, scores, labels, ("cat",), "a", np.full((side, side, 3), GREY, np.uint8), encode(masks))
    found.draw()
    tracemalloc.start()
    drawn = found.draw()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < masks.nbytes / 2
    assert (drawn[:, 60:] != GREY).sum() < 0.02 * drawn.size
    assert (drawn[5:810:10, 5:45:10] != GREY).any(2).all()


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
    evaluator = InstanceEvaluator(CLASSES, lambda found, own, seen: (found[:, :4], encode(next(turn).numpy())))
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


# Three pictures: objects of all sizes, some with areas of another size than their pixels are, and a crowd.
ENTRIES = [
    entry(1, 0, (5, 5, 25, 25)),
    entry(2, 0, (40, 10, 60, 30), area=2000.5),
    entry(3, 0, (70, 20, 190, 150), category=8, area=9000),
    entry(4, 1, (10, 10, 60, 70), category=8),
    entry(5, 1, (100, 10, 150, 60), area=400),
    entry(6, 1, (90, 80, 195, 155), category=8, iscrowd=1),
    entry(7, 2, (10, 10, 150, 150), category=3),
    entry(8, 2, (160, 10, 180, 40), category=8),
    entry(9, 2, (160, 60, 190, 90), category=8),
]
FOUND: list[tuple[list[NDArray[np.bool_]], list[float], list[int]]] = [
    ([block(6, 5, 26, 25), block(43, 12, 63, 31), block(75, 25, 190, 150)], [0.9, 0.8, 0.95], [0, 0, 1]),
    (
        [block(12, 10, 60, 71), block(100, 14, 150, 66), block(95, 85, 140, 120), block(150, 90, 190, 150)],
        [0.7, 0.6, 0.85, 0.5],
        [1, 0, 1, 0],
    ),
    ([block(10, 20, 150, 150), block(161, 12, 181, 41), block(20, 20, 40, 40)], [0.4, 0.99, 0.3], [0, 1, 1]),
]


def test_figures_equal_those_of_pycocotools_on_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entries = [dict(one) for one in ENTRIES]
    crowd = coco_mask.encode(np.asfortranarray(block(90, 80, 195, 155).astype(np.uint8)))
    entries[5]["segmentation"] = {"size": crowd["size"], "counts": crowd["counts"].decode()}
    # The area of this one is that of its pixels anyway.
    plain = [{name: value for name, value in one.items() if (one["id"], name) != (9, "area")} for one in entries]
    data = load_dataset(coco(tmp_path, plain, images=3))
    task = Objects.from_dataset(data)
    split = task.fit_split(data["train"], size=(HEIGHT, WIDTH), channels=3)
    evaluator = judged(split, FOUND, data.classes)
    figures = evaluator.compute()

    truth = COCO()
    pictures = [{"id": k, "height": HEIGHT, "width": WIDTH} for k in range(3)]
    truth.dataset = {"images": pictures, "categories": CATEGORIES, "annotations": entries}
    truth.createIndex()
    results = [
        {"image_id": k, "category_id": CATEGORIES[label]["id"], "segmentation": run, "score": float(np.float32(score))}
        for k, (masks, scores, labels) in enumerate(FOUND)
        for run, score, label in zip(encode(np.array(masks)), scores, labels, strict=True)
    ]
    seen = truth.loadRes(results)
    for kind, prefix in (("segm", "mask_"), ("bbox", "")):
        judge = COCOeval(truth, seen, kind)
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
        for name, place in FIGURES.items():
            assert judge.stats[place] >= 0
            assert figures[prefix + name] == pytest.approx(judge.stats[place], abs=1e-12)
    assert 0 < figures["mask_map_small"] < figures["mask_map"] < 1
    # By their pixels, other objects are small.
    without = replace(split, targets={name: rows for name, rows in split.targets.items() if name != "area"})
    pixels = judged(without, FOUND, data.classes).compute()
    assert pixels["mask_map"] == figures["mask_map"]
    assert pixels["mask_map_small"] != figures["mask_map_small"]
    assert capsys.readouterr().out


def test_the_worst_pictures_are_those_whose_objects_are_not_met(tmp_path: Path) -> None:
    """One has as many objects as are found, and all are wrong; the other is right but for a crowd, which is none."""
    entries = [
        entry(1, 0, (10, 10, 60, 60)),
        entry(2, 0, (80, 80, 190, 150), category=8, iscrowd=1),
        entry(3, 1, (10, 10, 60, 60)),
        entry(4, 1, (100, 100, 150, 150)),
    ]
    root = coco(tmp_path, entries, images=2)
    for k, color in enumerate(((40, 160, 40), (40, 40, 160))):
        PILImage.fromarray(np.full((HEIGHT, WIDTH, 3), color, np.uint8)).save(root / "train" / f"{k}.png")
    data = load_dataset(root)
    split = Objects.from_dataset(data).fit_split(data["train"], size=(HEIGHT, WIDTH), channels=3)
    found = [
        ([block(12, 10, 60, 60), block(150, 0, 190, 40)], [0.9, 0.3], [0, 0]),
        ([block(80, 10, 130, 60), block(100, 100, 150, 150)], [0.9, 0.8], [0, 1]),
    ]
    findings = judged(split, found, data.classes).findings(split)
    (worst,) = findings.pictures
    shown = [[(image == color).all(2).any() for color in ((40, 160, 40), (40, 40, 160))] for image, _ in worst.images]
    assert shown == [[False, True]] * 2 + [[True, False]] * 2
    assert "missed" in worst.note
    assert "the area that the data states" in findings.protocol


BROKEN = [[1, 1, 4, 1]]


def test_only_objects_with_bad_outlines_are_left_out(tmp_path: Path) -> None:
    entries = [
        entry(1, 0, (10, 10, 60, 60)),
        entry(2, 0, (80, 80, 191, 150), outline=BROKEN),
        entry(3, 1, (5, 5, 50, 50), category=8),
    ]
    data = load_dataset(coco(tmp_path, entries, images=2))
    assert data.notes == (
        "train: masks of 1 of 3 objects left out, neither learnt nor judged, such as annotation id 2 with the polygon "
        "[1, 1, 4, 1]; expected x, y of three corners or more",
    )
    masks = data["train"].subset([1, 0]).targets["masks"]
    assert [masks[k].flatten(1).sum(1).tolist() for k in (0, 1)] == [[45 * 45], [50 * 50, 0]]
    # A detector has nothing to do with it.
    assert [row.tolist() for row in data["train"].targets["crowd"]] == [[False, False], [False]]
    task = Objects.from_dataset(data)
    learnt = task.fit_split(data["train"], size=(HEIGHT, WIDTH), channels=3, training=True)
    assert learnt.targets["objects"].flatten(1).amax(1).tolist() == [1, 1]
    split = task.fit_split(data["train"], size=(HEIGHT, WIDTH), channels=3)
    # What is found where it is counts neither as right nor as wrong.
    found = [
        ([block(10, 10, 60, 60), block(85, 85, 185, 145)], [0.8, 0.9], [0, 0]),
        ([block(5, 5, 50, 50)], [0.9], [1]),
    ]
    evaluator = judged(split, found, data.classes)
    assert evaluator.compute()["mask_map"] == pytest.approx(1)
    assert evaluator.compute()["mask_recall"] == pytest.approx(1)


RUNS = {"size": [HEIGHT, WIDTH], "counts": [7, 2]}
SIDEWAYS = {"size": [WIDTH, HEIGHT], "counts": [HEIGHT * WIDTH]}


def test_a_check_names_every_broken_mask(tmp_path: Path) -> None:
    entries = [entry(k, k % 2, (10 + k, 10, 60, 60), category=CATEGORIES[k % 2]["id"]) for k in range(1, 5)]
    data = load_dataset(coco(tmp_path / "good", entries, images=2))
    assert "mask-broken" not in [finding.kind for finding in check_dataset(data, label_noise=False).findings]
    for one, outline in zip(entries, (BROKEN, RUNS, SIDEWAYS), strict=False):
        one["segmentation"] = outline
    data = load_dataset(coco(tmp_path / "bad", entries, images=2))
    (found,) = (f for f in check_dataset(data, label_noise=False).findings if f.kind == "mask-broken")
    assert (found.severity, found.total) == ("error", 3)
    said = str(tmp_path / "bad" / "annotations" / "instances_train.json") + ", annotation id "
    assert [example.note.removeprefix(said)[:30] for example in found.examples] == [
        "2 has run lengths of 9 pixels ",
        "1 has the polygon [1, 1, 4, 1]",
        "3 has run lengths for 160 x 20",
    ]
    assert [Path(name).name for name in found.names] == ["0.png", "1.png", "1.png"]
    assert "3 masks of objects that cannot be drawn" in found.message


def test_a_check_looks_at_masks_in_memory(data: Dataset) -> None:
    assert "mask-broken" not in [finding.kind for finding in check_dataset(data, label_noise=False).findings]
    train = data["train"]
    masks = [train.targets["masks"][k] for k in range(len(train))]
    masks[3], masks[5] = masks[3][:, :60], masks[5][1:]
    spoilt = replace(data, splits={"train": replace(train, targets={**train.targets, "masks": masks})})
    (found,) = (f for f in check_dataset(spoilt, label_noise=False).findings if f.kind == "mask-broken")
    assert found.names == ("#3", "#5")
    assert f"expected {(len(masks[3]), 64, 64)}" in found.examples[0].note


def test_a_sheet_shows_the_masks_of_objects(tmp_path: Path) -> None:
    def filled(root: Path, outline: Any) -> int:
        sheet = dataset_sheet(load_dataset(coco(root, [entry(1, 0, (20, 20, 180, 140), outline=outline)])))
        # Half grey, half the first object's dark red.
        return int((sheet == (114, 50, 50)).all(2).sum())

    assert filled(tmp_path / "good", None) > 5000
    # Its box stands alone.
    assert filled(tmp_path / "broken", RUNS) == 0


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
        ({"most": 0}, "most is 0; expected 1 to 100 objects"),
        ({"most": 101}, "most is 101; expected 1 to 100 objects: the network gives no more"),
        ({"only": ("dragon",)}, "dragon"),
        ({"smallest": 2.0}, "scales go from 2.0"),
    ],
)
def test_settings_out_of_range(data: Dataset, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Objects.from_dataset(data, **settings)


def test_it_is_said_again_why_outlines_are_not_read(tmp_path: Path) -> None:
    entries = [entry(1, 0, (10, 10, 60, 60)), entry(2, 0, (80, 80, 190, 150), outline=[])]
    data = load_dataset(coco(tmp_path / "some", entries))
    with pytest.raises(DataError, match=r"some \(coco\) has no masks of objects \(train: .*1 of 2 .*annotation id 2\)"):
        Objects.from_dataset(data)
    with pytest.raises(DataError, match=r"no masks of objects; .* the notes of `pixelry data show` say why"):
        Objects(data.classes).fit_split(data["train"], size=(64, 64), channels=3)
    entries = [entry(1, 0, (10, 10, 60, 60), outline=BROKEN)]
    with pytest.raises(DataError, match=r"1 object with outlines of no good form, such as annotation id 1 with the"):
        Objects.from_dataset(load_dataset(coco(tmp_path / "all", entries)))


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
