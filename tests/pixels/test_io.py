"""Reading and writing files: every kind that users have, and every kind that is broken."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PILImage
from skimage import data

from pixelry.errors import ExistsError, ImageError, UsageError
from pixelry.pixels import image_info, read_image, write_image

RNG = np.random.default_rng(0)
PHOTO = data.astronaut()[100:164, 200:248]  # (64, 48, 3) uint8
GREY = data.camera()[:40, :30]
DEEP = RNG.integers(0, 65536, (20, 30, 3), dtype=np.uint16)


def save(path: Path, image: np.ndarray | PILImage.Image, **options: object) -> Path:
    picture = image if isinstance(image, PILImage.Image) else PILImage.fromarray(image)
    picture.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif", "tiff"])
@pytest.mark.parametrize("image", [PHOTO, GREY], ids=["rgb", "grey"])
def test_reads_what_pillow_wrote_and_pillow_reads_what_we_wrote(tmp_path, suffix, image):
    theirs = save(tmp_path / f"theirs.{suffix}", image)
    ours = write_image(tmp_path / f"ours.{suffix}", image)
    np.testing.assert_array_equal(read_image(theirs), image)
    with PILImage.open(ours) as picture:
        np.testing.assert_array_equal(np.asarray(picture), image)


@pytest.mark.parametrize("suffix", ["jpg", "jpeg", "webp"])
def test_lossy_formats_stay_close(tmp_path, suffix):
    image = read_image(write_image(tmp_path / f"a.{suffix}", PHOTO))
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - PHOTO).mean() < 5


def test_better_quality_is_closer_and_larger(tmp_path):
    low, high = (write_image(tmp_path / f"{q}.jpg", PHOTO, quality=q) for q in (20, 95))
    assert low.stat().st_size < high.stat().st_size
    with pytest.raises(UsageError, match="quality is 0"):
        write_image(tmp_path / "x.jpg", PHOTO, quality=0)


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize(
    "image",
    [DEEP, DEEP[..., 0], DEEP[..., :2], np.concatenate([DEEP, DEEP[..., :1]], -1)],
    ids=["rgb", "grey", "grey+alpha", "rgba"],
)
def test_16_bits_survive(tmp_path, suffix, image):
    back = read_image(write_image(tmp_path / f"a.{suffix}", image))
    assert back.dtype == np.uint16
    assert back.dtype.isnative
    assert back.flags.writeable
    np.testing.assert_array_equal(back, image)


def test_our_16_bit_png_is_one_that_pillow_reads(tmp_path):
    path = write_image(tmp_path / "deep.png", DEEP)
    with PILImage.open(path) as picture:
        np.testing.assert_array_equal(np.asarray(picture), DEEP >> 8)  # Pillow keeps the upper byte
    path = write_image(tmp_path / "grey.png", DEEP[..., 0])
    with PILImage.open(path) as picture:
        np.testing.assert_array_equal(np.asarray(picture), DEEP[..., 0])


@pytest.mark.parametrize("filter_type", [0, 1])
def test_reads_16_bit_png_of_another_writer(tmp_path, filter_type):
    rows = DEEP.astype(">u2").reshape(20, -1).view(np.uint8)
    if filter_type == 1:
        rows = np.concatenate([rows[:, :6], rows[:, 6:] - rows[:, :-6]], axis=1)
    raw = b"".join(bytes([filter_type]) + row.tobytes() for row in rows)
    header = struct.pack(">IIBBBBB", 30, 20, 16, 2, 0, 0, 0)
    # One colour is named as transparent: that of the first pixel.
    key = DEEP[0, 0].astype(">u2").tobytes()
    parts = [(b"IHDR", header), (b"tRNS", key), (b"IDAT", zlib.compress(raw)), (b"IEND", b"")]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )
    image = read_image(png)
    np.testing.assert_array_equal(image[..., :3], DEEP)
    assert image[0, 0, 3] == 0
    assert (image[..., 3] == 0).sum() == 1


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16", "int32", "uint16", "uint32", "int8"])
def test_tiff_keeps_every_dtype(tmp_path, dtype):
    image = np.linspace(0, 100, 35).reshape(5, 7).astype(dtype)
    back = read_image(write_image(tmp_path / "a.tif", image))
    assert back.dtype == dtype
    np.testing.assert_array_equal(back, image)


@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
def test_tiff_byte_orders_and_planes(tmp_path, byteorder, planar):
    stored = DEEP if planar == "contig" else np.moveaxis(DEEP, -1, 0)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, stored, photometric="rgb", planarconfig=planar, byteorder=byteorder)
    np.testing.assert_array_equal(read_image(path), DEEP)


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_adobe_deflate", "packbits"])
@pytest.mark.parametrize("image", [DEEP[..., 0], PHOTO, GREY.astype(np.float32)], ids=["u16", "rgb", "f32"])
def test_compressed_tiff(tmp_path, compression, image):
    path = save(tmp_path / "a.tif", image, compression=compression)
    np.testing.assert_array_equal(read_image(path), image)


def test_white_is_zero_and_first_page(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.stack([DEEP[..., 0], DEEP[..., 1]]), photometric="miniswhite")
    np.testing.assert_array_equal(read_image(path), 65535 - DEEP[..., 0])


def test_palette_bit_and_cmyk(tmp_path):
    palette = PILImage.fromarray(PHOTO).quantize(16)
    np.testing.assert_array_equal(read_image(save(tmp_path / "p.png", palette)), np.asarray(palette.convert("RGB")))
    see_through = save(tmp_path / "t.png", palette, transparency=3)
    image = read_image(see_through)
    assert image.shape == (64, 48, 4)
    np.testing.assert_array_equal(image[..., 3] == 0, np.asarray(palette) == 3)
    bits = GREY > 100
    for suffix in ("png", "tif"):
        one = read_image(save(tmp_path / f"b.{suffix}", PILImage.fromarray(bits)))
        np.testing.assert_array_equal(one, bits * np.uint8(255))
    cmyk = PILImage.fromarray(PHOTO).convert("CMYK")
    np.testing.assert_array_equal(read_image(save(tmp_path / "c.tif", cmyk)), np.asarray(cmyk.convert("RGB")))
    jpeg = read_image(save(tmp_path / "c.jpg", cmyk, quality=95))
    assert jpeg.shape == PHOTO.shape
    assert np.abs(jpeg.astype(int) - PHOTO).mean() < 8


def test_gif_first_frame(tmp_path):
    frames = [PILImage.fromarray(np.full((5, 6), value, np.uint8)) for value in (10, 200)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    image = read_image(tmp_path / "a.gif", mode="grey")
    assert image.shape == (5, 6)
    assert (image == 10).all()


@pytest.mark.parametrize("shape", [(4, 5, 2), (4, 5, 4)], ids=["grey+alpha", "rgba"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_alpha_is_kept_where_the_format_has_it(tmp_path, shape, suffix):
    image = RNG.integers(0, 256, shape, dtype=np.uint8)
    np.testing.assert_array_equal(read_image(write_image(tmp_path / f"a.{suffix}", image)), image)


@pytest.mark.parametrize("suffix", ["jpg", "bmp", "gif"])
def test_alpha_is_refused_where_it_would_be_lost(tmp_path, suffix):
    with pytest.raises(ImageError, match=r"no transparency.*blend"):
        write_image(tmp_path / f"a.{suffix}", np.zeros((4, 5, 4), np.uint8))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["jpg", "png", "tif", "deep.png", "deep.tif"])
def test_exif_orientation(tmp_path, orientation, kind):
    # Expected: the file's pixels put upright by Pillow itself, in the 8 bits that it can do.
    upright = {
        1: lambda a: a,
        2: np.fliplr,
        3: lambda a: np.rot90(a, 2),
        4: np.flipud,
        5: lambda a: np.fliplr(np.rot90(a, -1)),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: np.fliplr(np.rot90(a)),
        8: np.rot90,
    }[orientation]
    path = tmp_path / f"a.{kind}"
    exif = PILImage.Exif()
    exif[274] = orientation
    if kind == "deep.tif":
        tifffile.imwrite(path, DEEP, photometric="rgb", extratags=[(274, 3, 1, orientation, False)])
        np.testing.assert_array_equal(read_image(path), upright(DEEP))
    elif kind == "deep.png":
        png = write_image(path, DEEP).read_bytes()
        body = exif.tobytes().removeprefix(b"Exif\0\0")
        chunk = struct.pack(">I", len(body)) + b"eXIf" + body + struct.pack(">I", zlib.crc32(b"eXIf" + body))
        np.testing.assert_array_equal(read_image(png[:33] + chunk + png[33:]), upright(DEEP))
    else:
        flat = PHOTO // 8 * 8
        save(path, flat, exif=exif, **({"quality": 100} if kind == "jpg" else {}))
        image = read_image(path)
        assert image.shape == upright(flat).shape
        assert np.abs(image.astype(int) - upright(flat)).mean() < (3 if kind == "jpg" else 1e-9)


def test_broken_exif_does_not_spoil_the_picture(tmp_path):
    path = save(tmp_path / "a.jpg", PHOTO, exif=b"Exif\0\0II*\0garbage")
    assert read_image(path).shape == PHOTO.shape


def test_sources_and_modes(tmp_path):
    path = write_image(tmp_path / "a.png", PHOTO)
    with path.open("rb") as file:
        from_file = read_image(file)
    for image in (
        read_image(str(path)),
        read_image(path.read_bytes()),
        read_image(io.BytesIO(path.read_bytes())),
        from_file,
    ):
        np.testing.assert_array_equal(image, PHOTO)
    assert read_image(path, mode="grey").shape == (64, 48)
    assert read_image(write_image(tmp_path / "g.png", GREY), mode="rgb").shape == (40, 30, 3)
    with pytest.raises(UsageError, match="did you mean 'grey'"):
        read_image(path, mode="gray")
    with path.open(errors="ignore") as file, pytest.raises(ImageError, match="opened as text"):
        read_image(file)
    with pytest.raises(UsageError, match="got int"):
        read_image(3)


def test_writing_never_replaces_in_silence(tmp_path):
    path = write_image(tmp_path / "new" / "a.png", PHOTO)
    before = path.read_bytes()
    with pytest.raises(ExistsError, match="overwrite"):
        write_image(path, GREY)
    with pytest.raises(ImageError, match="complex128"):
        write_image(path, np.zeros((2, 2), complex), overwrite=True)
    assert path.read_bytes() == before
    write_image(path, GREY, overwrite=True)
    np.testing.assert_array_equal(read_image(path), GREY)
    assert [file.name for file in path.parent.iterdir()] == ["a.png"]


def test_a_failed_write_leaves_nothing(tmp_path, monkeypatch):
    def fail(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(ImageError, match="No space left on device"):
        write_image(tmp_path / "a.png", PHOTO)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("a.xyz", UsageError, r"suffix '\.xyz'; expected one of \.png"),
        ("a", UsageError, "suffix ''"),
        ("folder.png", ImageError, "is a folder"),
        ("file.png/a.png", ImageError, "cannot be written"),
    ],
)
def test_places_that_cannot_be_written(tmp_path, name, error, message):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file.png").write_bytes(b"")
    with pytest.raises(error, match=message):
        write_image(tmp_path / name, PHOTO)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.full((2, 2), 3.0), "go from 3 to 3"),
        (np.full((2, 2), np.nan), "NaN"),
        (np.full((2, 2), -0.5), "no negative values"),
        (np.full((2, 2), 7, np.int64), "int64"),
        (np.zeros((0, 4)), "empty"),
        (np.zeros((4, 4, 5), np.uint8), "1 to 4 channels"),
        ([[1, 2]], "is a list"),
    ],
)
def test_values_that_png_does_not_hold(tmp_path, image, message):
    with pytest.raises(ImageError, match=message):
        write_image(tmp_path / "a.png", image)
    assert not list(tmp_path.iterdir())


def test_floats_become_bytes_where_the_format_has_no_floats(tmp_path):
    image = np.array([[0.0, 0.5, 1.0]])
    np.testing.assert_array_equal(read_image(write_image(tmp_path / "a.png", image)), [[0, 128, 255]])
    np.testing.assert_array_equal(read_image(write_image(tmp_path / "b.png", image > 0.4)), [[0, 255, 255]])
    deep = np.full((8, 8), 65535, np.uint16)
    assert (read_image(write_image(tmp_path / "a.jpg", deep)) == 255).all()


def test_info(tmp_path):
    path = save(tmp_path / "a.png", PILImage.fromarray(PHOTO).quantize(16))
    info = image_info(path)
    pixels = read_image(path)
    assert (info.path, info.format, info.mode) == (path, "PNG", "palette")
    assert (info.shape, info.dtype, info.size) == ((64, 48, 3), "uint8", path.stat().st_size)
    assert (info.min, info.max) == (pixels.min(), pixels.max())
    assert info.mean == pytest.approx(pixels.mean())
    deep = image_info(write_image(tmp_path / "a.tif", DEEP))
    assert (deep.format, deep.mode, deep.dtype) == ("TIFF", "rgb", "uint16")
