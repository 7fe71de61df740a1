"""Detection: assignment, losses, augmentation with boxes, judgement, and detectors that learn."""

from __future__ import annotations

import contextlib
import io
import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor
from torchmetrics.detection import MeanAveragePrecision
from torchvision.ops import complete_box_iou_loss

import pixelry as px
from pixelry.boxes import Boxes
from pixelry.data.dataset import Dataset, Split
from pixelry.data.letterbox import letterbox, letterboxed, place_in
from pixelry.errors import DataError, UsageError
from pixelry.plugins import network_for, network_names
from pixelry.tasks.detect import Dense
from pixelry.tasks.detect.assign import ALPHA, BETA, PLACES, assign, paired_iou
from pixelry.tasks.detect.augment import Jitter, jitter
from pixelry.tasks.detect.dense import box_losses, boxes_of, places, side_losses
from pixelry.tasks.detect.matching import Seen, confusions, evaluate_boxes, f1_scores, match
from rectangles import FAST, scenes


@pytest.fixture(scope="module")
def rectangles() -> Dataset:
    return Dataset("rectangles", {"train": scenes(96, seed=0), "val": scenes(16, seed=1), "test": scenes(24, seed=2)},
                   ("red", "blue"))  # fmt: skip


@pytest.fixture(scope="module")
def detector(rectangles: Dataset, tmp_path_factory: pytest.TempPathFactory) -> px.Model:
    settings = {"mosaic": 0.5, "hue": 0.0, "batch": 16}
    run = tmp_path_factory.mktemp("d") / "run"
    return px.train("detect", rectangles, steps=150, size=(64, 96), settings=settings, out=run, **FAST)


def test_a_detector_finds_what_is_there(detector: px.Model, rectangles: Dataset, here: Path) -> None:
    report = detector.evaluate(rectangles)
    assert report.metrics["map50"] > 0.9
    assert report.metrics["map"] > 0.5
    assert report.metrics["images"] == 24
    assert {table.title for table in report.findings.tables} == {"Per class"}
    assert "pycocotools" in report.findings.protocol
    report.save(here / "index.html")
    detector.save(here / "m.safetensors")
    again = px.load_model(here / "m.safetensors").evaluate(rectangles)
    assert again.metrics["map"] == pytest.approx(report.metrics["map"], abs=1e-3)


def test_boxes_come_back_in_the_pictures_own_pixels(detector: px.Model, rectangles: Dataset, here: Path) -> None:
    split = rectangles["test"]
    for i in range(4):
        small = split.images[i].permute(1, 2, 0).numpy()
        # Another size and another aspect: the rectangle stands somewhere on a grey field.
        large = np.full((150, 200, 3), 110, dtype=np.uint8)
        large[10 : 10 + 128, 4 : 4 + 192] = np.asarray(PILImage.fromarray(small).resize((192, 128), 0))
        PILImage.fromarray(large).save(here / f"{i}.png")
    found = px.predict(detector, here, out=here / "out")
    hits = 0
    for i, result in enumerate(found):
        assert isinstance(result, Boxes)
        assert result.xyxy.min() >= 0
        assert (result.xyxy <= [200, 150, 200, 150]).all()
        true = split.targets["boxes"][i] * 2 + torch.tensor([4.0, 10, 4, 10])
        kinds = split.targets["labels"][i]
        for box, kind in zip(true, kinds, strict=True):
            same = torch.from_numpy(result.xyxy[result.labels == int(kind)])
            hits += bool(len(same) and (paired_iou(same, box.expand(len(same), 4)) > 0.5).any())
    assert hits >= 0.7 * sum(len(b) for b in split.targets["boxes"][:4])
    assert len((here / "out/predictions.jsonl").read_text().splitlines()) == 4
    rows = (here / "out/predictions.csv").read_text().splitlines()
    assert rows[0] == "name,label,score,left,top,right,bottom"
    assert len(rows) == 1 + sum(len(r) for r in found)
    assert (here / "out/0.jpg").exists()
    results = json.loads((here / "out/coco.json").read_text())
    assert len(results) == sum(len(r) for r in found)
    assert {entry["image_id"] for entry in results} <= {0, 1, 2, 3}
    assert {entry["category_name"] for entry in results} == {"red", "blue"}
    assert (here / "out/sheet.png").exists()


def test_results_of_another_program_are_judged_alike(detector: px.Model, rectangles: Dataset, here: Path) -> None:
    test = rectangles["test"]
    (here / "pictures").mkdir()
    for i in range(len(test)):
        PILImage.fromarray(test.images[i].permute(1, 2, 0).numpy()).save(here / f"pictures/{i:04d}.png")
    named = Split(test.images, test.targets, [f"{i:04d}.png" for i in range(len(test))])
    data = Dataset("named", {"test": named}, rectangles.classes)
    px.predict(detector, here / "pictures", confidence=0.001, out=here / "out")
    own = detector.evaluate(data).metrics
    theirs = px.evaluate(here / "out/coco.json", data).metrics
    assert theirs["map"] == pytest.approx(own["map"], abs=2e-3)
    assert theirs["images"] == 24
    entry = {"image_id": 3, "category_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}
    for wrong, message in [
        ({**entry, "image_id": "x"}, "result 1: no image of this split is called 'x'"),
        ({**entry, "category_id": 9}, "result 1: category_id is 9; expected 1 to 2"),
        ({**entry, "category_name": "green"}, "result 1: category_name is 'green'; the data has red, blue"),
        ({**entry, "bbox": [1, 2]}, "result 1: expected image_id"),
        ({**entry, "score": float("nan")}, "result 1: a number is not finite"),
    ]:
        (here / "wrong.json").write_text(json.dumps([entry, wrong]))
        with pytest.raises(DataError, match=message):
            px.evaluate(here / "wrong.json", data)
    (here / "wrong.json").write_text("[{")
    with pytest.raises(DataError, match="cannot be read as COCO results"):
        px.evaluate(here / "wrong.json", data)


def coco_of(rectangles: Dataset, root: Path) -> Dataset:
    """Write the test split as COCO with ids of its own, 999 for 0003.png, and read it."""
    test = rectangles["test"]
    root.mkdir()
    categories = [{"id": 18, "name": "red"}, {"id": 44, "name": "blue"}]
    images, annotations = [], list[dict[str, Any]]()
    for i in range(len(test)):
        PILImage.fromarray(test.images[i].permute(1, 2, 0).numpy()).save(root / f"{i:04d}.png")
        images.append({"id": 1002 - i, "file_name": f"{i:04d}.png"})
        boxes, labels = test.targets["boxes"][i].tolist(), test.targets["labels"][i].tolist()
        for (left, top, right, bottom), label in zip(boxes, labels, strict=True):
            box = {"bbox": [left, top, right - left, bottom - top], "category_id": categories[label]["id"]}
            annotations.append({"id": len(annotations) + 1, "image_id": 1002 - i, "iscrowd": 0, **box})
    content = {"images": images, "annotations": annotations, "categories": categories}
    (root / "test.json").write_text(json.dumps(content))
    return px.load_dataset(root)


def standard(data: Dataset, split: str) -> list[dict[str, Any]]:
    """Return results that find every object, with COCO's four keys alone and the data's own ids."""
    part = data[split]
    assert part.origin is not None
    ids = {label: key for key, label in part.origin.category_ids.items()}
    return [
        {"image_id": image_id, "category_id": ids[label], "bbox": [left, top, right - left, bottom - top], "score": 0.9}
        for image_id, boxes, labels in zip(
            part.origin.image_ids, part.targets["boxes"], part.targets["labels"], strict=True
        )
        for (left, top, right, bottom), label in zip(boxes.tolist(), labels.tolist(), strict=True)
    ]


def test_standard_results_are_judged_by_the_ids_of_the_data(rectangles: Dataset, here: Path) -> None:
    data = coco_of(rectangles, here / "data")
    (split,) = data.splits
    results = standard(data, split)

    def judge(entries: list[dict[str, Any]]) -> float:
        (here / "results.json").write_text(json.dumps(entries))
        return px.evaluate(here / "results.json", here / "data").metrics["map"]

    assert judge(results) == pytest.approx(1.0)
    # Ids of categories that are exchanged find nothing of the right class.
    assert judge([{**one, "category_id": 62 - one["category_id"]} for one in results]) < 0.2
    # Names count where there are some, and so do files: here they say the same as the ids.
    words = {18: "red", 44: "blue"}
    named = [{**one, "category_name": words[one["category_id"]], "category_id": 1} for one in results]
    assert judge(named) == pytest.approx(1.0)
    files = [{**one, "image_id": 1002 - one["image_id"]} for one in named]
    assert judge(files) == pytest.approx(1.0)
    assert judge([{**one, "image_id": f"{one['image_id']:04d}.png"} for one in files]) == pytest.approx(1.0)
    with pytest.raises(DataError, match=r"result 0: category_id is 1; expected one of '18', '44', or a category_name"):
        judge([{**results[0], "category_id": 1}])
    with pytest.raises(DataError, match=r"result 1: no image of this split is called '7000'"):
        judge([results[0], {**results[1], "image_id": 7000}])


def test_a_number_that_is_an_id_and_a_name_is_taken_as_the_file_means_it(rectangles: Dataset, here: Path) -> None:
    data = coco_of(rectangles, here / "data")
    (split,) = data.splits
    content = json.loads((here / "data" / "test.json").read_text())
    # An image's id is the number of the next one's file.
    count = len(content["images"])
    for record, key in [(r, "id") for r in content["images"]] + [(r, "image_id") for r in content["annotations"]]:
        record[key] = (1002 - record[key] + 1) % count
    (here / "data" / "test.json").write_text(json.dumps(content))
    data = px.load_dataset(here / "data")
    results = standard(data, split)
    (here / "ids.json").write_text(json.dumps(results))
    assert px.evaluate(here / "ids.json", data).metrics["map"] == pytest.approx(1.0)
    # As `predict` writes them: with names of classes, and images by the numbers of their files.
    words = {18: "red", 44: "blue"}
    named = [
        {**one, "category_name": words[one["category_id"]], "image_id": (one["image_id"] - 1) % count}
        for one in results
    ]
    (here / "names.json").write_text(json.dumps(named))
    assert px.evaluate(here / "names.json", data).metrics["map"] == pytest.approx(1.0)


def test_results_speak_coco_and_are_filtered(here: Path) -> None:
    boxes = Boxes(
        np.array([[1, 2, 11, 22], [0, 0, 4, 4]], np.float32), np.array([0.9, 0.4], np.float32), np.array([1, 0]),
        ("cat", "dog"), "a.png", np.zeros((30, 40), np.uint8),
    )  # fmt: skip
    named = {"category_id": 2, "category_name": "dog"}
    assert boxes.to_coco(7)[0] == {"image_id": 7, **named, "bbox": [1, 2, 10, 20], "score": 0.9}
    assert boxes.to_coco()[0]["image_id"] == "a.png"
    assert boxes.to_coco(categories={"cat": 5, "dog": 17})[1]["category_id"] == 5
    assert boxes[boxes.scores > 0.5].names == ["dog"]
    assert boxes[0].names == ["dog"]
    assert boxes[boxes.areas < 20].counts == {"cat": 1}
    assert boxes.draw().shape == (30, 40, 3)
    large = boxes.draw(scale=8)
    assert large.shape == (240, 320, 3)
    # The box lies around the same pixels, and its lines stay thin.
    assert large[8 * 22 - 1, 8 * 6].any()
    assert not large[8 * 20, 8 * 6].any()
    assert boxes.draw(scale=None).shape == (360, 480, 3)
    assert str(boxes) == "a.png: 1 cat, 1 dog"
    boxes.save(here / "a.json")
    assert json.loads((here / "a.json").read_text())["boxes"][0]["label"] == "dog"
    with pytest.raises(UsageError, match="expected \\(N, 4\\)"):
        Boxes(np.zeros((2, 3), np.float32), boxes.scores, boxes.labels, ("cat", "dog"), "a", boxes.source)
    with pytest.raises(UsageError, match="there are 1 classes"):
        Boxes(boxes.xyxy, boxes.scores, boxes.labels, ("cat",), "a", boxes.source)


@pytest.mark.parametrize("frame", [(64, 64), (96, 64), (32, 128)])
@pytest.mark.parametrize("size", [(40, 100), (100, 40), (64, 64), (30, 300)])
def test_a_picture_keeps_its_aspect_and_its_boxes_their_place(size: tuple[int, int], frame: tuple[int, int]) -> None:
    place = place_in(size, frame)
    assert place.size[0] == frame[0] or place.size[1] == frame[1]
    image = torch.zeros(3, *size, dtype=torch.uint8)
    image[:, size[0] // 4 : size[0] // 2 + 1, size[1] // 4 : size[1] // 2 + 1] = 255
    box = torch.tensor([[size[1] // 4, size[0] // 4, size[1] // 2 + 1, size[0] // 2 + 1]], dtype=torch.float32)
    split = Split([image], {"boxes": [box], "labels": [torch.tensor([0])], "crowd": [torch.tensor([False])]})
    framed = letterboxed(split, frame=frame, channels=3)
    assert torch.equal(framed.images[0], letterbox(image, frame))
    left, top, right, bottom = framed.targets["boxes"][0, 0].tolist()
    bright = (framed.images[0][0] > 140).nonzero()
    assert bright[:, 0].min() == pytest.approx(top, abs=1.1)
    assert bright[:, 0].max() + 1 == pytest.approx(bottom, abs=1.1)
    assert bright[:, 1].min() == pytest.approx(left, abs=1.1)
    assert bright[:, 1].max() + 1 == pytest.approx(right, abs=1.1)


@pytest.mark.parametrize("how", [Jitter(), Jitter(mosaic=0.0), Jitter(mirror=1.0, upend=1.0, zoom=0.3)])
def test_augmentation_moves_boxes_with_their_pixels(how: Jitter) -> None:
    torch.manual_seed(0)
    split = letterboxed(scenes(8, seed=3), frame=(64, 96), channels=3)
    images = split.images[:].float() / 255
    how = Jitter(**{**how.__dict__, "hue": 0.0, "saturation": 0.0, "value": 0.0})
    seen = 0
    for _ in range(4):
        moved, boxes, labels = jitter(images, split.targets["boxes"], split.targets["labels"], how)
        assert moved.shape == images.shape
        for image, mine, kinds in zip(moved, boxes, labels, strict=True):
            # Red and blue pixels, and where boxes say that there are some.
            painted = torch.stack([(image[0] - image[2]) > 0.35, (image[2] - image[0]) > 0.35])
            told = torch.zeros_like(painted)
            for (left, top, right, bottom), kind in zip(mine.round().int().tolist(), kinds.tolist(), strict=True):
                if kind >= 0:
                    told[kind, top:bottom, left:right] = True
                    seen += 1
            # Slivers at the border are no objects any more, and edges are blurred.
            assert (painted & ~told).sum() <= 0.03 * painted[0].numel()
            assert (painted & told).sum() > 0.85 * told.sum() - 20
    assert seen > 30


def test_mosaics_come_with_the_passes_and_go_at_the_end() -> None:
    task = Dense(classes=("red", "blue"), mosaic=0.8, calm=0.25)

    def shares(passes: float, *parts: float) -> list[float]:
        return [task.changes(part, part * passes).mosaic for part in parts]

    assert shares(32, 0.0, 0.375, 0.75) == pytest.approx([0, 0.32, 0])
    changes = task.changes(0.375, 0.375 * 32)
    assert (changes.zoom, changes.shift) == pytest.approx((0.4 * task.zoom, 0.4 * task.shift))
    # Of a long run a quarter is more than ten passes.
    assert shares(80, 0.0, 0.1875, 0.5, 0.75, 0.875) == pytest.approx([0, 0.4, 0.8, 0.8, 0])
    bright = torch.zeros(8, 3, 64, 64)
    bright[::2] = 1  # pictures are all white or all black: of four in one some are both
    still = Dense(classes=("red",), zoom=0.0, shift=0.0, saturation=0.0, value=0.0, hue=0.0)
    batch = {"image": bright, "boxes": torch.zeros(8, 1, 4), "labels": torch.full((8, 1), -1)}
    batch["crowd"] = torch.zeros(8, 1, dtype=torch.bool)
    for passes, mixed in ((0.0, False), (30.0, True)):
        torch.manual_seed(0)
        seen = still.observe({**batch, "passes": passes}, training=True)["image"]
        assert bool((seen.flatten(1).std(1) > 0.2).any()) is mixed


def test_a_batch_is_seen_at_several_sizes() -> None:
    torch.manual_seed(0)
    task = Dense(classes=("red", "blue"), mosaic=0.0, zoom=0.0, shift=0.0, mirror=0.0, multi_scale=0.5)
    split = letterboxed(scenes(2, seed=3), frame=(64, 96), channels=3)
    batch = {"image": split.images[:].float() / 255, **split.targets}
    sizes = set()
    for _ in range(12):
        got = task.observe(batch, training=True)
        sizes.add(tuple(got["image"].shape[-2:]))
        factor = torch.tensor([got["image"].shape[-1] / 96, got["image"].shape[-2] / 64] * 2)
        wanted = split.targets["boxes"][0][split.targets["labels"][0] >= 0] * factor
        assert torch.allclose(got["boxes"][0][got["labels"][0] >= 0], wanted, atol=1e-3)
    assert len(sizes) >= 3
    assert all(height % 32 == 0 and width % 32 == 0 for height, width in sizes)


def test_hue_turns_colours_and_keeps_grey() -> None:
    torch.manual_seed(0)
    grey, red = torch.full((4, 3, 8, 8), 0.5), torch.zeros(4, 3, 8, 8)
    red[:, 0] = 0.6
    none = torch.zeros(4, 1, 4), torch.full((4, 1), -1)
    still = {"mosaic": 0.0, "zoom": 0.0, "shift": 0.0, "mirror": 0.0, "value": 0.0}
    turned = jitter(grey, *none, Jitter(**still, hue=0.3, saturation=0.5))[0]
    assert (turned - grey).abs().max() < 0.01
    turned = jitter(red, *none, Jitter(**still, hue=0.3, saturation=0.0))[0]
    assert (turned - red).abs().max() > 0.1
    assert jitter(red, *none, Jitter(**still, hue=0.0, saturation=0.0))[0] == pytest.approx(red, abs=1e-3)


def test_assignment_is_that_of_the_paper() -> None:
    """Against loops over objects and places, written from the paper's text."""
    generator = torch.Generator().manual_seed(0)
    points, strides = places(torch.zeros(1, 1, 64, 64), (8, 16))
    true = torch.tensor([[[2.0, 3, 40, 44], [20, 20, 60, 50], [50, 50, 54, 53], [0, 0, 0, 0]]])
    kinds = torch.tensor([[1, 0, 1, -1]])
    scores = torch.rand(1, len(points), 2, generator=generator)
    reach = strides[:, None] * (0.5 + 2 * torch.rand(len(points), 4, generator=generator))
    boxes = torch.cat([points - reach[:, :2], points + reach[:, 2:]], 1)[None]
    told = assign(scores, boxes, points, 8.0, true, kinds)
    wanted: dict[int, tuple[float, int]] = {}
    fitness, overlaps = {}, {}
    for m in range(3):
        left, top, right, bottom = true[0, m].tolist()
        x, y, wide, high = (left + right) / 2, (top + bottom) / 2, max(right - left, 8), max(bottom - top, 8)
        inside = [
            a for a, (px_, py) in enumerate(points.tolist()) if abs(px_ - x) <= wide / 2 and abs(py - y) <= high / 2
        ]
        for a in inside:
            overlaps[m, a] = float(paired_iou(boxes[0, a][None], true[0, m][None]))
            fitness[m, a] = float(scores[0, a, kinds[0, m]]) ** ALPHA * overlaps[m, a] ** BETA
        for a in sorted(inside, key=lambda a: -fitness[m, a])[:PLACES]:
            if a not in wanted or overlaps[m, a] > wanted[a][0]:
                wanted[a] = (overlaps[m, a], m)
    assert set(torch.nonzero(told.weight[0]).flatten().tolist()) == {a for a, (share, _) in wanted.items() if share > 0}
    for a, (_, m) in wanted.items():
        mine = [b for b, (_, n) in wanted.items() if n == m]
        top = max(fitness[m, b] for b in mine)
        weight = fitness[m, a] / top * max(overlaps[m, b] for b in mine)
        assert float(told.weight[0, a]) == pytest.approx(weight, rel=1e-2, abs=1e-4)
        assert torch.equal(told.boxes[0, a], true[0, m])
        assert told.labels[0, a] == kinds[0, m]
    assert any(m == 2 for _, m in wanted.values())  # smaller than a stride, and yet found a place


def test_sides_are_means_of_their_distributions() -> None:
    sides = torch.full((1, 4, 16), -30.0)
    for side, (low, share) in enumerate([(2, 0.25), (0, 0.5), (14, 0.9), (7, 0.0)]):
        sides[0, side, low], sides[0, side, low + 1] = np.log(1 - share + 1e-12), np.log(share + 1e-12)
    box = boxes_of(sides, torch.tensor([[100.0, 100.0]]), torch.tensor([8.0]))
    assert box[0].tolist() == pytest.approx([100 - 18, 100 - 4, 100 + 119.2, 100 + 56], abs=1e-2)
    # The loss is least, and the entropy of the two bins, where the distribution is the truth's.
    distance = torch.tensor([[2.25, 0.5, 14.9, 7.0]])
    entropy = np.mean([-(s * np.log(s) + (1 - s) * np.log(1 - s)) if s else 0 for s in (0.25, 0.5, 0.9, 0.0)])
    assert float(side_losses(sides, distance)) == pytest.approx(entropy, abs=1e-4)
    assert float(side_losses(sides, distance + 0.3)) > entropy + 0.1


def test_box_losses_are_those_of_torchvision_and_have_a_gradient_where_boxes_have_no_height() -> None:
    generator = np.random.default_rng(0)
    found, true = (torch.from_numpy(random_boxes(generator, 50)).float() for _ in range(2))
    torch.testing.assert_close(box_losses(found, true), complete_box_iou_loss(found, true))
    flat = torch.tensor([[10.0, 20, 40, 20], [10, 20, 10, 60], [15, 30, 15, 30]], requires_grad=True)
    losses = box_losses(flat, torch.tensor([[12.0, 10, 38, 50]]).expand(3, -1))
    losses.sum().backward()
    assert flat.grad is not None
    assert torch.isfinite(flat.grad).all()
    assert bool((flat.grad[0, 1] > 0) & (flat.grad[0, 3] < 0))  # it grows taller by going downhill


def test_a_network_learns_though_an_objects_place_finds_a_box_without_height() -> None:
    class Says(torch.nn.Module):
        strides, bins = (8,), 16

        def __init__(self) -> None:
            super().__init__()
            self.logits = torch.nn.Parameter(torch.zeros(1, 16, 4 * 16 + 1))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.logits

    network = Says()
    with torch.no_grad():
        first = network.logits[0, 0, :64].view(4, 16)
        first[1::2] = -200.0
        first[1::2, 0] = 200.0  # up and down: not at all
    batch = {
        "image": torch.zeros(1, 3, 32, 32),
        "boxes": torch.tensor([[[2.0, 2, 30, 14]]]),
        "labels": torch.tensor([[0]]),
    }
    loss = Dense(classes=("thing",)).losses(network, batch)["loss"]
    loss.backward()
    assert network.logits.grad is not None
    assert torch.isfinite(network.logits.grad).all()


def random_boxes(generator: np.random.Generator, count: int) -> np.ndarray:
    corner = generator.random((count, 2)) * 80
    return np.concatenate([corner, corner + generator.random((count, 2)) * 120 + 1], 1)


@pytest.mark.parametrize("crowded", [0.0, 0.2])
def test_average_precision_is_that_of_other_libraries(crowded: float, here: Path) -> None:
    generator = np.random.default_rng(0)
    found, true, results = [], [], []
    truth: dict[str, list[Any]] = {"images": [], "annotations": [], "categories": [{"id": k} for k in (3, 7, 11)]}
    theirs = MeanAveragePrecision(box_format="xyxy")
    for number in range(12):
        boxes = random_boxes(generator, int(generator.integers(0, 6)))
        kinds = generator.integers(0, 3, len(boxes))
        crowd = generator.random(len(boxes)) < crowded
        near = boxes + generator.normal(0, 4, boxes.shape)
        guess = np.concatenate([near, random_boxes(generator, 5)])
        named = np.concatenate([np.where(generator.random(len(boxes)) < 0.8, kinds, 0), generator.integers(0, 3, 5)])
        scores = generator.random(len(guess))
        order = np.argsort(-scores)
        found.append(Seen(guess[order], named[order], scores[order], np.zeros(len(guess), bool)))
        true.append(Seen(boxes, kinds, np.ones(len(boxes)), crowd))
        theirs.update(
            [{"boxes": torch.tensor(guess), "labels": torch.tensor(named), "scores": torch.tensor(scores)}],
            [{"boxes": torch.tensor(boxes).view(-1, 4), "labels": torch.tensor(kinds)}],
        )
        truth["images"].append({"id": number})
        for (left, top, right, bottom), k, many in zip(boxes.tolist(), kinds, crowd, strict=True):
            box = {"bbox": [left, top, right - left, bottom - top], "area": (right - left) * (bottom - top)}
            entry = {"id": len(truth["annotations"]) + 1, "image_id": number, "iscrowd": int(many), **box}
            truth["annotations"].append({**entry, "category_id": (3, 7, 11)[k]})
        for (left, top, right, bottom), k, score in zip(guess.tolist(), named, scores, strict=True):
            entry = {"image_id": number, "bbox": [left, top, right - left, bottom - top], "score": float(score)}
            results.append({**entry, "category_id": (3, 7, 11)[k]})
    ours = evaluate_boxes(found, true, 3).stats
    # As a user of pycocotools does it, from files.
    (here / "truth.json").write_text(json.dumps(truth))
    (here / "results.json").write_text(json.dumps(results))
    with contextlib.redirect_stdout(io.StringIO()):
        real = COCO(str(here / "truth.json"))
        judge = COCOeval(real, real.loadRes(str(here / "results.json")), "bbox")
        judge.evaluate()
        judge.accumulate()
        judge.summarize()
    assert ours == pytest.approx(judge.stats, abs=1e-6)
    assert ours[0] > 0.05
    if not crowded:  # which torchmetrics counts in another way
        other = theirs.compute()
        for place, name in enumerate(["map", "map_50", "map_75"]):
            assert ours[place] == pytest.approx(float(other[name]), abs=1e-6), name
        assert ours[8] == pytest.approx(float(other["mar_100"]), abs=1e-6)


def seen(rows: list[tuple[float, float, float, float, int, float]], crowd: list[bool] | None = None) -> Seen:
    array = np.array(rows, dtype=float).reshape(-1, 6)
    return Seen(array[:, :4], array[:, 4].astype(int), array[:, 5], np.array(crowd or [False] * len(rows), bool))


def test_matching_by_hand() -> None:
    true = seen([(0, 0, 10, 10, 0, 1), (20, 0, 30, 10, 1, 1), (40, 0, 90, 50, 0, 1)], [False, False, True])
    found = seen([
        (0, 0, 10, 9, 0, 0.9),  # finds the first
        (0, 1, 10, 10, 0, 0.8),  # the first again: wrong
        (20, 0, 30, 10, 0, 0.7),  # on the second, of another class
        (41, 0, 55, 20, 0, 0.6),  # one of the crowd, which is not judged
        (60, 60, 70, 70, 1, 0.1),  # nothing there
    ])  # fmt: skip
    assert match(found, true).tolist() == [0, -1, -1, -2, -1]
    assert match(found, true, any_class=True).tolist() == [0, -1, 1, -2, -1]
    # Rows are the truth (0, 1, background), columns what was found.
    assert confusions([found], [true], 2, 0.25).tolist() == [[1, 0, 0], [1, 0, 0], [1, 0, 0]]
    assert confusions([found], [true], 2, 0.0).tolist() == [[1, 0, 0], [1, 0, 0], [1, 1, 0]]
    assert confusions([found], [true], 2, 0.95).tolist() == [[0, 0, 1], [0, 0, 1], [0, 0, 0]]
    # Class 0 has one object: found with two false ones, with none, not at all.
    assert f1_scores([found], [true], 0, np.array([0.1, 0.85, 0.95])).tolist() == pytest.approx([0.5, 1.0, 0.0])


@pytest.mark.parametrize("network", network_names("detect"))
def test_every_network_takes_a_step_and_says_boxes(network: str, rectangles: Dataset, here: Path) -> None:
    few = Dataset("few", {"train": scenes(6, seed=5), "val": scenes(2, seed=6)}, rectangles.classes)
    short = {"steps": 1, "size": (64, 96), "settings": {"batch": 4}}
    model = px.train("detect", few, network=network, out=here / "run", **short, **FAST)
    assert np.isfinite(model.evaluate(few).metrics["map"])
    one = px.load_model(here / "run").predict(np.zeros((50, 90), np.uint8))
    assert isinstance(one, Boxes)
    assert network_for(network, "detect").SUMMARY


def test_frames_suit_the_pictures(here: Path) -> None:
    from pixelry.tasks.base import Form

    task = Dense(classes=("red", "blue"))
    assert task.input_form(scenes(2, seed=0, size=(480, 640)), Form()).size == (256, 320)
    assert task.input_form(scenes(2, seed=0, size=(64, 128)), Form()).size == (96, 192)  # small ones are enlarged,
    assert task.input_form(scenes(2, seed=0, size=(48, 64)), Form()).size == (96, 128)  # but no more than doubled
    assert task.input_form(scenes(2, seed=0), Form(size=(128, 128))).size == (128, 128)
    with pytest.raises(UsageError, match="multiples of 32"):
        task.input_form(scenes(2, seed=0), Form(size=(100, 100)))
    mixed = Split([torch.zeros(3, 40, 90, dtype=torch.uint8), torch.zeros(3, 90, 40, dtype=torch.uint8)])
    assert task.input_form(mixed, Form()).size == (192, 192)


def test_bad_input_is_named(rectangles: Dataset, here: Path) -> None:
    with pytest.raises(DataError, match="digits \\(built-in\\) has no boxes"):
        px.train("detect", "digits", steps=1, progress=False)
    wrong = scenes(3, seed=0)
    short: dict[str, Any] = {"steps": 1, "progress": False, "val_fraction": 0}
    empty = Split(wrong.images, {name: [v[:0] for v in values] for name, values in wrong.targets.items()})
    with pytest.raises(DataError, match="has no box with an area in its 3 training images"):
        px.train("detect", Dataset("none", {"train": empty}, rectangles.classes), **short)
    for setting in ({"confidence": 2}, {"zoom": 1.0}, {"most": 0}):
        with pytest.raises(UsageError, match=f"{next(iter(setting))} is"):
            Dense(classes=("a",), **setting)


def test_flat_boxes_are_left_out_and_named(rectangles: Dataset) -> None:
    wrong = scenes(3, seed=0)
    wrong.targets["boxes"][1][0] = torch.tensor([9.0, 9.0, 5.0, 20.0])
    data = Dataset("wrong", {"train": wrong}, rectangles.classes)
    (note,) = Dense.notes(data)
    assert "1 images have a box without an area" in note
    assert "#1: [9.0, 9.0, 5.0, 20.0]" in note
    assert not Dense.notes(rectangles)
    framed = letterboxed(wrong, frame=(64, 96), channels=3)
    assert int((framed.targets["labels"] >= 0).sum()) == sum(len(b) for b in wrong.targets["boxes"]) - 1


def test_a_crowd_is_neither_object_nor_background() -> None:
    torch.manual_seed(0)
    task, network = Dense(classes=("red", "blue")), network_for("yolo_n", "detect").build
    model = network(channels=3, size=(64, 64), classes=2).eval()
    pictures = torch.rand(1, 3, 64, 64)
    everywhere = torch.tensor([[[0.0, 0, 64, 64]]])
    crowd = task.losses(model, {"image": pictures, "boxes": everywhere, "labels": torch.tensor([[2]])})
    nothing = task.losses(model, {"image": pictures, "boxes": everywhere, "labels": torch.tensor([[-1]])})
    assert crowd["loss"].item() == 0
    assert nothing["score_loss"].item() > 0


def test_no_objects_teach_the_background() -> None:
    task, network = (
        Dense(classes=("red", "blue")),
        network_for("yolo_n", "detect").build(channels=3, size=(64, 64), classes=2),
    )
    batch: dict[str, Tensor] = {
        "image": torch.rand(2, 3, 64, 64), "boxes": torch.zeros(2, 1, 4), "labels": torch.full((2, 1), -1)
    }  # fmt: skip
    losses = task.losses(network, batch)
    assert losses["box_loss"].item() == 0
    assert losses["score_loss"].item() > 0
    losses["loss"].backward()


@pytest.mark.parametrize("name", ["ssd", "faster_rcnn", "retinanet", "fcos"])
def test_places_stay_exact_where_convolutions_are_not(name: str) -> None:
    """Under bfloat16 the numbers that boxes are made of are float32: else a place is exact to one pixel in 128."""
    torch.manual_seed(0)
    module = import_module(f"pixelry.networks.detect.{name}")
    network = module.build(channels=3, size=(320, 320), classes=2).eval()
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        features = network.body.backbone(torch.rand(1, 3, 320, 320))
        assert {one.dtype for one in features.values()} == {torch.float32}
        (found,) = network(torch.rand(1, 3, 320, 320))
    assert found["boxes"].dtype == torch.float32
    far = found["boxes"][(found["boxes"] > 129) & (found["boxes"] < 319)]
    # Places that were reckoned in bfloat16 are whole numbers there, and those above 256 even ones.
    assert float((far != far.bfloat16()).float().mean()) > 0.1
