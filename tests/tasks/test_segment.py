"""Segmentation: a segmenter that learns, what it is judged by, and what it says of pictures of any size."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from pycocotools.mask import decode, frPyObjects, merge
from sklearn.metrics import confusion_matrix, jaccard_score
from torch import Tensor
from torchmetrics.functional.segmentation import dice_score

import pixelry as px
from pixelry.data.dataset import Dataset, Split
from pixelry.data.framing import fitted, frame_for, framed
from pixelry.data.letterbox import GREY, place_in, scaled
from pixelry.data.masks import IGNORE
from pixelry.data.shapes import render_shapes
from pixelry.draw import class_colors
from pixelry.errors import DataError, ImageError, ModelError, UsageError
from pixelry.plugins import network_for, network_names
from pixelry.segments import Segments
from pixelry.tasks.base import Form
from pixelry.tasks.segment import TASK
from pixelry.video import Video, VideoWriter
from pixelry.watching import watch
from rectangles import FAST

CLASSES = ("background", "thing")
SIZES = ((64, 64), (48, 80), (90, 60))
SMALL: dict[str, Any] = {"width": 8, "depth": 1, "batch": 16}
FEW: dict[str, Any] = {"steps": 1, "val_fraction": 0, **FAST}


def scenes(count: int, *, start: int = 0, size: tuple[int, int] = (64, 64)) -> Split:
    """Rendered shapes, all of them of one class."""
    split = render_shapes(count, size=size, start=start)
    return Split(split.images, {"mask": (split.targets["mask"] > 0).to(torch.uint8)})


def mixed(count: int, *, start: int) -> Split:
    """Scenes of several sizes, so many of each, with a strip of each that nobody has labelled."""
    parts = [scenes(count, start=start + i * count, size=size) for i, size in enumerate(SIZES)]
    images = [image for part in parts for image in part.images]
    masks = [mask.clone() for part in parts for mask in part.targets["mask"]]
    for mask in masks:
        mask[:5] = IGNORE
    return Split(images, {"mask": masks})


def picture(image: Tensor) -> NDArray[np.uint8]:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


@pytest.fixture(scope="module")
def data() -> Dataset:
    splits = {"train": scenes(96), "val": scenes(12, start=96), "test": mixed(6, start=108)}
    return Dataset("things", splits, CLASSES, mask_classes=CLASSES)


@pytest.fixture(scope="module")
def model(data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> px.Model:
    folder = tmp_path_factory.mktemp("s") / "run"
    return px.train("segment", data, network="fpn", steps=120, settings=SMALL, out=folder, **FAST)


def test_a_segmenter_learns(model: px.Model, data: Dataset, here: Path) -> None:
    report = model.evaluate(data)
    trivial = np.concatenate([mask[mask != IGNORE].numpy() for mask in data["test"].targets["mask"]])
    # To say "background" everywhere.
    assert report.metrics["mean_iou"] > (trivial == 0).mean() / 2 + 0.2
    assert report.metrics["images"] == 18
    assert [table.title for table in report.findings.tables] == ["Per class"]
    assert [picture.title for picture in report.findings.pictures] == ["Confusion", "Worst pictures"]
    assert "one confusion matrix over the pixels of all images" in report.findings.protocol
    report.save(here / "index.html")
    report.save(here / "report.json")
    saved = json.loads((here / "report.json").read_text())
    assert [row["class"] for row in saved["tables"]["per_class"]] == ["background", "thing"]
    model.save(here / "m.safetensors")
    again = px.load_model(here / "m.safetensors")
    assert again.classes == CLASSES
    assert again.evaluate(data).metrics == report.metrics


def test_it_is_judged_at_the_size_of_the_masks(model: px.Model, data: Dataset) -> None:
    test, metrics = data["test"], model.evaluate(data).metrics
    true, found = [], []
    for image, mask in zip(test.images, test.targets["mask"], strict=True):
        result = model.predict(picture(image))
        assert isinstance(result, Segments)
        assert result.ids.shape == mask.shape
        judged = mask.numpy() != IGNORE
        true.append(mask.numpy()[judged])
        found.append(result.ids[judged])
    y, z = np.concatenate(true), np.concatenate(found)
    matrix = confusion_matrix(y, z)
    assert metrics["mean_iou"] == pytest.approx(jaccard_score(y, z, average="macro"), abs=1e-4)
    assert metrics["pixel_accuracy"] == pytest.approx(np.trace(matrix) / matrix.sum(), abs=1e-4)
    assert metrics["mean_accuracy"] == pytest.approx((np.diag(matrix) / matrix.sum(1)).mean(), abs=1e-4)
    ours = [torch.from_numpy(v)[None, None].long() for v in (z, y)]
    dice = dice_score(*ours, num_classes=2, average="macro", input_format="index")
    assert metrics["mean_dice"] == pytest.approx(float(dice), abs=1e-4)


def test_tiles_keep_what_is_small(model: px.Model, here: Path) -> None:
    parts = scenes(9, start=300)
    large, mask = (
        torch.cat([torch.cat(list(row), -1) for row in values.split(3)], -2)
        for values in (torch.as_tensor(parts.images), parts.targets["mask"])
    )

    def iou(found: Any) -> float:
        return float(jaccard_score(mask.numpy().ravel(), found.ids.ravel(), average="macro"))

    by_tiles, whole = px.predict(model, picture(large), tile=64), px.predict(model, picture(large))
    assert isinstance(by_tiles, Segments)
    assert by_tiles.ids.shape == mask.shape
    assert by_tiles.confidence is not None
    assert iou(by_tiles) > iou(whole) + 0.1  # which sees a third of the pixels
    one = picture(torch.as_tensor(parts.images)[0])
    np.testing.assert_array_equal(px.predict(model, one, tile=64), model.predict(one))
    with pytest.raises(UsageError, match="expected 32 pixels or more"):
        px.predict(model, one, tile=8)


def test_answers_to_several_sizes_and_mirrors_are_averaged(model: px.Model) -> None:
    image = torch.as_tensor(scenes(1, start=310).images)
    single: Any = model.task.with_settings({"scales": [0.5]})
    several: Any = model.task.with_settings({"scales": "1, 0.5", "flip": True})
    assert several.scales == (1.0, 0.5)
    full = model.run(image)
    half = torch.nn.functional.interpolate(model.run(image, single), full.shape[-2:], mode="bilinear")
    turned = several.forward(model.network, {"image": image.flip(-1) / 255}).flip(-1)
    mean = model.run(image, several)
    torch.testing.assert_close(mean, turned, atol=1e-4, rtol=1e-3)  # a mean over mirrors has the mirror's symmetry
    plain = model.run(image, model.task.with_settings({"scales": [1, 0.5]}))
    torch.testing.assert_close(plain, (full + half) / 2)
    for wrong in ([], [0], [9], "big"):
        with pytest.raises(UsageError, match="scales"):
            model.task.with_settings({"scales": wrong})


def test_many_pictures_of_one_size_and_one_of_another(model: px.Model) -> None:
    # More than are looked at to learn their size: batches must not mix the two.
    alike, other = scenes(70, start=400, size=(32, 32)), scenes(1, start=470, size=(32, 48))
    split = Split(
        [*alike.images, other.images[0]], {"mask": [*alike.targets["mask"], other.targets["mask"][0]]}
    )  # fmt: skip
    assert model.evaluate(Dataset("odd", {"test": split}, CLASSES, mask_classes=CLASSES)).metrics["images"] == 71


def test_pictures_of_any_kind_get_a_map_of_their_own_size(model: px.Model, data: Dataset, here: Path) -> None:
    image = picture(data["val"].images[0])
    PILImage.fromarray(image).resize((150, 100)).save(here / "wide.png")
    PILImage.fromarray(image).convert("L").resize((40, 70)).save(here / "grey.png")
    PILImage.fromarray(image).convert("RGBA").save(here / "alpha.png")
    found = px.predict(model, here)
    assert {Path(one.name).name: one.ids.shape for one in found} == {
        "wide.png": (100, 150), "grey.png": (70, 40), "alpha.png": (64, 64),
    }  # fmt: skip
    plain = model.predict(image)
    alpha = next(one for one in found if "alpha" in one.name)
    assert (plain.ids == alpha.ids).all()
    assert plain.classes == CLASSES
    assert plain.confidence.shape == (64, 64)
    assert plain.confidence.min() >= 0.5  # of two classes the surer
    assert plain.confidence.max() <= 1
    for one in (image.astype(np.float32) / 255, torch.from_numpy(image).permute(2, 0, 1)):
        assert (model.predict(one).ids == plain.ids).mean() > 0.999


def test_files_of_a_prediction(model: px.Model, data: Dataset, here: Path) -> None:
    (here / "in").mkdir()
    for i, size in enumerate([(64, 64), (90, 50)]):
        PILImage.fromarray(picture(data["val"].images[i])).resize(size).save(here / f"in/{i}.png")
    (here / "in/broken.png").write_bytes(b"no picture")
    found = px.predict(model, here / "in", out=here / "out", skip_errors=True)
    names = {path.name for path in (here / "out").iterdir()}
    assert names == {
        "0.png", "1.png", "0-overlay.jpg", "1-overlay.jpg", "0-color.png", "1-color.png", "predictions.csv",
        "predictions.jsonl", "coco.json", "sheet.png", "failed.csv",
    }  # fmt: skip
    lines = [json.loads(line) for line in (here / "out/predictions.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == ["0.png", "1.png"]
    for result, line in zip(found, lines, strict=True):
        with PILImage.open(here / "out" / line["file"]) as page:
            assert page.mode == "P"
            assert (np.asarray(page) == result.ids).all()
        with PILImage.open(here / "out" / line["file"].replace(".", "-color.")) as page:
            assert (np.asarray(page) == class_colors(len(CLASSES))[result.ids]).all()
        assert (line["height"], line["width"]) == result.ids.shape
        assert sum(row["share"] for row in line["classes"]) == pytest.approx(1, abs=1e-5)
    with (here / "out/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    told = {(Path(row["name"]).stem, row["label"]): int(row["pixels"]) for row in rows}
    assert told == {(str(i), label): area for i, one in enumerate(found) for label, area in one.areas.items()}


def test_of_many_maps_memory_holds_the_first(model: px.Model, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelry.predictions.KEPT_PICTURES", 2)
    images = torch.as_tensor(scenes(5, start=320).images)
    written: list[int] = []

    class Slow:
        """Files of results are there before the next picture is read."""

        def __init__(self, number: int) -> None:
            self.number, self.name, self.source = number, f"{number}.png", picture(images[number])

        def read(self) -> Any:
            written.append(len(list((here / "out").glob("*-overlay.jpg"))))
            return self.source

    monkeypatch.setattr("pixelry.inputs.gather", lambda inputs: ((Slow(number) for number in range(5)), False))
    found = px.predict(model, here, out=here / "out", batch=1)
    assert (len(found), found.total) == (2, 5)
    assert written == [0, 0, 1, 2, 3]
    lines = [json.loads(line) for line in (here / "out/predictions.jsonl").read_text().splitlines()]
    assert [line["name"] for line in lines] == [f"{number}.png" for number in range(5)]
    entries = json.loads((here / "out/coco.json").read_text())
    assert {entry["image_id"] for entry in entries} == {0, 1, 2, 3, 4}


def test_a_folder_where_nothing_came_can_be_used_again(model: px.Model, here: Path) -> None:
    (here / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ImageError, match=r"broken\.png"):
        px.predict(model, here / "broken.png", out=here / "out")
    assert not list((here / "out").iterdir())


# pycocotools 2.0.11 decodes in a way that NumPy warns of.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_coco_outlines_are_the_map(model: px.Model, data: Dataset, here: Path) -> None:
    PILImage.fromarray(picture(data["val"].images[2])).resize((70, 50)).save(here / "17.png")
    result = px.predict(model, here / "17.png", out=here / "out")
    entries = json.loads((here / "out/coco.json").read_text())
    assert {entry["category_name"] for entry in entries} == set(result.areas)
    for entry in entries:
        region = decode(merge(frPyObjects(entry["segmentation"], *result.ids.shape)))
        assert (region == (result.ids == CLASSES.index(entry["category_name"]))).all()
        assert entry["image_id"] == 17


def test_flip_is_the_mean_of_both_answers(model: px.Model, data: Dataset) -> None:
    images = data["val"].images[:3].float() / 255
    with torch.inference_mode():
        plain = model.task.forward(model.network, {"image": images})
        mirrored = model.task.forward(model.network, {"image": images.flip(-1)}).flip(-1)
        both = model.task.with_settings({"flip": True}).forward(model.network, {"image": images})
    torch.testing.assert_close(both, (plain + mirrored) / 2)
    assert not torch.equal(both, plain)
    image = picture(data["val"].images[0])
    first, second = (model.predict(one, settings={"flip": True}) for one in (image, image[:, ::-1].copy()))
    assert (first.ids == second.ids[:, ::-1]).mean() > 0.99
    assert model.evaluate(data, settings={"flip": True}).metrics["mean_iou"] > 0.5


def test_large_pictures_are_read_class_by_class(monkeypatch: pytest.MonkeyPatch) -> None:
    from pixelry.tasks.segment import base

    torch.manual_seed(0)
    logits, truth = 3 * torch.randn(5, 8, 9), torch.randint(0, 5, (61, 47))
    ids, surest = base.at_own_size(logits, (61, 47))
    batch = {"mask": [truth], "index": torch.tensor([0])}
    judges = [TASK(classes=tuple("abcde")).evaluator() for _ in range(2)]
    judges[0].update(logits[None], batch)
    monkeypatch.setattr(base, "AT_ONCE", 10)
    again, sure = base.at_own_size(logits, (61, 47))
    judges[1].update(logits[None], batch)
    assert (ids == again).all()
    assert np.allclose(surest, sure, atol=1e-6)
    assert judges[0].compute() == judges[1].compute()


def test_video_is_watched_frame_by_frame(model: px.Model, data: Dataset, here: Path) -> None:
    with VideoWriter(here / "a.mp4", 10) as writer:
        for image in data["val"].images[:5]:
            writer.write(picture(image))
    seen = [(frame.number, result) for frame, result in watch(model, here / "a.mp4", settings={"flip": True})]
    assert [number for number, _ in seen] == list(range(5))
    assert all(isinstance(result, Segments) and result.ids.shape == (64, 64) for _, result in seen)
    results = px.predict(model, str(here / "a.mp4"), out=here / "out", progress=False)
    (watched,) = results.videos
    assert watched.found["background"] == 5
    lines = [json.loads(line) for line in (here / "out/a.jsonl").read_text().splitlines()]
    assert [line["frame"] for line in lines] == list(range(5))
    assert {row["label"] for row in lines[0]["classes"]} <= set(CLASSES)
    assert len(list(Video(here / "out/a.mp4"))) == 5


def test_pictures_are_framed_to_learn_from_and_whole_to_be_judged(here: Path) -> None:
    images = [torch.full((3, 20, 40), 200, dtype=torch.uint8), torch.full((3, 64, 32), 10, dtype=torch.uint8)]
    masks = [torch.zeros(20, 40, dtype=torch.uint8), torch.zeros(64, 32, dtype=torch.uint8)]
    masks[0][:, 20:] = 3
    masks[1][32:] = 2
    split = Split(images, {"mask": masks}, ["wide", "high"])
    told = framed(split, frame=(32, 32), channels=3)
    assert told.images[:].shape == (2, 3, 32, 32)
    mask = told.targets["mask"]
    assert mask.dtype == torch.uint8
    assert (mask[0, :8] == IGNORE).all()
    assert (mask[0, 24:] == IGNORE).all()
    assert (mask[0, 8:24, :16] == 0).all()
    assert (mask[0, 8:24, 16:] == 3).all()
    assert (mask[1, :, :8] == IGNORE).all()
    assert set(mask[1, :, 8:24].unique().tolist()) == {0, 2}  # never a class between the two
    assert (told.images[0][:, :8] == GREY).all()
    assert (told.images[0][:, 8:24] == 200).all()
    assert told.name(1) == "high"
    # Read when they are wanted, they are the same.
    lazy = framed(split, frame=(32, 32), channels=3, memory=0)
    assert not isinstance(lazy.images, Tensor)
    assert all(torch.equal(lazy.images[i], told.images[i]) for i in range(2))
    assert all(torch.equal(lazy.targets["mask"][i], mask[i]) for i in range(2))
    judged = fitted(split, frame=(32, 32), channels=1)
    assert [tuple(judged.images[i].shape) for i in range(2)] == [(1, 16, 32), (1, 32, 16)]
    assert all(torch.equal(judged.targets["mask"][i], masks[i]) for i in range(2))
    assert scaled(images[0], (32, 32)).shape == (3, 16, 32)
    assert place_in((20, 40), (32, 32)).corner == (8, 0)


def test_frames_suit_the_pictures() -> None:
    task = TASK(classes=CLASSES)
    assert task.input_form(scenes(2, size=(48, 80)), Form()).size == (48, 80)  # as they are, where all are alike
    assert task.input_form(scenes(2, size=(48, 80)), Form(size=(40, 40))).size == (40, 40)
    large = Split([torch.zeros(3, 600, 800, dtype=torch.uint8)] * 2)
    assert task.input_form(large, Form()).size == (384, 512)
    assert frame_for(large, longest=256, stride=32) == (192, 256)
    assert task.input_form(mixed(1, start=0), Form()).size == (96, 96)


# Those of other families learn something else than a class for each pixel.
PLAIN = [name for name in network_names("segment") if not hasattr(network_for(name, "segment"), "FAMILY")]


@pytest.mark.parametrize("network", PLAIN)
def test_every_network_takes_a_step_and_says_classes(network: str, here: Path) -> None:
    splits = {"train": scenes(4), "val": scenes(2, start=4)}
    few = Dataset("few", splits, CLASSES, mask_classes=CLASSES)
    model = px.train("segment", few, network=network, steps=1, settings={"batch": 2}, out=here / "run", **FAST)
    assert 0 <= model.evaluate(few).metrics["mean_iou"] <= 1
    one = px.load_model(here / "run").predict(np.zeros((50, 90), np.uint8))
    assert isinstance(one, Segments)
    assert one.ids.shape == (50, 90)
    assert network_for(network, "segment").SUMMARY


@pytest.mark.parametrize("loss", ["cross_entropy", "dice", "focal", "hard"])
def test_every_loss_trains(loss: str, here: Path) -> None:
    few = Dataset("few", {"train": scenes(4)}, CLASSES, mask_classes=CLASSES)
    settings = {"loss": loss, "batch": 2, "crop": 0.5}
    model = px.train("segment", few, network="logistic", settings=settings, out=here / "run", **FEW)
    assert model.card.task_options["loss"] == loss


def test_weights_balance_the_classes(here: Path) -> None:
    masks = torch.zeros(4, 8, 8, dtype=torch.uint8)
    masks[:, 0, :4] = 1  # 4 of 64 pixels
    masks[:, 1] = IGNORE
    split = Split(torch.zeros(4, 3, 8, 8, dtype=torch.uint8), {"mask": masks})
    data = Dataset("few", {"train": split}, CLASSES, mask_classes=CLASSES)
    assert TASK.from_dataset(data).weights == ()
    weights = TASK.from_dataset(data, balance="median").weights
    shares = np.array([52, 4]) / 56
    assert weights == pytest.approx(np.median(shares) / shares, rel=1e-5)
    model = px.train(
        "segment", data, network="logistic", settings={"balance": "enet", "batch": 2}, out=here / "run", **FEW
    )
    assert model.task.weights == pytest.approx(1 / np.log(1.02 + shares), rel=1e-5)
    assert px.load_model(here / "run").task.weights == pytest.approx(model.task.weights)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"mirror": 2.0}, "mirror is 2.0; expected 0 to 1"),
        ({"upend": -0.1}, "upend is -0.1"),
        ({"hue": 1.0}, "hue is 1.0; expected at least 0, and below 1"),
        ({"crop": 0.0}, "crop is 0.0; it is a part of the frame's sides"),
        ({"turn": 200.0}, "turn is 200.0; expected 0 to 180 degrees"),
        ({"smallest": 0.0}, "scales go from 0.0 to 2.0"),
        ({"smallest": 3.0}, "scales go from 3.0 to 2.0"),
    ],
)
def test_settings_out_of_range_are_named(setting: dict[str, float], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TASK(classes=CLASSES, **setting)


def test_settings_that_do_not_go_are_named(model: px.Model, here: Path) -> None:
    picture: Any = np.zeros((32, 32, 3), np.uint8)
    with pytest.raises(UsageError, match="loss"):
        px.train("segment", "shapes", settings={"loss": "mse"}, out=here / "a", **FEW)
    with pytest.raises(UsageError, match="augment=photos moves pictures, and not what segment learns"):
        px.train("segment", "shapes", settings={"augment": "photos"}, out=here / "a", **FEW)
    assert not (here / "a").exists()
    with pytest.raises(UsageError, match="the model was trained with"):
        model.predict(picture, settings={"loss": "dice"})
    with pytest.raises(UsageError, match="a model for segment has no --confidence: these are for detectors"):
        px.predict(model, picture, confidence=0.5)


def test_what_wants_whole_pictures_or_several_says_so(data: Dataset, here: Path) -> None:
    logistic = px.train("segment", data, network="logistic", **FEW)
    with pytest.raises(UsageError, match="a class wherever it is; this is logistic, for segment"):
        px.predict(logistic, np.zeros((80, 80, 3), np.uint8), tile=64)
    with pytest.raises(UsageError, match="wants 2 or more of them"):
        px.train("segment", data, network="deeplabv3", settings={"batch": 1}, out=here / "a", **FEW)


def of(masks: Any, images: Any = None, names: tuple[str, ...] = CLASSES) -> Dataset:
    images = torch.zeros(len(masks), 3, 16, 16, dtype=torch.uint8) if images is None else images
    return Dataset("mine", {"train": Split(images, {"mask": masks})}, names, mask_classes=names)


def test_data_that_does_not_go_is_named(model: px.Model, data: Dataset, here: Path) -> None:
    def refused(wrong: Any, message: str) -> None:
        with pytest.raises(DataError, match=message):
            px.train("segment", wrong, network="logistic", out=here / "run", **FEW)
        # Nothing is left behind that would be in the way of the next try.
        (here / "run").rmdir() if (here / "run").is_dir() else None

    refused("digits", r"digits \(built-in\) has no masks; segmentation wants pairs of images and masks")
    empty = torch.full((3, 16, 16), IGNORE, dtype=torch.uint8)
    refused(of(empty), "mine has no pixel of a class in its 3 training masks, only 255")
    good = torch.zeros(3, 16, 16, dtype=torch.uint8)
    refused(of(good, names=()), r"mine has masks, but their values have no names; give Dataset\(mask_classes")
    sizes = [good[0], good[1], torch.zeros(16, 15, dtype=torch.uint8)]
    refused(of(sizes), r"#2 has 16x16 pixels \(height x width\), but its mask is of shape \(16, 15\)")
    beyond = good.clone()
    beyond[1, 2, 3] = 7
    refused(of(beyond), r"#1: its mask has the value 7 \(1 such pixels\); with 2 classes, values go from 0 to 1")
    with pytest.raises(DataError, match=r"digits \(built-in\) has no masks"):
        model.evaluate("digits")
    with pytest.raises(ModelError, match=r"has the classes sky, ground \(2\), the model has background, thing"):
        model.evaluate(of(good, names=("sky", "ground")))


def test_masks_in_files_are_learnt_from_and_wrong_ones_named(here: Path) -> None:
    for folder in ("images", "masks"):
        (here / "d" / folder).mkdir(parents=True)
    split = mixed(2, start=500)
    for i, (image, mask) in enumerate(zip(split.images, split.targets["mask"], strict=True)):
        PILImage.fromarray(picture(image)).save(here / f"d/images/{i}.png")
        PILImage.fromarray(mask.numpy()).save(here / f"d/masks/{i}.png")
    (here / "d/classes.txt").write_text("background\nthing\n")
    model = px.train("segment", here / "d", network="logistic", settings={"batch": 2}, out=here / "run", **FEW)
    assert model.card.size == (96, 96)
    assert model.evaluate(here / "d", split="train").metrics["images"] == 6
    PILImage.fromarray(np.zeros((9, 9), np.uint8)).save(here / "d/masks/3.png")
    with pytest.raises(DataError, match=r"3\.png has 9 x 9 pixels"):
        model.evaluate(here / "d", split="train")
    with pytest.raises(DataError, match=r"3\.png has 9 x 9 pixels"):
        px.train("segment", here / "d", network="logistic", settings={"batch": 2}, out=here / "again", **FEW)
