"""Data for segmentation: each format as its own tools leave it, and what is said of damage."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from pycocotools import mask as coco_mask
from writers import write_picture

from pixelry import load_dataset
from pixelry.data.dataset import Dataset
from pixelry.data.masks import IGNORE, FileMasks, read_raw
from pixelry.draw import class_colors
from pixelry.errors import DataError
from pixelry.plugins import formats

HEIGHT, WIDTH = 6, 8
TURNED = 6  # EXIF: the file's top is the picture's right


def image(path: Path, *, size: tuple[int, int] = (HEIGHT, WIDTH), orientation: int | None = None) -> Path:
    return write_picture(path, size, orientation)


def mask(path: Path, values: Any, *, palette: bool = False) -> Path:
    """Write a mask: grey values (H, W), indices into VOC's palette, or colours (H, W, 3)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    picture = PILImage.fromarray(np.asarray(values, np.uint8))
    if palette:
        picture.putpalette(class_colors(256).tobytes())
    picture.save(path)
    return path


def ramp(count: int, *, last: int | None = None) -> np.ndarray:
    """Return (H, W) uint8 with all values below `count`, and maybe one in the last pixel."""
    values = (np.arange(HEIGHT * WIDTH) % count).astype(np.uint8).reshape(HEIGHT, WIDTH)
    if last is not None:
        values[-1, -1] = last
    return values


def recognised(path: Path) -> list[str]:
    names = [name for name in formats.names() if formats.load(name).recognise(path)]
    return [name for name in names if not getattr(formats.load(name), "GENERIC", False)]


def masks_of(dataset: Dataset, split: str = "train") -> list[np.ndarray]:
    found = dataset[split].targets["mask"]
    assert all(found[i].dtype == torch.uint8 for i in range(len(found)))
    return [found[i].numpy() for i in range(len(found))]


def pairs(
    root: Path,
    contents: Mapping[str, Sequence[np.ndarray]],
    *,
    images: str = "{split}/images",
    masks: str = "{split}/masks",
    end: str = "",
    names: str = "",
) -> Path:
    """Write images and masks by split, and labels.txt."""
    for split, values in contents.items():
        for k, value in enumerate(values):
            image(root / images.format(split=split) / f"{split}{k}.jpg")
            mask(root / masks.format(split=split) / f"{split}{k}{end}.png", value)
    if names:
        (root / "labels.txt").write_text(names)
    return root


# --- Folders of images and masks


@pytest.mark.parametrize(
    ("images", "masks", "splits"),
    [
        ("images", "masks", ["train"]),
        ("img", "label", ["train"]),
        ("JPEGImages", "annotations", ["train"]),
        ("{split}/images", "{split}/masks", ["train", "val", "test"]),
        ("{split}/image", "{split}/labels", ["train", "test"]),
        ("images/{split}", "labels/{split}", ["train", "val"]),
        ("{split}", "{split}annot", ["train", "val", "test"]),
        ("{split}", "{split}_labels", ["train", "test"]),
    ],
)
def test_where_masks_lie(tmp_path: Path, images: str, masks: str, splits: list[str]) -> None:
    contents = {split: [ramp(3), ramp(2, last=IGNORE)] for split in splits}
    pairs(tmp_path, contents, images=images, masks=masks, names="sky\nroad\n\ncar\n")
    assert recognised(tmp_path) == ["masks"]
    dataset = load_dataset(tmp_path)
    assert (dataset.format, list(dataset.splits)) == ("masks", splits)
    assert dataset.classes == dataset.mask_classes == ("sky", "road", "car")
    for split in splits:
        for given, found in zip(contents[split], masks_of(dataset, split), strict=True):
            np.testing.assert_array_equal(found, given)
    sample = dataset["train"][1]
    assert sample["image"].shape[1:] == sample["mask"].shape == (HEIGHT, WIDTH)


def test_masks_are_read_late_and_move_with_their_images(tmp_path: Path) -> None:
    dataset = load_dataset(pairs(tmp_path, {"train": [ramp(k + 1) for k in range(10)]}, names="\n".join("abcdefghij")))
    part = dataset["train"].subset([7, 2])
    assert isinstance(part.targets["mask"], FileMasks)
    assert [int(part[i]["mask"].max()) for i in range(2)] == [7, 2]
    again = pickle.loads(pickle.dumps(part))
    assert torch.equal(again.targets["mask"][0], part.targets["mask"][0])
    drawn = dataset.with_val(0.2)
    assert drawn.mask_classes == dataset.mask_classes
    assert (len(drawn["train"].targets["mask"]), len(drawn["val"].targets["mask"])) == (8, 2)
    before = dataset.fingerprint
    mask(tmp_path / "train" / "masks" / "train3.png", ramp(2))
    assert load_dataset(tmp_path).fingerprint != before


def test_a_test_set_of_its_own_has_the_same_classes(tmp_path: Path) -> None:
    roots = [pairs(tmp_path / name, {"train": [ramp(2)]}, names=names) for name, names in
             (("one", "a\nb"), ("two", "a\nb"), ("three", "b\na"))]  # fmt: skip
    dataset = load_dataset(roots[0], test=roots[1])
    np.testing.assert_array_equal(masks_of(dataset, "test")[0], ramp(2))
    assert dataset.mask_classes == ("a", "b")
    with pytest.raises(DataError, match="have the classes b, a; those of one are a, b"):
        load_dataset(roots[0], test=roots[2])


def test_endings_of_names_are_said(tmp_path: Path) -> None:
    dataset = load_dataset(pairs(tmp_path, {"train": [ramp(2)] * 3}, end="_mask", names="a\nb"))
    assert len(dataset["train"]) == 3
    assert "masks are called like their images, and _mask" in dataset.notes


def test_a_palette_counts_by_its_index(tmp_path: Path) -> None:
    image(tmp_path / "images" / "a.png")
    mask(tmp_path / "masks" / "a.png", ramp(3, last=IGNORE), palette=True)
    # A table of other colours says nothing of a palette.
    (tmp_path / "classes.csv").write_text("name,r,g,b\na,9,9,9\nb,0,0,0\nc,1,2,3\n")
    np.testing.assert_array_equal(masks_of(load_dataset(tmp_path))[0], ramp(3, last=IGNORE))


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("mode", ["L", "P"])
def test_few_bits_are_not_stretched(tmp_path: Path, bits: int, mode: str) -> None:
    values = ramp(2**bits)
    path = tmp_path / "mask.png"
    if mode == "P":
        picture = PILImage.fromarray(values)
        picture.putpalette(class_colors(2**bits).tobytes())
        picture.save(path, bits=bits)
    else:
        path.write_bytes(grey_png(values, bits))
    raw = read_raw(path)
    assert not raw.colored
    np.testing.assert_array_equal(raw.values, values)


def grey_png(values: np.ndarray, bits: int) -> bytes:
    """Return a grey PNG of 1, 2 or 4 bits, which Pillow reads but does not write."""
    import struct
    import zlib

    from pixelry.pixels.png16 import SIGNATURE, chunk

    bit_rows = np.unpackbits(values[..., None], axis=2)[..., 8 - bits :].reshape(len(values), -1)
    rows = b"".join(b"\0" + row.tobytes() for row in np.packbits(bit_rows, axis=1))
    head = struct.pack(">IIBBBBB", values.shape[1], values.shape[0], bits, 0, 0, 0, 0)
    return SIGNATURE + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("classes.csv", "name,r,g,b\nsky,0,0,255\nroad,128,64,128\nVoid,0,0,0\ncar,64,0,128\n"),
        ("label_colors.txt", "0 0 255\tsky\n128 64 128\troad\n0 0 0\t\tVoid\n64 0 128  car\n"),
    ],
)
def test_colours_by_a_table(tmp_path: Path, file: str, text: str) -> None:
    colors = np.array([[0, 0, 255], [128, 64, 128], [64, 0, 128], [0, 0, 0]], np.uint8)
    image(tmp_path / "images" / "a.jpg")
    mask(tmp_path / "masks" / "a.png", colors[ramp(4)])
    # Nothing but black is grey, and a colour all the same.
    image(tmp_path / "images" / "b.jpg")
    mask(tmp_path / "masks" / "b.png", colors[np.full((HEIGHT, WIDTH), 3)])
    (tmp_path / file).write_text(text)
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("sky", "road", "car")
    first, second = masks_of(dataset)
    np.testing.assert_array_equal(first, np.array([0, 1, 2, IGNORE])[ramp(4)])
    assert (second == IGNORE).all()
    assert f"'Void' in {file} is no class: its pixels are ignored" in dataset.notes
    mask(tmp_path / "masks" / "a.png", np.full((HEIGHT, WIDTH, 3), (1, 2, 3)))
    with pytest.raises(DataError, match=r"a\.png has the colour \(1, 2, 3\) at row 0, column 0 \(48 such pixels\)"):
        masks_of(load_dataset(tmp_path))


def test_values_without_names_are_classes(tmp_path: Path) -> None:
    dataset = load_dataset(pairs(tmp_path, {"train": [ramp(2), ramp(2, last=7)], "val": [ramp(1, last=IGNORE)]}))
    assert dataset.classes == ("class 0", "class 1", "class 7")
    assert masks_of(dataset)[1][-1, -1] == 2
    assert masks_of(dataset, "val")[0][-1, -1] == IGNORE
    assert any("3 values in the masks, each a class" in note for note in dataset.notes)


@pytest.mark.parametrize(("names", "classes"), [("", ("background", "foreground")), ("skin\nspot", ("skin", "spot"))])
def test_black_and_white(tmp_path: Path, names: str, classes: tuple[str, str]) -> None:
    dataset = load_dataset(pairs(tmp_path, {"train": [ramp(2) * 255, ramp(1)]}, names=names))
    assert dataset.classes == dataset.mask_classes == classes
    np.testing.assert_array_equal(masks_of(dataset)[0], ramp(2))
    assert any(f"0 is '{classes[0]}', 255 is '{classes[1]}'" in note for note in dataset.notes)


def test_grey_saved_in_colour(tmp_path: Path) -> None:
    image(tmp_path / "images" / "a.png")
    mask(tmp_path / "masks" / "a.png", ramp(3)[..., None].repeat(3, 2))
    dataset = load_dataset(tmp_path)
    np.testing.assert_array_equal(masks_of(dataset)[0], ramp(3))
    assert any("read as grey values" in note for note in dataset.notes)


@pytest.mark.parametrize(("name", "kept"), [("void", ("a", "b")), ("Unlabelled", ("a", "b"))])
def test_a_name_that_says_no_class(tmp_path: Path, name: str, kept: tuple[str, ...]) -> None:
    dataset = load_dataset(pairs(tmp_path, {"train": [ramp(3)]}, names=f"a\nb\n{name}\n"))
    assert dataset.classes == kept
    np.testing.assert_array_equal(masks_of(dataset)[0], np.array([0, 1, IGNORE])[ramp(3)])
    assert f"'{name}' in labels.txt is no class: its pixels are ignored" in dataset.notes


def test_the_value_past_the_names_in_annot_folders(tmp_path: Path) -> None:
    pairs(tmp_path, {"train": [ramp(3)]}, images="{split}", masks="{split}annot", names="a\nb")
    dataset = load_dataset(tmp_path)
    np.testing.assert_array_equal(masks_of(dataset)[0], np.array([0, 1, IGNORE])[ramp(3)])
    assert "value 2, one past the names in labels.txt, is no class: its pixels are ignored" in dataset.notes


def test_masks_of_images_that_exif_turns(tmp_path: Path) -> None:
    values = ramp(2, last=IGNORE)
    image(tmp_path / "images" / "a.jpg", orientation=TURNED)
    mask(tmp_path / "masks" / "a.png", values)
    image(tmp_path / "images" / "b.jpg", orientation=TURNED)
    mask(tmp_path / "masks" / "b.png", np.rot90(values, -1))
    (tmp_path / "labels.txt").write_text("a\nb")
    dataset = load_dataset(tmp_path)
    assert dataset["train"][0]["image"].shape[1:] == (WIDTH, HEIGHT)
    for found in masks_of(dataset):
        np.testing.assert_array_equal(found, np.rot90(values, -1))


def test_faults_of_pairs(tmp_path: Path) -> None:
    def said(root: Path) -> str:
        with pytest.raises(DataError) as caught:
            load_dataset(root, format="masks")
        return str(caught.value)

    good = pairs(tmp_path / "x", {"train": [ramp(2)] * 2}, images="images", masks="masks", names="a\nb")
    image(good / "images" / "more.jpg")
    assert "1 image without a mask" in said(good)
    assert "more.jpg" in said(good)
    (good / "images" / "more.jpg").unlink()
    mask(good / "masks" / "other.png", ramp(2))
    assert "1 mask without an image" in said(good)
    assert "other.png" in said(good)
    (good / "masks" / "other.png").unlink()
    mask(good / "masks" / "train0_mask.png", ramp(2))
    assert "train0.jpg has two masks" in said(good)
    assert "train0_mask.png" in said(good)
    (good / "masks" / "train0_mask.png").unlink()
    image(good / "images" / "train0.png")
    assert "have the same name" in said(good)
    assert "train0.png" in said(good)
    (good / "images" / "train0.png").unlink()
    assert len(load_dataset(good)["train"]) == 2
    (tmp_path / "empty" / "images").mkdir(parents=True)
    (tmp_path / "empty" / "masks").mkdir()
    assert "hold no pictures" in said(tmp_path / "empty")
    assert "no folders of images and masks" in said(tmp_path)


def test_faults_of_values(tmp_path: Path) -> None:
    def said(values: Any, names: str = "", name: str = "a.png") -> str:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        image(root / "images" / "a.jpg")
        mask(root / "masks" / name, values)
        if names:
            (root / "labels.txt").write_text(names)
        with pytest.raises(DataError) as caught:
            load_dataset(root)
        return str(caught.value)

    color = np.random.default_rng(0).integers(0, 255, (HEIGHT, WIDTH, 3))
    assert "a.png is in colour, and no table says" in said(color)
    assert "classes.csv" in said(color, "a\nb")
    more = said(ramp(4), "a\nb\nc")
    assert "a.png has the value 3 at row 0, column 3 (12 such pixels)" in more
    assert "known are 0 to 2, 255" in more
    assert "80 different values" in said(np.arange(80).reshape(8, 10))
    assert "JPEG changes the values" in said(ramp(2) * 200, "a\nb\nc", "a.jpg")
    assert "names the class 'a' twice" in said(ramp(2), "a\nb\na")


def test_faults_of_files(tmp_path: Path) -> None:
    root = pairs(tmp_path, {"train": [ramp(2)] * 40}, images="images", masks="masks", names="a\nb")
    mask(root / "masks" / "train1.png", ramp(2)[:, :4])
    mask(root / "masks" / "train3.png", ramp(5))
    (root / "masks" / "train6.png").write_bytes(b"\x89PNG no")
    found = load_dataset(root)["train"].targets["mask"]
    with pytest.raises(DataError, match=r"train1\.png has 4 x 6 pixels .* has 8 x 6"):
        found[1]
    with pytest.raises(DataError, match=r"train3\.png has the value 2"):
        found[3]
    with pytest.raises(DataError, match=r"train6\.png cannot be read as a mask"):
        found[6]
    (root / "masks" / "train8.png").unlink()
    with pytest.raises(DataError, match=r"no mask .*train8\.png"):
        found[8]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,r,g,b\nsky,0,0\n", "line 2: expected name,r,g,b"),
        ("name,r,g,b\nsky,0,0,256\n", "line 2: expected name,r,g,b"),
        ("name,r,g,b\nsky,0,0,1\nsea,0,0,1\n", "line 3: 'sea' with the colour"),
        ("name,r,g,b\n", "lists no classes"),
    ],
)
def test_faults_of_tables(tmp_path: Path, text: str, message: str) -> None:
    pairs(tmp_path, {"train": [ramp(2)]})
    (tmp_path / "classes.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


# --- Cityscapes, Oxford-IIIT Pet


def cityscapes(root: Path, end: str = "labelIds") -> Path:
    for split, values in {"train": [7, 8, 26, 0], "val": [11, 33, 33, 5], "test": [0, 1, 2, 3]}.items():
        name = f"{split}/ulm/ulm_0_1"
        image(root / "leftImg8bit" / f"{name}_leftImg8bit.png")
        shown = np.array(values)[ramp(4)] if end == "labelIds" else ramp(4, last=IGNORE)
        mask(root / "gtFine" / f"{name}_gtFine_{end}.png", shown)
        mask(root / "gtFine" / f"{name}_gtFine_instanceIds.png", ramp(9))
    return root


def test_cityscapes(tmp_path: Path) -> None:
    dataset = load_dataset(cityscapes(tmp_path))
    assert recognised(tmp_path) == ["cityscapes"]
    assert list(dataset.splits) == ["train", "val"]
    assert len(dataset.mask_classes) == 19
    np.testing.assert_array_equal(masks_of(dataset)[0], np.array([0, 1, 13, IGNORE])[ramp(4)])
    np.testing.assert_array_equal(masks_of(dataset, "val")[0], np.array([2, 18, 18, IGNORE])[ramp(4)])
    assert any("split 'test' (1 image) has no masks with classes: left out" in note for note in dataset.notes)
    next((tmp_path / "gtFine" / "val").rglob("*labelIds.png")).unlink()
    with pytest.raises(DataError, match="1 mask of split 'val' missing"):
        load_dataset(tmp_path)


def test_cityscapes_train_ids(tmp_path: Path) -> None:
    dataset = load_dataset(cityscapes(tmp_path, "labelTrainIds"))
    assert list(dataset.splits) == ["train", "val", "test"]
    np.testing.assert_array_equal(masks_of(dataset)[0], ramp(4, last=IGNORE))


def test_oxford_pets(tmp_path: Path) -> None:
    for name in ("Bengal_1", "pug_2"):
        image(tmp_path / "images" / f"{name}.jpg")
        mask(tmp_path / "annotations" / "trimaps" / f"{name}.png", ramp(3) + 1)
    (tmp_path / "annotations" / "trainval.txt").write_text("#Image CLASS-ID SPECIES BREED\nBengal_1 1 1 1\n")
    (tmp_path / "annotations" / "test.txt").write_text("pug_2 2 2 1\n")
    assert recognised(tmp_path) == ["oxford_pets"]
    dataset = load_dataset(tmp_path)
    assert dataset.mask_classes == ("background", "pet")
    np.testing.assert_array_equal(masks_of(dataset, "test")[0], np.array([1, 0, IGNORE])[ramp(3)])
    (tmp_path / "images" / "pug_2.jpg").unlink()
    with pytest.raises(DataError, match=r"test\.txt, line 1: there is no file .*pug_2\.jpg"):
        load_dataset(tmp_path)


# --- Pascal VOC


def voc(root: Path, *, objects: bool = True) -> Path:
    """Write two images with masks and one without: a dog of two parts and a border, and a cat beside a dog."""
    kinds, things = np.zeros((2, HEIGHT, WIDTH), np.uint8), np.zeros((2, HEIGHT, WIDTH), np.uint8)
    kinds[0, 1:4, 2:5], things[0, 1:4, 2:5] = 12, 1
    kinds[0, 1, 2], things[0, 1, 1] = IGNORE, IGNORE
    kinds[1, :, :3], things[1, :, :3] = 8, 1
    kinds[1, 2:, 5:], things[1, 2:, 5:] = 12, 2
    for k, name in enumerate("ab"):
        mask(root / "SegmentationClass" / f"{name}.png", kinds[k], palette=True)
        if objects:
            mask(root / "SegmentationObject" / f"{name}.png", things[k], palette=True)
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split, name in {"train": "a", "val": "b", "test": "c"}.items():
        image(root / "JPEGImages" / f"{name}.jpg")
        (lists / f"{split}.txt").write_text(f"{name}\n")
    return root


def test_voc_masks_and_objects(tmp_path: Path) -> None:
    dataset = load_dataset(voc(tmp_path))
    assert recognised(tmp_path) == ["voc_masks"]
    assert (list(dataset.splits), len(dataset.classes)) == (["train", "val"], 20)
    assert dataset.mask_classes == ("background", *dataset.classes)
    assert any("split 'test' (1 image) has no masks" in note for note in dataset.notes)
    sample = dataset["train"][0]
    assert sample["mask"][1, 2] == IGNORE
    assert sample["mask"][2, 2] == 12
    assert [dataset.classes[k] for k in sample["labels"]] == ["dog"]
    assert sample["boxes"].tolist() == [[2, 1, 5, 4]]
    assert sample["masks"].dtype == torch.bool
    assert sample["masks"].sum((1, 2)).tolist() == [9]
    sample = dataset["val"].subset([0])[0]
    assert [dataset.classes[k] for k in sample["labels"]] == ["cat", "dog"]
    assert sample["boxes"].tolist() == [[0, 0, 3, 6], [5, 2, 8, 6]]
    assert sample["masks"].sum((1, 2)).tolist() == [18, 12]
    assert pickle.loads(pickle.dumps(dataset["val"]))[0]["masks"].shape == (2, HEIGHT, WIDTH)


def test_voc_masks_alone_and_beside_boxes(tmp_path: Path) -> None:
    dataset = load_dataset(voc(tmp_path, objects=False))
    assert "masks" not in dataset["train"].targets
    assert dataset.classes == dataset.mask_classes
    assert len(dataset.classes) == 21
    (tmp_path / "Annotations").mkdir()
    (tmp_path / "Annotations" / "a.xml").write_text("<annotation><filename>a.jpg</filename></annotation>")
    assert recognised(tmp_path) == ["voc"]
    boxes = load_dataset(tmp_path, format="voc")
    assert "boxes" in boxes["train"].targets
    assert any("--format voc_masks reads the masks" in note for note in boxes.notes)
    assert load_dataset(tmp_path, format="voc_masks").fingerprint == dataset.fingerprint


def test_faults_of_voc(tmp_path: Path) -> None:
    voc(tmp_path)
    mask(tmp_path / "SegmentationObject" / "a.png", np.pad([[3]], ((0, HEIGHT - 1), (0, WIDTH - 1))), palette=True)
    with pytest.raises(DataError, match=r"a\.png: object 3 lies where .* has no class"):
        load_dataset(tmp_path)
    (tmp_path / "SegmentationObject" / "a.png").unlink()
    with pytest.raises(DataError, match=r"there is no .*SegmentationObject.a\.png"):
        load_dataset(tmp_path)
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("b\nc\n")
    with pytest.raises(DataError, match=r"val\.txt, line 2 names c, but there is no SegmentationClass/"):
        load_dataset(tmp_path)
    (tmp_path / "ImageSets" / "Segmentation" / "val.txt").write_text("b\nz\n")
    with pytest.raises(DataError, match=r"val\.txt, line 2 names z, and JPEGImages/ has no image"):
        load_dataset(tmp_path)


# --- COCO


def coco(root: Path, segments: list[Any], *, orientation: int | None = None, crowd: int = 0) -> Path:
    """Write two images, the first with an object for each outline; sizes are those of the file's pixels."""
    image(root / "train" / "a.jpg", orientation=orientation)
    image(root / "train" / "b.jpg")
    content = {
        "images": [
            {"id": k, "file_name": name, "width": WIDTH, "height": HEIGHT} for k, name in enumerate(("a.jpg", "b.jpg"))
        ],
        "categories": [{"id": 3, "name": "cat"}],
        "annotations": [
            {"id": 70 + k, "image_id": 0, "category_id": 3, "bbox": [1, 1, 3, 2], "iscrowd": crowd}
            | {"segmentation": s}
            for k, s in enumerate(segments)
        ],
    }
    (root / "annotations").mkdir()
    (root / "annotations" / "instances_train.json").write_text(json.dumps(content))
    return root


BLOCK = np.zeros((HEIGHT, WIDTH), bool)
BLOCK[1:3, 1:4] = True
POLYGON = [[1, 1, 4, 1, 4, 3, 1, 3]]
RUNS = {"size": [HEIGHT, WIDTH], "counts": [7, 2, 4, 2, 4, 2, 27]}


def compressed(values: np.ndarray) -> dict[str, Any]:
    encoded = coco_mask.encode(np.asfortranarray(values.astype(np.uint8)))
    return {"size": [HEIGHT, WIDTH], "counts": encoded["counts"].decode()}


def test_coco_outlines_of_all_kinds(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).random((HEIGHT, WIDTH)) < 0.5
    dataset = load_dataset(coco(tmp_path, [POLYGON, RUNS, compressed(BLOCK), compressed(noise), compressed(BLOCK & 0)]))
    assert dataset.notes == ()
    part = pickle.loads(pickle.dumps(dataset["train"].subset([1, 0])))
    masks = part[1]["masks"]
    assert masks.dtype == torch.bool
    for found, expected in zip(masks.numpy(), [BLOCK, BLOCK, BLOCK, noise, BLOCK & 0], strict=True):
        np.testing.assert_array_equal(found, expected)
    assert part[0]["masks"].shape == (0, HEIGHT, WIDTH)
    assert part[1]["boxes"].shape == (5, 4)


def test_coco_outlines_turn_with_their_image(tmp_path: Path) -> None:
    sample = load_dataset(coco(tmp_path, [POLYGON, RUNS], orientation=TURNED, crowd=1))["train"][0]
    assert sample["crowd"].all()
    left, top, right, bottom = (int(v) for v in sample["boxes"][0])
    for found in sample["masks"]:
        assert found.shape == (WIDTH, HEIGHT)
        np.testing.assert_array_equal(found.numpy(), np.rot90(BLOCK, -1))
        assert found[top:bottom, left:right].all()


@pytest.mark.parametrize(
    ("segment", "note"),
    [
        ([], "1 of 2 objects without an outline (segmentation), such as annotation id 71"),
        ([[1, 1, 4, 1]], "annotation id 71 has the polygon [1, 1, 4, 1]; expected x, y of three corners"),
        ([[1, 1, 4, 1, 4, "x"]], "annotation id 71 has the polygon"),
        ("abc", "annotation id 71 has the outline 'abc'"),
        ({"counts": [1]}, "annotation id 71 has run lengths with the size None"),
        ({"size": [6, 8], "counts": [1.5]}, "annotation id 71 has run lengths [1.5]"),
    ],
)
def test_coco_outlines_that_are_none(tmp_path: Path, segment: Any, note: str) -> None:
    dataset = load_dataset(coco(tmp_path, [POLYGON, segment]))
    assert "masks" not in dataset["train"].targets
    assert len(dataset["train"].targets["boxes"][0]) == 2
    assert any("no masks are read" in said and note in said for said in dataset.notes)


@pytest.mark.parametrize(
    ("segment", "message"),
    [
        ({"size": [HEIGHT, WIDTH], "counts": [7, 2]}, "run lengths of 9 pixels in all; expected 48"),
        ({"size": [WIDTH, HEIGHT], "counts": [48]}, "run lengths for 6 x 8 pixels"),
        ({"size": [HEIGHT, WIDTH], "counts": "zz~"}, "which stands for none"),
        ({"size": [HEIGHT, WIDTH], "counts": "PP"}, "cut short"),
        ({"size": [HEIGHT, WIDTH], "counts": []}, "run lengths"),
        ({"size": [HEIGHT, WIDTH], "counts": compressed(BLOCK)["counts"] + "1"}, "expected 48"),
    ],
)
def test_coco_run_lengths_that_do_not_fill_the_image(tmp_path: Path, segment: Any, message: str) -> None:
    dataset = load_dataset(coco(tmp_path, [POLYGON, segment]))
    with pytest.raises(DataError, match="annotation id 71") as caught:
        dataset["train"].targets["masks"][0]
    assert message in str(caught.value)
