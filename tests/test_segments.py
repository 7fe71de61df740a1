"""A class for each pixel, as a result: its numbers, its pictures, its files, and COCO's forms of its regions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image as PILImage
from pycocotools.mask import area, decode, frPyObjects, merge

from pixelry.draw import class_colors
from pixelry.errors import ExistsError, UsageError
from pixelry.segments import Segments, outlines

CLASSES = ("road", "sky", "car")


def small(**more: object) -> Segments:
    ids = np.array([[1, 1, 1, 1], [0, 0, 2, 1], [0, 0, 0, 255]], dtype=np.uint8)
    source = np.full((3, 4, 3), 100, np.uint8)
    return Segments(ids=ids, classes=CLASSES, name="street/7.jpg", source=source, **more)  # type: ignore[arg-type]


def blobs(seed: int, side: int = 40, classes: int = 3) -> NDArray[np.uint8]:
    """Return a map of regions with holes, islands and corners that touch."""
    noise = np.random.default_rng(seed).normal(size=(side, side, classes))
    coarse = noise[::4, ::4].repeat(4, 0).repeat(4, 1)
    ids: NDArray[np.uint8] = (coarse + 0.8 * noise).argmax(2).astype(np.uint8)
    return ids


def test_numbers() -> None:
    found = small()
    assert found.areas == {"road": 5, "sky": 5, "car": 1}
    assert str(found) == "street/7.jpg: road 42%, sky 42%, car 8%"
    assert np.asarray(found).dtype == np.uint8
    assert (np.asarray(found) == found.ids).all()
    assert np.array(found, dtype=np.int64, copy=True).sum() == found.ids.sum(dtype=np.int64)
    facts = json.loads(json.dumps(found.to_dict()))
    assert facts["name"] == "street/7.jpg"
    assert (facts["height"], facts["width"], facts["unlabelled"]) == (3, 4, 1)
    assert facts["classes"][0] == {"label": "road", "pixels": 5, "share": 0.416667}
    sure = small(confidence=np.full((3, 4), 0.75, np.float32))
    assert sure.to_dict()["classes"][2]["confidence"] == 0.75
    many = Segments(np.arange(8, dtype=np.uint8)[None], tuple("abcdefgh"), "x", np.zeros((1, 8), np.uint8))
    assert str(many) == "x: a 12%, b 12%, c 12%, d 12%, e 12%, 3 more"


def test_what_does_not_hold_together_is_refused() -> None:
    picture = np.zeros((2, 2), np.uint8)
    with pytest.raises(UsageError, match="class ids go up to 3; there are 3 classes"):
        Segments(np.full((2, 2), 3, np.uint8), CLASSES, "a", picture)
    with pytest.raises(UsageError, match=r"int64 of shape \(2, 2\); expected uint8"):
        Segments(np.zeros((2, 2), np.int64), CLASSES, "a", picture)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="image has shape"):
        Segments(np.zeros((2, 3), np.uint8), CLASSES, "a", picture)
    with pytest.raises(UsageError, match="confidence has shape"):
        Segments(picture, CLASSES, "a", picture, np.zeros((3, 2), np.float32))


def test_pictures_and_files(here: Path) -> None:
    found = small()
    colors = class_colors(3)
    assert (found.color()[0, 0] == colors[1]).all()
    assert found.draw().shape == (3, 4, 3)
    found.save(here / "map.png")
    with PILImage.open(here / "map.png") as page:
        assert page.mode == "P"
        assert (np.asarray(page) == found.ids).all()
        shown = np.asarray(page.convert("RGB"))
    assert (shown == found.color()).all()
    with pytest.raises(ExistsError, match=r"map\.png exists"):
        found.save(here / "map.png")
    found.save(here / "map.png", overwrite=True)
    found.save(here / "drawn.jpg")
    with PILImage.open(here / "drawn.jpg") as page:
        assert page.size == (480, 360)  # enlarged, so that names can be read
    assert found.draw().shape == (3, 4, 3)
    assert found.draw(scale=2).shape == (6, 8, 3)
    found.save(here / "facts.json")
    assert json.loads((here / "facts.json").read_text()) == found.to_dict()
    # An image in a file is read when it is wanted.
    PILImage.fromarray(found.image).save(here / "picture.png")
    again = Segments(found.ids, CLASSES, "picture.png", here / "picture.png")
    assert (again.draw() == found.draw()).all()


# pycocotools 2.0.11 decodes in a way that NumPy warns of.
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize("polygons", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_coco_gives_the_same_pixels_again(polygons: bool, seed: int) -> None:
    ids = blobs(seed)
    found = Segments(ids, CLASSES, "000000000042.jpg", np.zeros_like(ids), np.full(ids.shape, 0.5, np.float32))
    entries = json.loads(json.dumps(found.to_coco(polygons=polygons)))
    assert [entry["category_name"] for entry in entries] == list(found.areas)
    for entry in entries:
        code = entry["segmentation"]
        if polygons:
            code = merge(frPyObjects(code, *ids.shape))
        region = ids == CLASSES.index(entry["category_name"])
        assert entry["area"] == region.sum()
        assert entry["category_id"] == CLASSES.index(entry["category_name"]) + 1
        assert (entry["image_id"], entry["score"], entry["iscrowd"]) == (42, 0.5, 0)
        assert int(area(code)) == entry["area"]
        assert (decode(code) == region).all()
        rows, columns = np.nonzero(region)
        left, top, width, height = entry["bbox"]
        assert (left, top, left + width, top + height) == (
            columns.min(), rows.min(), columns.max() + 1, rows.max() + 1,
        )  # fmt: skip


def test_ids_of_coco_are_those_that_are_asked_for() -> None:
    entries = small().to_coco("x", {"road": 7, "sky": 9, "car": 4})
    assert [(entry["image_id"], entry["category_id"]) for entry in entries] == [("x", 7), ("x", 9), ("x", 4)]
    assert "score" not in entries[0]
    assert small().to_coco()[0]["image_id"] == 7


def test_outlines_run_along_pixels() -> None:
    region = np.zeros((5, 6), bool)
    region[1:4, 2:5] = True
    (box,) = outlines(region)
    assert {(x, y) for x, y in zip(box[::2], box[1::2], strict=True)} == {(2, 1), (5, 1), (5, 4), (2, 4)}
    assert len(box) == 8
    region[2, 3] = False
    (ring,) = outlines(region)
    # Out to the hole and back: the line between them encloses nothing.
    x, y = np.array(ring[::2]), np.array(ring[1::2])
    assert abs((x * np.roll(y, -1) - y * np.roll(x, -1)).sum()) / 2 == 8
    assert outlines(np.zeros((3, 3), bool)) == []
