"""The verbs over files: what is kept beside the pixels, sizes, turns, pages, depths, and what is said of it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.transform
import tifffile
from PIL import Image as PILImage
from PIL import ImageCms
from skimage import data

from pixelry.errors import ExistsError, ImageError, UsageError
from pixelry.pixels import (
    Metadata,
    auto_orient,
    convert,
    flip,
    image_info,
    inspect_files,
    process,
    read_image,
    read_metadata,
    resize,
    rotate,
    strip_metadata,
    to_srgb,
    used_bits,
    write_image,
)

PHOTO = data.coffee()[100:180, 200:320]  # (80, 120, 3) uint8
ARTIST, ORIENTATION, EXIF, GPS, WIDTH, EXPOSURE = 315, 274, 34665, 34853, 40962, 33434
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/" tiff:Orientation="6" dc:subject="cup"/>'


def camera_file(path: Path, orientation: int = 6, pixels: np.ndarray = PHOTO) -> Path:
    """Write a file as a camera does: EXIF of all kinds, profile, resolution, XMP."""
    exif = PILImage.Exif()
    exif[ORIENTATION], exif[ARTIST] = orientation, "Ada"
    exif.get_ifd(EXIF)[WIDTH], exif.get_ifd(EXIF)[EXPOSURE] = pixels.shape[1], 0.01
    exif.get_ifd(GPS)[1], exif.get_ifd(GPS)[2] = "N", (52.0, 30.0, 1.5)
    metadata = Metadata(exif.tobytes(), PROFILE, ((ARTIST, "Ada"),), (300, 300), XMP.replace(b"6", b"%d" % orientation))
    return write_image(path, pixels, metadata=metadata)


@pytest.mark.parametrize(
    ("name", "deep"),
    [
        *((f"a.{suffix}", False) for suffix in ("jpg", "png", "tif", "webp", "avif", "heic")),
        ("a.png", True),
        ("a.tif", True),
    ],
)
def test_every_format_keeps_what_stands_beside_the_pixels(here: Path, name: str, deep: bool) -> None:
    if name.endswith("heic"):
        pytest.importorskip("pillow_heif")
    source = camera_file(here / "in" / "photo.jpg")
    options: dict[str, Any] = {"dtype": "uint"} if deep else {}
    result = process(source, "convert", here / "out", format=name[2:], **options)
    assert (result.failed, result.notes) == ((), ())
    written = read_metadata(result.written[0])
    assert written.profile == PROFILE
    assert written.dpi == pytest.approx((300, 300), abs=0.01)
    assert b'tiff:Orientation="1" dc:subject="cup"' in written.xmp
    exif = PILImage.Exif()
    exif.load(written.exif)
    assert (exif.get(ORIENTATION, 1), exif[ARTIST]) == (1, "Ada")
    assert exif.get_ifd(EXIF)[WIDTH] == 80  # the upright picture is 80 wide
    assert float(exif.get_ifd(EXIF)[EXPOSURE]) == pytest.approx(0.01)
    assert exif.get_ifd(GPS)[2] == (52.0, 30.0, 1.5)
    image = read_image(result.written[0])
    assert image.shape == (120, 80, 3)
    info = image_info(result.written[0])
    assert (info.exif, info.gps, info.profile) == (True, True, "sRGB built-in")


def test_a_thumbnail_is_dropped(here: Path) -> None:
    source = camera_file(here / "a.jpg")
    with PILImage.open(source) as picture:
        exif = picture.getexif()
    # A second directory, behind the first, with the tags of a thumbnail in it.
    block = exif.tobytes()
    assert b"THUMB" not in block
    end = block.index(b"Exif") + 6 + 8
    count = int.from_bytes(block[end : end + 2], "little")
    link = end + 2 + 12 * count
    head = block[:link] + (len(block) - 6).to_bytes(4, "little") + block[link + 4 :]
    thumbnail = b"\x01\x00" + b"\x01\x02\x04\x00\x05\x00\x00\x00" + b"\0\0\0\0" + b"\0\0\0\0" + b"THUMB"
    PILImage.fromarray(PHOTO).save(here / "b.jpg", exif=head + thumbnail)
    assert b"THUMB" in (here / "b.jpg").read_bytes()
    result = process(here / "b.jpg", "flip", here / "out", vertical=True)
    assert b"THUMB" not in result.written[0].read_bytes()
    assert read_metadata(result.written[0]).exif


def test_what_a_format_cannot_hold_is_said_once(here: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        camera_file(here / "in" / name)
    result = process(here / "in", "convert", here / "out", format="bmp")
    assert result.notes == ("2 files written without EXIF, the ICC profile, XMP, which BMP cannot hold",)
    assert read_metadata(result.written[0]).dpi == pytest.approx((300, 300), abs=0.01)
    grey = process(here / "in", "convert", here / "grey", color="grey")
    assert "2 files written without the colour profile" in grey.notes[0]


def test_colours_become_srgb(here: Path, run: Callable[..., Any]) -> None:
    # A profile with other primaries: that of sRGB with red and blue exchanged.
    swapped = bytearray(PROFILE)
    red, blue = (PROFILE.index(tag, 128) for tag in (b"rXYZ", b"bXYZ"))
    swapped[red : red + 4], swapped[blue : blue + 4] = b"bXYZ", b"rXYZ"
    np.testing.assert_allclose(to_srgb(PHOTO, profile=bytes(swapped)).astype(int), PHOTO[..., ::-1], atol=3)
    alpha = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 7, np.uint8)])
    assert (to_srgb(alpha, profile=bytes(swapped))[..., 3] == 7).all()
    write_image(here / "a.png", PHOTO, metadata=Metadata(profile=bytes(swapped)))
    said = run("pixels", "resize", here / "a.png", "--longest", 60, "--to-srgb", "--out", here / "out")
    assert (said.code, said.out) == (0, f"1 written to {here / 'out'}\n")
    assert "note: 1 file converted from sRGB built-in to sRGB" in said.err
    assert read_metadata(here / "out" / "a.png").profile[128:] == PROFILE[128:]  # the head has a date
    with pytest.raises(ImageError, match="8 bits only"):
        to_srgb(PHOTO.astype(np.uint16), profile=PROFILE)
    with pytest.raises(ImageError, match="of other colours"):
        to_srgb(PHOTO[..., 0], profile=PROFILE)
    with pytest.raises(ImageError, match="cannot be used"):
        to_srgb(PHOTO, profile=PROFILE[:16] + b"RGB " + b"nonsense")


def test_quality(here: Path) -> None:
    source = write_image(here / "in" / "a.png", PHOTO)
    sizes = [
        process(source, "convert", here / str(q), format="jpeg", quality=q).written[0].stat().st_size for q in (30, 90)
    ]
    assert sizes[0] < sizes[1] / 2
    with pytest.raises(UsageError, match="PNG has no quality"):
        process(source, "flip", here / "out", vertical=True, quality=90)
    with pytest.raises(UsageError, match="quality is 101; expected 1 to 100"):
        process(source, "convert", here / "out", format="webp", quality=101)
    assert not (here / "out").exists()


@pytest.mark.parametrize(
    ("options", "shape"),
    [
        ({"longest": 60}, (40, 60)),
        ({"longest": 600}, (80, 120)),
        ({"longest": 600, "enlarge": True}, (400, 600)),
        ({"shortest": 40}, (40, 60)),
        ({"fit": (60, 60)}, (40, 60)),
        ({"fit": (200, 20)}, (20, 30)),
        ({"fit": (240, 1000), "enlarge": True}, (160, 240)),
        ({"cover": (50, 50)}, (50, 50)),
        ({"cover": (300, 10)}, (10, 300)),
        ({"shape": (30, 20)}, (30, 20)),
    ],
)
def test_sizes(options: dict[str, Any], shape: tuple[int, int]) -> None:
    found = resize(PHOTO, **options)
    assert (found.shape, found.dtype) == ((*shape, 3), np.uint8)
    assert resize(PHOTO[..., 0], **options).shape == shape


def test_cover_takes_the_middle_and_keeps_proportions() -> None:
    wide = np.zeros((20, 60), np.uint8)
    wide[:, 20:40] = 200
    assert (resize(wide, cover=(10, 10), interpolation="nearest") == 200).all()
    smooth = data.camera()[::2, ::2]
    expected = skimage.transform.resize(smooth[:, 64:192], (100, 50), anti_aliasing=True, preserve_range=True)
    assert np.abs(resize(smooth, cover=(50, 100)) - expected).mean() < 4


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32"])
def test_lanczos_is_pillows_and_stays_in_range(dtype: str) -> None:
    scale = {"uint8": 1, "uint16": 257, "float32": 1 / 255}[dtype]
    image = (PHOTO.astype(float) * scale).astype(dtype)
    found = resize(image, longest=50)
    expected = np.asarray(PILImage.fromarray(PHOTO).resize((50, 33), PILImage.Resampling.LANCZOS))
    np.testing.assert_allclose(found / scale, expected, atol=1)
    assert found.min() >= image.min()
    assert found.max() <= image.max()
    # An invisible colour does not show at the edge of what is visible.
    see_through = np.zeros((40, 40, 4), np.uint8)
    see_through[:, :20], see_through[:, 20:, 0] = (0, 0, 255, 255), 255
    half = resize(see_through, longest=10)
    assert half[half[..., 3] > 100][:, 0].max() < 30


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resize(PHOTO), "resize needs shape, longest, shortest, fit or cover, one of them"),
        (lambda: resize(PHOTO, longest=9, fit=(9, 9)), "one of them; got longest and fit"),
        (lambda: resize(PHOTO, longest=0), "longest is 0"),
        (lambda: resize(PHOTO, fit=(9, 0)), r"fit is \(9, 0\); expected two whole numbers, WIDTHxHEIGHT"),
        (lambda: resize(PHOTO, cover=(9, 9), enlarge=True), "enlarge goes with longest, shortest or fit"),
        (lambda: process("x.png", "resize", "out", fit="1600"), "fit is '1600'; expected two whole .* WIDTHxHEIGHT"),
        (lambda: rotate(PHOTO, degrees=float("nan")), "degrees is nan"),
        (lambda: rotate(PHOTO, degrees=5, interpolation="lanczos"), "unknown interpolation"),
        (lambda: flip(PHOTO), "flip needs horizontal"),
        (lambda: convert(PHOTO, bits=9), "bits is 9; expected auto, 8, 10, 12, 14, 16"),
        (lambda: convert(PHOTO, bits=8, range=(0, 1)), "either bits or range"),
        (lambda: convert(PHOTO, range=(5, 5)), "low below high"),
        (lambda: process("x.png", "convert", "out", range="1"), "range is '1'; expected two numbers LOW,HIGH"),
    ],
)
def test_wrong_options_say_what_was_expected(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        call()


def test_turns() -> None:
    for quarters in range(-3, 5):
        np.testing.assert_array_equal(rotate(PHOTO, degrees=90 * quarters), np.rot90(PHOTO, -quarters))
    np.testing.assert_array_equal(flip(PHOTO, horizontal=True), np.fliplr(PHOTO))
    np.testing.assert_array_equal(flip(PHOTO, vertical=True), np.flipud(PHOTO))
    turned = rotate(PHOTO, degrees=30, value=255)
    expected = skimage.transform.rotate(PHOTO, -30, resize=True, cval=255, preserve_range=True)
    np.testing.assert_allclose(turned, expected, atol=0.51)
    assert rotate(PHOTO, degrees=30, expand=False).shape == PHOTO.shape
    assert set(np.unique(rotate(PHOTO[..., 0] // 64, degrees=11, interpolation="nearest"))) <= {0, 1, 2, 3}


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_auto_orient_turns_what_lies_on_its_side_and_copies_the_rest(here: Path, suffix: str) -> None:
    side = camera_file(here / "in" / f"side.{suffix}", pixels=PHOTO)
    if suffix == "tif":
        tifffile.imwrite(side, PHOTO, photometric="rgb", extratags=[(ORIENTATION, 3, 1, 6, False)], metadata=None)
    upright = write_image(here / "in" / f"upright.{suffix}", PHOTO)
    result = auto_orient(here / "in", here / "out")
    assert set(result.notes) == {"1 file turned upright", "1 file upright already, copied unchanged"}
    assert (here / "out" / upright.name).read_bytes() == upright.read_bytes()
    np.testing.assert_array_equal(read_image(side), np.rot90(read_image(side), 0))
    with PILImage.open(here / "out" / side.name) as picture:
        assert picture.size == (80, 120)
        assert picture.getexif().get(ORIENTATION, 1) == 1
    with pytest.raises(ExistsError):
        auto_orient(here / "in", here / "out")


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_strip_metadata_removes_all_and_touches_no_pixel(here: Path, suffix: str) -> None:
    source = camera_file(here / "in" / f"a.{suffix}", orientation=8)
    before = source.read_bytes()
    assert b"Ada" in before
    result = strip_metadata(source, here / "out")
    removed = {note.partition(" removed")[0] for note in result.notes}
    assert {"EXIF", "GPS position", "XMP"} <= removed
    data_left = result.written[0].read_bytes()
    for private in (b"Ada", b"cup", np.array([52, 1], "<u4").tobytes(), np.array([52, 1], ">u4").tobytes()):
        assert private not in data_left
    # The same pixels the same way up, the same profile and, where it has a place of its own, resolution.
    np.testing.assert_array_equal(read_image(result.written[0]), read_image(source))
    left = read_metadata(result.written[0])
    assert left.profile == PROFILE
    assert left.dpi is None if suffix == "webp" else left.dpi == pytest.approx((300, 300), abs=0.01)
    info = image_info(result.written[0])
    assert (info.exif, info.gps) == (False, False)
    bare = strip_metadata(source, here / "bare", profile=True)
    assert read_metadata(bare.written[0]).profile == b""
    np.testing.assert_array_equal(read_image(bare.written[0]), read_image(source))
    again = strip_metadata(result.written, here / "again")
    assert again.written[0].stat().st_size == len(data_left)


def test_strip_metadata_of_gif_comments_and_appended_previews(here: Path) -> None:
    frames = [PILImage.fromarray(np.full((5, 6), value, np.uint8)) for value in (10, 200)]
    frames[0].save(here / "a.gif", save_all=True, append_images=frames[1:], comment=b"made by Ada", loop=0)
    (here / "b.jpg").write_bytes(write_image(here / "b.png", PHOTO).with_suffix(".jpg").name.encode())
    jpeg = write_image(here / "c.jpg", PHOTO)
    (here / "b.jpg").write_bytes(jpeg.read_bytes() + b"ftypmp4 a film")
    result = strip_metadata([here / "a.gif", here / "b.jpg"], here / "out")
    assert set(result.notes) == {"comments removed from 1 file", "previews removed from 1 file"}
    assert (here / "out" / "b.jpg").read_bytes() == jpeg.read_bytes()
    assert b"Ada" not in (here / "out" / "a.gif").read_bytes()
    with PILImage.open(here / "out" / "a.gif") as film:
        assert (film.n_frames, film.info["loop"]) == (2, 0)
    (here / "cut.jpg").write_bytes(jpeg.read_bytes()[:30])
    assert "cut.jpg" in strip_metadata(here / "cut.jpg", here / "out2").failed[0][1]


def test_pages(here: Path, run: Callable[..., Any]) -> None:
    pages = np.stack([np.full((6, 9), 1000 * number, np.uint16) for number in range(1, 5)])
    tifffile.imwrite(here / "stack.tif", pages, photometric="minisblack")
    assert image_info(here / "stack.tif").pages == 4
    assert (read_image(here / "stack.tif", page=3) == 3000).all()
    with pytest.raises(ImageError, match="has 4 pages; there is no page 5"):
        read_image(here / "stack.tif", page=5)
    first = process(here / "stack.tif", "flip", here / "first", vertical=True)
    assert first.notes == ("1 file of several pages or frames, of which the first was taken (--pages all takes all)",)
    assert tifffile.imread(first.written[0]).shape == (6, 9)  # what laid out the stack is not true of one page
    said = run("pixels", "convert", here / "stack.tif", "--format", "png", "--pages", "2-3", "--out", here / "some")
    assert (said.code, said.err) == (0, "")
    assert [file.name for file in sorted((here / "some").iterdir())] == ["stack_p002.png", "stack_p003.png"]
    assert (read_image(here / "some" / "stack_p003.png") == 3000).all()
    whole = process(here / "stack.tif", "crop", here / "whole", shape=4, pages="all", stack=True)
    np.testing.assert_array_equal(tifffile.imread(whole.written[0]), pages[:, 1:5, 2:6])
    frames = [PILImage.fromarray(np.full((5, 6), value, np.uint8)) for value in (10, 200)]
    frames[0].save(here / "a.gif", save_all=True, append_images=frames[1:])
    film = process(here / "a.gif", "convert", here / "film", color="grey", format="tiff", pages="all", stack=True)
    assert tifffile.imread(film.written[0])[:, 0, 0].tolist() == [10, 200]
    for options, message in (
        ({"pages": "0"}, "pages is '0'; expected all, a number, or ranges"),
        ({"stack": True}, "stack goes with pages"),
        ({"pages": "all", "stack": True, "format": "png"}, "TIFF only"),
    ):
        with pytest.raises(UsageError, match=message):
            process(here / "stack.tif", "flip", here / "none", vertical=True, **options)


def test_bits_are_counted_and_scaled_by_choice_alone(here: Path) -> None:
    dim, bright = (np.array([[0, top // 2, top]], np.uint16) for top in (1000, 4000))
    assert (used_bits(dim), used_bits(bright), used_bits(PHOTO)) == (10, 12, 8)
    for name, image in (("dim", dim), ("bright", bright)):
        write_image(here / "in" / f"{name}.tif", image)
    info = inspect_files(here / "in" / "bright.tif").found[0]
    assert (info.bits, "values up to 4095: 12 bits" in str(info)) == (12, True)
    plain = process(here / "in", "convert", here / "plain", dtype="ubyte", format="png")
    np.testing.assert_array_equal(read_image(here / "plain" / "bright.png"), bright >> 8)
    assert len(plain.notes) == 2
    assert "with values of 12 of 16 bits, of which 4 are left in 8" in " ".join(plain.notes)
    # All files of a set are scaled alike: by the bits of the brightest.
    scaled = process(here / "in", "convert", here / "scaled", dtype="ubyte", format="png", bits="auto")
    assert scaled.notes == ()
    for name, image in (("dim", dim), ("bright", bright)):
        np.testing.assert_array_equal(read_image(here / "scaled" / f"{name}.png"), np.rint(image / 4095 * 255))
    ranged = convert(bright.astype(np.float32), range=(1000, 3000), dtype="uint")
    np.testing.assert_array_equal(ranged, [[0, 32768, 65535]])
    np.testing.assert_array_equal(convert(dim, bits="10"), np.rint(dim / 1023 * 65535))
    with pytest.raises(ImageError, match="give dtype"):
        convert(bright.astype(np.int32), range=(0, 4095))
    with pytest.raises(ImageError, match="give range"):
        convert(bright.astype(np.float32), bits="auto", dtype="ubyte")


def test_heic_is_read_and_named_where_the_extra_is_missing(
    here: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., Any]
) -> None:
    pytest.importorskip("pillow_heif")
    heic = camera_file(here / "in" / "phone.heic", orientation=1)
    write_image(here / "in" / "a.png", PHOTO)
    assert np.abs(read_image(heic).astype(int) - PHOTO).mean() < 6
    monkeypatch.setattr("pixelry.pixels.heif.has_heif", lambda: False)
    for module in ("heif", "decode"):
        monkeypatch.setattr(f"pixelry.pixels.{module}.register_heif", lambda: False)
    with pytest.raises(ImageError, match=r"phone\.heic is HEIC or HEIF, which needs the extra 'heif'"):
        read_image(heic)
    said = run("pixels", "flip", here / "in", "--vertical", "--out", here / "out", "--json")
    assert said.code == 0
    assert json.loads(said.out)["notes"] == [
        "1 HEIC or HEIF file left out; reading them needs the extra 'heif': pip install 'pixelry[heif]'"
    ]
    assert [file.name for file in (here / "out").iterdir()] == ["a.png"]
    named = run("pixels", "flip", heic, "--vertical", "--out", here / "out2")
    assert named.code == 1
    assert "pip install 'pixelry[heif]'" in named.err


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
def test_damage_is_stripped_or_named(here: Path, suffix: str) -> None:
    whole = camera_file(here / f"a.{suffix}").read_bytes()
    random = np.random.default_rng(0)
    for number in range(60):
        damaged = bytearray(whole[: random.integers(20, len(whole))] if number % 2 else whole)
        for place in random.integers(4, min(len(damaged), 900), 6):
            damaged[place] = random.integers(256)
        (here / f"b.{suffix}").write_bytes(damaged)
        for call in (read_metadata, image_info):
            with contextlib.suppress(ImageError):
                call(here / f"b.{suffix}")
        result = strip_metadata(here / f"b.{suffix}", here / "out", overwrite=True)
        assert all(f"b.{suffix}" in message and "Error" not in message for _, message in result.failed)
