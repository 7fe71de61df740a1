"""From splits to batches: order, shares of processes, fitting, streaming."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pixelry import Dataset, load_dataset
from pixelry.data.dataset import FileImages, Split
from pixelry.data.loading import SeededBatches, fit_image, make_loader, native_size, prepare
from pixelry.errors import DataError, UsageError
from pixelry.pixels import write_image


def test_each_epoch_has_another_order_and_every_image_once() -> None:
    batches = SeededBatches(12, 4, seed=1)
    epochs = [[i for batch in batches for i in batch] for _ in range(3)]
    assert all(sorted(epoch) == list(range(12)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]


@pytest.mark.parametrize("start", [0, 1, 2, 3, 7])
def test_a_run_that_starts_later_sees_what_the_first_would_have(start: int) -> None:
    whole = SeededBatches(10, 3, seed=5)
    steps = [batch for _ in range(4) for batch in whole]
    late = SeededBatches(10, 3, seed=5, start=start)
    rest = [batch for _ in range(4) for batch in late]
    assert rest[: len(steps) - start] == steps[start:]


def test_processes_share_each_batch() -> None:
    one = list(SeededBatches(16, 8, seed=2))
    two = [list(SeededBatches(16, 8, seed=2, rank=rank, world=2)) for rank in (0, 1)]
    for batch, *parts in zip(one, *two, strict=True):
        assert sorted(parts[0] + parts[1]) == sorted(batch)
        assert len(parts[0]) == len(parts[1])


def test_evaluation_keeps_order_and_the_last_batch() -> None:
    assert list(SeededBatches(5, 2)) == [[0, 1], [2, 3], [4]]


def test_fewer_images_than_a_batch_are_one_batch() -> None:
    assert [len(batch) for batch in SeededBatches(5, 64, seed=0)] == [5]


@pytest.mark.parametrize("shape", [(20, 20), (10, 40), (40, 10), (1, 1), (7, 200)])
def test_any_picture_fits_any_size(shape: tuple[int, int]) -> None:
    image = torch.randint(0, 256, (3, *shape), dtype=torch.uint8)
    fitted = fit_image(image, size=(16, 12))
    assert fitted.shape == (3, 16, 12)
    assert fitted.dtype == torch.uint8


def test_a_picture_of_the_size_is_untouched() -> None:
    image = torch.randint(0, 256, (1, 8, 8), dtype=torch.uint8)
    assert torch.equal(fit_image(image, size=(8, 8)), image)


@pytest.fixture
def photos(tmp_path: Path) -> Dataset:
    """Photographs of several sizes in two class folders, grey and colour mixed."""
    random = np.random.default_rng(0)
    for number in range(8):
        folder = tmp_path / ("dark" if number % 2 else "light")
        folder.mkdir(exist_ok=True)
        shape = (20 + number, 30, 3) if number % 4 else (25, 25)
        write_image(folder / f"{number}.png", random.integers(0, 60 if number % 2 else 255, shape, dtype=np.uint8))
    return load_dataset(tmp_path)


def test_streamed_batches_equal_those_from_memory(photos: Dataset) -> None:
    split = photos["train"]
    memory = prepare(split, size=(16, 16), channels=3)
    stream = prepare(split, size=(16, 16), channels=3, memory=0)
    assert isinstance(memory.images, torch.Tensor)
    assert not isinstance(stream.images, torch.Tensor)
    for one, other in zip(
        make_loader(memory, SeededBatches(8, 4, seed=3)),
        make_loader(stream, SeededBatches(8, 4, seed=3), workers=0),
        strict=True,
    ):
        for key in ("image", "label", "index"):
            assert torch.equal(one[key], other[key]), key


def test_worker_processes_stream_too(photos: Dataset) -> None:
    stream = prepare(photos["train"], size=(16, 16), channels=1, memory=0)
    batches = list(make_loader(stream, SeededBatches(8, 4), workers=1))
    assert [batch["image"].shape for batch in batches] == [(4, 1, 16, 16)] * 2


def test_sizes_and_channels_are_found_in_headers(photos: Dataset, squares: Dataset) -> None:
    assert native_size(photos["train"]) is None
    assert photos.channels == 3
    assert native_size(squares["train"]) == (16, 16)


def test_an_unreadable_image_is_named_and_the_check_is_pointed_to(photos: Dataset) -> None:
    images = photos["train"].images
    assert isinstance(images, FileImages)
    path = images.sources[3]
    assert isinstance(path, Path)
    path.write_bytes(b"")
    with pytest.raises(DataError, match=rf"{path.name} is empty .*pixelry data check"):
        prepare(photos["train"], size=(16, 16), channels=3)


def test_validation_split_is_stratified_seeded_and_said(digits: Dataset) -> None:
    first, again, other = (digits.with_val(0.2, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(first["val"].images, again["val"].images)
    assert not torch.equal(first["val"].images, other["val"].images)
    share = first["val"].labels.bincount() / digits["train"].labels.bincount()
    assert ((share > 0.17) & (share < 0.23)).all()
    assert len(first["val"]) + len(first["train"]) == len(digits["train"])
    assert "images set aside" in first.notes[0]


def test_too_few_images_for_a_validation_split() -> None:
    split = Split(torch.zeros(3, 1, 4, 4, dtype=torch.uint8), {"label": torch.tensor([0, 1, 0])})
    with pytest.raises(DataError, match="3 training images: too few"):
        Dataset("tiny", {"train": split}, ("a", "b")).with_val(0.1)


def test_unknown_split_is_corrected(digits: Dataset) -> None:
    with pytest.raises(UsageError, match="did you mean 'train'"):
        digits["trian"]


def test_samples_are_tv_tensors(digits: Dataset) -> None:
    from torchvision import tv_tensors

    sample = digits["train"][0]
    assert isinstance(sample["image"], tv_tensors.Image)
    assert sample["label"] == int(digits["train"].labels[0])
