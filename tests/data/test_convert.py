"""Conversion of data for detection: what is written comes back, and what cannot be held is said."""

from __future__ import annotations

import contextlib
import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage

from pixelry import Dataset, cli, load_dataset
from pixelry.api_data import convert_data
from pixelry.data.dataset import FileImages, Split
from pixelry.data.shapes import render_shapes
from pixelry.errors import DataError, ExistsError, ImageError, UsageError
from pixelry.pixels import encode_image, read_image

FORMATS = ("coco", "csv", "voc", "yolo")
WITH_CROWDS = ("coco", "voc")
CLASSES = ("a & b", "no", "train 2", "train 10", 'Ümläut, "so"')
Objects = list[tuple[list[float], str, bool]]


def picture(path: Path, size: tuple[int, int], seed: int, orientation: int = 1) -> Path:
    """Write noise of (height, width)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = PILImage.Exif()
    if orientation != 1:
        exif[274] = orientation
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    PILImage.fromarray(pixels).save(path, exif=exif)
    return path


def targets(*images: list[tuple[list[float], int, bool]]) -> dict[str, Any]:
    return {
        "boxes": [torch.tensor([box for box, _, _ in i], dtype=torch.float32).reshape(-1, 4) for i in images],
        "labels": [torch.tensor([label for _, label, _ in i], dtype=torch.int64) for i in images],
        "crowd": [torch.tensor([crowd for _, _, crowd in i], dtype=torch.bool) for i in images],
    }


@pytest.fixture
def mixed(tmp_path: Path) -> Dataset:
    """Three splits of files: names that repeat, no objects, odd boxes, crowds, a file that EXIF turns."""
    root = tmp_path / "source"
    files = [
        picture(root / "one" / "x.y.png", (37, 51), 0),
        picture(root / "two" / "x.y.png", (30, 40), 1),
        picture(root / "two" / "X.Y.jpg", (640, 427), 2, orientation=6),
        picture(root / "two" / "empty one.JPG", (20, 20), 3),
        picture(root / "three" / "50%.bmp", (33, 77), 4),
    ]
    odd = [([9.5, 8, 3, 2.25], 2, False), ([5, 5, 5, 5], 3, False), ([-3, -2.5, 700, 90], 0, True)]
    plain = [([0, 0, 40, 30], 4, False), ([1 / 3, 2 / 3, 12.3, 17.7], 1, True)]
    splits = {
        "train": Split(FileImages(files[:3]), targets(plain, [([1, 2, 3, 4], 0, False)], odd)),
        "val": Split(FileImages(files[3:4]), targets([])),
        "test": Split(FileImages(files[4:]), targets([([0.1, 0.2, 76.9, 33], 1, False)])),
    }
    return Dataset("mixed", splits, CLASSES)


def content(dataset: Dataset, *, crowds: bool = True) -> dict[str, list[tuple[bytes, Objects]]]:
    """Return for each split, in order, what lies in the files and the objects by name."""
    found: dict[str, list[tuple[bytes, Objects]]] = {}
    for name, split in dataset.splits.items():
        found[name] = []
        for i in range(len(split)):
            assert isinstance(split.images, FileImages)
            source = split.images.sources[i]
            boxes, labels, crowd = (split.targets[key][i].tolist() for key in ("boxes", "labels", "crowd"))
            objects = [
                (box, dataset.classes[label], flag and crowds)
                for box, label, flag in zip(boxes, labels, crowd, strict=True)
            ]
            found[name].append((source if isinstance(source, bytes) else source.read_bytes(), objects))
    return found


def assert_same(one: Dataset, two: Dataset, *, crowds: bool = True, within: float = 0.0) -> None:
    """Assert the same files and objects in the same splits; the order of images is the format's own."""
    first, second = content(one, crowds=crowds), content(two, crowds=crowds)
    assert {name: len(images) for name, images in first.items()} == {name: len(im) for name, im in second.items()}
    for name, images in first.items():
        others = dict(second[name])
        for encoded, objects in images:
            read = others[encoded]
            assert [rest for _, *rest in read] == [rest for _, *rest in objects]
            for (box, *_), (other, *_) in zip(objects, read, strict=True):
                assert box == pytest.approx(other, abs=within, rel=0)


@pytest.mark.parametrize("second", FORMATS)
@pytest.mark.parametrize("first", FORMATS)
def test_every_format_to_every_other_and_back(first: str, second: str, mixed: Dataset, tmp_path: Path) -> None:
    convert_data(mixed, tmp_path / "first", to=first)
    between = load_dataset(tmp_path / "first")
    convert_data(tmp_path / "first", tmp_path / "second", to=second)
    dataset = load_dataset(tmp_path / "second")
    crowds = first in WITH_CROWDS and second in WITH_CROWDS
    # YOLO's numbers are parts of the image's size: dividing and multiplying costs the last bits.
    within = 1e-4 if "yolo" in (first, second) else 0.0
    assert_same(mixed, between, crowds=first in WITH_CROWDS, within=within)
    assert_same(mixed, dataset, crowds=crowds, within=within)
    assert list(dataset.splits) == ["train", "val", "test"]
    assert set(dataset.classes) == set(CLASSES)
    if first in ("coco", "yolo") and second in ("coco", "yolo"):
        assert dataset.classes == CLASSES


def test_voc_of_whole_pixels_counts_from_one(tmp_path: Path) -> None:
    whole = [([0, 0, 40, 30], 0, False), ([3, 4, 3, 4], 1, True), ([12, 9, 2, 1], 0, False)]
    split = Split(FileImages([picture(tmp_path / "a.png", (30, 40), 0)]), targets(whole))
    dataset = Dataset("whole", {"train": split}, ("x", "y"))
    facts = convert_data(dataset, tmp_path / "voc", to="voc")
    assert facts["notes"] == []
    text = (tmp_path / "voc" / "Annotations" / "a.xml").read_text()
    assert "<xmin>1</xmin>" in text
    assert "<xmax>40</xmax>" in text
    assert "<difficult>1</difficult>" in text
    assert_same(dataset, load_dataset(tmp_path / "voc"))


@pytest.mark.parametrize("box", [[-1, 5, 7, 8], [-9, 5, 7, 8], [2, 3, 0, 8], [2, 3, -4, 8], [2, 3, 4.5, 8]])
def test_voc_says_when_pixels_count_from_zero(box: list[float], tmp_path: Path) -> None:
    objects = [(box, 0, False), ([1, 1, 2, 2], 0, False)]
    split = Split(FileImages([picture(tmp_path / "a.png", (30, 40), 0)]), targets(objects))
    dataset = Dataset("odd", {"train": split}, ("x",))
    facts = convert_data(dataset, tmp_path / "voc", to="voc")
    assert "1 box with a fraction of a pixel, or outside the image" in facts["notes"][0]
    assert_same(dataset, load_dataset(tmp_path / "voc"))


def test_coco_loads_in_pycocotools(mixed: Dataset, tmp_path: Path) -> None:
    coco = pytest.importorskip("pycocotools.coco")
    convert_data(mixed, tmp_path / "coco", to="coco")
    for name, split in mixed.splits.items():
        with contextlib.redirect_stdout(io.StringIO()):
            theirs = coco.COCO(str(tmp_path / "coco" / "annotations" / f"instances_{name}.json"))
        assert [category["name"] for category in theirs.loadCats(theirs.getCatIds())] == list(CLASSES)
        assert len(theirs.getImgIds()) == len(split)
        for index, image_id in enumerate(theirs.getImgIds()):
            record = theirs.loadImgs(image_id)[0]
            assert isinstance(split.images, FileImages)
            pixels = read_image(tmp_path / "coco" / name / record["file_name"])
            assert pixels.shape[:2] == (record["height"], record["width"])
            assert (pixels == read_image(split.images.sources[index])).all()
            found = theirs.loadAnns(theirs.getAnnIds(imgIds=image_id))
            boxes = split.targets["boxes"][index].tolist()
            for (left, top, right, bottom), one in zip(boxes, found, strict=True):
                assert one["bbox"] == pytest.approx([left, top, right - left, bottom - top], rel=1e-6)
                assert one["area"] == pytest.approx(max(0, right - left) * max(0, bottom - top), rel=1e-5)
            assert [one["iscrowd"] for one in found] == split.targets["crowd"][index].int().tolist()
            assert [one["category_id"] - 1 for one in found] == split.targets["labels"][index].tolist()


def test_pycocotools_evaluates_what_was_written(mixed: Dataset, tmp_path: Path) -> None:
    coco, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    convert_data(mixed, tmp_path / "coco", to="coco")
    with contextlib.redirect_stdout(io.StringIO()):
        truth = coco.COCO(str(tmp_path / "coco" / "annotations" / "instances_test.json"))
        sure = [{**one, "score": 0.9} for one in truth.dataset["annotations"]]
        judged = evaluation.COCOeval(truth, truth.loadRes(sure), "bbox")
        for step in (judged.evaluate, judged.accumulate, judged.summarize):
            step()
    assert judged.stats[0] == pytest.approx(1.0)


def test_files_are_copied_as_they_are_and_none_overwrites_another(mixed: Dataset, tmp_path: Path) -> None:
    facts = convert_data(mixed, tmp_path / "voc", to="voc")
    names = sorted(file.name for file in (tmp_path / "voc" / "JPEGImages").iterdir())
    assert names == ["50_.bmp", "X.Y_3.jpg", "empty one.JPG", "x.y.png", "x.y_2.png"]
    source = tmp_path / "source" / "two" / "X.Y.jpg"
    assert (tmp_path / "voc" / "JPEGImages" / "X.Y_3.jpg").read_bytes() == source.read_bytes()
    assert any(note.startswith("3 images renamed") and "x.y_2.png" in note for note in facts["notes"])
    assert any(note.startswith("1 image stored turned or mirrored") for note in facts["notes"])
    # The size that is stated is that of the upright image, as the boxes are.
    assert "<height>427</height>" in (tmp_path / "voc" / "Annotations" / "X.Y_3.xml").read_text()


def test_what_a_format_cannot_hold_is_said(mixed: Dataset, tmp_path: Path) -> None:
    for to in ("yolo", "csv"):
        notes = convert_data(mixed, tmp_path / to, to=to)["notes"]
        assert any(f"2 objects marked as crowd or difficult: {to.upper()} has no such mark" in n for n in notes)
        assert not load_dataset(tmp_path / to)["train"].targets["crowd"][0].any()
    more = Dataset("more", mixed.splits, (*CLASSES, "never"))
    for to in ("voc", "csv"):
        notes = convert_data(more, tmp_path / f"{to}2", to=to)["notes"]
        assert any("without one, and so lost: 'never'" in note for note in notes)
        assert any("they are in natural order now" in note for note in notes)
    for to in ("coco", "yolo"):
        convert_data(more, tmp_path / f"{to}2", to=to)
        assert load_dataset(tmp_path / f"{to}2").classes == more.classes
    notes = convert_data(more, tmp_path / "coco3", to="coco")["notes"]
    assert [note.split()[0] for note in notes] == ["3", "1"]  # names and EXIF: nothing is lost


def coco_file(root: Path, split: str, **changes: Any) -> dict[str, Any]:
    """Write a COCO file with ids that have gaps, areas of outlines and a category without objects; return it."""
    categories = [{"id": 3, "name": "zebra"}, {"id": 11, "name": "bee"}, {"id": 90, "name": "ant"}]
    images = [{"id": 700, "file_name": "1.png"}, {"id": 41, "file_name": "2.png"}]
    area = {"bbox": [1, 2, 10, 8], "iscrowd": 0}
    annotations = [
        {"id": 5, "image_id": 41, "category_id": 90, "area": 31.0625, **area},
        {"id": 9, "image_id": 700, "category_id": 3, "area": 80, **area},
        {"id": 2, "image_id": 700, "category_id": 90, **area},
    ]
    content = {"images": images, "annotations": annotations, "categories": categories, **changes}
    for seed, record in enumerate(images):
        picture(root / split / record["file_name"], (30, 40), seed)
    (root / "annotations").mkdir(exist_ok=True)
    (root / "annotations" / f"instances_{split}.json").write_text(json.dumps(content))
    return content


def coco_facts(root: Path, split: str) -> tuple[dict[int, str], dict[int, str], list[tuple[int, int, float]]]:
    """Return categories and file names by id, and (image, category, area) of each annotation, sorted."""
    content = json.loads((root / "annotations" / f"instances_{split}.json").read_text())
    names = ({one["id"]: one[key] for one in content[kind]} for kind, key in
             (("categories", "name"), ("images", "file_name")))  # fmt: skip
    objects = sorted((one["image_id"], one["category_id"], one["area"]) for one in content["annotations"])
    return next(names), next(names), objects


def test_coco_to_coco_keeps_ids_and_areas(tmp_path: Path) -> None:
    for split in ("train", "val"):
        coco_file(tmp_path / "old", split)
    facts = convert_data(tmp_path / "old", tmp_path / "new", to="coco")
    assert facts["notes"] == []
    for split in ("train", "val"):
        categories, images, objects = coco_facts(tmp_path / "new", split)
        assert categories == {3: "zebra", 11: "bee", 90: "ant"}
        assert images == {700: "1.png", 41: "2.png"}
        # An area that is not stated is that of the box.
        assert objects == [(41, 90, 31.0625), (700, 3, 80), (700, 90, 80)]
    assert load_dataset(tmp_path / "new").fingerprint == load_dataset(tmp_path / "old").fingerprint


def test_ids_of_splits_that_number_otherwise_are_their_own(tmp_path: Path) -> None:
    coco_file(tmp_path / "old", "train")
    other = [{"id": 1, "name": "ant"}, {"id": 90, "name": "bee"}, {"id": "z", "name": "zebra"}]
    coco_file(tmp_path / "old", "val", categories=other, annotations=[])
    convert_data(tmp_path / "old", tmp_path / "new", to="coco")
    assert coco_facts(tmp_path / "new", "train")[0] == {3: "zebra", 11: "bee", 90: "ant"}
    assert coco_facts(tmp_path / "new", "val")[0] == {1: "ant", 90: "bee", "z": "zebra"}


def test_data_without_ids_joins_data_with_ids(mixed: Dataset, tmp_path: Path) -> None:
    coco_file(tmp_path / "old", "train")
    split = Split(mixed["test"].images, targets([([1, 2, 3, 4], 0, False), ([1, 2, 3, 4], 1, False)]))
    facts = convert_data(
        tmp_path / "old", tmp_path / "new", to="coco", test=Dataset("x", {"test": split}, ("bee", "ant"))
    )
    assert coco_facts(tmp_path / "new", "test")[0] == {3: "zebra", 11: "bee", 90: "ant"}
    assert coco_facts(tmp_path / "new", "test")[2] == [(1, 11, 4.0), (1, 90, 4.0)]
    assert [note.split()[1] for note in facts["notes"]] == ["image"]  # renamed
    # The other way round: classes have an order of their own, which the ids change.
    plain = Dataset("x", {"train": split}, ("ant", "bee", "new", "zebra"))
    facts = convert_data(plain, tmp_path / "turned", to="coco", test=tmp_path / "old")
    assert coco_facts(tmp_path / "turned", "train")[0] == {90: "ant", 11: "bee", 1: "new", 3: "zebra"}
    assert facts["notes"][-1] == "COCO's order of classes is that of their ids: 'new', 'zebra', 'bee', 'ant'"
    assert load_dataset(tmp_path / "turned").classes == ("new", "zebra", "bee", "ant")


@pytest.mark.parametrize("to", ["csv", "voc", "yolo"])
def test_ids_and_areas_that_a_format_does_not_hold_are_said(to: str, tmp_path: Path) -> None:
    coco_file(tmp_path / "old", "train")
    notes = convert_data(tmp_path / "old", tmp_path / "new", to=to)["notes"]
    assert f"ids of images and categories: {to.upper()} has none, they are lost" in notes
    assert f"1 object with an area that is not its box's: {to.upper()} has none, it is lost" in notes


@pytest.mark.parametrize("to", FORMATS)
def test_targets_beside_boxes_are_said_to_be_left_out(to: str, tmp_path: Path) -> None:
    shapes = render_shapes(2)
    data = Dataset("shapes", {"train": shapes}, ("circle", "square", "triangle", "star", "ring", "cross"))
    notes = convert_data(data, tmp_path / "new", to=to)["notes"]
    coco = "boxes, classes and masks of objects alone are written as coco, and not: mask, caption"
    other = f"boxes and classes alone are written as {to}, and not: mask, masks, caption"
    assert (coco if to == "coco" else other) in notes


def test_masks_of_objects_go_to_coco_and_stay(tmp_path: Path) -> None:
    shapes = render_shapes(3)
    data = Dataset("shapes", {"train": shapes}, ("circle", "square", "triangle", "star", "ring", "cross"))
    convert_data(data, tmp_path / "one", to="coco")
    file = "annotations/instances_train.json"
    content = json.loads((tmp_path / "one" / file).read_text())
    areas = [a["area"] for a in content["annotations"]]
    assert areas == [float(mask.sum()) for i in range(3) for mask in shapes.targets["masks"][i]]
    content["annotations"][0]["segmentation"] = [[1, 1, 9.5, 1, 9.5, 9]]
    (tmp_path / "one" / file).write_text(json.dumps(content))
    convert_data(tmp_path / "one", tmp_path / "two", to="coco")
    again = json.loads((tmp_path / "two" / file).read_text())
    assert [a["segmentation"] for a in again["annotations"]] == [a["segmentation"] for a in content["annotations"]]
    masks = load_dataset(tmp_path / "two")["train"].targets["masks"]
    assert torch.equal(masks[1], shapes.targets["masks"][1])
    notes = convert_data(tmp_path / "two", tmp_path / "three", to="voc")["notes"]
    assert "boxes and classes alone are written as voc, and not: masks" in notes


def test_notes_of_the_reader_go_on(mixed: Dataset, tmp_path: Path) -> None:
    convert_data(mixed, tmp_path / "voc", to="voc")
    facts = convert_data(tmp_path / "voc", tmp_path / "coco", to="coco")
    assert any(note.startswith("as it was read: pixels are counted from 0") for note in facts["notes"])


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("channels", [1, 3])
def test_data_in_memory_is_written_as_png(to: str, channels: int, tmp_path: Path) -> None:
    images = torch.randint(0, 256, (3, channels, 8, 9), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    objects = targets([([1, 2, 3, 4], 1, False)], [], [([0, 0, 9, 8], 0, False)])
    splits = {"train": Split(images[:2], {key: values[:2] for key, values in objects.items()}),
              "test": Split(images[2:], {key: values[2:] for key, values in objects.items()}),
              "val": Split(images[:0], {key: [] for key in objects})}  # fmt: skip
    facts = convert_data(Dataset("memory", splits, ("x", "y")), tmp_path / "out", to=to)
    assert facts["notes"][0] == "split 'val' has no images: left out"
    dataset = load_dataset(tmp_path / "out")
    assert {name: len(dataset[name]) for name in dataset.splits} == {"train": 2, "test": 1}
    assert Path(dataset["train"].name(0)).name == "train_000000.png"
    assert (dataset["train"].images[1] == images[1]).all()
    assert (dataset["test"].images[0] == images[2]).all()
    assert dataset["train"].targets["boxes"][0].tolist() == [[1, 2, 3, 4]]
    assert dataset.channels == channels


def test_encoded_images_in_memory_keep_their_bytes(tmp_path: Path) -> None:
    encoded = [encode_image(np.full((5, 6), value, np.uint8), format=form) for value, form in ((1, "JPEG"), (2, "BMP"))]
    split = Split(FileImages(encoded, ["row 0", "row 1"]), targets([([0, 0, 6, 5], 0, False)], []))
    convert_data(Dataset("bytes", {"train": split}, ("x",)), tmp_path / "out", to="yolo")
    folder = tmp_path / "out" / "images" / "train"
    assert [file.name for file in sorted(folder.iterdir())] == ["train_000000.jpg", "train_000001.bmp"]
    assert [file.read_bytes() for file in sorted(folder.iterdir())] == encoded


def test_nothing_is_overwritten_and_nothing_is_left_of_what_fails(mixed: Dataset, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("keep")
    with pytest.raises(ExistsError, match=r"full exists and is not empty"):
        convert_data(mixed, tmp_path / "full", to="coco")
    assert [file.name for file in (tmp_path / "full").iterdir()] == ["mine.txt"]
    with pytest.raises(UsageError, match=r"unknown format to write 'cocoa'; did you mean 'coco'"):
        convert_data(mixed, tmp_path / "new", to="cocoa")
    labelled = {"train": (np.zeros((2, 4, 4), np.uint8), np.array([0, 1]))}
    with pytest.raises(DataError, match=r"has no boxes; only data for detection can be converted"):
        convert_data(labelled, tmp_path / "new", to="coco")
    spaced = Dataset("spaced", mixed.splits, (" a", *CLASSES[1:]))
    with pytest.raises(DataError, match=r"the class ' a' cannot be written as VOC"):
        convert_data(spaced, tmp_path / "new", to="voc")
    (tmp_path / "source" / "one" / "x.y.png").write_text("no image")
    with pytest.raises(ImageError, match=r"x.y.png is text"):
        convert_data(mixed, tmp_path / "new", to="coco")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"labels": [torch.tensor([5])]}, r"#0 of split 'train' has label 5, and there are 2 classes"),
        ({"boxes": [torch.full((1, 4), torch.nan)]}, r"#0 of split 'train' has a box that is not finite"),
        ({"crowd": [torch.tensor([True, False])]}, r"1 boxes, 1 labels and 2 crowd flags; expected one of each"),
    ],
)
def test_data_in_memory_that_contradicts_itself_is_named(changed: dict[str, Any], message: str, tmp_path: Path) -> None:
    parts = {**targets([([1, 2, 3, 4], 1, False)]), **changed}
    dataset = Dataset("odd", {"train": Split(torch.zeros(1, 3, 8, 8, dtype=torch.uint8), parts)}, ("x", "y"))
    with pytest.raises(DataError, match=message):
        convert_data(dataset, tmp_path / "out", to="coco")


def test_the_command_line_prints_what_was_lost(
    mixed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    convert_data(mixed, tmp_path / "coco", to="coco")

    def run(*words: object) -> tuple[object, str, str]:
        monkeypatch.setattr(sys, "argv", ["pixelry", "data", "convert", *map(str, words)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as ended:
            code = ended.code
        return code, *capsys.readouterr()

    code, out, _ = run(tmp_path / "coco", tmp_path / "yolo", "--to", "yolo")
    assert code in (0, None)
    assert out.startswith("yolo: train 3 images with 6 boxes, val 1 image with 0 boxes, test 1 image with 1 box, in ")
    assert "  2 objects marked as crowd or difficult: YOLO has no such mark" in out
    code, out, _ = run(tmp_path / "coco", tmp_path / "csv", "--to", "csv", "--json")
    facts = json.loads(out)
    assert facts["splits"]["train"] == {"images": 3, "boxes": 6}
    assert any("crowd" in note for note in facts["notes"])
    code, _, err = run(tmp_path / "coco", tmp_path / "csv", "--to", "csv")
    assert (code, "exists and is not empty" in err) == (1, True)
    code, _, err = run(tmp_path / "coco", tmp_path / "more")
    assert (code, "--to" in err) == (2, True)
