"""Files that are missing, broken, no images, or too large: each is named, and says what is wrong."""

from __future__ import annotations

import contextlib
import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PILImage
from skimage import data

from pixelry.errors import ImageError, UsageError
from pixelry.pixels import encode_image, image_info, read_image, write_image

PHOTO = data.astronaut()[100:164, 200:248]
DEEP = np.random.default_rng(0).integers(0, 65536, (20, 30, 3), dtype=np.uint16)


def broken(tmp_path: Path, kind: str) -> Path:
    path = tmp_path / "bad.png"
    png = write_image(tmp_path / "good.png", PHOTO).read_bytes()
    jpeg = write_image(tmp_path / "good.jpg", PHOTO).read_bytes()
    tiff = write_image(tmp_path / "good.tif", DEEP).read_bytes()
    contents = {
        "empty": b"",
        "text": "schöne Grüße\n".encode() * 100,
        "binary": bytes(range(128, 256)),
        "png cut": png[: len(png) // 2],
        "png header only": png[:20],
        "png bit flips": png[:60] + bytes(b ^ 0x55 for b in png[60:200]) + png[200:],
        "jpeg cut": jpeg[: len(jpeg) // 2],
        "tiff cut": tiff[: len(tiff) // 2],
        "tiff header only": tiff[:8],
    }
    path.write_bytes(contents[kind])
    return path


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("empty", r"is empty \(0 bytes\)"),
        ("text", "is text"),
        ("binary", "is no image"),
        ("png cut", "damaged or cut short"),
        ("png header only", "damaged or cut short"),
        ("png bit flips", "damaged or cut short"),
        ("jpeg cut", "damaged or cut short"),
        ("tiff cut", "damaged or cut short"),
        ("tiff header only", "damaged or cut short"),
    ],
)
def test_broken_files_are_named(tmp_path, kind, message):
    path = broken(tmp_path, kind)
    for read in (read_image, image_info):
        with pytest.raises(ImageError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)


def test_missing_files_and_folders(tmp_path):
    write_image(tmp_path / "photo.png", PHOTO)
    with pytest.raises(ImageError, match=r"there is no file .*phto.png; did you mean 'photo.png'\?"):
        read_image(tmp_path / "phto.png")
    with pytest.raises(ImageError, match="is a folder"):
        read_image(tmp_path)
    with pytest.raises(ImageError, match="cannot be read"):
        read_image(tmp_path / "photo.png" / "inner.png")


@pytest.mark.parametrize("suffix", ["png", "tif", "gif"])
def test_decompression_bombs(tmp_path, suffix, monkeypatch):
    path = write_image(tmp_path / f"big.{suffix}", np.zeros((300, 400), np.uint8))
    with pytest.raises(ImageError, match=r"400 x 300 pixels, over the limit of 1,000.*max_pixels=120000"):
        read_image(path, max_pixels=1000)
    assert read_image(path, max_pixels=120_000, mode="grey").shape == (300, 400)
    monkeypatch.setenv("PIXELRY_MAX_PIXELS", "1000")
    with pytest.raises(ImageError, match="PIXELRY_MAX_PIXELS=120000"):
        read_image(path)
    assert read_image(path, max_pixels=120_000, mode="grey").shape == (300, 400)
    monkeypatch.setenv("PIXELRY_MAX_PIXELS", "many")
    with pytest.raises(UsageError, match="PIXELRY_MAX_PIXELS is 'many'"):
        read_image(path)
    with pytest.raises(UsageError, match="max_pixels is 0"):
        read_image(path, max_pixels=0)


def test_huge_claims_are_refused_before_decoding():
    body = struct.pack(">IIBBBBB", 100_000, 100_000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", body), (b"IDAT", zlib.compress(b"\0" * 1000)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in chunks
    )
    limit = PILImage.MAX_IMAGE_PIXELS
    with pytest.raises(ImageError, match="over the limit of 200,000,000"):
        read_image(png)
    assert limit == PILImage.MAX_IMAGE_PIXELS


def test_one_pixel(tmp_path):
    for suffix in ("png", "jpg", "tif", "bmp", "gif", "webp"):
        path = write_image(tmp_path / f"one.{suffix}", np.full((1, 1), 7, np.uint8))
        assert read_image(path).shape[:2] == (1, 1)


def test_a_small_tiff_with_a_huge_strip_is_refused():
    tiff = bytearray(encode_image(np.zeros((10, 10, 3), np.uint16), format="TIFF"))
    with tifffile.TiffFile(io.BytesIO(bytes(tiff))) as file:
        places = [file.pages.first.tags[tag].offset for tag in ("StripOffsets", "StripByteCounts")]
    bomb = zlib.compress(bytes(5_000_000))
    for place, value in zip(places, (len(tiff), len(bomb)), strict=True):
        # One value of type LONG.
        struct.pack_into("<HII", tiff, place + 2, 4, 1, value)
    with pytest.raises(ImageError, match="holds more data than an image of its size"):
        read_image(bytes(tiff) + bomb)


@pytest.mark.parametrize("options", [{"tile": (16, 16)}, {"rowsperstrip": 3}, {"predictor": True}])
@pytest.mark.parametrize("compression", ["zlib", "lzma"])
def test_sound_tiffs_in_parts_are_not_refused(tmp_path, options, compression):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, DEEP, photometric="rgb", compression=compression, **options)
    np.testing.assert_array_equal(read_image(path), DEEP)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "BMP", "GIF", "WEBP", "deep PNG", "deep TIFF"])
def test_damage_anywhere_is_an_image_or_an_image_error(kind):
    rng = np.random.default_rng(0)
    name = kind.rpartition(" ")[2]
    good = encode_image(DEEP if "deep" in kind else PHOTO, format=name)
    for _ in range(40):
        bad = bytearray(good[: rng.integers(1, len(good) + 1)])
        for place in rng.integers(0, len(bad), 4):
            bad[place] = rng.integers(0, 256)
        # Any other exception fails the test.
        with contextlib.suppress(ImageError):
            assert read_image(bytes(bad), max_pixels=1_000_000).ndim in (2, 3)
