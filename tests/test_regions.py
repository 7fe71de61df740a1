"""Measured objects: numbers against scikit-image, units, specks, tables and pictures."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from skimage.measure import label, regionprops_table

import pixelry as px
from pixelry.errors import ExistsError, ImageError, UsageError
from pixelry.instances import Instances, encode
from pixelry.pixels import read_image, write_image
from pixelry.pixels.measure import measure_labels, parse_pixel_size
from pixelry.predictions import save_predictions
from pixelry.region_files import measure_files
from pixelry.segments import Segments

CLASSES = ("background", "cell", "nucleus")


def ids() -> np.ndarray:
    """Return a map (40, 60): three cells, one at the edge, a nucleus that touches a cell, and a speck."""
    rows, columns = np.mgrid[:40, :60]
    found = np.zeros((40, 60), np.uint8)
    found[((rows - 12) / 6) ** 2 + ((columns - 15) / 10) ** 2 <= 1] = 1
    found[(rows - 30) ** 2 + (columns - 40) ** 2 <= 49] = 1
    found[:5, 50:] = 1
    found[10:14, 12:18] = 2
    found[36, 5] = 1
    return found


def photo() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)


def segments(image: Any = None, **more: Any) -> Segments:
    return Segments(ids(), CLASSES, "plate.png", photo() if image is None else image, **more)


def test_numbers_are_those_of_scikit_image() -> None:
    regions = segments(photo()[..., 0]).measure()
    assert [row["class"] for row in regions] == ["cell", "cell", "nucleus", "cell", "cell"]
    reference = regionprops_table(
        label(ids(), connectivity=2),
        photo()[..., 0],
        properties=(
            "area", "centroid", "bbox", "perimeter", "equivalent_diameter_area", "axis_major_length",
            "axis_minor_length", "eccentricity", "orientation", "solidity", "intensity_mean", "intensity_min",
            "intensity_max",
        ),
    )  # fmt: skip
    names = {
        "area_px": "area", "centroid_row": "centroid-0", "centroid_column": "centroid-1", "top": "bbox-0",
        "left": "bbox-1", "bottom": "bbox-2", "right": "bbox-3", "perimeter_px": "perimeter",
        "equivalent_diameter_px": "equivalent_diameter_area", "major_axis_px": "axis_major_length",
        "minor_axis_px": "axis_minor_length", "eccentricity": "eccentricity", "solidity": "solidity",
        "intensity_mean": "intensity_mean", "intensity_min": "intensity_min", "intensity_max": "intensity_max",
    }  # fmt: skip
    for ours, theirs in names.items():
        np.testing.assert_allclose([row[ours] for row in regions], reference[theirs], err_msg=ours)
    np.testing.assert_allclose([row["orientation_deg"] for row in regions], np.degrees(reference["orientation"]))
    assert [row["touches_border"] for row in regions] == [True, False, False, False, False]
    # The number of an object is its value in the label image.
    for row in regions:
        assert (regions.labels == row["label"]).sum() == row["area_px"]
    assert set(regions.rows[0]) <= set(regions.columns)
    pandas = pytest.importorskip("pandas")
    table = regions.to_pandas()
    assert isinstance(table, pandas.DataFrame)
    assert table.shape == (5, len(regions.columns))


def test_lengths_and_areas_in_units() -> None:
    regions = segments().measure(pixel_size="0.5µm")
    plain = segments().measure()
    for row, pixels in zip(regions, plain, strict=True):
        assert row["area_um2"] == pixels["area_px"] * 0.25
        assert row["perimeter_um"] == pixels["perimeter_px"] * 0.5
        assert row["equivalent_diameter_um"] == pytest.approx(2 * np.sqrt(row["area_um2"] / np.pi))
    assert "area_um2" in regions.columns
    assert "area_um2" not in plain.columns
    for wrong in ("0.65", "um", "0um", "-1um", "1 um 2"):
        with pytest.raises(UsageError, match=r"such as 0\.65um"):
            parse_pixel_size(wrong)


def test_values_under_objects_are_those_of_the_file(tmp_path: Path) -> None:
    deep = (photo()[..., 0].astype(np.uint16) + 1000) * 20
    write_image(tmp_path / "deep.png", deep)
    regions = Segments(ids(), CLASSES, "deep.png", tmp_path / "deep.png").measure()
    assert regions.rows[1]["intensity_max"] == deep[regions.labels == 2].max()
    colors = segments().measure().rows[1]
    inside = photo()[regions.labels == 2]
    assert [colors[f"{name}_mean"] for name in ("red", "green", "blue")] == pytest.approx(inside.mean(0).tolist())
    # Another image of the same scene, such as another channel.
    other = np.full((40, 60), 7.5)
    assert segments().measure(image=other).rows[0]["intensity_mean"] == 7.5
    with pytest.raises(ImageError, match="must lie over each other"):
        segments().measure(image=np.zeros((40, 61)))


def test_specks_are_left_out_and_counted() -> None:
    regions = segments().measure(min_area=2)
    assert regions.left_out == 1
    assert len(regions) == 4
    assert [row["label"] for row in regions] == [1, 2, 3, 4]
    assert str(regions) == "plate.png: 3 cell, 1 nucleus; 1 smaller ones left out"
    summary = {row["class"]: row for row in regions.summary()}
    assert summary["cell"]["count"] == 3
    assert summary["cell"]["area_px"] == (ids() == 1).sum() - 1
    assert summary["cell"]["share"] == pytest.approx(((ids() == 1).sum() - 1) / 2400)


def test_connectivity() -> None:
    corner = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 0]], np.uint8)
    found = Segments(corner, CLASSES, "a", np.zeros((3, 3), np.uint8))
    assert [len(found.measure(connectivity=c)) for c in (1, 2)] == [2, 1]
    with pytest.raises(UsageError, match=r"expected 1 .* or 2"):
        found.measure(connectivity=8)


def test_empty_maps_and_single_pixels() -> None:
    nothing = Segments(np.zeros((5, 5), np.uint8), CLASSES, "a", np.zeros((5, 5), np.uint8)).measure()
    assert nothing.rows == []
    assert [row["count"] for row in nothing.summary()] == [0, 0]
    assert nothing.draw(np.zeros((5, 5), np.uint8)).shape == (480, 480, 3)
    unknown = Segments(np.full((5, 5), 255, np.uint8), CLASSES, "a", np.zeros((5, 5), np.uint8))
    assert len(unknown.measure()) == 0
    (row,) = measure_labels(np.eye(1, dtype=int))
    assert (row["area_px"], row["solidity"], row["perimeter_px"]) == (1, 1.0, 0.0)
    # Without a background all classes are measured.
    road = Segments(np.zeros((5, 5), np.uint8), ("road", "sky"), "a", np.zeros((5, 5), np.uint8)).measure()
    assert [(row["class"], row["area_px"]) for row in road] == [("road", 25)]


def test_scores_are_the_means_of_the_confidence() -> None:
    confidence = np.linspace(0, 1, 2400, dtype=np.float32).reshape(40, 60)
    regions = segments(confidence=confidence).measure()
    assert regions.rows[2]["score"] == pytest.approx(confidence[ids() == 2].mean(), rel=1e-5)


def instances() -> Instances:
    masks = np.zeros((2, 20, 30), bool)
    masks[0, 2:8, 3:13] = True
    masks[1, 5:15, 8:20] = True
    masks[1, 0, 29] = True  # of the same object, though apart
    boxes = np.array([[3, 2, 13, 8], [8, 0, 30, 15]], np.float32)
    image = np.full((20, 30), 9, np.uint8)
    return Instances(boxes, np.array([0.9, 0.6]), np.array([1, 0]), ("cat", "dog"), "a.png", image, encode(masks))


def test_objects_with_masks_of_their_own() -> None:
    regions = instances().measure(pixel_size="2mm")
    assert [(row["class"], row["area_px"], row["score"]) for row in regions] == [("dog", 60, 0.9), ("cat", 121, 0.6)]
    assert [row["area_mm2"] for row in regions] == [240.0, 484.0]
    # Where objects overlap, the label image shows the surer one.
    assert regions.labels[6, 10] == 1
    assert len(instances().measure(min_area=100)) == 1


def read(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_tables_of_predictions(tmp_path: Path) -> None:
    found = [segments(), Segments(np.zeros((40, 60), np.uint8), CLASSES, "empty.png", photo()), instances()]
    results = save_predictions(found, tmp_path, measure={"min_area": 2, "pixel_size": "1um"})
    table = read(tmp_path / "regions.csv")
    assert [row["image"] for row in table] == ["plate.png"] * 4 + ["a.png"] * 2
    assert float(table[0]["area_um2"]) == segments().measure().rows[0]["area_px"]
    assert table[0]["touches_border"] == "1"
    summary = read(tmp_path / "region-summary.csv")
    assert [(row["image"], row["class"], row["count"]) for row in summary][:4] == [
        ("plate.png", "cell", "3"), ("plate.png", "nucleus", "1"), ("empty.png", "cell", "0"),
        ("empty.png", "nucleus", "0"),
    ]  # fmt: skip
    assert results.regions.describe()[-1] == "1 object below the least area left out"
    drawn = read_image(tmp_path / "plate-regions.png")
    assert drawn.shape == (320, 480, 3)


def test_masks_in_files(tmp_path: Path, run: Callable[..., Any]) -> None:
    write_image(tmp_path / "masks" / "plate_mask.png", (ids() > 0).astype(np.uint8) * 255)
    write_image(tmp_path / "images" / "plate.png", photo())
    said = run("pixels", "measure", tmp_path / "masks", "--images", tmp_path / "images", "--pixel-size", "0.5um",
               "--min-area", 2, "--out", tmp_path / "out", "--json")  # fmt: skip
    assert said.code == 0, said.err
    assert said.json["classes"] == {"foreground": {"count": 3, "area_px": int((ids() > 0).sum()) - 1}}
    assert said.json["left_out"] == 1
    assert len(read(tmp_path / "out" / "regions.csv")) == 3
    assert (tmp_path / "out" / "plate_mask-regions.png").is_file()
    with pytest.raises(ExistsError):
        measure_files(tmp_path / "masks", tmp_path / "out")
    with pytest.raises(UsageError, match="has no image for the mask"):
        measure_files(tmp_path / "masks", tmp_path / "no", images=tmp_path / "out")
    write_image(tmp_path / "small" / "plate.png", photo()[:20])
    with pytest.raises(ImageError, match="must lie over each other"):
        measure_files(tmp_path / "masks", tmp_path / "no", images=tmp_path / "small")


def test_label_images_in_files(tmp_path: Path) -> None:
    # Two objects that touch each other, under the numbers that a program gave them.
    labels = np.zeros((10, 10), np.uint16)
    labels[2:5, 2:8], labels[5:9, 2:8], labels[0, 0] = 300, 7, 9
    write_image(tmp_path / "cells.png", labels)
    tables = measure_files(tmp_path / "cells.png", tmp_path / "out", objects=True, min_area=2)
    assert [(row["label"], row["area_px"]) for row in read(tmp_path / "out" / "regions.csv")] == [
        ("7", "24"), ("300", "18"),
    ]  # fmt: skip
    assert tables.left_out == 1
    classes = measure_files(tmp_path / "cells.png", tmp_path / "classes")
    assert classes.counts == {"7": 1, "9": 1, "300": 1}


def cells(root: Path) -> Path:
    """Write eight images (16, 24) of bright cells, with masks."""
    for number in range(8):
        mask = np.zeros((16, 24), np.uint8)
        mask[2:7, 2 + number : 8 + number], mask[10:14, 15:20] = 1, 1
        write_image(root / "images" / f"{number}.png", np.where(mask, 200, 30).astype(np.uint8))
        write_image(root / "masks" / f"{number}.png", mask)
    (root / "labels.txt").write_text("background\ncell\n")
    return root


def test_predict_measures_what_a_segmenter_finds(tmp_path: Path, run: Callable[..., Any]) -> None:
    data, scene = cells(tmp_path / "cells"), tmp_path / "cells" / "images" / "0.png"
    model = px.train("segment", data, network="logistic", steps=60, out=tmp_path / "run", progress=False)
    said = run("predict", tmp_path / "run", scene, "--measure", "--pixel-size", "0.1mm", "--min-area", 2,
               "--out", tmp_path / "maps")  # fmt: skip
    assert said.code == 0, said.err
    assert "each object: " in said.out
    expected = model.predict(scene).measure(min_area=2)
    assert len(read(tmp_path / "maps" / "regions.csv")) == len(expected) >= 1
    assert (tmp_path / "maps" / "0-regions.png").is_file()
    for words, message in (
        (["--measure"], "give --out"),
        (["--pixel-size", "1um", "--out", "no"], "give --measure"),
        (["--measure", "--pixel-size", "1", "--out", "no"], "such as 0.65um"),
        (["--measure", "--min-area", -1, "--out", "no"], "expected 0 or more"),
    ):
        said = run("predict", tmp_path / "run", scene, *words)
        assert said.code == 2
        assert message in said.err


def test_other_models_measure_nothing(tmp_path: Path) -> None:
    data = px.load_dataset("digits")["train"]
    images, labels = data.images[:40], data.labels[:40]
    model = px.train("classify", (images, labels), network="logistic", steps=2, out=tmp_path / "run", progress=False)
    write_image(tmp_path / "a.png", photo())
    with pytest.raises(UsageError, match="goes with a segmenter"):
        px.predict(model, tmp_path / "a.png", measure=True, out=tmp_path / "no")


def test_stacks_of_masks_are_refused(here: Path) -> None:
    tifffile.imwrite(here / "stack.tif", np.ones((3, 8, 8), np.uint8), photometric="minisblack")
    with pytest.raises(UsageError, match=r"stack\.tif has 3 pages.*--pages all"):
        measure_files(here / "stack.tif", here / "out")
    assert not (here / "out").exists()
