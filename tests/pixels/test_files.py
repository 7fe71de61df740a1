"""Collections and work on many files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from skimage import data

from pixelry.errors import ExistsError, ImageError, UsageError
from pixelry.pixels import (
    OPERATIONS,
    ImageCollection,
    check_options,
    downscale,
    image_files,
    inspect_files,
    process,
    read_image,
    rescale,
    write_image,
)

PHOTO = data.astronaut()[:40, :60]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Photographs in two folders, hidden files and other files between them."""
    root = tmp_path / "photos"
    for name in ("img10.png", "img2.png", "img1.PNG", "inner/img3.tif", "inner/img20.png"):
        write_image(root / name, PHOTO + np.uint8(len(name)))
    for name in ("notes.txt", ".hidden.png", "._img2.png", ".thumbnails/img1.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"no image")
    return root


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


def test_image_files(folder, monkeypatch):
    flat = ["img1.PNG", "img2.png", "img10.png"]
    assert names(image_files(folder, recursive=False)) == flat
    assert sorted(names(image_files(folder))) == sorted([*flat, "img3.tif", "img20.png"])
    assert names(image_files(str(folder / "img*.png"))) == ["img2.png", "img10.png"]
    assert names(image_files(str(folder / "**/*.tif"))) == ["img3.tif"]
    assert names(image_files(str(folder / "inn*"))) == ["img3.tif", "img20.png"]
    assert names(image_files([folder / "img10.png", folder / "img2.png", folder / "img2.png"])) == flat[1:]
    assert names(image_files(folder / "notes.txt")) == ["notes.txt"]
    monkeypatch.chdir(folder)
    assert names(image_files("img*.png")) == ["img2.png", "img10.png"]
    assert image_files("*.jpg") == []
    with pytest.raises(ImageError, match="there is no file or folder nowhere"):
        image_files("nowhere")


def test_a_link_to_a_folder_above_does_not_loop(folder):
    (folder / "inner" / "again").symlink_to(folder, target_is_directory=True)
    assert len(image_files(folder)) == 5


def test_collection(folder):
    images = ImageCollection(folder)
    assert len(images) == 5
    assert set(images.names) == {"img1.PNG", "img2.png", "img10.png", "inner/img3.tif", "inner/img20.png"}
    assert images.names.index("img2.png") < images.names.index("img10.png")
    for name, image in zip(images.names, images, strict=True):
        np.testing.assert_array_equal(image, PHOTO + np.uint8(len(name)))
    part = images[1:4]
    assert isinstance(part, ImageCollection)
    assert part.names == images.names[1:4]
    np.testing.assert_array_equal(part[-1], images[3])
    assert "5 images" in repr(images)
    with pytest.raises(IndexError):
        images[5]
    assert ImageCollection(folder, mode="grey")[0].shape == (40, 60)
    backwards = [folder / "img10.png", folder / "img2.png"]
    assert ImageCollection(backwards).names == ("img2.png", "img10.png")
    assert ImageCollection(backwards, sort=False).names == ("img10.png", "img2.png")
    with pytest.raises(ImageError, match="no image files"):
        ImageCollection(str(folder / "*.jpg"))


def test_collection_is_lazy_and_names_what_is_broken(folder):
    (folder / "img2.png").write_bytes(b"")
    images = ImageCollection(folder, recursive=False)
    assert images[0].shape == PHOTO.shape
    with pytest.raises(ImageError, match=r"img2\.png is empty"):
        images[1]
    with pytest.raises(ImageError, match="over the limit of 10"):
        ImageCollection(folder, max_pixels=10)[0]


def test_process_keeps_folders_and_reports_progress(folder, tmp_path):
    seen = []
    result = process(folder, "rescale", tmp_path / "out", factor=0.5, on_progress=lambda *n: seen.append(n))
    assert not result.failed
    assert sorted(seen) == [(n, 5) for n in range(1, 6)]
    places = [path.relative_to(tmp_path / "out").as_posix() for path in result.written]
    assert sorted(places) == ["img1.PNG", "img10.png", "img2.png", "inner/img20.png", "inner/img3.tif"]
    assert places.index("img2.png") < places.index("img10.png")
    for path in result.written:
        source = folder / path.relative_to(tmp_path / "out")
        np.testing.assert_array_equal(read_image(path), rescale(read_image(source), factor=0.5))


@pytest.mark.parametrize("pattern", ["**/*.png", "inner/*"])
def test_patterns_keep_what_lies_below_their_fixed_part(folder, tmp_path, pattern):
    result = process(str(folder / pattern), "downscale", tmp_path / "out", factors=2)
    expected = {"**/*.png": "inner/img20.png", "inner/*": "img20.png"}[pattern]
    np.testing.assert_array_equal(
        read_image(tmp_path / "out" / expected), downscale(read_image(folder / "inner/img20.png"), factors=2)
    )
    assert not result.failed


def test_failing_files_are_named_and_the_others_go_on(folder, tmp_path):
    (folder / "img2.png").write_bytes(b"")
    (folder / "img10.png").write_bytes(write_image(tmp_path / "x.png", PHOTO).read_bytes()[:300])
    write_image(folder / "small.png", PHOTO[:5, :5])
    files = [folder, folder / "gone.png", folder / "notes.txt"]
    result = process(files, "crop", tmp_path / "out", shape=20)
    failed = {path.name: message for path, message in result.failed}
    assert set(failed) == {"img2.png", "img10.png", "small.png", "gone.png", "notes.txt"}
    assert all(name in message for name, message in failed.items())
    assert "is empty" in failed["img2.png"]
    assert "is text" in failed["notes.txt"]
    assert "there is no file" in failed["gone.png"]
    assert sorted(names(list(result.written))) == ["img1.PNG", "img20.png", "img3.tif"]
    assert {path.name for path in (tmp_path / "out").rglob("*.*")} == {"img1.PNG", "img20.png", "img3.tif"}


def test_nothing_is_replaced_unless_told(folder, tmp_path):
    out = tmp_path / "out"
    first = process(folder / "img2.png", "resize", out, shape=8).written[0]
    before = first.read_bytes()
    with pytest.raises(ExistsError, match=r"img2\.png exists already.*overwrite"):
        process(folder, "resize", out, shape=16)
    assert [path.name for path in out.iterdir()] == ["img2.png"]
    assert first.read_bytes() == before
    process(folder, "resize", out, shape=16, overwrite=True)
    assert read_image(first).shape == (16, 16, 3)


def test_two_files_never_become_one(folder, tmp_path):
    write_image(folder / "img2.bmp", PHOTO)
    with pytest.raises(UsageError, match=r"img2\.bmp and .*img2\.png would both be written to"):
        process(folder, "convert", tmp_path / "out", format="jpeg")
    with pytest.raises(UsageError, match="would both be written"):
        process(
            [folder / "img2.png", write_image(tmp_path / "b/img2.png", PHOTO)],
            "resize",
            tmp_path / "o",
            shape=8,
        )
    assert not (tmp_path / "out").exists()


def test_results_below_the_sources_are_no_sources(folder):
    process(folder, "rescale", folder / "small", factor=0.5)
    again = process(folder, "rescale", folder / "small", factor=0.5, overwrite=True)
    assert len(again.written) == 5


def test_convert(folder, tmp_path):
    result = process(folder / "img2.png", "convert", tmp_path / "a", color="grey", dtype="uint")
    image = read_image(result.written[0])
    assert (image.shape, image.dtype) == ((40, 60), np.uint16)
    result = process(folder / "img2.png", "convert", tmp_path / "b", dtype="float", format="tiff")
    assert names(list(result.written)) == ["img2.tif"]
    assert read_image(result.written[0]).dtype == np.float64
    for options, message in (
        ({"dtype": "float"}, "PNG holds no float"),
        ({"dtype": "uint", "format": "jpg"}, "8 bits only"),
    ):
        result = process(folder / "img2.png", "convert", tmp_path / "c", **options)
        assert message in result.failed[0][1]
        assert "img2.png" in result.failed[0][1]
    with pytest.raises(UsageError, match="convert needs"):
        process(folder, "convert", tmp_path / "d")


def test_noise_differs_between_files_and_repeats(folder, tmp_path):
    for number in (0, 1, 2):
        write_image(folder / f"same{number}.png", PHOTO)
    files = str(folder / "same*.png")
    runs = [
        [read_image(p) for p in process(files, "noise", tmp_path / str(jobs), seed=5, jobs=jobs).written]
        for jobs in (1, 3)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0][0] != runs[0][1]).any()


@pytest.mark.parametrize(
    ("operation", "options", "message"),
    [
        ("resise", {"shape": 8}, "unknown operation 'resise'; did you mean 'resize'"),
        ("resize", {"shpe": 8}, "resize has no option 'shpe'; did you mean 'shape'"),
        ("resize", {}, "resize needs shape"),
        ("resize", {"shape": "big"}, "shape is 'big'; expected one whole number"),
        ("resize", {"shape": "1x2x3"}, "shape is '1x2x3'"),
        ("resize", {"shape": 0}, "shape is 0"),
        ("noise", {"seed": -1}, "seed is -1"),
        ("noise", {"seed": "1x2"}, "seed is '1x2'; expected one whole number"),
        ("rescale", {"factor": "-0.5"}, "factor is -0.5"),
        ("resize", {"shape": 8, "format": "xcf"}, "unknown format 'xcf'"),
        ("resize", {"shape": 8, "jobs": 0}, "jobs is 0"),
        ("convert", {"color": "gray"}, "did you mean 'grey'"),
    ],
)
def test_wrong_options_stop_before_anything_is_written(folder, tmp_path, operation, options, message):
    with pytest.raises(UsageError, match=message):
        process(folder, operation, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_places(folder, tmp_path):
    with pytest.raises(UsageError, match="is a file; expected a folder"):
        process(folder, "resize", folder / "notes.txt", shape=8)
    with pytest.raises(UsageError, match="no image files"):
        process(str(folder / "*.jpg"), "resize", tmp_path / "out", shape=8)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "inner").write_bytes(b"a file where a folder has to be")
    result = process(folder, "resize", tmp_path / "out", shape=8)
    assert {path.parent.name for path, _ in result.failed} == {"inner"}
    assert len(result.written) == 3


@pytest.mark.parametrize(
    ("operation", "given", "expected"),
    [
        ("resize", {"shape": "48x64", "antialias": False}, {"shape": (48, 64), "antialias": False}),
        ("resize", {"shape": "48", "interpolation": None}, {"shape": 48}),
        ("rescale", {"factor": "0.5x0.25"}, {"factor": (0.5, 0.25)}),
        ("downscale", {"factors": "2,3"}, {"factors": (2, 3)}),
        ("crop", {"shape": "8", "at": "0x4"}, {"shape": 8, "at": (0, 4)}),
        (
            "pad",
            {"width": "1x2", "value": "255", "mode": "edge"},
            {"width": (1, 2), "value": 255.0, "mode": "edge"},
        ),
        ("noise", {"kind": "poisson", "seed": "3"}, {"kind": "poisson", "seed": 3}),
    ],
)
def test_a_shells_text_becomes_options(operation, given, expected):
    assert check_options(operation, given) == expected


def test_every_operation_works_with_text(folder, tmp_path):
    options = {
        "convert": {"color": "grey"},
        "resize": {"shape": "8x9"},
        "rescale": {"factor": "0.5"},
        "downscale": {"factors": "2"},
        "crop": {"shape": "8"},
        "pad": {"shape": "80"},
        "rotate": {"degrees": "30"},
        "flip": {"vertical": True},
        "noise": {"amount": 0.1},
        "expose": {"gamma": "0.5", "low": "2"},
        "equalize": {"clip": "0.02"},
        "sharpen": {"amount": "1.5"},
        "deblur": {"sigma": "1", "iterations": 5},
    }
    assert set(options) == set(OPERATIONS)
    for name in OPERATIONS:
        result = process(folder / "img2.png", name, tmp_path / name, **options[name])
        assert (len(result.written), result.failed) == (1, ()), name


def test_inspect(folder):
    (folder / "img2.png").write_bytes(b"")
    result = inspect_files(folder)
    assert len(result.found) == 4
    assert {info.format for info in result.found} == {"PNG", "TIFF"}
    assert [path.name for path, _ in result.failed] == ["img2.png"]


def test_importing_is_quick():
    heavy = ["torch", "skimage", "matplotlib", "tifffile", "natsort"]
    code = f"import sys, pixelry.pixels; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
