"""Denoising at prediction: how much of the answer is taken, and the noise that an image has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data as samples
from skimage import restoration
from skimage.metrics import peak_signal_noise_ratio

import pixelry as px
from pixelry.data.dataset import Split
from pixelry.errors import UsageError
from pixelry.pixels import gaussian_noise, write_image
from pixelry.pixels.noise_level import estimate_noise

FAST: dict[str, Any] = {"progress": False, "precision": "32-true", "memory_format": "channels_last"}
CLEAN = samples.camera()[60:188, 180:308]


def trained(network: str, out: Path, **settings: Any) -> px.Model:
    split = Split(torch.from_numpy(np.stack([CLEAN[:96, :96], CLEAN[32:, 32:]]))[:, None])
    data = px.Dataset("crops", {"train": split, "val": split})
    return px.train("denoise", data, network=network, steps=3, size=(48, 48), settings=settings, out=out, **FAST)


@pytest.fixture(scope="module")
def fixed(tmp_path_factory: pytest.TempPathFactory) -> px.Model:
    """A model for noise of sigma 25 alone."""
    return trained("logistic", tmp_path_factory.mktemp("fixed") / "run", window=3)


@pytest.fixture(scope="module")
def classical(tmp_path_factory: pytest.TempPathFactory) -> px.Model:
    """A method to which training told sigma 25."""
    return trained("wavelet", tmp_path_factory.mktemp("classical") / "run")


def test_strength_mixes_image_and_answer(fixed: px.Model, tmp_path: Path) -> None:
    noisy = gaussian_noise(CLEAN, sigma=25 / 255, seed=0)
    whole = px.predict(fixed, noisy).image.astype(float)
    assert np.array_equal(px.predict(fixed, noisy, strength=0.0).image, noisy)
    half = px.predict(fixed, noisy, strength=0.5).image
    np.testing.assert_allclose(half, (whole + noisy) / 2, atol=1.01)  # both are rounded to 256 levels
    assert np.array_equal(half, fixed.predict(noisy, settings={"strength": 0.5}).image)
    with pytest.raises(UsageError, match=r"strength is 1.5; expected 0 to 1"):
        px.predict(fixed, noisy, strength=1.5)
    classifier = px.train("classify", "digits", network="logistic", steps=1, out=tmp_path / "c", **FAST)
    for wrong in ({"strength": 0.5}, {"sigma": "auto"}):
        with pytest.raises(UsageError, match=r"classify has no --(strength|sigma).* denoisers"):
            px.predict(classifier, noisy, **wrong)


@pytest.mark.parametrize("sigma", [10, 25, 50])
def test_the_noise_of_an_image_is_estimated(sigma: float) -> None:
    noisy = gaussian_noise(CLEAN / 255, sigma=sigma / 255, seed=1, clip=False)
    assert estimate_noise(noisy) == pytest.approx(sigma, rel=0.2)
    assert estimate_noise(noisy) == pytest.approx(255 * restoration.estimate_sigma(noisy), rel=1e-4)
    color = np.dstack([noisy] * 3)
    assert estimate_noise(color, max_side=64) == pytest.approx(sigma, rel=0.25)
    assert np.isnan(estimate_noise(noisy[:20]))


def test_auto_restores_by_the_noise_of_each_image(classical: px.Model) -> None:
    noisy = gaussian_noise(CLEAN, sigma=8 / 255, seed=0)
    told, auto, eight = (px.predict(classical, noisy, sigma=sigma) for sigma in (None, "auto", 8))
    psnrs = [peak_signal_noise_ratio(CLEAN, result.image) for result in (told, auto, eight)]
    assert psnrs[1] > psnrs[0] + 0.5  # which takes it for 25
    assert psnrs[2] > psnrs[0] + 0.5
    assert told.sigma is None
    assert auto.sigma == pytest.approx(8, rel=0.4)
    assert "noise of sigma" in str(auto)
    assert auto.to_dict()["sigma"] == pytest.approx(auto.sigma, abs=0.01)
    for wrong in ("often", -3, 0):
        with pytest.raises(UsageError, match="expected auto, or a standard deviation"):
            px.predict(classical, noisy, sigma=wrong)


def test_a_model_for_other_noise_warns(fixed: px.Model, classical: px.Model, tmp_path: Path) -> None:
    for k, sigma in enumerate((4, 25, 80)):
        write_image(tmp_path / "in" / f"{k}.png", gaussian_noise(CLEAN // 2 + 64, sigma=sigma / 255, seed=0))
    weak, right, strong = px.predict(fixed, tmp_path / "in")
    assert "trained for noise of sigma 25, and this image has about" in weak.note
    assert "--strength" in weak.note
    assert weak.note in str(weak)
    assert right.note == ""
    assert "note" not in right.to_dict()
    assert "noise may remain" in strong.note
    assert not any(result.note for result in px.predict(fixed, tmp_path / "in", strength=0.5))
    assert not any(result.note for result in px.predict(classical, tmp_path / "in"))
