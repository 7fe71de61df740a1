"""Contact sheets and figures."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from skimage import data

from pixelry.errors import ImageError, UsageError
from pixelry.pixels import (
    ImageCollection,
    contact_sheet,
    histogram,
    show_collection,
    side_by_side,
    write_image,
)

PHOTO = data.astronaut()
MIXED = [
    PHOTO,
    data.camera(),
    data.horse(),
    np.full((8, 8), 0.5),
    data.logo(),
    np.zeros((300, 20), np.uint16),
]


def test_sheet_of_mixed_images():
    sheet = contact_sheet(MIXED, labels=["a", "b\nsecond line", "c", "d", "e" * 200, "ü"], columns=3, cell=100)
    assert sheet.dtype == np.uint8
    assert sheet.shape[1:] == (3 * 108 + 8, 3)
    assert (sheet[:8] == 255).all()
    assert (sheet[:, :8] == 255).all()


def test_tiny_images_keep_their_pixels():
    image = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    sheet = contact_sheet([image], cell=96)
    np.testing.assert_array_equal(sheet[8:104, 8:104], np.kron(image, np.ones((12, 12, 1), np.uint8)))


def test_grey_and_color_keep_their_values():
    sheet = contact_sheet([np.full((96, 96), 0.2), np.full((96, 96, 3), (255, 0, 0), np.uint8)], cell=96)
    assert (sheet[8:104, 8:104] == 51).all()
    assert (sheet[8:104, 112:208] == (255, 0, 0)).all()


def test_labels_change_only_what_is_below_the_images():
    bare, labelled = contact_sheet(MIXED[:3]), contact_sheet(MIXED[:3], labels=["one", "two", "three"])
    assert labelled.shape[0] > bare.shape[0]
    np.testing.assert_array_equal(labelled[: 8 + 192], bare[: 8 + 192])
    assert (labelled[8 + 192 :] < 128).any()


@pytest.mark.parametrize("count", [1, 2, 5, 6, 7, 9, 12, 24, 64, 100])
def test_sheets_are_full_and_not_extreme(count):
    height, width, _ = contact_sheet([np.zeros((8, 8))] * count).shape
    assert count <= 5 or 0.7 < width / height < 3


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: contact_sheet([]), UsageError, "no images"),
        (lambda: contact_sheet([PHOTO], labels=["a", "b"]), UsageError, "2 labels for 1 images"),
        (lambda: contact_sheet([PHOTO], columns=0), UsageError, "columns is 0"),
        (lambda: contact_sheet([PHOTO], cell=0), UsageError, "cell is 0"),
        (lambda: contact_sheet([PHOTO * 1.0]), ImageError, "float values go from 0 to 255"),
        (lambda: histogram(PHOTO, bins=0), UsageError, "bins is 0"),
        (lambda: histogram(np.full((2, 2), np.nan)), ImageError, "NaN"),
        (lambda: side_by_side([]), UsageError, "no images"),
        (lambda: show_collection([PHOTO], labels=[]), UsageError, "0 labels"),
    ],
)
def test_wrong_calls(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "image", [PHOTO, data.camera(), data.horse(), data.logo(), np.zeros((4, 4)), np.zeros((2, 2), int)]
)
@pytest.mark.parametrize("log", [False, True])
def test_histogram_counts_pixels(image, log, tmp_path):
    figure = histogram(image, log=log)
    steps = [patch.get_data().values for patch in figure.axes[0].patches]
    assert all(values.sum() == image.shape[0] * image.shape[1] for values in steps)
    figure.savefig(tmp_path / "h.png")


def test_figures(tmp_path):
    figure = side_by_side([PHOTO, data.camera()], titles=["before", "after"])
    assert [axes.get_title() for axes in figure.axes] == ["before", "after"]
    write_image(tmp_path / "img2.png", PHOTO)
    write_image(tmp_path / "img10.png", data.camera())
    figure = show_collection(ImageCollection(tmp_path))
    assert [axes.get_title() for axes in figure.axes] == ["img2.png", "img10.png"]
    figure.savefig(tmp_path / "figure.png")


def test_figures_leave_matplotlibs_global_state_alone():
    code = (
        "import sys, numpy as np\nfrom pixelry.pixels import histogram, side_by_side\n"
        "histogram(np.zeros((4, 4)))\nside_by_side([np.zeros((4, 4))])\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
