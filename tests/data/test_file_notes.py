"""Stacks, HEIC and bits: what files hold beyond one image of 8 bits, used or named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from pixelry.data.catalog import load_dataset
from pixelry.data.check import check_dataset
from pixelry.errors import UsageError
from pixelry.inputs import gather
from pixelry.pixels import write_image

RNG = np.random.default_rng(0)
PAGES = RNG.integers(0, 256, (3, 20, 30), dtype=np.uint8)
MASKS = (PAGES > 128).astype(np.uint8)


def stacks(root: Path, masks: np.ndarray) -> Path:
    """Write a stack of images and one of masks, beside a single image with its mask."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    tifffile.imwrite(root / "images" / "a.tif", PAGES, photometric="minisblack")
    tifffile.imwrite(root / "masks" / "a.tif", masks, photometric="minisblack")
    write_image(root / "images" / "b.png", PAGES[0])
    write_image(root / "masks" / "b.png", MASKS[0])
    return root


def test_images_and_masks_of_as_many_pages_are_one_image_a_page(here: Path) -> None:
    path = stacks(here / "data", MASKS)
    dataset = load_dataset(path)
    train = dataset["train"]
    assert len(train) == 4
    assert "1 stack with masks of as many pages: one image a page" in dataset.notes
    assert not any("several pages" in note for note in dataset.notes)
    for page in range(3):
        np.testing.assert_array_equal(train[page]["image"][0].numpy(), PAGES[page])
        np.testing.assert_array_equal(np.asarray(train[page]["mask"]).squeeze(), MASKS[page])
    assert train.name(1).endswith("a_p002.tif")
    assert load_dataset(path).fingerprint == dataset.fingerprint
    # Another stack of the same name is another content.
    tifffile.imwrite(path / "images" / "a.tif", PAGES[:, ::-1].copy(), photometric="minisblack")
    np.testing.assert_array_equal(load_dataset(path)["train"][0]["image"][0].numpy(), PAGES[0, ::-1])


def test_unread_pages_are_named(here: Path) -> None:
    dataset = load_dataset(stacks(here / "data", MASKS[:2]))
    assert len(dataset["train"]) == 2
    assert any("1 file of several pages or frames, of which the first is read" in note for note in dataset.notes)


def test_few_bits_of_sixteen_are_named(here: Path) -> None:
    for name in ("cat", "dog"):
        for number in range(3):
            image = RNG.integers(0, 4096, (20, 20), dtype=np.uint16)
            write_image(here / "data" / name / f"{number}.png", image)
    dataset = load_dataset(here / "data")
    assert any("use 12 of them: 16 of 256 grey levels" in note for note in dataset.notes)
    findings = check_dataset(dataset, label_noise=False).findings
    assert [finding.severity for finding in findings if finding.kind == "few-levels"] == ["warning"]
    full = RNG.integers(0, 65536, (20, 20), dtype=np.uint16)
    write_image(here / "data" / "cat" / "0.png", full, overwrite=True)
    assert not any("grey levels" in note for note in load_dataset(here / "data").notes)


def test_heic_files_are_counted_where_the_extra_is_missing(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pixelry.pixels.heif.has_heif", lambda: False)
    for name in ("cat", "dog"):
        write_image(here / "data" / name / "0.png", PAGES[0])
    (here / "data" / "cat" / "1.HEIC").write_bytes(b"not read")
    dataset = load_dataset(here / "data")
    assert len(dataset["train"]) == 2
    assert any(note.startswith("1 HEIC or HEIF file left out") for note in dataset.notes)
    (here / "phone").mkdir()
    (here / "phone" / "1.heic").write_bytes(b"not read")
    with pytest.raises(UsageError, match=r"no image files in .*1 HEIC or HEIF file left out.*pixelry\[heif\]"):
        list(gather(here / "phone")[0])
