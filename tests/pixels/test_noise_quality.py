"""Noise and measures of quality, against scikit-image as the reference."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.metrics
import skimage.util
from grey import in_dtype
from skimage import data

from pixelry.pixels import as_float, gaussian_noise, noise, poisson_noise, psnr, salt_pepper_noise, ssim

PHOTO = data.astronaut()[:96, :120]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
@pytest.mark.parametrize(
    ("function", "mode", "options", "theirs"),
    [
        (gaussian_noise, "gaussian", {"sigma": 0.2}, {"var": 0.04}),
        (salt_pepper_noise, "s&p", {"amount": 0.2, "salt": 0.3}, {"amount": 0.2, "salt_vs_pepper": 0.3}),
        (poisson_noise, "poisson", {}, {}),
    ],
)
def test_noise_is_scikit_images(dtype, function, mode, options, theirs):
    image = in_dtype(dtype)
    found = function(image, seed=3, **options)
    expected = skimage.util.random_noise(image, mode=mode, rng=3, **theirs)
    assert found.dtype == image.dtype
    np.testing.assert_allclose(as_float(found), expected, atol=0.51 / 255 if dtype == "uint8" else 1e-5)
    np.testing.assert_array_equal(found, function(image, seed=np.random.default_rng(3), **options))
    assert (found != function(image, seed=4, **options)).any()


def test_noise_unclipped_and_alpha():
    image = np.full((200, 200), 0.95)
    assert gaussian_noise(image, sigma=0.1, seed=0).max() == 1
    free = gaussian_noise(image, sigma=0.1, seed=0, clip=False)
    assert free.max() > 1
    assert free.mean() == pytest.approx(0.95, abs=0.002)
    rgba = np.dstack([PHOTO, np.full(PHOTO.shape[:2], 77, np.uint8)])
    for kind in ("gaussian", "salt_pepper", "poisson"):
        noisy = noise(rgba, kind=kind, seed=0)
        assert (noisy[..., 3] == 77).all()
        assert (noisy[..., :3] != PHOTO).any()


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "float32", "float64"])
def test_quality_is_scikit_images(dtype):
    reference = in_dtype(dtype)
    image = np.flipud(reference)
    span = {"uint8": 255, "uint16": 65535, "int16": 65535}.get(dtype, 1)
    expected = skimage.metrics.peak_signal_noise_ratio(reference, image, data_range=span)
    assert psnr(image, reference=reference) == pytest.approx(expected)
    expected = skimage.metrics.structural_similarity(reference, image, data_range=span)
    assert ssim(image, reference=reference) == pytest.approx(expected)


def test_quality_in_color_and_of_equal_images():
    noisy = gaussian_noise(PHOTO, seed=0)
    expected = skimage.metrics.structural_similarity(PHOTO, noisy, channel_axis=-1, data_range=255)
    assert ssim(noisy, reference=PHOTO) == pytest.approx(expected)
    paper = skimage.metrics.structural_similarity(
        PHOTO,
        noisy,
        channel_axis=-1,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ssim(noisy, reference=PHOTO, gaussian=True) == pytest.approx(paper)
    assert psnr(PHOTO, reference=PHOTO) == np.inf
    assert ssim(PHOTO, reference=PHOTO) == 1
    signed = np.array([[-1.0, 1.0]])
    assert psnr(signed, reference=-signed) == pytest.approx(0.0)
