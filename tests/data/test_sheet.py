"""The sheet of a data set: rows, cells, choice."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pixelry.api_data import show_data
from pixelry.data.builtin import digits
from pixelry.data.dataset import Dataset, FileImages, Split
from pixelry.data.shapes import CLASSES, render_shapes
from pixelry.data.sheet import dataset_sheet
from pixelry.draw import COLORS as PENS
from pixelry.errors import DataError, ImageError, UsageError

COLORS = torch.tensor([[200, 30, 30], [30, 160, 60], [40, 60, 200]], dtype=torch.uint8)
NAMES = ("red", "green", "blue")


def flat(labels: list[int], side: int = 8) -> Dataset:
    """Images of one colour each, which is their class."""
    index = torch.tensor(labels, dtype=torch.int64)
    images = COLORS[index % 3][:, :, None, None].expand(-1, 3, side, side).contiguous()
    return Dataset("colors", {"train": Split(images, {"label": index})}, NAMES)


def pixels_of(sheet: np.ndarray, color: torch.Tensor) -> np.ndarray:
    return (sheet == color.numpy()).all(-1)


def test_a_noisy_picture_has_the_clean_one_beside_it() -> None:
    """One of a pair may be grey and the other in colour."""
    red = COLORS[0][:, None, None].expand(3, 8, 8)
    grey = torch.full((1, 8, 8), 77, dtype=torch.uint8)
    pair = Dataset("pairs", {"train": Split(grey[None], {"clean": red[None]})})
    sheet = dataset_sheet(pair)
    rows, columns = pixels_of(sheet, COLORS[0]).nonzero()
    beside = pixels_of(sheet, torch.tensor([77, 77, 77])).nonzero()
    assert len(rows) == len(beside[0]) > 0
    assert beside[1].max() < columns.min()
    smaller = Dataset("pairs", {"train": Split(grey[None], {"clean": red[None, :, :-1]})})
    with pytest.raises(DataError, match="#0 has 8x8 pixels, its clean picture 7x8"):
        dataset_sheet(smaller)


def test_a_row_for_each_class():
    sheet = dataset_sheet(flat([0] * 5 + [1] * 3 + [2] * 9), per_class=4)
    assert sheet.dtype == np.uint8
    assert sheet.shape[2] == 3
    rows = [pixels_of(sheet, color).nonzero()[0] for color in COLORS]
    assert rows[0].max() < rows[1].min()
    assert rows[1].max() < rows[2].min()
    # Cells of 64 pixels: whole multiples of the 8 x 8 images.
    assert [pixels_of(sheet, color).sum() / 64**2 for color in COLORS] == [4, 3, 4]


def test_small_images_keep_their_pixels():
    image = torch.randint(0, 256, (1, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    sheet = dataset_sheet(Dataset("one", {"train": Split(image)}), per_class=1)
    large = image[0].permute(1, 2, 0).repeat_interleave(8, 0).repeat_interleave(8, 1).numpy()
    assert np.array_equal(sheet[8:72, 8:72], large)


def test_the_choice_follows_the_seed():
    data = digits()
    first, again, other = (dataset_sheet(data, per_class=3, seed=seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, dataset_sheet(data, split="test", per_class=3, seed=1))


def test_a_class_without_images_has_an_empty_row():
    full, gap = flat([0, 1, 2] * 4), flat([0, 2] * 6)
    assert dataset_sheet(full, per_class=3).shape[0] == dataset_sheet(gap, per_class=3).shape[0]
    assert not pixels_of(dataset_sheet(gap, per_class=3), COLORS[1]).any()


def test_many_classes_are_sampled():
    labels = torch.arange(50)
    images = torch.arange(50, dtype=torch.uint8)[:, None, None, None].expand(50, 1, 8, 8).contiguous()
    names = tuple(f"a class with the long name {k}" for k in range(50))
    sheet = dataset_sheet(Dataset("many", {"train": Split(images, {"label": labels})}, names), per_class=1)
    assert sheet.shape[0] == 20 * (64 + 16)


def test_sizes_of_all_kinds():
    encoded = [np.full(shape, 90, np.uint8) for shape in ((300, 100), (20, 500, 3), (1, 1))]
    from pixelry.pixels import encode_image

    images = FileImages([encode_image(image, format="PNG") for image in encoded])
    sheet = dataset_sheet(Dataset("sizes", {"train": Split(images)}), per_class=3)
    assert sheet.shape == (112 + 16, 3 * 120 + 8, 3)


def boxed(boxes: list[list[list[float]]], labels: list[list[int]], names: tuple[str, ...] = NAMES) -> Dataset:
    """White pictures of 96 x 64 with boxes."""
    targets = {
        "boxes": [torch.tensor(mine, dtype=torch.float32).reshape(-1, 4) for mine in boxes],
        "labels": [torch.tensor(mine, dtype=torch.int64) for mine in labels],
        "crowd": [torch.zeros(len(mine), dtype=torch.bool) for mine in labels],
    }
    images = torch.full((len(boxes), 3, 64, 96), 255, dtype=torch.uint8)
    return Dataset("boxed", {"train": Split(images, targets)}, names)


def pen(label: int) -> torch.Tensor:
    color = PENS[label].removeprefix("#")
    return torch.tensor([int(color[i : i + 2], 16) for i in (0, 2, 4)], dtype=torch.uint8)


def test_boxes_are_drawn_where_they_are():
    sheet = dataset_sheet(boxed([[[30, 20, 66, 50]]], [[0]], ("thing",)), per_class=1)
    # A cell of 192 pixels, in which the picture is twice as large; the margin has the name.
    assert sheet.shape[0] == 128 + 16
    left = sheet.shape[1] - 192 - 8
    rows, columns = pixels_of(sheet, pen(0)).nonzero()
    edge = columns[rows == rows.max()]
    assert (edge.min() - left, edge.max() - left, rows.max() - 8) == (60, 131, 99)


def test_a_row_has_pictures_that_contain_the_class():
    box = [30.0, 30, 66, 50]
    sheet = dataset_sheet(
        boxed([[box], [box, [5, 5, 20, 20]], [[40, 5, 60, 20]], []], [[0], [0, 2], [2], []]), per_class=4
    )
    row = sheet.shape[0] // 3
    drawn = [[pixels_of(part, pen(label)).any() for label in range(3)] for part in np.split(sheet[: 3 * row], 3)]
    # Red with what else is in its pictures; no green anywhere; blue with what else is in its own.
    assert drawn == [[True, False, True], [False, False, False], [True, False, True]]


def test_faulty_boxes_can_be_looked_at():
    faults = [[float("nan"), 0, 9, 9], [50, 50, 20, 20], [-50, -9, 1e12, 200], [5, 5, 9, 9]]
    for names in (NAMES, ()):
        sheet = dataset_sheet(boxed([faults, []], [[0, 1, 2, 7], []], names), per_class=2)
        assert sheet.shape[2] == 3
    # No class has a picture: a row for each all the same.
    assert dataset_sheet(boxed([[], []], [[], []]), per_class=2).shape[0] == 3 * (64 + 16)


def test_counts_of_boxes(tmp_path):
    data = boxed([[[1, 1, 9, 9], [5, 5, 20, 20]], [[1, 1, 9, 9]], []], [[0, 2], [0], []])
    facts = show_data(data, out=tmp_path / "sheet.png")
    assert facts["splits"] == {"train": {"images": 3, "boxes": 3, "per_class": {"red": 2, "green": 0, "blue": 1}}}
    assert (tmp_path / "sheet.png").is_file()


def test_scenes_have_a_row_for_each_class():
    data = Dataset("scenes", {"train": render_shapes(30)}, CLASSES)
    assert dataset_sheet(data, per_class=3).shape[0] == 6 * (192 + 16)


def test_errors():
    with pytest.raises(UsageError, match="split of colors 'tset'"):
        dataset_sheet(flat([0, 1]), split="tset")
    with pytest.raises(UsageError, match="per_class is 0"):
        dataset_sheet(flat([0, 1]), per_class=0)
    empty = Dataset("empty", {"train": Split(torch.empty(0, 1, 8, 8, dtype=torch.uint8))})
    with pytest.raises(UsageError, match="no images"):
        dataset_sheet(empty)
    with pytest.raises(ImageError, match=r"bad\.png"):
        dataset_sheet(Dataset("bad", {"train": Split(FileImages([b"no image"], ["bad.png"]))}))
