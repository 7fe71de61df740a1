"""EXIF and colour profiles from one file to another, read back by Pillow and tifffile."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image as PILImage
from PIL import ImageCms

from pixelry.errors import ImageError
from pixelry.pixels import Metadata, read_image, read_metadata, write_image

ARTIST, ORIENTATION, DATE, GPS, EXPOSURE = 315, 274, 306, 34853, 33434
RESOLUTION = {282, 283, 296}
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def photo(path: Path) -> Path:
    """Write a JPEG that lies on its side, with EXIF of all kinds and a profile."""
    exif = PILImage.Exif()
    exif[ORIENTATION], exif[ARTIST], exif[DATE] = 6, "Ada", "2024:05:01 10:00:00"
    exif.get_ifd(34665)[EXPOSURE] = 0.01
    exif.get_ifd(GPS)[1] = "N"
    PILImage.fromarray(np.full((20, 30, 3), 90, np.uint8)).save(path, exif=exif, icc_profile=PROFILE)
    return path


@pytest.mark.parametrize(
    ("name", "dtype"), [("a.jpg", np.uint8), ("a.png", np.uint8), ("a.webp", np.uint8), ("a.png", np.uint16)]
)
def test_metadata_goes_from_file_to_file(name: str, dtype: type, here: Path) -> None:
    told = read_metadata(photo(here / "photo.jpg"))
    image = np.zeros((30, 20, 3), dtype)
    write_image(here / name, image, metadata=told)
    assert read_image(here / name).shape == image.shape  # upright: it is not turned again
    with PILImage.open(here / name) as written:
        exif = written.getexif()
        assert (exif[ORIENTATION], exif[ARTIST]) == (1, "Ada")
        assert float(exif.get_ifd(34665)[EXPOSURE]) == pytest.approx(0.01)
        assert exif.get_ifd(GPS)[1] == "N"
        assert written.info["icc_profile"] == PROFILE


def test_tiff_keeps_the_profile_and_what_is_text(here: Path) -> None:
    write_image(here / "a.tif", np.zeros((4, 5), np.float32), metadata=read_metadata(photo(here / "photo.jpg")))
    with tifffile.TiffFile(here / "a.tif") as file:
        tags = file.pages[0].tags  # type: ignore[union-attr]
        assert tags[ARTIST].value == "Ada"
        assert tags[DATE].value == "2024:05:01 10:00:00"
        assert tags[34675].value == PROFILE
    again = read_metadata(here / "a.tif")
    assert dict(again.texts) == {ARTIST: "Ada", DATE: "2024:05:01 10:00:00"}
    assert again.profile == PROFILE
    # What says how the TIFF was stored is not true of a JPEG.
    write_image(here / "b.jpg", np.zeros((9, 7), np.uint8), metadata=again)
    with PILImage.open(here / "b.jpg") as written:
        assert set(written.getexif()) - RESOLUTION == {ARTIST, DATE, 34665, GPS}  # the directories go along


def test_a_tiff_that_pillow_cannot_open_keeps_them_too(here: Path) -> None:
    told = read_metadata(photo(here / "photo.jpg"))
    write_image(here / "a.tif", np.zeros((4, 5, 3), np.float32), metadata=told)
    again = read_metadata(here / "a.tif")
    assert dict(again.texts) == {ARTIST: "Ada", DATE: "2024:05:01 10:00:00"}
    assert again.profile == PROFILE


def test_broken_exif_is_left_out(here: Path) -> None:
    PILImage.fromarray(np.zeros((4, 4), np.uint8)).save(here / "a.jpg", exif=b"Exif\0\0nonsense", icc_profile=PROFILE)
    assert read_metadata(here / "a.jpg") == Metadata(b"", PROFILE)
    (here / "b.jpg").write_bytes(b"no picture")
    for missing in ("b.jpg", "c.jpg"):
        with pytest.raises(ImageError, match=f"{missing[0]}\\.jpg cannot be read"):
            read_metadata(here / missing)
