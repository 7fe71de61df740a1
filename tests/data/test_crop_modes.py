"""How images of another aspect come to the size of a classifier."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

import pixelry as px
from pixelry.data.crop_modes import FITS, crop_mode_for, uncropped


def quarters() -> torch.Tensor:
    """Return an image (3, 16, 64) whose left and right quarters are white."""
    image = torch.zeros(3, 16, 64, dtype=torch.uint8)
    image[..., :16] = image[..., 48:] = 255
    return image


def test_center_loses_the_ends_and_the_others_keep_them() -> None:
    image, size = quarters(), (16, 16)
    assert not FITS["center"](image, size=size).any()
    squashed = FITS["squash"](image, size=size)
    assert squashed.shape == (3, 16, 16)
    assert (squashed > 127).float().mean() == pytest.approx(0.5)
    bordered = FITS["border"](image, size=size)
    assert bordered.shape == (3, 16, 16)
    assert (bordered[:, :6] == 114).all()
    assert (bordered[:, 6:10] == FITS["squash"](image, size=(4, 16))).all()
    for fit in FITS.values():
        assert fit(image[..., :16], size=size) is not None
        assert torch.equal(fit(image[..., :16], size=size), image[..., :16])


def folder(home: Path, sizes: list[tuple[int, int]]) -> Path:
    rng = np.random.default_rng(0)
    for number, size in enumerate(sizes):
        for name, value in (("dark", 60), ("light", 200)):
            noise = rng.integers(0, 50, (*size, 3))
            px.write_image(home / name / f"{number}.png", (noise + value).astype(np.uint8))
    return home


def test_long_images_are_squashed_and_prediction_follows(here: Path) -> None:
    data = px.load_dataset(folder(here / "long", [(16, 64), (64, 16), (20, 30), (30, 30)] * 4))
    assert crop_mode_for(data["train"]) == "squash"
    model = px.train("classify", data, network="cnn", size=(16, 16), steps=3, out=here / "run", progress=False)
    assert model.card.task_options["crop_mode"] == "squash"
    loaded = px.load_model(here / "run")
    image = np.moveaxis(quarters().numpy(), 0, -1)
    seen = loaded.task.to_input(image, size=(16, 16), channels=3)
    assert torch.equal(seen, FITS["squash"](quarters(), size=(16, 16)))
    result = loaded.predict([image], explain=True)[0]
    assert result.evidence.shape[1] == 4 * result.evidence.shape[0]


def test_ordinary_photographs_are_cropped(here: Path) -> None:
    data = px.load_dataset(folder(here / "photos", [(45, 60), (60, 48), (50, 60)] * 3))
    assert crop_mode_for(data["train"]) == "center"
    settings = {"crop_mode": "border"}
    model = px.train("classify", data, network="cnn", size=(16, 16), steps=1, settings=settings, progress=False)
    assert model.card.task_options["crop_mode"] == "border"
    with pytest.raises(px.UsageError, match="crop_mode"):
        px.train("classify", data, network="cnn", steps=1, settings={"crop_mode": "middle"}, progress=False)


def test_a_map_over_the_input_becomes_one_over_the_image() -> None:
    values = torch.arange(64.0).view(8, 8)
    assert torch.equal(uncropped(values, (20, 40), "center"), values)
    assert uncropped(values, (20, 40), "squash").shape == (4, 8)
    assert torch.equal(uncropped(values, (20, 40), "border"), values[2:6])
