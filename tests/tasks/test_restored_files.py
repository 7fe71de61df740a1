"""Restored files: every kind that users have, what is broken, what does not fit, and what is almost too large."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import resource
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
import torch
from PIL import Image as PILImage
from PIL import ImageCms

import pixelry as px
from memory import memory_peaks
from pixelry.data.dataset import Split
from pixelry.errors import ImageError, PixelryError, UsageError
from pixelry.pixels import Metadata, encode_image, read_image, read_metadata, write_image
from pixelry.pixels.encode import holds
from pixelry.pixels.io import count_pages
from pixelry.predictions import save_predictions
from pixelry.tasks import _restoration
from pixelry.tasks.denoise import Regression
from pixelry.types import Restored
from pixelry.video import Video, VideoWriter
from pixelry.watching import watch

FAST: dict[str, Any] = {"progress": False, "precision": "32-true", "memory_format": "channels_last"}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
ARTIST, ORIENTATION, EXPOSURE, PIXEL_WIDTH, EXIF, ICC = 315, 274, 33434, 40962, 34665, 34675
RANDOM = np.random.default_rng(0)


def untrained(task: str, network: str, channels: int, **settings: Any) -> px.Model:
    """Return a model that was trained as good as not at all."""
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 256, (4, channels, 32, 32), dtype=np.uint8))
    data = px.Dataset("any", {"train": Split(images), "val": Split(images[:1])})
    return px.train(task, data, network=network, steps=1, settings=settings, **FAST)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Model files: keep-1 and keep-3 denoise so weakly that pictures stay, twice enlarges."""
    folder = tmp_path_factory.mktemp("models")
    for channels in (1, 3):
        untrained("denoise", "wavelet", channels, level=0.01).save(folder / f"keep-{channels}.safetensors")
    untrained("upscale", "bicubic", 3).save(folder / "twice.safetensors")
    return folder


@pytest.fixture(scope="module")
def keep(home: Path) -> px.Model:
    return px.load_model(home / "keep-3.safetensors")


@pytest.fixture(scope="module")
def twice(home: Path) -> px.Model:
    return px.load_model(home / "twice.safetensors")


def smooth(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """A picture whose channels differ, without symmetries, so that a turn or a mix-up shows."""
    y, x = np.mgrid[: shape[0], : shape[1]] / max(shape[:2])
    planes = [0.1 + 0.7 * x, 0.8 - 0.5 * y, 0.2 + 0.3 * x + 0.4 * y * y, 0.3 + 0.6 * y]
    values = planes[0] if len(shape) == 2 else np.stack([*planes[: shape[2] - 1], planes[-1]], -1)
    return values.astype(dtype) if dtype.startswith("float") else (values * np.iinfo(dtype).max).round().astype(dtype)


def noisy(*shape: int) -> np.ndarray:
    return RANDOM.integers(0, 256, shape, dtype=np.uint8)


def as_floats(image: np.ndarray) -> np.ndarray:
    return image.astype(np.float64) / (1 if image.dtype.kind == "f" else np.iinfo(image.dtype).max)


# Kinds of files


KINDS = [
    (name, shape, dtype)
    for dtype in ("uint8", "uint16")
    for suffix in ("png", "tif")
    for name, shape in [
        (f"grey.{suffix}", (22, 34)),
        (f"grey-alpha.{suffix}", (22, 34, 2)),
        (f"color.{suffix}", (22, 34, 3)),
        (f"color-alpha.{suffix}", (22, 34, 4)),
    ]
] + [
    ("grey.tiff", (22, 34), "float32"),
    ("color.tiff", (22, 34, 3), "float32"),
    ("color-alpha.tif", (22, 34, 4), "float64"),
    ("grey.jpg", (22, 34), "uint8"),
    ("color.jpeg", (22, 34, 3), "uint8"),
    ("color.webp", (22, 34, 3), "uint8"),
    ("color-alpha.webp", (22, 34, 4), "uint8"),
    ("color.bmp", (22, 34, 3), "uint8"),
]


def with_metadata(path: Path, image: np.ndarray) -> Path:
    """Write a picture that lies on its side, with EXIF and a profile, where its format has them."""
    exif = PILImage.Exif()
    exif[ARTIST], exif[ORIENTATION] = "Ada", 6
    exif.get_ifd(EXIF)[EXPOSURE], exif.get_ifd(EXIF)[PIXEL_WIDTH] = 0.01, image.shape[1]
    if not path.suffix.startswith(".tif"):
        return write_image(path, image, metadata=Metadata(exif.tobytes(), PROFILE))
    more = {"extrasamples": ["unassalpha"]} if image.ndim == 3 and image.shape[2] in (2, 4) else {}
    tags = [(ORIENTATION, 3, 1, 6, False), (ARTIST, "s", 0, "Ada", False)]
    kind = "rgb" if image.ndim == 3 and image.shape[2] > 2 else "minisblack"
    planes = {"planarconfig": "contig"} if image.ndim == 3 else {}
    tifffile.imwrite(
        path,
        image,
        photometric=kind,
        iccprofile=PROFILE,
        extratags=tags,
        metadata=None,
        software=False,
        **more,
        **planes,
    )
    return path


@pytest.mark.parametrize("factor", [1, 2])
@pytest.mark.parametrize(("name", "shape", "dtype"), KINDS, ids=[f"{name}-{dtype}" for name, _, dtype in KINDS])
def test_a_file_keeps_format_depth_alpha_and_metadata(
    name: str, shape: tuple[int, ...], dtype: str, factor: int, keep: px.Model, twice: px.Model, here: Path
) -> None:
    given = smooth(shape, dtype)
    path = with_metadata(here / name, given)
    upright = given if name.endswith(".bmp") else np.rot90(given, -1)
    before = read_image(path)
    assert (before.shape, before.dtype) == (upright.shape, dtype)
    result = px.predict(twice if factor == 2 else keep, path, out=here / "out")
    assert {file.name for file in (here / "out").iterdir()} == {name, "predictions.jsonl", "sheet.png"}
    after = read_image(here / "out" / name)
    assert after.dtype == dtype
    assert after.shape == (factor * upright.shape[0], factor * upright.shape[1], *shape[2:])
    assert np.asarray(result).shape == after.shape
    blocks = as_floats(after).reshape(upright.shape[0], factor, upright.shape[1], factor, *shape[2:]).mean((1, 3))
    lossy = name.endswith(("jpg", "jpeg", "webp"))
    np.testing.assert_allclose(blocks, as_floats(upright), atol=0.06 if lossy else 0.01)
    if factor == 1 and len(shape) == 3 and shape[2] in (2, 4):
        np.testing.assert_array_equal(after[..., -1], before[..., -1])
    check_metadata(here / "out" / name)


def check_metadata(path: Path) -> None:
    told = read_metadata(path)
    if path.suffix == ".bmp":
        assert told == Metadata()
        return
    assert told.profile == PROFILE
    assert dict(told.texts) == {ARTIST: "Ada"}
    if path.suffix not in (".tif", ".tiff"):
        with PILImage.open(path) as picture:
            exif = picture.getexif()
        assert exif[ORIENTATION] == 1
        assert float(exif.get_ifd(EXIF)[EXPOSURE]) == pytest.approx(0.01)
        assert exif.get_ifd(EXIF)[PIXEL_WIDTH] == read_image(path).shape[1]  # of the upright picture at its new size


def test_palettes_and_single_bits_become_bytes(twice: px.Model, here: Path) -> None:
    photo = smooth((20, 30, 3), "uint8")
    palette, bits = PILImage.fromarray(photo).quantize(16), photo[..., 0] > 100
    palette.save(here / "palette.png")
    palette.save(here / "see-through.png", transparency=3)
    for name in ("bits.png", "bits.tif"):
        PILImage.fromarray(bits).save(here / name)
    wanted = {
        "palette.png": np.asarray(palette.convert("RGB")), "bits.png": bits * np.uint8(255),
        "bits.tif": bits * np.uint8(255), "see-through.png": read_image(here / "see-through.png"),
    }  # fmt: skip
    px.predict(twice, [here / name for name in wanted], out=here / "out")
    for name, before in wanted.items():
        after = read_image(here / "out" / name)
        assert (after.dtype, after.shape) == (np.uint8, (40, 60, *before.shape[2:])), name
        blocks = after.reshape(20, 2, 30, 2, -1).mean((1, 3)).reshape(before.shape)
        assert np.abs(blocks - before).mean() < 6, name


def test_inks_become_colours_without_their_profile(twice: px.Model, here: Path) -> None:
    photo = smooth((20, 30, 3), "uint8")
    # A profile of inks says nothing of red, green and blue; only its header is looked at.
    PILImage.fromarray(photo).convert("CMYK").save(here / "inks.jpg", quality=95, icc_profile=PROFILE)
    px.predict(twice, here / "inks.jpg", out=here / "out")
    with PILImage.open(here / "out/inks.jpg") as written:
        assert (written.mode, written.size) == ("RGB", (60, 40))
        assert "icc_profile" not in written.info
        assert np.abs(np.asarray(written.resize((30, 20))).astype(int) - photo).mean() < 8


def test_files_of_several_pictures_are_refused_and_not_cut_to_one(keep: px.Model, here: Path) -> None:
    pages = noisy(3, 8, 9)
    tifffile.imwrite(here / "stack.tif", pages, photometric="minisblack")
    frames = [PILImage.fromarray(page) for page in pages]
    for name in ("film.gif", "film.webp", "film.png"):
        frames[0].save(here / name, save_all=True, append_images=frames[1:])
    for name in ("stack.tif", "film.gif", "film.webp", "film.png"):
        with pytest.raises(ImageError, match=rf"{name} holds 3 pictures.*give each as a file of its own"):
            px.predict(keep, here / name, out=here / "out")
        assert not list((here / "out").iterdir())
    assert len(px.predict(keep, tifffile.imread(here / "stack.tif"))) == 3  # as the message says


def test_previews_and_what_telephones_add_are_no_further_pictures(keep: px.Model, here: Path) -> None:
    with tifffile.TiffWriter(here / "preview.tif") as file:
        file.write(noisy(16, 18), photometric="minisblack")
        file.write(noisy(4, 5), photometric="minisblack", subfiletype=1)
    first, second = (PILImage.fromarray(noisy(16, 18, 3)) for _ in range(2))
    first.save(here / "phone.jpg", format="MPO", save_all=True, append_images=[second])
    (here / "text.png").write_text("no picture")
    assert [count_pages(here / name) for name in ("preview.tif", "phone.jpg", "text.png", "none.png")] == [1] * 4
    px.predict(keep, [here / "preview.tif", here / "phone.jpg"], out=here / "out")
    assert read_image(here / "out/preview.tif").shape == (16, 18)
    assert read_image(here / "out/phone.jpg").shape == (16, 18, 3)


def test_pictures_of_two_depths_in_one_batch_do_not_mix(keep: px.Model, here: Path) -> None:
    for name, dtype in (("a", "uint8"), ("b", "uint16"), ("c", "uint8")):
        write_image(here / f"in/{name}.png", smooth((20, 30), dtype))
    write_image(here / "in/d.tif", smooth((20, 30), "float32"))
    for result in px.predict(keep, here / "in", out=here / "out"):
        np.testing.assert_allclose(as_floats(np.asarray(result)), as_floats(result.original), atol=0.01)


def test_what_a_format_cannot_hold_becomes_png(twice: px.Model, here: Path) -> None:
    assert holds("JPEG", np.zeros((1, 65_500), np.uint8))
    assert not holds("JPEG", np.zeros((65_501, 1), np.uint8))
    with pytest.raises(ImageError, match=r"a\.webp cannot be written: WEBP holds at most 16,383 pixels a side"):
        write_image(here / "a.webp", np.zeros((2, 16_384), np.uint8))
    write_image(here / "wide.webp", smooth((3, 9000, 3), "uint8"))
    px.predict(twice, here / "wide.webp", out=here / "out")
    assert read_image(here / "out/wide.png").shape == (6, 18_000, 3)
    with pytest.raises(ImageError, match=r"b\.jpg cannot be written: JPEG does not take it: EXIF data is too long"):
        write_image(here / "b.jpg", np.zeros((2, 2), np.uint8), metadata=Metadata(exif=b"Exif\0\0" + bytes(70_000)))


# Before and after


def test_a_strip_shows_before_and_after(run: Any, home: Path, here: Path) -> None:
    deep, small = smooth((20, 30, 4), "uint16"), noisy(10, 14, 3)
    write_image(here / "in/deep.png", deep)
    write_image(here / "in/small.jpg", small)
    write_image(here / "in/small-strip.png", small)  # a name that is taken
    code, _, error = run("predict", home / "twice.safetensors", here / "in", "--out", "large", "--strip")
    assert code == 0, error
    pairs = {"deep.png", "deep-strip.png", "small.jpg", "small-strip.png"}
    names = {*pairs, "small-strip-2.png", "small-strip-2-strip.png"}
    assert {file.name for file in (here / "large").iterdir()} == {*names, "predictions.jsonl", "sheet.png"}
    strip, large = read_image(here / "large/deep-strip.png"), read_image(here / "large/deep.png")
    assert (strip.dtype, strip.shape) == (np.uint8, (40, 60 + 1 + 60, 4))
    np.testing.assert_array_equal(strip[:, 61:], large >> 8)
    assert (strip[:, 60] == 255).all()
    before = PILImage.fromarray((deep >> 8).astype(np.uint8)).resize((60, 40), PILImage.Resampling.BICUBIC)
    np.testing.assert_array_equal(strip[:, :60], before)
    code, _, _ = run("predict", home / "keep-3.safetensors", here / "in/small-strip.png", "--out", "same", "--strip")
    strip = read_image(here / "same/small-strip-strip.png")
    np.testing.assert_array_equal(strip[:, :14], small)
    np.testing.assert_array_equal(strip[:, 15:], read_image(here / "same/small-strip.png"))


def test_a_report_shows_interpolation_beside_the_result_and_the_truth(twice: px.Model) -> None:
    photo = smooth((21, 31, 3), "uint8")
    evaluator: Any = twice.task.evaluator()
    batch = {"image": torch.from_numpy(photo).movedim(-1, 0)[None] / 255, "index": torch.tensor([0])}
    seen = twice.task.observe(batch, training=False)
    evaluator.update(twice.run(seen["image"]), seen)
    given, result, truth = evaluator.shown[0]
    np.testing.assert_array_equal(truth, photo[:20, :30])
    np.testing.assert_array_equal(given, result)  # the model is the interpolation
    (page,) = evaluator.findings(Split(batch["image"])).pictures
    assert page.title == "Before and after"


def test_a_strip_of_what_restores_nothing_is_refused(keep: px.Model, here: Path) -> None:
    classifier = px.train("classify", "digits", network="logistic", steps=1, **FAST)
    with pytest.raises(UsageError, match="a model for classify restores no picture: --strip"):
        px.predict(classifier, np.zeros((8, 8)), out=here / "out", strip=True)
    with pytest.raises(UsageError, match="--strip writes a file beside each result: give --out FOLDER"):
        px.predict(keep, np.zeros((8, 8)), strip=True)
    assert not (here / "out").exists()


@pytest.mark.parametrize("shape", [(30, 20), (30, 20, 1), (30, 20, 2), (30, 20, 3), (30, 20, 4)])
def test_pictures_are_drawn_as_small_as_asked(shape: tuple[int, ...], twice: px.Model) -> None:
    result: Any = twice.predict(smooth(shape, "uint8"))
    assert result.draw().shape == (60, 81, *shape[2:])
    assert result.draw(longest=15).shape == (15, 21, *shape[2:])
    whole, less = result.draw(), result.draw(longest=30)
    np.testing.assert_allclose(less[:, 21:].mean((0, 1)), whole[:, 41:].mean((0, 1)), atol=2)


def test_floats_that_noise_took_out_of_range_are_written_with_their_sheet(keep: px.Model, here: Path) -> None:
    image = np.clip(smooth((24, 30), "float32") + RANDOM.normal(0, 0.4, (24, 30)), -0.9, 1.9).astype(np.float32)
    assert image.max() > 1.2
    tifffile.imwrite(here / "noisy.tif", image)
    px.predict(keep, here / "noisy.tif", out=here / "out", strip=True)
    assert read_image(here / "out/noisy.tif").dtype == np.float32
    np.testing.assert_array_equal(
        read_image(here / "out/noisy-strip.png")[:, :30], (image.clip(0, 1) * 255).round().astype(np.uint8)
    )


# Video


def film(path: Path, frames: int, size: tuple[int, int] = (48, 64)) -> Path:
    with VideoWriter(path, 10) as writer:
        for number in range(frames):
            image = smooth((*size, 3), "uint8")
            image[8:24, 4 + number % 30 : 20 + number % 30] = (220, 40, 40)
            writer.write(image)
    return path


def test_a_video_is_restored_frame_by_frame(run: Any, home: Path, here: Path) -> None:
    given = [frame.image for frame in Video(film(here / "film.mp4", 12))]
    for model, factor in (("keep-1", 1), ("keep-3", 1), ("twice", 2)):
        code, said, error = run("predict", home / f"{model}.safetensors", "film.mp4", "--out", model, "--strip")
        assert code == 0, error
        assert "12 frames" in said
        assert {file.name for file in (here / model).iterdir()} == {"film.mp4", "film.jsonl", "film-strip.mp4"}
        frames = list(Video(here / model / "film.mp4"))
        assert Video(here / model / "film.mp4").rate == 10
        assert [frame.image.shape for frame in frames] == [(48 * factor, 64 * factor, 3)] * 12
        for before, frame in zip(given, frames, strict=True):
            small = frame.image.reshape(48, factor, 64, factor, 3).mean((1, 3))
            assert np.abs(small - before).mean() < 6
        lines = [json.loads(line) for line in (here / model / "film.jsonl").read_text().splitlines()]
        assert [line["frame"] for line in lines] == list(range(12))
        assert lines[0]["shape"] == [48 * factor, 64 * factor, 3]
        (first, *_) = Video(here / model / "film-strip.mp4")
        assert first.image.shape == (48 * factor, 2 * 64 * factor + max(1, 64 * factor // 50) // 2 * 2, 3)


def test_memory_does_not_grow_with_a_video(twice: px.Model, here: Path) -> None:
    peaks = memory_peaks(watch(twice, film(here / "long.mp4", 120)), every=40, kind=Restored)
    assert peaks[-1] < 1.2 * peaks[1] + 100_000


# What is broken, and what does not go


@pytest.mark.parametrize("command", ["train", "predict", "evaluate"])
def test_noise_below_nothing_is_refused_before_anything_is_done(command: str, run: Any, home: Path, here: Path) -> None:
    for number in range(12):
        write_image(here / f"in/{number}.png", noisy(40, 40))
    words = {
        "train": ("train", "denoise", "--data", here / "in", "--set", "sigma=-5", "--out", "out"),
        "predict": ("predict", home / "keep-3.safetensors", here / "in", "--set", "sigma=-5", "--out", "out"),
        "evaluate": ("evaluate", home / "keep-3.safetensors", "--data", here / "in", "--set", "sigma=-5"),
    }[command]
    code, _, error = run(*words)
    assert code == 2
    assert "sigma is -5.0; expected 0 or more" in error
    assert "Traceback" not in error
    assert not list(here.glob("out/*"))


NETWORKS = [
    ("denoise", "unet", {"width": 8}), ("denoise", "dncnn", {"depth": 4, "width": 8}), ("denoise", "autoencoder", {}),
    ("denoise", "logistic", {}), ("denoise", "logistic", {"features": "buckets", "window": 3}),
    ("denoise", "nlm", {}), ("denoise", "tv", {}), ("denoise", "wavelet", {}), ("denoise", "nlm", {"each": True}),
    ("denoise", "tv", {"each": True}), ("denoise", "wavelet", {"each": True}), ("upscale", "bicubic", {"factor": 4}),
    ("upscale", "edsr", {"width": 8, "blocks": 1, "factor": 3}),
]  # fmt: skip
TINY = [(1, 1), (1, 9), (9, 1), (3, 3), (1, 60), (60, 1), (1, 1, 3), (3, 3, 4), (2, 1, 2)]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("task", "network", "settings"), NETWORKS, ids=[f"{n}-{s}" for _, n, s in NETWORKS])
def test_tiny_pictures_are_restored_or_named(
    task: str, network: str, settings: dict[str, Any], channels: int, here: Path
) -> None:
    model = untrained(task, network, channels, **settings)
    factor, least = model.task.enlarged, getattr(model.network, "least_side", 1)
    for number, shape in enumerate(TINY):
        given = np.full(shape, 90, np.uint8)
        path = write_image(here / f"{number}.png", given)
        if min(shape[:2]) < least:
            with pytest.raises(ImageError, match=rf"{number}\.png.*the picture has {shape[0]}x{shape[1]} pixels"):
                px.predict(model, path)
            continue
        result: Any = px.predict(model, path)
        assert result.image.shape == (factor * shape[0], factor * shape[1], *shape[2:])
        exact: Any = px.predict(model, given / 255)
        assert np.isfinite(exact.image).all()
        if network not in ("autoencoder", "dncnn"):  # which know nothing yet; the others keep what is flat
            np.testing.assert_allclose(exact.image, 90 / 255, atol=0.02)


BROKEN: dict[str, tuple[Callable[[Path], object], str]] = {
    "nan.tif": (
        lambda path: tifffile.imwrite(path, np.where(np.eye(20) > 0, np.nan, 0.5).astype(np.float32)),
        "20 of 400 values are NaN or infinite; replace them first",
    ),
    "infinite.tif": (
        lambda path: tifffile.imwrite(path, np.full((20, 20), np.inf, np.float32)),
        "400 of 400 values are NaN or infinite",
    ),
    "bright.tif": (
        lambda path: tifffile.imwrite(path, np.full((20, 20), 200, np.float32)),
        "got values from 200 to 200; divide by the largest possible value",
    ),
    "wide.tif": (
        lambda path: tifffile.imwrite(path, np.full((20, 20), 7, np.uint32)),
        "a picture of uint32 cannot be restored in kind; convert it to uint8, uint16 or floats first",
    ),
    "signed.tif": (
        lambda path: tifffile.imwrite(path, np.full((20, 20), -7, np.int16)),
        "a picture of int16 cannot be restored in kind",
    ),
    "text.png": (lambda path: path.write_text("no picture at all"), "is text"),
    "empty.jpg": (lambda path: path.write_bytes(b""), "is empty"),
    "cut.png": (lambda path: path.write_bytes(encode_image(noisy(40, 40), format="PNG")[:900]), "damaged or cut short"),
    "stack.tif": (lambda path: tifffile.imwrite(path, noisy(3, 20, 20), photometric="minisblack"), "holds 3 pictures"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_file_that_cannot_be_restored_is_named_with_what_to_do(name: str, keep: px.Model, here: Path) -> None:
    make, message = BROKEN[name]
    make(here / name)
    with pytest.raises(ImageError, match=f"{name}.*{message}"):
        px.predict(keep, here / name, out=here / "out")
    assert not list((here / "out").iterdir())
    assert px.predict(keep, noisy(9, 9), out=here / "out")  # the folder is free for another try


@pytest.mark.parametrize("model", ["keep-1", "twice"])
def test_one_bad_file_does_not_stop_a_folder(model: str, run: Any, home: Path, here: Path) -> None:
    good = ["a.png", "m.tif", "z.jpg"]
    for name in good:
        write_image(here / "in" / name, noisy(20, 20))
    for name, (make, _) in BROKEN.items():
        make(here / "in" / name)
    code, said, error = run("predict", home / f"{model}.safetensors", "in", "--out", "out", "--skip-errors")
    assert code == 1
    assert [line.split(":")[0] for line in said.splitlines()] == [f"in/{name}" for name in good]
    assert {file.name for file in (here / "out").iterdir()} == {*good, "predictions.jsonl", "failed.csv", "sheet.png"}
    with (here / "out/failed.csv").open() as file:
        failed = {Path(row["name"]).name: row["error"] for row in csv.DictReader(file)}
    assert failed.keys() == BROKEN.keys()
    for name, (_, message) in BROKEN.items():
        assert message in failed[name]
        assert f"in/{name}" in error
    code, _, error = run("predict", home / f"{model}.safetensors", "in", "--out", "strict")
    assert code == 1
    assert error.startswith("error: in/")
    assert "Traceback" not in error


@contextlib.contextmanager
def files_no_larger_than(most: int) -> Iterator[None]:
    """Let the system refuse files above a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_part_of_a_file(keep: px.Model, here: Path) -> None:
    write_image(here / "in/a.png", noisy(20, 20))
    write_image(here / "in/b.png", noisy(300, 300))
    with files_no_larger_than(50_000), pytest.raises(ImageError, match=r"b\.png cannot be written: .*make room"):
        px.predict(keep, here / "in", out=here / "out")
    assert {file.name for file in (here / "out").iterdir()} == {"a.png", "predictions.jsonl"}
    assert read_image(here / "out/a.png").shape == (20, 20)
    assert len((here / "out/predictions.jsonl").read_text().splitlines()) == 1


def test_a_full_disk_leaves_what_was_there_before(keep: px.Model, here: Path) -> None:
    result: Any = keep.predict(noisy(300, 300))
    for name in ("mine.png", "mine.json"):
        (here / name).write_bytes(b"what a user had")
        with files_no_larger_than(10), pytest.raises(ImageError, match=f"{name} cannot be written: .*make room"):
            result.save(here / name, overwrite=True)
        assert (here / name).read_bytes() == b"what a user had"
    assert {file.name for file in here.iterdir()} == {"mine.png", "mine.json"}


def test_a_full_disk_leaves_no_part_of_a_video(keep: px.Model, here: Path) -> None:
    with VideoWriter(here / "film.mp4", 10) as writer:
        for _ in range(40):
            writer.write(noisy(96, 128, 3))
    for most in (100, 60_000):
        with files_no_larger_than(most), pytest.raises(PixelryError, match=r"film\.(mp4|jsonl) cannot be written"):
            px.predict(keep, here / "film.mp4", out=here / f"out-{most}", progress=False)
        assert not list((here / f"out-{most}").glob("*.mp4"))


# Large pictures


def test_what_is_over_the_limit_of_pixels_is_named_with_the_way_to_raise_it(
    twice: px.Model, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(here / "large.png", smooth((20, 30), "uint8"))
    monkeypatch.setenv("PIXELRY_MAX_PIXELS", "500")
    with pytest.raises(ImageError, match=r"large\.png has 30 x 20 pixels.*PIXELRY_MAX_PIXELS=600 in the env"):
        px.predict(twice, here / "large.png", out=here / "out")
    monkeypatch.setenv("PIXELRY_MAX_PIXELS", "600")
    px.predict(twice, here / "large.png", out=here / "out")  # the limit is for what is read
    with pytest.raises(ImageError, match="PIXELRY_MAX_PIXELS=2400"):
        read_image(here / "out/large.png")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.webp", "a.bmp", "deep.png", "deep.tif", "grey.png"])
def test_pillows_own_limit_has_no_say(name: str, keep: px.Model, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape, dtype = (
        ((20, 30), "uint16") if name == "grey.png" else ((20, 30, 3), "uint16" if "deep" in name else "uint8")
    )
    write_image(here / name, smooth(shape, dtype))
    for limit in (500, 200):  # above which Pillow warns, and twice of which it refuses
        monkeypatch.setattr(PILImage, "MAX_IMAGE_PIXELS", limit)
        result: Any = keep.predict(here / name)
        result.save(here / f"out-{limit}" / name)
        assert count_pages(here / name) == 1
        assert limit == PILImage.MAX_IMAGE_PIXELS
        assert read_image(here / f"out-{limit}" / name).shape == shape


def test_a_result_larger_than_memory_is_named_before_it_is_begun(
    twice: px.Model, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_image(here / "in/large.png", smooth((200, 300, 3), "uint8"))
    write_image(here / "in/small.png", smooth((20, 30, 3), "uint8"))
    # Three copies of what was read, a result of four times as many numbers, and two rows of its tiles; four bytes each.
    monkeypatch.setattr(_restoration, "physical_memory", lambda: 4 * 200 * 300 * 3 * (3 + 4 + 8) - 1.0)
    with pytest.raises(ImageError, match=r"large\.png: the result has 400 x 600 pixels.*cut the picture into parts"):
        px.predict(twice, here / "in", out=here / "out")
    results = px.predict(twice, here / "in", out=here / "again", skip_errors=True)
    assert [Path(name).name for name, _ in results.failed] == ["large.png"]
    assert _restoration.physical_memory() < np.inf


def test_large_pictures_are_not_copied_as_floats(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_restoration, "BAND", 2**14)
    image, task = noisy(600, 500, 3), Regression()
    tracemalloc.start()
    pixels = task.to_input(image, size=(32, 32), channels=3)
    assert tracemalloc.get_traced_memory()[1] < 1.1 * 4 * image.size
    tracemalloc.reset_peak()
    (result,) = task.decode(pixels[None], [image], ["a"], size=(32, 32))
    assert tracemalloc.get_traced_memory()[1] < 4 * image.size + 1.5 * image.size
    tracemalloc.stop()
    np.testing.assert_array_equal(np.asarray(result), image)


def test_memory_holds_only_as_many_results_as_fit(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelry.predictions.KEPT_BYTES", 2500)
    pictures = [noisy(30, 40) for _ in range(4)]
    (here / "out").mkdir()
    kept = save_predictions((Restored(picture, f"#{k}", picture) for k, picture in enumerate(pictures)), here / "out")
    assert (len(kept), kept.total) == (2, 4)
    assert len(list((here / "out").glob("image*.png"))) == 4
    (here / "one").mkdir()
    large = noisy(90, 90)
    kept = save_predictions([Restored(large, "#0", large)], here / "one")
    assert (len(kept), kept.total) == (1, None)


LARGE = (9000, 12_000)
MOST = {"keep-1": 8, "keep-3": 8, "twice": 13}  # GiB


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("model", MOST)
@pytest.mark.parametrize("name", ["grey.png", "color.png", "color.tif", "color.jpg"])
def test_pictures_of_a_hundred_million_pixels_need_few_gigabytes(model: str, name: str, home: Path, here: Path) -> None:
    row = (np.arange(LARGE[1]) // 47 % 256).astype(np.uint8)
    image = row + (np.arange(LARGE[0]) // 31 % 256).astype(np.uint8)[:, None]
    write_image(here / name, image if name.startswith("grey") else np.stack([image, image[::-1], image // 2], -1))
    del image
    words = [sys.executable, "-m", "pixelry", "predict", str(home / f"{model}.safetensors"), name, "--out", "out"]
    with subprocess.Popen(words, cwd=here) as process:
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert used.ru_maxrss / 2**20 < MOST[model]
    factor = 2 if model == "twice" else 1
    result = read_image(here / "out" / name, max_pixels=10**9)
    assert result.shape[:2] == (factor * LARGE[0], factor * LARGE[1])
