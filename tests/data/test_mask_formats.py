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
from pixelry.tasks.segment import TASK

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


def test_how_names_are_matched_is_said(tmp_path: Path) -> None:
    dataset = load_dataset(pairs(tmp_path / "x", {"train": [ramp(2)] * 3}, end="_mask", names="a\nb"))
    assert len(dataset["train"]) == 3
    assert dataset.notes == ("masks are called like their images, and _mask",)
    dataset = load_dataset(pairs(tmp_path / "y", {"train": [ramp(2)] * 3, "test": [ramp(2)]}, names="a\nb"))
    assert dataset.notes == ("masks are called like their images",)


def test_folders_without_a_partner_are_said(tmp_path: Path) -> None:
    root = pairs(tmp_path / "in", {"train": [ramp(2)]}, images="images/{split}", masks="masks/{split}", names="a\nb")
    image(root / "images" / "val" / "v.jpg")
    image(root / "images" / "loose.jpg")
    mask(root / "masks" / "test" / "t.png", ramp(2))
    dataset = load_dataset(root)
    assert list(dataset.splits) == ["train"]
    assert "2 folders left out, without images or without masks: images/val, masks/test" in dataset.notes
    assert "1 picture in images, outside its folders, left out" in dataset.notes
    root = pairs(tmp_path / "beside", {"train": [ramp(2)]}, images="{split}", masks="{split}annot", names="a\nb\nvoid")
    image(root / "test" / "t.jpg")
    mask(root / "valannot" / "v.png", ramp(2))
    note = "2 folders left out, without images or without masks: test, valannot"
    assert note in load_dataset(root).notes


@pytest.mark.parametrize("empty", ["images", "masks", "both"])
@pytest.mark.parametrize(("images", "masks"), [("images", "masks"), ("img", "gt"), ("train", "train_masks")])
def test_an_empty_folder_is_named(tmp_path: Path, empty: str, images: str, masks: str) -> None:
    for folder, kind in ((images, "images"), (masks, "masks")):
        (tmp_path / folder).mkdir()
        if empty not in (kind, "both"):
            mask(tmp_path / folder / "a.png", ramp(2))
    (tmp_path / images / ".hidden").write_text("left by a file manager")
    assert recognised(tmp_path) == ["masks"]
    named = masks if empty == "masks" else images
    with pytest.raises(DataError, match=rf"{named}( and .*)? holds? no pictures; expected"):
        load_dataset(tmp_path)


def test_folders_of_others_are_left_to_them(tmp_path: Path) -> None:
    image(tmp_path / "boxes" / "images" / "a.jpg")
    image(tmp_path / "text" / "images" / "a.jpg")
    for file in ("boxes/labels/a.txt", "text/gt/a.txt", "none/images/a.txt", "none/masks/b.txt"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("0 0.5 0.5 0.1 0.1\n")
    assert [recognised(tmp_path / name) for name in ("boxes", "text", "none")] == [["yolo"], [], []]
    image(tmp_path / "vague" / "images" / "a.jpg")
    (tmp_path / "vague" / "annotations").mkdir()
    assert recognised(tmp_path / "vague") == []


def test_a_palette_counts_by_its_index(tmp_path: Path) -> None:
    image(tmp_path / "images" / "a.png")
    mask(tmp_path / "masks" / "a.png", ramp(3, last=IGNORE), palette=True)
    # A table of other colours says nothing of a palette.
    (tmp_path / "classes.csv").write_text("name,r,g,b\na,9,9,9\nb,0,0,0\nc,1,2,3\n")
    np.testing.assert_array_equal(masks_of(load_dataset(tmp_path))[0], ramp(3, last=IGNORE))


def test_a_palette_of_a_tables_colours_counts_by_colour(tmp_path: Path) -> None:
    table = {"sky": (0, 0, 255), "road": (128, 64, 128), "void": (0, 0, 0), "car": (64, 0, 128)}
    (tmp_path / "classes.csv").write_text("".join(f"{name},{r},{g},{b}\n" for name, (r, g, b) in table.items()))
    colors = np.array(list(table.values()), np.uint8)
    expected = np.array([0, 1, IGNORE, 2])[ramp(4)]
    for k, order in enumerate(([0, 1, 2, 3], [3, 1, 0, 2], [2, 3, 1, 0])):
        image(tmp_path / "images" / f"{k}.png")
        picture = PILImage.fromarray(np.argsort(order)[ramp(4)].astype(np.uint8))
        picture.putpalette(colors[order].tobytes())
        (tmp_path / "masks").mkdir(exist_ok=True)
        picture.save(tmp_path / "masks" / f"{k}.png")
    # What makes files smaller leaves one of a single grey without a palette, and others as they are.
    image(tmp_path / "images" / "black.png")
    mask(tmp_path / "masks" / "black.png", np.zeros((HEIGHT, WIDTH)))
    image(tmp_path / "images" / "rgb.png")
    mask(tmp_path / "masks" / "rgb.png", colors[ramp(4)])
    dataset = load_dataset(tmp_path)
    assert dataset.classes == ("sky", "road", "car")
    found = masks_of(dataset)
    assert len(found) == 5
    for one in (*found[:3], found[4]):
        np.testing.assert_array_equal(one, expected)
    assert (found[3] == IGNORE).all()
    note = "3 masks with a palette, whose colours are in classes.csv: these count, not the indices"
    assert note in dataset.notes
    assert "1 mask in grey, whose colours are in classes.csv: these count, not the values as numbers" in dataset.notes
    picture.putpalette(bytes([9, 8, 7]) + colors.tobytes())
    picture.save(tmp_path / "masks" / "1.png")
    with pytest.raises(DataError, match=r"1\.png has the colour \(9, 8, 7\) at row"):
        masks_of(load_dataset(tmp_path))


def test_a_palette_says_which_255_is_none(tmp_path: Path) -> None:
    colors = class_colors(3).tolist()
    (tmp_path / "classes.csv").write_text("".join(f"c{k},{r},{g},{b}\n" for k, (r, g, b) in enumerate(colors)))
    # VOC's palette has a colour for 255 that no class has; others are filled up with black, a class's colour.
    for name, palette in (("a", class_colors(256)), ("b", np.pad(class_colors(3), ((0, 253), (0, 0))))):
        image(tmp_path / "images" / f"{name}.png")
        picture = PILImage.fromarray(ramp(3, last=IGNORE))
        picture.putpalette(palette.tobytes())
        (tmp_path / "masks").mkdir(exist_ok=True)
        picture.save(tmp_path / "masks" / f"{name}.png")
    dataset = load_dataset(tmp_path)
    for found in masks_of(dataset):
        np.testing.assert_array_equal(found, ramp(3, last=IGNORE))
    assert "255 is no class: in 2 masks it is 2.08% of all pixels, ignored" in dataset.notes


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


WHITE = "background,0,0,0\nbuilding,255,255,255\n"


@pytest.mark.parametrize(
    ("table", "classes", "white"),
    [
        (WHITE, ("background", "building"), 1),
        ("building,255,255,255\nbackground,0,0,0\n", ("building", "background"), 0),
        ("background,0,0,0\nbuilding,255,0,0\n", ("background", "building"), 1),
        ("building,255,0,0\nbackground,0,0,0\n", ("building", "background"), 0),
    ],
)
@pytest.mark.parametrize("bits", [1, 8])
def test_black_and_white_with_a_table_of_colours(
    tmp_path: Path, table: str, classes: tuple[str, str], white: int, bits: int
) -> None:
    pairs(tmp_path, {"train": [ramp(2) * 255] * 3}, images="images", masks="masks")
    if bits == 1 and "255,255,255" in table:  # of one bit 1 is white
        (tmp_path / "masks" / "train1.png").write_bytes(grey_png(ramp(2), 1))
    (tmp_path / "classes.csv").write_text("name,r,g,b\n" + table)
    dataset = load_dataset(tmp_path)
    assert dataset.mask_classes == classes
    for found in masks_of(dataset):
        np.testing.assert_array_equal(found, np.array([1 - white, white])[ramp(2)])
    assert not any("ignored" in note for note in dataset.notes)


@pytest.mark.parametrize(("file", "text"), [("", ""), ("labels.txt", "a\nb\n"), ("classes.csv", WHITE)])
def test_black_and_white_where_white_is_in_one_mask_of_many(tmp_path: Path, file: str, text: str) -> None:
    values = [ramp(1)] * 40
    values[17] = ramp(2) * 255
    pairs(tmp_path, {"train": values}, images="images", masks="masks")
    if file:
        (tmp_path / file).write_text(text)
    dataset = load_dataset(tmp_path)
    assert len(dataset.classes) == 2
    np.testing.assert_array_equal(masks_of(dataset)[17], ramp(2))


def test_strays_among_black_and_white_are_named(tmp_path: Path) -> None:
    values = [np.full((HEIGHT, WIDTH), 255, np.uint8) * ramp(2)] * 40
    for stray, names in ((254, ""), (254, "a\nb"), (1, ""), (1, "a\nb")):
        root = tmp_path / f"{stray}{len(names)}"
        values[17] = values[0].copy()
        values[17][2, 3] = stray
        pairs(root, {"train": values}, images="images", masks="masks", names=names)
        with pytest.raises(
            DataError, match=rf"train17\.png has the value {stray} \(1 such pixels\).*correct the masks"
        ):
            load_dataset(root)
    # One file of masks with classes and much that nobody labelled.
    values = [np.array([0, 1, 255, 255], np.uint8)[ramp(4)]] * 3
    dataset = load_dataset(pairs(tmp_path / "much", {"train": values}, names="a\nb"))
    np.testing.assert_array_equal(masks_of(dataset)[0], values[0])
    assert "255 is no class: in 3 masks it is 50.00% of all pixels, ignored" in dataset.notes
    with pytest.raises(DataError, match=r"name the classes in labels\.txt"):
        load_dataset(pairs(tmp_path / "unnamed", {"train": values}))


def test_how_much_is_ignored_is_said(tmp_path: Path) -> None:
    contents = {"train": [ramp(3), ramp(3, last=IGNORE)], "val": [ramp(3)]}
    note = "255 is no class: in 1 mask it is 0.69% of all pixels, ignored"
    assert note in load_dataset(pairs(tmp_path / "named", contents, names="a\nb\nc")).notes
    assert note in load_dataset(pairs(tmp_path / "unnamed", contents)).notes
    white = load_dataset(pairs(tmp_path / "white", {"train": [ramp(2) * 255]}, names="a\nb\nc"))
    assert any("50.00% of all pixels, ignored, and all others are 0: if it is a class" in note for note in white.notes)
    with pytest.raises(DataError, match="the 1 training masks of white show 'a' alone, of 3 classes"):
        TASK.from_dataset(white)


@pytest.mark.parametrize(("values", "names"), [(ramp(1), ""), (ramp(2) * 255, "building\nvoid"), (ramp(1), "sky")])
def test_one_class_is_nothing_to_learn(tmp_path: Path, values: np.ndarray, names: str) -> None:
    dataset = load_dataset(pairs(tmp_path, {"train": [values, values]}, names=names))
    assert len(dataset.mask_classes) == 1
    with pytest.raises(DataError, match=f"have one class, '{dataset.mask_classes[0]}'.*nothing to tell apart"):
        TASK.from_dataset(dataset)


def test_camvid_as_segnets_authors_give_it_away(tmp_path: Path) -> None:
    contents = {"train": [ramp(12)], "val": [ramp(9)], "test": [ramp(12)]}
    dataset = load_dataset(pairs(tmp_path / "all", contents, images="{split}", masks="{split}annot"))
    assert dataset.mask_classes == (
        "sky", "building", "pole", "road", "pavement", "tree", "sign symbol", "fence", "car", "pedestrian", "bicyclist",
    )  # fmt: skip
    np.testing.assert_array_equal(masks_of(dataset, "test")[0], np.array([*range(11), IGNORE])[ramp(12)])
    assert any("taken for SegNet's CamVid" in note and "its void, 11, is ignored" in note for note in dataset.notes)
    # Other folders, few values or names: something else.
    assert len(load_dataset(pairs(tmp_path / "else", contents)).classes) == 12
    few = {"train": [ramp(3), np.array([0, 11])[ramp(2)]]}
    assert len(load_dataset(pairs(tmp_path / "few", few, images="{split}", masks="{split}annot")).classes) == 4
    names = "\n".join("abcdefghijkl")
    named = load_dataset(pairs(tmp_path / "named", contents, images="{split}", masks="{split}annot", names=names))
    assert named.classes == tuple("abcdefghijkl")


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


def turned_set(root: Path, shown: Mapping[str, tuple[int, tuple[int, int]]], *, filed: bool) -> Dataset:
    """Write images of noise, with (orientation, shape) by name, and masks of the same: as filed, or upright."""
    from pixelry.pixels import read_image

    for k, (name, (how, shape)) in enumerate(shown.items()):
        values = np.random.default_rng(k).integers(0, 2, shape, dtype=np.uint8)
        exif = PILImage.Exif()
        exif[274] = how
        (root / "images").mkdir(parents=True, exist_ok=True)
        PILImage.fromarray(values * 200).save(root / "images" / f"{name}.png", exif=exif)
        mask(root / "masks" / f"{name}.png", values if filed else read_image(root / "images" / f"{name}.png") // 200)
    (root / "labels.txt").write_text("a\nb")
    return load_dataset(root)


UNTOLD = {f"u{how}": (how, (5, 8) if how < 5 else (7, 7)) for how in range(1, 9)}
TOLD = {f"t{how}": (how, (5, 8)) for how in (5, 6, 7, 8)}


@pytest.mark.parametrize("filed", [True, False])
def test_masks_of_images_that_are_mirrored_or_square(tmp_path: Path, filed: bool) -> None:
    dataset = turned_set(tmp_path, UNTOLD | TOLD, filed=filed)
    again = pickle.loads(pickle.dumps(dataset["train"].subset(range(len(dataset["train"])))))
    for split in (dataset["train"], again):
        for sample in (split[i] for i in range(len(split))):
            assert torch.equal(sample["image"][0] // 200, sample["mask"])
    like = "the file's pixels and turned along" if filed else "the upright picture"
    assert any(note.startswith("7 images mirrored") and f"{like}, like 4 of 4 others" in note for note in dataset.notes)
    assert any("4 images turned by EXIF with masks of the file's" in note for note in dataset.notes) == filed


def test_masks_of_mirrored_images_where_nothing_tells(tmp_path: Path) -> None:
    dataset = turned_set(tmp_path / "upright", UNTOLD, filed=False)
    for sample in (dataset["train"][i] for i in range(len(UNTOLD))):
        assert torch.equal(sample["image"][0] // 200, sample["mask"])
    assert any(
        "7 images mirrored" in note and "if they are of the file's pixels, remove" in note for note in dataset.notes
    )
    assert not any("EXIF" in note for note in turned_set(tmp_path / "plain", {"p": (1, (5, 8))}, filed=True).notes)


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


@pytest.mark.parametrize("objects", [True, False])
def test_voc_images_that_exif_turns(tmp_path: Path, objects: bool) -> None:
    voc(tmp_path, objects=objects)
    kinds = np.asarray(PILImage.open(tmp_path / "SegmentationClass" / "b.png"))
    image(tmp_path / "JPEGImages" / "a.jpg", orientation=TURNED)
    image(tmp_path / "JPEGImages" / "b.jpg", orientation=3)
    sample = load_dataset(tmp_path)["val"][0]
    np.testing.assert_array_equal(sample["mask"].numpy(), kinds[::-1, ::-1])
    if objects:
        assert sample["boxes"].tolist() == [[5, 0, 8, 6], [0, 0, 3, 4]]
        for one, box in zip(sample["masks"], sample["boxes"].int().tolist(), strict=True):
            assert one[box[1] : box[3], box[0] : box[2]].all()


def test_two_masks_of_one_voc_image_are_named(tmp_path: Path) -> None:
    voc(tmp_path)
    mask(tmp_path / "SegmentationClass" / "b.bmp", ramp(2))
    with pytest.raises(DataError, match=r"val\.txt, line 1 names b, which has 2 masks: .*b\.bmp and .*b\.png; remove"):
        load_dataset(tmp_path)


def test_voc_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torchvision.datasets

    def fetch(root: Path, *, year: str, image_set: str, download: bool) -> None:
        assert (year, image_set, download) == ("2012", "trainval", True)
        folder = voc(Path(root) / "VOCdevkit" / "VOC2012") / "Annotations"
        folder.mkdir()
        (folder / "a.xml").write_text("<annotation><filename>a.jpg</filename></annotation>")

    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("no network")

    monkeypatch.setenv("PIXELRY_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(torchvision.datasets, "VOCSegmentation", refuse)
    with pytest.raises(DataError, match=r"no network.*VOCtrainval_11-May-2012\.tar.*--format voc_masks.* voc2012/"):
        load_dataset("voc2012")
    monkeypatch.setattr(torchvision.datasets, "VOCSegmentation", fetch)
    first = load_dataset("voc2012")
    assert (first.name, first.format, list(first.splits)) == ("voc2012", "voc_masks", ["train", "val"])
    monkeypatch.setattr(torchvision.datasets, "VOCSegmentation", refuse)
    assert load_dataset("voc2012").fingerprint == first.fingerprint  # it lies there, boxes or not
    (tmp_path / "home").mkdir()
    (tmp_path / "cache" / "data" / "VOCdevkit" / "VOC2012").rename(tmp_path / "home" / "voc2012")
    monkeypatch.setenv("PIXELRY_DATA", str(tmp_path / "home"))
    assert load_dataset("voc2012").fingerprint == first.fingerprint


def test_names_that_are_not_downloaded_say_where_the_data_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELRY_DATA", str(tmp_path))
    with pytest.raises(
        DataError, match=r"https://www\.cityscapes-dataset\.com.*gtFine_trainvaltest\.zip.*--data FOLDER"
    ):
        load_dataset("cityscapes")
    with pytest.raises(DataError, match="voc2012 has masks and is downloaded; boxes are read from a folder"):
        load_dataset("voc")
    with pytest.raises(DataError, match="the data set of that name goes without --format"):
        load_dataset("voc2012", format="voc")
    cityscapes(tmp_path / "cityscapes")
    assert len(load_dataset("cityscapes").mask_classes) == 19


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
        ([[1, 1, 4, 1]], "annotation id 71 with the polygon [1, 1, 4, 1]; expected x, y of three corners"),
        ([[1, 1, 4, 1, 4, "x"]], "annotation id 71 with the polygon"),
        ("abc", "annotation id 71 with the outline 'abc'"),
        ({"counts": [1]}, "annotation id 71 with run lengths with the size None"),
        ({"size": [6, 8], "counts": [1.5]}, "annotation id 71 with run lengths [1.5]"),
    ],
)
def test_coco_outlines_that_are_none(tmp_path: Path, segment: Any, note: str) -> None:
    dataset = load_dataset(coco(tmp_path, [POLYGON, segment]))
    assert dataset["train"].targets["masks"][0].sum((1, 2)).tolist() == [6, 0]
    assert len(dataset["train"].targets["boxes"][0]) == 2
    assert any("masks of 1 of 2 objects left out" in said and note in said for said in dataset.notes)


def test_coco_objects_without_outlines(tmp_path: Path) -> None:
    dataset = load_dataset(coco(tmp_path, [POLYGON, []]))
    assert "masks" not in dataset["train"].targets
    assert len(dataset["train"].targets["boxes"][0]) == 2
    note = "no masks are read: 1 of 2 objects without an outline (segmentation), such as annotation id 71"
    assert any(note in said for said in dataset.notes)


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
