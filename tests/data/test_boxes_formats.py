"""Data for detection: each format as its own tools leave it, and what is said of damage."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from PIL import Image as PILImage
from writers import write_picture

from pixelry import Dataset, load_dataset
from pixelry.data.dataset import Origin, Split
from pixelry.errors import DataError
from pixelry.pixels import read_header, read_image
from pixelry.pixels.header import read_orientation
from pixelry.pixels.png16 import chunk
from pixelry.plugins import formats

WIDTH, HEIGHT = 40, 30
TURNED = 6  # EXIF: the file's top is the picture's right


def image(path: Path, *, size: tuple[int, int] = (HEIGHT, WIDTH), orientation: int | None = None) -> Path:
    return write_picture(path, size, orientation)


def objects(split: Split, index: int, classes: tuple[str, ...]) -> list[tuple[list[float], str, bool]]:
    """Return (box, class, crowd) of each object of an image, in order."""
    boxes, labels, crowd = (split.targets[name][index] for name in ("boxes", "labels", "crowd"))
    assert (boxes.dtype, labels.dtype, crowd.dtype) == (torch.float32, torch.int64, torch.bool)
    assert boxes.shape == (len(labels), 4)
    assert labels.shape == crowd.shape
    return [(b, classes[k], c) for b, k, c in zip(boxes.tolist(), labels.tolist(), crowd.tolist(), strict=True)]


def found(dataset: Dataset, split: str = "train") -> dict[str, list[tuple[list[float], str, bool]]]:
    """Return the objects of each image of a split by the name of its file."""
    part = dataset[split]
    return {Path(part.name(i)).name: objects(part, i, dataset.classes) for i in range(len(part))}


def only_format(path: Path) -> list[str]:
    """Return the formats that recognise a path, without those that give way to others."""
    names = [name for name in formats.names() if formats.load(name).recognise(path)]
    return [name for name in names if not getattr(formats.load(name), "GENERIC", False)]


# --- Pascal VOC


def xml(*items: str, name: str = "a.png", size: tuple[int, int] | None = (HEIGHT, WIDTH)) -> str:
    stated = f"<size><width>{size[1]}</width><height>{size[0]}</height><depth>3</depth></size>" if size else ""
    return f"<annotation>\n<filename>{name}</filename>\n{stated}\n" + "\n".join(items) + "\n</annotation>\n"


def item(name: str, *box: float | str, difficult: str = "0") -> str:
    edges = "".join(f"<{e}>{v}</{e}>" for e, v in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
    return f"<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>{edges}</bndbox></object>"


def voc(root: Path) -> Path:
    """Write three images as VOC lays them out, with lists for train, val and test."""
    texts = {
        "a": xml(item("img10", 1, 1, 40, 30), item("img2", 5, 6, 10, 12, difficult="1")),
        "b": xml(name="b.png"),
        "c": xml(item("zoo", 2, 3, 4, 5), name="c.png"),
    }
    for stem, text in texts.items():
        image(root / "JPEGImages" / f"{stem}.png")
        (root / "Annotations").mkdir(exist_ok=True)
        (root / "Annotations" / f"{stem}.xml").write_text(text)
    lists = root / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for split, names in {"train": "a\n", "val": "b  1\n\n", "test": "c -1\n", "trainval": "a\nb\n"}.items():
        (lists / f"{split}.txt").write_text(names)
    (lists / "zoo_train.txt").write_text("a -1\n")
    return root


def test_voc_counts_from_one_and_includes_both_ends(tmp_path: Path) -> None:
    dataset = load_dataset(voc(tmp_path))
    assert only_format(tmp_path) == ["voc"]
    assert (dataset.format, list(dataset.splits)) == ("voc", ["train", "val", "test"])
    assert dataset.classes == ("img2", "img10", "zoo")
    assert found(dataset) == {"a.png": [([0, 0, 40, 30], "img10", False), ([4, 5, 10, 12], "img2", True)]}
    assert found(dataset, "val") == {"b.png": []}
    assert found(dataset, "test") == {"c.png": [([1, 2, 4, 5], "zoo", False)]}
    assert dataset["val"].targets["boxes"][0].shape == (0, 4)
    assert dataset["train"][0]["image"].shape == (3, HEIGHT, WIDTH)
    assert dataset.notes == ("pixels are counted from 1, both ends included: left and top are less by 1 here",)


def test_voc_counts_from_zero_where_a_box_says_so(tmp_path: Path) -> None:
    voc(tmp_path)
    (tmp_path / "Annotations" / "c.xml").write_text(xml(item("zoo", 0, 3, 4, 5), name="c.png"))
    dataset = load_dataset(tmp_path)
    assert found(dataset)["a.png"][0][0] == [1, 1, 40, 30]
    assert found(dataset, "test")["c.png"][0][0] == [0, 3, 4, 5]
    assert "counted from 0" in dataset.notes[0]
    assert "1 of 3 boxes" in dataset.notes[0]


def test_voc_with_a_fraction_here_and_there_counts_from_one(tmp_path: Path) -> None:
    voc(tmp_path)
    (tmp_path / "Annotations" / "c.xml").write_text(xml(item("zoo", 2, 3, 4.5, 5), name="c.png"))
    assert found(load_dataset(tmp_path), "test")["c.png"][0][0] == [1, 2, 4.5, 5]
    fractions = item("a", 1.5, 1, 40, 30), item("b", 5, 6, 10.5, 12)
    (tmp_path / "Annotations" / "a.xml").write_text(xml(*fractions, name="a.png"))
    dataset = load_dataset(tmp_path)
    assert found(dataset)["a.png"][0][0] == [1.5, 1, 40, 30]
    assert "3 of 3 boxes" in dataset.notes[0]


def test_voc_takes_trainval_only_without_train_and_val(tmp_path: Path) -> None:
    voc(tmp_path)
    (tmp_path / "ImageSets" / "Main" / "train.txt").unlink()
    dataset = load_dataset(tmp_path)
    assert list(dataset.splits) == ["val", "test"]
    assert any("1 annotation in none of the lists" in note for note in dataset.notes)
    (tmp_path / "ImageSets" / "Main" / "val.txt").unlink()
    dataset = load_dataset(tmp_path)
    assert sorted(found(dataset)) == ["a.png", "b.png"]
    assert "trainval is the training split" in dataset.notes[0]


def test_voc_without_lists_is_train_and_says_what_has_no_annotation(tmp_path: Path) -> None:
    voc(tmp_path)
    for file in (tmp_path / "ImageSets" / "Main").iterdir():
        file.unlink()
    image(tmp_path / "JPEGImages" / "d.png")
    dataset = load_dataset(tmp_path)
    assert {split: len(dataset[split]) for split in dataset.splits} == {"train": 3}
    assert any("1 image without an XML file" in note for note in dataset.notes)


@pytest.mark.parametrize(("images", "texts"), [("", ""), ("images", "annotations")], ids=["beside", "subfolders"])
def test_voc_in_folders_of_splits(images: str, texts: str, tmp_path: Path) -> None:
    for split, name in (("train", "b 1"), ("valid", "a.b"), ("test", "c")):
        image(tmp_path / split / images / f"{name}.jpg")
        (tmp_path / split / texts).mkdir(exist_ok=True)
        (tmp_path / split / texts / f"{name}.xml").write_text(xml(item("x", 1, 1, 3, 4), name="C:\\old\\other.jpg"))
    assert only_format(tmp_path) == ["voc"]
    dataset = load_dataset(tmp_path)
    assert list(dataset.splits) == ["train", "val", "test"]
    assert found(dataset, "val") == {"a.b.jpg": [([0, 0, 3, 4], "x", False)]}


def test_voc_of_an_image_that_exif_turns(tmp_path: Path) -> None:
    """The size that is stated tells whether boxes are of the upright picture, or of what lies in the file."""
    for name, size in (("upright", (WIDTH, HEIGHT)), ("stored", (HEIGHT, WIDTH))):
        path = image(tmp_path / "JPEGImages" / f"{name}.jpg", orientation=TURNED)
        assert read_image(path).shape[:2] == (WIDTH, HEIGHT)
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        text = xml(item("x", 1, 1, 10, 5), name=f"{name}.jpg", size=size)
        (tmp_path / "Annotations" / f"{name}.xml").write_text(text)
    dataset = load_dataset(tmp_path)
    # The first ten columns and five rows of the file are its last five columns and first ten rows, seen upright.
    assert found(dataset) == {
        "stored.jpg": [([25, 0, 30, 10], "x", False)],
        "upright.jpg": [([0, 0, 10, 5], "x", False)],
    }
    assert "1 image annotated as they lie in the file: boxes turned" in dataset.notes[1]


@pytest.mark.parametrize("orientation", [5, 6, 7, 8])
def test_boxes_turn_as_pixels_do(orientation: int, tmp_path: Path) -> None:
    left, top, right, bottom = 3, 4, 10, 9
    pixels = np.zeros((HEIGHT, WIDTH), np.uint8)
    pixels[top:bottom, left:right] = 255
    exif = PILImage.Exif()
    exif[274] = orientation
    (tmp_path / "JPEGImages").mkdir()
    (tmp_path / "Annotations").mkdir()
    PILImage.fromarray(pixels).save(tmp_path / "JPEGImages" / "a.png", exif=exif)
    (tmp_path / "Annotations" / "a.xml").write_text(xml(item("x", left + 1, top + 1, right, bottom)))
    dataset = load_dataset(tmp_path)
    x0, y0, x1, y1 = (int(v) for v in dataset["train"].targets["boxes"][0][0])
    upright = dataset["train"].images[0]
    assert bool((upright[..., y0:y1, x0:x1] == 255).all())
    assert int((upright == 255).sum()) == (x1 - x0) * (y1 - y0) == 35


@pytest.mark.parametrize("kind", ["eXIf", "tEXt", "iTXt"])
@pytest.mark.parametrize("behind", [True, False])
def test_a_png_that_is_turned_by_a_chunk_behind_its_pixels(behind: bool, kind: str, tmp_path: Path) -> None:
    exif = PILImage.Exif()
    exif[274] = TURNED
    raw = b"Exif\0\0" + exif.tobytes().removeprefix(b"Exif\0\0")
    told = {
        "eXIf": raw[6:],
        "tEXt": b"Raw profile type exif\0\nexif\n%8d\n%s\n" % (len(raw), raw.hex().encode()),
        "iTXt": b'XML:com.adobe.xmp\0\0\0\0\0<x tiff:Orientation="6"/>',
    }[kind]
    path = image(tmp_path / "JPEGImages" / "a.png")
    png = path.read_bytes()
    place = len(png) - 12 if behind else 33  # before the end, or behind the header
    path.write_bytes(png[:place] + chunk(kind.encode(), told) + png[place:])
    header = read_header(path)
    assert (header.height, header.width) == read_image(path).shape[:2] == (WIDTH, HEIGHT)
    assert read_header(path.read_bytes()) == header
    assert read_orientation(path) == TURNED
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text(xml(item("x", 1, 1, 10, 5)))
    assert found(load_dataset(tmp_path)) == {"a.png": [([25, 0, 30, 10], "x", False)]}


def test_the_header_of_a_png_with_a_broken_end_is_read(tmp_path: Path) -> None:
    path = image(tmp_path / "a.png")
    png = path.read_bytes()
    for end in (chunk(b"eXIf", b"garbage"), b"\xff\xff\xff\xffeXIf", b"\0\0"):
        header = read_header(png[:-12] + end)
        assert (header.height, header.width) == (HEIGHT, WIDTH)


def test_voc_says_what_it_does_not_read(tmp_path: Path) -> None:
    voc(tmp_path)
    more = "<pose>Left</pose><truncated>1</truncated><occluded>0</occluded><part><name>head</name></part></object>"
    text = xml(item("x", 1, 1, 3, 4).replace("</object>", more), name="c.png")
    (tmp_path / "Annotations" / "c.xml").write_text(text)
    assert load_dataset(tmp_path).notes[1:] == ("objects hold more that is not read: 'part', 'pose', 'truncated'",)


def test_odd_boxes_are_read_as_they_are(tmp_path: Path) -> None:
    voc(tmp_path)
    boxes = [(9, 8, 3, 2), (5, 5, 4, 4), (30, 20, 90, 80)]
    (tmp_path / "Annotations" / "a.xml").write_text(xml(*(item("x", *box) for box in boxes)))
    got = [box for box, _, _ in found(load_dataset(tmp_path))["a.png"]]
    assert got == [[a - 1, b - 1, c, d] for a, b, c, d in boxes]


def test_voc_in_another_encoding_is_read_and_its_doctype_refused(tmp_path: Path) -> None:
    voc(tmp_path)
    text = '<?xml version="1.0" encoding="utf-16"?>' + xml(item("é", 1, 1, 2, 2))
    (tmp_path / "Annotations" / "a.xml").write_text(text, "utf-16")
    assert "é" in load_dataset(tmp_path).classes
    bad = text.replace("?>", '?>\n<!DOCTYPE annotation [<!ENTITY e "x">]>', 1)
    (tmp_path / "Annotations" / "a.xml").write_text(bad, "utf-16")
    with pytest.raises(DataError, match=r"a.xml, line 2 has a doctype"):
        load_dataset(tmp_path)


BOMB = '<!DOCTYPE a [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>\n'
GOOD = item("x", 1, 2, 3, 4)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (BOMB + xml(GOOD.replace(">x<", ">&b;<")), r"a.xml, line 1 has a doctype.*remove it"),
        (
            '<!DOCTYPE a SYSTEM "file:///etc/passwd">\n' + xml(GOOD),
            r"a.xml, line 1 has a doctype",
        ),
        (xml(GOOD.replace(">x<", ">&b;<")), r"a.xml, line 4 is no XML: undefined entity"),
        (xml(GOOD)[:-30], r"a.xml, line \d is no XML"),
        ("", r"a.xml, line 1 is no XML: no element found"),
        ("<html></html>", r"a.xml holds <html>; expected <annotation>"),
        (xml(item("x", 1, "two", 3, 4)), r"a.xml, line 4: object 'x' has the box \['1', 'two', '3', '4'\]"),
        (xml(item("x", 1, "nan", 3, 4)), r"a.xml, line 4: object 'x' has the box.*finite"),
        (xml(GOOD.replace("<xmax>3</xmax>", "")), r"a.xml, line 4: object 'x' has the box \['1', '2', '', '4'\]"),
        (xml(GOOD, "<object><name>y</name></object>"), r"a.xml, line 5: object 'y' has no bndbox"),
        (xml(GOOD.replace(">x<", "><")), r"a.xml, line 4: an object without a name"),
        (xml(item("x", 1, 2, 3, 4, difficult="maybe")), r"line 4: object 'x' has difficult 'maybe'; expected 0 or 1"),
        (xml(GOOD, size=(WIDTH, HEIGHT)), r"a.xml states a size of 30 x 40.*a.png has 40 x 30"),
        (xml(GOOD, size=(-1, 30)), r"a.xml states a size of 30 x -1 pixels; expected two positive"),
    ],
)
def test_damaged_voc_is_named(text: str, message: str, tmp_path: Path) -> None:
    voc(tmp_path)
    (tmp_path / "Annotations" / "a.xml").write_text(text)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


def test_voc_names_what_is_missing_or_twice(tmp_path: Path) -> None:
    voc(tmp_path)
    lists = tmp_path / "ImageSets" / "Main"
    (lists / "train.txt").write_text("a\nnowhere\n")
    with pytest.raises(DataError, match=r"train.txt, line 2 names nowhere, but there is no Annotations/nowhere.xml"):
        load_dataset(tmp_path)
    (lists / "train.txt").write_text("a\na\n")
    with pytest.raises(DataError, match=r"train.txt, line 2 names a, which stands further up"):
        load_dataset(tmp_path)
    (lists / "train.txt").write_text("a\n")
    (tmp_path / "JPEGImages" / "a.png").rename(tmp_path / "JPEGImages" / "x.png")
    with pytest.raises(DataError, match=r"a.xml: there is no image a.\* or a.png"):
        load_dataset(tmp_path)
    (tmp_path / "Annotations" / "a.xml").write_text(xml(name="b.png"))
    (lists / "train.txt").write_text("a\nb\n")
    with pytest.raises(DataError, match=r"b.xml and .*a.xml are both about .*b.png"):
        load_dataset(tmp_path)


# --- COCO


def coco(**changes: Any) -> dict[str, Any]:
    """Return the content of a file with two images and three categories whose ids have gaps."""
    content = {
        "images": [
            {"id": 70, "file_name": "a.png", "width": WIDTH, "height": HEIGHT},
            {"id": 5, "file_name": "b.png", "width": WIDTH, "height": HEIGHT},
        ],
        "annotations": [
            {"id": 1, "image_id": 70, "category_id": 90, "bbox": [1.5, 2, 3, 4], "iscrowd": 0},
            {"id": 2, "image_id": 70, "category_id": 3, "bbox": [0, 0, 40, 30], "iscrowd": 1},
        ],
        "categories": [{"id": 90, "name": "ant"}, {"id": 3, "name": "zebra"}, {"id": 11, "name": "bee"}],
    }
    return {**content, **changes}


def coco_folder(root: Path, content: dict[str, Any] | None = None) -> Path:
    """Write a file beside its images."""
    for name in ("a", "b"):
        image(root / f"{name}.png")
    (root / "boxes.json").write_text(json.dumps(content or coco()))
    return root


COCO_FOUND = {"a.png": [([1.5, 2, 4.5, 6], "ant", False), ([0, 0, 40, 30], "zebra", True)], "b.png": []}


@pytest.mark.parametrize("inside", [".", "images"])
def test_coco_in_one_file(inside: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        image(tmp_path / inside / f"{name}.png")
    (tmp_path / "some.json").write_text(json.dumps(coco()))
    for path in (tmp_path, tmp_path / "some.json"):
        assert only_format(path) == ["coco"]
        dataset = load_dataset(path)
        assert (dataset.format, list(dataset.splits)) == ("coco", ["train"])
        assert dataset.classes == ("zebra", "bee", "ant")  # by id: 3, 11, 90
        assert found(dataset) == COCO_FOUND
        assert dataset.notes == ()


def test_coco_as_published(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    for split in ("train2017", "val2017"):
        for name in ("a", "b"):
            image(tmp_path / split / f"{name}.png")
        (tmp_path / "annotations" / f"instances_{split}.json").write_text(json.dumps(coco()))
        (tmp_path / "annotations" / f"captions_{split}.json").write_text(json.dumps({"images": [], "annotations": []}))
    (tmp_path / "annotations" / "image_info_test2017.json").write_text(json.dumps({"images": []}))
    assert only_format(tmp_path) == ["coco"]
    dataset = load_dataset(tmp_path)
    assert list(dataset.splits) == ["train", "val"]
    assert found(dataset, "val") == COCO_FOUND
    assert "val2017" in dataset["val"].name(0)
    # A lone file is a data set: its images are found from where it lies.
    assert found(load_dataset(tmp_path / "annotations" / "instances_val2017.json")) == COCO_FOUND


def test_coco_files_side_by_side(tmp_path: Path) -> None:
    for split, folder in (("train", "images/train"), ("val", "val")):
        for name in ("a", "b"):
            image(tmp_path / folder / f"{name}.png")
        (tmp_path / f"{split}.json").write_text(json.dumps(coco()))
    dataset = load_dataset(tmp_path)
    assert (only_format(tmp_path), list(dataset.splits)) == (["coco"], ["train", "val"])
    assert [Path(dataset[split].name(0)).parent.name for split in dataset.splits] == ["train", "val"]


def test_coco_among_the_images_of_each_split(tmp_path: Path) -> None:
    for split in ("train", "valid", "test"):
        coco_folder(tmp_path / split)
        (tmp_path / split / "boxes.json").rename(tmp_path / split / "_annotations.coco.json")
    # The same categories by other numbers in another order.
    other = coco(categories=[{"id": 90, "name": "ant"}, {"id": 3, "name": "bee"}, {"id": 11, "name": "zebra"}])
    (tmp_path / "valid" / "_annotations.coco.json").write_text(json.dumps(other))
    assert only_format(tmp_path) == ["coco"]
    dataset = load_dataset(tmp_path)
    assert list(dataset.splits) == ["train", "val", "test"]
    assert dataset.classes == ("zebra", "bee", "ant")
    assert [name for _, name, _ in found(dataset, "val")["a.png"]] == ["ant", "bee"]


def test_coco_says_what_it_does_not_read(tmp_path: Path) -> None:
    content = coco()
    content["annotations"][0]["segmentation"] = [[1, 1, 2, 2, 3, 1]]
    content["categories"].append({"id": 12, "name": "bee"})
    dataset = load_dataset(coco_folder(tmp_path, content))
    assert dataset.classes == ("zebra", "bee", "ant")
    assert dataset.notes == (
        "train: categories of one name are one class: bee",
        "train: no masks are read: 1 of 2 objects without an outline (segmentation), such as annotation id 2",
    )


def test_coco_says_which_keys_of_annotations_it_does_not_read(tmp_path: Path) -> None:
    content = coco()
    content["annotations"][0] |= {"keypoints": [1, 2, 2], "num_keypoints": 1, "ignore": 0}
    dataset = load_dataset(coco_folder(tmp_path, content))
    assert dataset.notes == ("train: annotations hold more that is not read: 'keypoints', 'num_keypoints'",)


def test_coco_keeps_ids_and_areas(tmp_path: Path) -> None:
    content = coco()
    content["annotations"][0]["area"] = 7.25
    content["annotations"][1]["area"] = "large"
    content["categories"].append({"id": 12, "name": "bee"})
    for split in ("train", "test"):
        coco_folder(tmp_path / split, content)
    plain = load_dataset(coco_folder(tmp_path / "plain"))
    dataset = load_dataset(tmp_path)
    origin = dataset["train"].origin
    assert origin is not None
    assert list(origin.image_ids) == [70, 5]
    assert dict(origin.category_ids) == {3: 0, 11: 1, 12: 1, 90: 2}
    assert [list(areas) for areas in origin.areas] == [[7.25, None], []]
    drawn = dataset.with_val(0.5)
    for split in ("train", "val"):
        part = drawn[split]
        assert part.origin is not None
        assert list(part.origin.image_ids) == [{"a.png": 70, "b.png": 5}[Path(part.name(0)).name]]
        assert len(part.origin.areas[0]) == len(part.targets["boxes"][0])
    # Ids and areas are no content: runs on the same pictures and boxes go on.
    assert plain["train"].digest() == dataset["train"].digest()
    with pytest.raises(DataError, match="2 images but 1 entries of 'image_ids'"):
        Split(dataset["train"].images, origin=Origin([1], {}, [[], []]))


def test_coco_keeps_the_ids_of_a_second_source(tmp_path: Path) -> None:
    coco_folder(tmp_path / "one")
    fewer = [{"id": 7, "name": "ant"}, {"id": 8, "name": "zebra"}]
    content = coco(categories=fewer)
    for record, key in zip(content["annotations"], (7, 8), strict=True):
        record["category_id"] = key
    dataset = load_dataset(tmp_path / "one", test=coco_folder(tmp_path / "two", content))
    origin = dataset["test"].origin
    assert origin is not None
    assert {key: dataset.classes[label] for key, label in origin.category_ids.items()} == {7: "ant", 8: "zebra"}


def test_coco_splits_have_the_same_classes(tmp_path: Path) -> None:
    coco_folder(tmp_path / "train")
    coco_folder(tmp_path / "test", coco(categories=[*coco()["categories"][:2], {"id": 11, "name": "wasp"}]))
    with pytest.raises(
        DataError, match=r"classes that differ between splits: 'bee' only in .*train.*, 'wasp' only in .*test"
    ):
        load_dataset(tmp_path)


def annotation(**changes: Any) -> dict[str, Any]:
    return coco(annotations=[{"id": 8, "image_id": 70, "category_id": 3, "bbox": [0, 0, 1, 1], **changes}])


def entry(**changes: Any) -> dict[str, Any]:
    return coco(images=[*coco()["images"], {"id": 9, "file_name": "c.png", **changes}])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (annotation(category_id=4), r"boxes.json, annotation id 8 has category_id 4, which is no category's id"),
        (annotation(image_id=71), r"boxes.json, annotation id 8 has image_id 71, which is no image's id"),
        (annotation(image_id=None), r"annotation id 8 has no image_id"),
        (annotation(bbox=["0", "0", "1", "1"]), r"annotation id 8 has the bbox \['0'.*expected four finite numbers"),
        (annotation(bbox=[0, 0, float("nan"), 1]), r"annotation id 8 has the bbox \[0, 0, nan, 1\]"),
        (annotation(bbox=[0, 0, 1]), r"annotation id 8 has the bbox \[0, 0, 1\]; expected four"),
        (annotation(bbox=None), r"annotation id 8 has the bbox None"),
        (annotation(iscrowd="yes"), r"annotation id 8 has iscrowd 'yes'"),
        (coco(annotations=[3]), r"entry 0 of 'annotations' is no object"),
        (entry(), r"boxes.json, image id 9: there is no file c.png in "),
        (entry(file_name="a.png"), r"image id 9 has the file_name a.png, and so has image id 70"),
        (entry(id=70), r"two entries of 'images' have the id 70"),
        (entry(file_name=None), r"image id 9 has no file_name"),
        (
            coco(images=[{"id": 70, "file_name": "a.png", "width": 3, "height": "?"}]),
            r"image id 70 states a size of 3 x \? pixels; expected two positive whole numbers",
        ),
        (
            coco(images=[{"id": 70, "file_name": "a.png", "width": 80, "height": 60}], annotations=[]),
            r"image id 70 states a size of 80 x 60.*a.png has 40 x 30",
        ),
        ({"images": [], "categories": []}, r"boxes.json has no 'annotations' \(it has: images, categories\)"),
        (coco(categories={"1": "ant"}) | {"annotations": []}, r"'categories' is a dict; expected a list"),
        (coco(categories=[{"id": 1}]), r"category id 1 has no name"),
    ],
)
def test_damaged_coco_is_named(content: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        load_dataset(coco_folder(tmp_path, content))


def test_coco_cut_in_half_or_of_two_minds_is_named(tmp_path: Path) -> None:
    coco_folder(tmp_path)
    text = (tmp_path / "boxes.json").read_text()
    (tmp_path / "boxes.json").write_text(text[: len(text) // 2])
    with pytest.raises(DataError, match=r"boxes.json is no JSON, or cut short"):
        load_dataset(tmp_path)
    for name in ("train_a.json", "train_b.json"):
        (tmp_path / name).write_text(text)
    (tmp_path / "boxes.json").unlink()
    with pytest.raises(DataError, match=r"train_a.json and train_b.json are both of split 'train'"):
        load_dataset(tmp_path)
    (tmp_path / "train_b.json").rename(tmp_path / "more.json")
    with pytest.raises(DataError, match=r"more.json is one of several, and its name has none of train, val, test"):
        load_dataset(tmp_path)


# --- YOLO


LINES = "2 0.5 0.5 1 1\n0 0.25 0.5 0.25 0.2\n"
YOLO_FOUND = [([0, 0, 40, 30], "cat", False), ([5, 12, 15, 18], "ant", False)]


def yolo(root: Path, pattern: str = "{kind}/{split}", splits: tuple[str, ...] = ("train", "val")) -> Path:
    """Write an image with two objects into each split."""
    for split in splits:
        image(root / pattern.format(kind="images", split=split) / "a.png")
        labels = root / pattern.format(kind="labels", split=split)
        labels.mkdir(parents=True, exist_ok=True)
        (labels / "a.txt").write_text(LINES)
    return root


def data_yaml(root: Path, **content: Any) -> Path:
    (root / "data.yaml").write_text(yaml.safe_dump({"names": ["ant", "bee", "cat"], **content}))
    return root


@pytest.mark.parametrize("pattern", ["{kind}/{split}", "{split}/{kind}"])
def test_yolo_by_its_layout(pattern: str, tmp_path: Path) -> None:
    yolo(tmp_path, pattern)
    (tmp_path / "classes.txt").write_text("ant\nbee\ncat\n")
    assert only_format(tmp_path) == ["yolo"]
    dataset = load_dataset(tmp_path)
    assert (dataset.format, list(dataset.splits), dataset.classes) == ("yolo", ["train", "val"], ("ant", "bee", "cat"))
    assert found(dataset, "val") == {"a.png": YOLO_FOUND}
    assert dataset.notes == ()


@pytest.mark.parametrize(
    "entries",
    [
        {"train": "images/train", "val": "images/val"},
        {"path": ".", "train": ["images/train"], "val": "images/val", "nc": 3},
        {"path": "/content/elsewhere", "train": "../images/train", "valid": "../images/val"},
        {"train": "train.txt", "val": "lists/val.txt", "names": {0: "ant", 2: "cat"}},
        {},
    ],
    ids=["folders", "path", "moved", "lists", "layout"],
)
def test_yolo_by_data_yaml(entries: dict[str, Any], tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / "train.txt").write_text("./images/train/a.png\n\n")
    (tmp_path / "lists").mkdir()
    (tmp_path / "lists" / "val.txt").write_text("images/val/a.png\n")
    data_yaml(tmp_path, **entries)
    assert only_format(tmp_path) == ["yolo"]
    for path in (tmp_path, tmp_path / "data.yaml"):
        dataset = load_dataset(path)
        assert found(dataset) == found(dataset, "val") == {"a.png": YOLO_FOUND}


def test_yolo_says_what_has_no_labels_and_what_was_a_polygon(tmp_path: Path) -> None:
    yolo(tmp_path)
    for name in ("b", "c"):
        image(tmp_path / "images" / "train" / f"{name}.jpg")
    (tmp_path / "labels" / "train" / "a.txt").write_text("1 0.1 0.2 0.5 0.2 0.3 0.6\n")
    (tmp_path / "labels" / "train" / "c.txt").write_text("\n")
    data_yaml(tmp_path, train="images/train", val="images/val", test="images/test")
    dataset = load_dataset(tmp_path)
    assert found(dataset) == {"a.png": [([4, 6, 20, 18], "bee", False)], "b.jpg": [], "c.jpg": []}
    assert dataset.notes == (
        "data.yaml names images/test as test, which is not there: no such images",
        "train: 1 image without a file of labels: taken as without objects",
        "1 object with a polygon: the box around it is taken",
    )


def test_yolo_of_poses_reads_the_boxes(tmp_path: Path) -> None:
    yolo(tmp_path)
    (tmp_path / "labels" / "train" / "a.txt").write_text("0 0.25 0.5 0.25 0.2 0.1 0.1 2 0.9 0.9 1\n")
    data_yaml(tmp_path, train="images/train", kpt_shape=[2, 3])
    dataset = load_dataset(tmp_path)
    assert found(dataset) == {"a.png": [([5, 12, 15, 18], "ant", False)]}
    assert dataset.notes == ("key points of the objects are not read",)


def test_yolo_is_relative_to_the_upright_image(tmp_path: Path) -> None:
    yolo(tmp_path)
    image(tmp_path / "images" / "train" / "a.png").unlink()
    image(tmp_path / "images" / "train" / "a.jpg", orientation=TURNED)
    data_yaml(tmp_path, train="images/train")
    assert found(load_dataset(tmp_path))["a.jpg"][0][0] == [0, 0, HEIGHT, WIDTH]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("3 0.5 0.5 1 1", r"a.txt, line 3 has class 3, which has no name in .*data.yaml"),
        ("-1 0.5 0.5 1 1", r"a.txt, line 3 has class -1"),
        ("0.5 0.5 0.5 1 1", r"a.txt, line 3 has class 0.5"),
        ("0 0.5 0.5 1", r"a.txt, line 3 has 4 values; expected 5"),
        ("0 0.5 0.5 1 1 0.9", r"a.txt, line 3 has 6 values; expected 5"),
        ("0 0.5 nan 1 1", r"a.txt, line 3 is '0 0.5 nan 1 1'; expected finite numbers"),
        ("ant 0.5 0.5 1 1", r"a.txt, line 3 is 'ant 0.5 0.5 1 1'"),
    ],
)
def test_damaged_yolo_lines_are_named(line: str, message: str, tmp_path: Path) -> None:
    data_yaml(yolo(tmp_path), train="images/train")
    (tmp_path / "labels" / "train" / "a.txt").write_text(LINES + line)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"nc": 4}, r"data.yaml says nc: 4, but names 3 classes"),
        ({"names": []}, r"data.yaml has the names \[\]"),
        ({"names": [True, "bee"]}, r"the name of class 0 is True.*put it in quotes"),
        ({"names": {"ant": 0}}, r"gives a name to class 'ant'"),
        ({"names": ["ant", "ant", "cat"]}, r"data.yaml has the name 'ant' twice"),
        ({"train": "pictures"}, r"data.yaml: train is pictures, and there is no .*pictures"),
        ({"train": {"a": 1}}, r"data.yaml: train is \{'a': 1\}; expected a folder"),
    ],
)
def test_damaged_data_yaml_is_named(content: dict[str, Any], message: str, tmp_path: Path) -> None:
    data_yaml(yolo(tmp_path), **{"train": "images/train", **content})
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


def test_yolo_names_what_is_missing(tmp_path: Path) -> None:
    data_yaml(yolo(tmp_path), train="images/train", val="images/val")
    orphan = tmp_path / "labels" / "val" / "z.txt"
    orphan.write_text(LINES)
    with pytest.raises(DataError, match=r"labels/val/z.txt has no image: expected .*images/val/z with one of .png"):
        load_dataset(tmp_path)
    orphan.unlink()
    (tmp_path / "list.txt").write_text("images/train/a.png\nimages/train/b.png\n")
    data_yaml(tmp_path, train="list.txt")
    with pytest.raises(DataError, match=r"list.txt, line 2: there is no file images/train/b.png"):
        load_dataset(tmp_path)
    (tmp_path / "list.txt").write_text("images/train/a.png\nimages/train/a.png\n")
    with pytest.raises(DataError, match=r"a.png is in a split twice"):
        load_dataset(tmp_path)
    data_yaml(tmp_path, train="images/train")
    image(tmp_path / "images" / "train" / "a.jpg")
    with pytest.raises(DataError, match=r"a.png and .*a.jpg have one file of labels|a.jpg and .*a.png have one file"):
        load_dataset(tmp_path)
    (tmp_path / "images" / "train" / "a.jpg").unlink()
    (tmp_path / "images" / "train" / "a.png").write_text("no image")
    with pytest.raises(DataError, match=r"a.png is text .*parts of the image's size"):
        load_dataset(tmp_path)
    (tmp_path / "data.yaml").write_text("names: [ant\n")
    with pytest.raises(DataError, match=r"data.yaml is no YAML"):
        load_dataset(tmp_path)
    (tmp_path / "data.yaml").unlink()
    with pytest.raises(DataError, match=r"nothing names the classes: add classes.txt"):
        load_dataset(tmp_path)
    (tmp_path / "classes.txt").write_text("ant\n\ncat\n")
    with pytest.raises(DataError, match=r"classes.txt, line 2 is empty"):
        load_dataset(tmp_path)


def test_yolo_without_any_labels_is_no_data_set_without_objects(tmp_path: Path) -> None:
    image(tmp_path / "images" / "train" / "a.png")
    data_yaml(tmp_path, train="images/train")
    with pytest.raises(DataError, match=r"no image has a file of labels; that of .*a.png would be .*a.txt"):
        load_dataset(tmp_path)


# --- CSV


def boxes_csv(path: Path, *rows: list[Any], header: str = "image,label,xmin,ymin,xmax,ymax,split") -> Path:
    """Write a list of boxes, and the images a.png and b.png beside it."""
    for name in ("a", "b"):
        image(path.parent / f"{name}.png")
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header.split(","), *rows])
    return path


@pytest.mark.parametrize(
    "header", ["image,label,xmin,ymin,xmax,ymax,split", "filename, class, x1, y1, x2, y2, split",
               "file_name,category,left,top,right,bottom,split"],
)  # fmt: skip
@pytest.mark.parametrize("name", ["annotations.csv", "boxes.csv", "mine.csv", "manifest.csv"])
def test_csv_of_boxes(name: str, header: str, tmp_path: Path) -> None:
    rows = [
        ["a.png", "img10", 0, 1.5, 20, 30, "train"],
        ["b.png", "", "", "", "", "", "valid"],
        ["./a.png", "img2", 9, 8, 3, 2, ""],
    ]
    file = boxes_csv(tmp_path / name, *rows, header=header)
    for path in [file] if name == "mine.csv" else [file, tmp_path]:
        assert only_format(path) == ["boxes_csv"]
        dataset = load_dataset(path)
        assert (dataset.format, dataset.classes) == ("boxes_csv", ("img2", "img10"))
        assert found(dataset) == {"a.png": [([0, 1.5, 20, 30], "img10", False), ([9, 8, 3, 2], "img2", False)]}
        assert found(dataset, "val") == {"b.png": []}


def test_csv_of_labels_stays_a_manifest(tmp_path: Path) -> None:
    file = boxes_csv(tmp_path / "manifest.csv", ["a.png", "x"], ["b.png", "y"], header="image,label")
    assert only_format(file) == only_format(tmp_path) == ["manifest"]
    assert load_dataset(tmp_path)["train"].labels.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (["c.png", "x", 1, 2, 3, 4], r"line 3: there is no file .*c.png"),
        (["b.png", "x", 1, 2, "", 4], r"line 3 has the box \['1', '2', '', '4'\]; expected four finite numbers"),
        (["b.png", "x", 1, 2, "wide", 4], r"line 3 has the box .*'wide'"),
        (["b.png", "x", 1, 2, "inf", 4], r"line 3 has the box .*'inf'"),
        (["b.png", "", 1, 2, 3, 4], r"line 3 has a box but no value under label"),
        (["b.png", "x"], r"line 3 has the label 'x' but no box"),
        (["", "x", 1, 2, 3, 4], r"line 3 has no value under image"),
        (["b.png", "x", 1, 2, 3, 4, "exam"], r"line 3: split 'exam' is none of train, val, test"),
        (["a.png", "x", 1, 2, 3, 4, "test"], r"line 3: .*a.png is in split 'test' here and in 'train' above"),
        (["b.png", "x", 1, 2, 3, 4, "test", "more"], r"line 3 has more values than the header has columns"),
    ],
)
def test_damaged_csv_is_named(row: list[Any], message: str, tmp_path: Path) -> None:
    file = boxes_csv(tmp_path / "boxes.csv", ["a.png", "x", 1, 2, 3, 4, "train"], row)
    with pytest.raises(DataError, match=message):
        load_dataset(file)


def test_csv_without_rows_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"boxes.csv lists no images"):
        load_dataset(boxes_csv(tmp_path / "boxes.csv"))


# --- all of them


BUILDERS: list[Callable[[Path], Path]] = [
    voc,
    coco_folder,
    lambda root: data_yaml(yolo(root), train="images/train"),
    lambda root: boxes_csv(root / "boxes.csv", ["a.png", "x", 1, 2, 3, 4, ""]).parent,
]


@pytest.mark.parametrize("build", BUILDERS, ids=["voc", "coco", "yolo", "csv"])
def test_reading_decodes_nothing_and_samples_have_boxes(
    build: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = build(tmp_path)

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("an image was decoded")

    with monkeypatch.context() as patch:
        patch.setattr("pixelry.data.dataset.read_image", refuse)
        patch.setattr("pixelry.pixels.io.decode", refuse)
        dataset = load_dataset(path)
    sample = dataset["train"][0]
    assert set(sample) == {"image", "boxes", "labels", "crowd"}
    assert dataset["train"].subset([0])[0]["boxes"].tolist() == sample["boxes"].tolist()
    assert len(dataset.fingerprint) == 32
