"""Denoising: noise by its formulas, the network against NumPy, figures against scikit-image, pictures of any kind."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from skimage import data as samples
from skimage import restoration
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.utilities import dim_zero_cat

import pixelry as px
from pixelry import api_compare
from pixelry.blending import tile_starts
from pixelry.data.dataset import FileImages, Split
from pixelry.data.loading import SeededBatches, make_loader
from pixelry.data.patches import cut_patches, image_sizes
from pixelry.errors import DataError, ImageError, UsageError
from pixelry.networks.denoise import _classical, dncnn, logistic, unet
from pixelry.pixels import gaussian_noise, read_image, write_image
from pixelry.tasks.denoise import Likelihood, Regression
from pixelry.tasks.denoise.camera import camera_noise
from pixelry.training.evaluate import evaluate_network
from pixelry.types import Restored

FAST: dict[str, Any] = {"progress": False, "precision": "32-true", "memory_format": "channels_last"}


@pytest.fixture(scope="module")
def photos() -> px.Dataset:
    """Grey crops of photographs, of two sizes."""
    camera, coins = samples.camera(), samples.coins()
    crops = [camera[100:196, 200:280], camera[200:296, 100:180], coins[:96, :80], coins[100:196, 100:180]]
    images = torch.stack([torch.from_numpy(crop.copy())[None] for crop in crops])
    held = torch.from_numpy(camera[60:124, 180:270].copy())[None, None]
    return px.Dataset("crops", {"train": Split(images), "val": Split(held), "test": Split(held)})


@pytest.fixture(scope="module")
def model(photos: px.Dataset, tmp_path_factory: pytest.TempPathFactory) -> px.Model:
    out = tmp_path_factory.mktemp("denoise") / "run"
    settings = {"features": "buckets", "window": 5}
    return px.train("denoise", photos, network="logistic", steps=60, size=(32, 32), settings=settings, out=out, **FAST)


# Noise


def observed(task: Likelihood, images: torch.Tensor, *, training: bool = False) -> torch.Tensor:
    batch = {"image": images, "index": torch.arange(len(images))}
    noisy: torch.Tensor = task.observe(batch, training=training)["image"]
    return noisy


def test_gaussian_noise_has_its_sigma_and_is_not_clipped() -> None:
    noisy = observed(Likelihood(sigma=25), torch.zeros(4, 1, 64, 64))
    assert float(noisy.std()) * 255 == pytest.approx(25, rel=0.03)
    assert noisy.min() < 0


def test_a_range_of_sigma_draws_one_for_each_picture() -> None:
    noisy = observed(Likelihood(sigma=50, sigma_min=5), torch.full((40, 1, 64, 64), 0.5))
    sigmas = noisy.flatten(1).std(1) * 255
    assert 4 < sigmas.min() < 15
    assert 40 < sigmas.max() < 52


def test_salt_and_pepper_replace_their_share_in_all_channels_alike() -> None:
    noisy = observed(Likelihood(noise="salt_pepper", amount=0.2), torch.full((2, 3, 100, 100), 0.5))
    assert float((noisy == 1).double().mean()) == pytest.approx(0.1, abs=0.01)
    assert float((noisy == 0).double().mean()) == pytest.approx(0.1, abs=0.01)
    assert torch.equal(noisy[:, 0], noisy[:, 2])


def test_poisson_noise_has_mean_and_variance_of_its_counts() -> None:
    noisy = observed(Likelihood(noise="poisson", peak=50), torch.full((2, 1, 128, 128), 0.4))
    assert float(noisy.mean()) == pytest.approx(0.4, abs=0.003)
    assert float((noisy * 50).var()) == pytest.approx(20, rel=0.05)


def test_camera_noise_depends_on_brightness_and_is_shared_by_neighbours() -> None:
    grey = torch.full((8, 3, 64, 64), 0.5)
    noisy = camera_noise(grey, sigma=8, generator=torch.Generator().manual_seed(1))
    assert (noisy - grey).std() * 255 == pytest.approx(8, rel=0.5)
    assert 0 <= noisy.min() <= noisy.max() <= 1
    left, right = (part - part.mean((-2, -1), keepdim=True) for part in (noisy[..., :-1], noisy[..., 1:]))
    assert float((left * right).mean() / (left * left).mean()) > 0.2
    white = torch.full((8, 3, 64, 64), 0.9)
    brighter = camera_noise(white, sigma=8, generator=torch.Generator().manual_seed(1))
    assert (brighter - white).std() < (noisy - grey).std()  # the tone curve is flat in the lights


def test_camera_noise_has_a_range_of_levels_unless_one_is_set(photos: px.Dataset) -> None:
    task = Regression.from_dataset(photos, noise="camera")
    assert (task.sigma_min, task.sigma, task.loss) == (0.5, 25.0, "psnr")
    assert Regression.from_dataset(photos, noise="camera", sigma=10.0).sigma_min == 0
    fixed = task.with_settings({"noise": "camera", "sigma": 10.0})
    assert "at mid-grey of sigma 10 (of 255)" in fixed.describe()
    assert "Gaussian noise of sigma 10" in task.with_settings({"sigma": 10.0}).describe()
    batch = {"image": torch.rand(2, 1, 16, 16), "index": torch.arange(2)}
    first, again = (fixed.observe(batch, training=False)["image"] for _ in range(2))
    assert torch.equal(first, again)


def test_the_noise_of_an_evaluation_follows_from_the_pictures_number_alone() -> None:
    images = torch.rand(3, 1, 8, 8)
    together = observed(Likelihood(), images)
    alone = Likelihood().observe({"image": images[2:], "index": torch.tensor([2])}, training=False)["image"]
    assert torch.equal(together[2:], alone)
    torch.manual_seed(0)
    assert not torch.equal(observed(Likelihood(), images, training=True), observed(Likelihood(), images, training=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sigma": -1.0}, "sigma is -1"),
        ({"sigma": float("nan")}, "sigma is nan"),
        ({"sigma_min": 30.0}, "sigma_min is 30"),
        ({"amount": 1.5}, "amount is 1.5"),
        ({"peak": 0.0}, "peak is 0"),
    ],
)
def test_noise_out_of_range_is_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Likelihood(**options)


# The network


def by_hand(network: logistic.Logistic, image: np.ndarray) -> np.ndarray:
    """The logits of a grey image (H, W) as the file's docstring states them, with loops and NumPy."""
    side = network.least_side
    radius = side // 2
    offsets = np.arange(-radius, radius + 1)
    weights = np.exp(-(offsets**2) / (2 * (side / 4) ** 2))
    gaussian = np.outer(weights, weights) / weights.sum() ** 2
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(image, radius, mode="reflect"), (side, side))
    mean = (windows * gaussian).sum((2, 3))
    deviations = windows - mean[..., None, None]
    rotated = np.einsum("hwij,dij->hwd", deviations, network.window.weight[:, 0].double().numpy())
    features = rotated
    if network.with_gain:
        noise = float(logistic.noise_level(torch.from_numpy(image)[None, None])[0, 0, 0, 0])
        gain = np.maximum(0, 1 - noise**2 / (deviations**2).mean((2, 3)))
        features = np.concatenate([rotated, gain[..., None] * rotated], -1)
    head = network.head.weight[0, :, 0, 0].detach().double().numpy()
    change = features @ head + float(network.head.bias[0].detach())
    mean = np.clip(mean, 0.02, 0.98)
    return np.log(mean / (1 - mean)) + change / (mean * (1 - mean))


@pytest.mark.parametrize("features", ["pixels", "gain"])
def test_the_regression_is_what_its_formula_says(features: logistic.Features) -> None:
    torch.manual_seed(0)
    network = logistic.build(channels=1, size=(16, 16), window=5, features=features)
    network.fit(torch.rand(3, 1, 24, 24))
    torch.nn.init.normal_(network.head.weight, std=0.01)
    image = np.random.default_rng(0).uniform(0.1, 0.9, (17, 21))
    with torch.no_grad():
        network = network.double().eval()
        logits = network(torch.from_numpy(image)[None, None])[0, 0].numpy()
    np.testing.assert_allclose(logits, by_hand(network, image), rtol=0, atol=1e-4)


def test_the_windows_coordinates_are_uncorrelated_and_of_like_variance() -> None:
    images = torch.rand(4, 3, 40, 40) + torch.rand(4, 1, 40, 40)
    window = logistic.Window(3, 3)
    window.fit(images)
    mean = window.mean(images)
    coordinates = window(logistic.pad(images, 1), mean).movedim(1, 0).flatten(1)
    covariance = coordinates @ coordinates.T / coordinates.shape[1]
    # The Gaussian mean of the deviations is 0 in each channel: three directions are none.
    wanted = torch.diag(torch.tensor([0.0] * 3 + [1.0] * 24))
    torch.testing.assert_close(covariance, wanted, atol=2e-3, rtol=0)


def test_flat_colour_has_no_gain_and_texture_has() -> None:
    torch.manual_seed(0)
    noisy = 0.5 + 0.1 * torch.randn(1, 3, 64, 64)
    mean = logistic.blur(noisy, 4, 2.25)
    assert float(logistic.wiener_gain(noisy, mean, 9).mean()) < 0.1
    texture = noisy + 0.3 * (torch.arange(64) // 3 % 2)
    assert float(logistic.wiener_gain(texture, logistic.blur(texture, 4, 2.25), 9).mean()) > 0.4


def test_black_and_white_stay_so_after_training_on_mid_greys() -> None:
    grey = (38 + samples.camera()[100:356, 100:356] / 255 * 178).astype(np.uint8)
    data = px.Dataset("grey", {"train": Split(torch.from_numpy(grey)[None, None])})
    model = px.train("denoise", data, network="logistic", steps=60, size=(64, 64), val_fraction=0, **FAST)
    for value in (0, 255):
        restored = model.predict(np.full((40, 40), value, dtype=np.uint8)).image  # type: ignore[union-attr]
        assert np.abs(restored.astype(int) - value).max() < 8


def test_the_noise_level_is_estimated() -> None:
    clean = samples.camera()[:256, :256] / 255
    for sigma in (0.05, 0.1, 0.2):
        noisy = torch.from_numpy(gaussian_noise(clean, sigma=sigma, seed=0, clip=False))[None, None]
        assert float(logistic.noise_level(noisy)) == pytest.approx(sigma, rel=0.1)


def test_buckets_know_directions() -> None:
    buckets = logistic.Buckets()
    ramp = torch.linspace(0, 1, 32).expand(32, 32)[None, None]
    across, along = (logistic.gradients(picture, torch.full((1, 1, 1, 1), 0.1))[0] for picture in (ramp, ramp.mT))
    assert across[0, 0, 16, 16].abs() < 0.01
    assert along[0, 0, 16, 16].abs() == pytest.approx(torch.pi / 2, abs=0.01)
    assert int(buckets(torch.rand(1, 1, 40, 40), torch.full((1, 1, 1, 1), 0.1)).max()) < 96


def test_strips_make_no_difference(monkeypatch: pytest.MonkeyPatch, model: px.Model) -> None:
    image = torch.rand(2, 1, 37, 29)
    with torch.inference_mode():
        whole = model.network(image)
        monkeypatch.setattr(logistic, "STRIP_PIXELS", 29 * 5)
        torch.testing.assert_close(model.network(image), whole)


@pytest.mark.parametrize("window", [2, 4, 33, -1])
def test_a_window_that_is_none_is_named(window: int) -> None:
    with pytest.raises(UsageError, match=f"window is {window}"):
        logistic.build(channels=1, size=(32, 32), window=window)


# Loss, figures, data


def test_the_loss_is_the_cross_entropy_above_its_least() -> None:
    target = torch.tensor([0.0, 0.25, 0.5, 1.0]).view(1, 1, 2, 2)

    class Says(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x

    batch = {"image": torch.tensor([-2.0, 0.3, 1.0, 4.0]).view(1, 1, 2, 2), "target": target}
    p = 1 / (1 + np.exp(-batch["image"].numpy()))
    c = target.numpy()
    divergence = np.where(c > 0, c * np.log(np.where(c > 0, c, 1) / p), 0)
    divergence += np.where(c < 1, (1 - c) * np.log(np.where(c < 1, 1 - c, 1) / (1 - p)), 0)
    assert float(Likelihood().losses(Says(), batch)["loss"]) == pytest.approx(divergence.mean(), rel=1e-5)


def test_figures_equal_scikit_images() -> None:
    generator = torch.Generator().manual_seed(0)
    clean = torch.rand(5, 3, 20, 24, generator=generator)
    batch = Likelihood().observe({"image": clean, "index": torch.arange(5)}, training=False)
    logits = torch.logit(clean.clamp(0.05, 0.95)) + 0.2 * torch.randn(clean.shape, generator=generator)
    evaluator = Likelihood().evaluator()
    for part in ([4, 1], [0, 2, 3]):
        evaluator.update(logits[part].sigmoid(), {name: value[part] for name, value in batch.items()})
    figures = evaluator.compute()
    pairs = [
        (a.movedim(0, -1).double().numpy(), b.movedim(0, -1).double().numpy())
        for a, b in zip(clean, logits.sigmoid(), strict=True)
    ]
    psnrs = [peak_signal_noise_ratio(a, b, data_range=1) for a, b in pairs]
    ssims = [structural_similarity(a, b, data_range=1, channel_axis=-1) for a, b in pairs]
    assert figures["psnr"] == pytest.approx(np.mean(psnrs))
    assert figures["ssim"] == pytest.approx(np.mean(ssims), rel=1e-6)
    assert figures["psnr_noisy"] == pytest.approx(20.3, abs=0.5)
    table = evaluator.findings(Split((clean * 255).byte())).tables[0]
    assert [float(row[2]) for row in table.rows] == sorted(float(f"{value:.2f}") for value in psnrs)


def test_binary_pictures_are_classified_pixel_by_pixel() -> None:
    page = (samples.page() > 140).astype(np.uint8) * 255
    images = torch.stack(
        [torch.from_numpy(page[y : y + 48, x : x + 48].copy())[None] for y in (0, 64) for x in (0, 96)]
    )
    data = px.Dataset("page", {"train": Split(images), "val": Split(images[:1])})
    settings = {"noise": "salt_pepper", "amount": 0.3, "window": 5}
    model = px.train("denoise", data, network="logistic", steps=150, settings=settings, **FAST)
    figures = model.evaluate(data, split="val").metrics
    noisy = Likelihood(noise="salt_pepper", amount=0.3).observe(
        {"image": images[:1] / 255, "index": torch.tensor([0])}, training=False
    )["image"]
    before = float(((noisy > 0.5) == (images[:1] > 127)).double().mean())
    assert figures["pixel_accuracy"] > before + 0.05


def test_patches_cover_every_picture(tmp_path: Path) -> None:
    pictures = [
        np.random.default_rng(k).integers(0, 256, shape, dtype=np.uint8) for k, shape in enumerate([(20, 31), (16, 16)])
    ]
    for k, picture in enumerate(pictures):
        write_image(tmp_path / f"{k}.png", picture)
    split = Split(FileImages([tmp_path / "0.png", tmp_path / "1.png"]))
    assert image_sizes(split) == [(20, 31), (16, 16)]
    patches = cut_patches(split, size=(16, 16), channels=1)
    assert len(patches) == 2 * 2 + 1
    few = cut_patches(split, size=(16, 16), channels=1, memory=3 * 256)
    assert len(few) == 3
    all_of_them = [patches.images[k].numpy().tobytes() for k in range(5)]
    assert {few.images[k].numpy().tobytes() for k in range(3)} <= set(all_of_them)
    assert np.array_equal(patches.images[3][0].numpy(), pictures[0][4:, 15:])
    with pytest.raises(DataError, match=r"1.png has 16x16 pixels, less than a patch of 17x17"):
        cut_patches(split, size=(17, 17), channels=1)


def test_patches_of_larger_pictures_lie_elsewhere_each_time() -> None:
    # Each pixel is its own place, so that the first of a patch tells where it was cut.
    height, width, side = 17, 15, 8
    image = torch.arange(height * width, dtype=torch.uint8).view(1, 1, height, width)
    split = cut_patches(Split(image), size=(side, side), channels=1)
    assert split.images[0].shape == (1, side, side)

    def places(seed: int, epochs: int) -> list[tuple[int, int]]:
        batches = SeededBatches(len(split), len(split), seed=seed)
        loader = make_loader(split, batches)
        found = []
        for _ in range(epochs):
            for batch in loader:
                for patch in batch["image"]:
                    top, left = divmod(int(patch[0, 0, 0]), width)
                    assert torch.equal(patch[0], image[0, 0, top : top + side, left : left + side])
                    found.append((top, left))
        return found

    everywhere = {(y, x) for y in range(height - side + 1) for x in range(width - side + 1)}
    assert set(places(0, 800)) == everywhere
    assert places(1, 3) == places(1, 3) != places(2, 3)
    # A run that is taken up again sees what it would have seen.
    later = SeededBatches(len(split), len(split), seed=1, start=2)
    (again,) = make_loader(split, later)
    assert [divmod(int(patch[0, 0, 0]), width) for patch in again["image"]] == places(1, 3)[2 * len(split) :]
    # More than memory holds stays in its places.
    assert isinstance(cut_patches(Split(image), size=(side, side), channels=1, memory=400).images, torch.Tensor)


def test_spread_covers() -> None:
    for length in range(8, 40):
        starts = tile_starts(length, 8, overlap=0)
        covered = {place for start in starts for place in range(start, start + 8)}
        assert covered == set(range(length))


def test_equal_pictures_have_a_finite_psnr() -> None:
    clean = torch.zeros(2, 1, 8, 8)
    evaluator = Likelihood(sigma=0).evaluator()
    evaluator.update(
        torch.full((2, 1, 8, 8), -1e-9),
        Likelihood(sigma=0).observe({"image": clean, "index": torch.arange(2)}, training=False),
    )
    assert evaluator.compute()["psnr"] == 100


def test_what_is_grey_gets_the_same_noise_in_all_channels() -> None:
    images = torch.rand(3, 3, 8, 8)
    images[1] = images[1, :1]
    noisy = observed(Likelihood(), images)
    assert torch.equal(noisy[1, 0], noisy[1, 2])
    assert not torch.equal(noisy[0, 0] - images[0, 0], noisy[0, 2] - images[0, 2])


# From end to end


def test_it_learns(model: px.Model, photos: px.Dataset) -> None:
    figures = model.evaluate(photos, split="test").metrics
    assert figures["psnr"] > figures["psnr_noisy"] + 5
    assert figures["ssim"] > figures["ssim_noisy"] + 0.2


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64", "bool"])
@pytest.mark.parametrize("shape", [(20, 30), (20, 30, 1), (20, 30, 3), (20, 30, 4)])
def test_the_result_is_of_the_pictures_kind(model: px.Model, dtype: str, shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).random(shape)
    image: np.ndarray = {
        "bool": lambda: values > 0.5,
        "float32": lambda: values.astype(np.float32),
        "float64": lambda: values,
    }.get(dtype, lambda: (values * np.iinfo(dtype).max).astype(dtype))()
    restored = model.predict(image)
    assert isinstance(restored, Restored)
    assert restored.image.shape == shape
    assert restored.image.dtype == image.dtype
    if shape[-1] == 4:
        assert np.array_equal(restored.image[..., 3], image[..., 3])
    assert np.asarray(restored).shape == shape
    assert restored.draw().dtype == np.uint8


def test_a_network_for_grey_restores_colours_one_by_one(model: px.Model) -> None:
    image = np.random.default_rng(0).integers(0, 256, (20, 20, 3), dtype=np.uint8)
    together = model.predict(image).image  # type: ignore[union-attr]
    alone = [model.predict(np.ascontiguousarray(image[..., k])).image for k in range(3)]  # type: ignore[union-attr]
    assert np.abs(together.astype(int) - np.stack(alone, -1)).max() <= 1


def test_pictures_of_several_sizes_are_predicted_in_order(model: px.Model, tmp_path: Path) -> None:
    for k, shape in enumerate([(20, 20), (24, 18), (20, 20)]):
        write_image(tmp_path / f"{k}.png", np.full(shape, 50 * k, dtype=np.uint8))
    found = px.predict(model, tmp_path, out=tmp_path / "out")
    assert [result.image.shape for result in found] == [(20, 20), (24, 18), (20, 20)]  # type: ignore[union-attr]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "0.png", "1.png", "2.png", "predictions.jsonl", "sheet.png",
    }  # fmt: skip
    lines = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [line["file"] for line in lines] == ["0.png", "1.png", "2.png"]


def test_a_picture_smaller_than_the_window_is_named(model: px.Model) -> None:
    small = np.zeros((4, 30), dtype=np.uint8)
    with pytest.raises(ImageError, match="4x30 pixels; the network looks through a window of 5x5"):
        model.predict(small)
    with pytest.raises(ImageError, match="the network looks through a window"):
        model.evaluate(px.Dataset("small", {"test": Split(torch.zeros(1, 1, 4, 30, dtype=torch.uint8))}))


def test_floats_may_leave_their_range_as_noise_does(model: px.Model) -> None:
    noisy = samples.camera()[:40, :40] / 255 + np.random.default_rng(0).normal(0, 0.2, (40, 40))
    assert noisy.max() > 1
    assert model.predict(noisy).image.dtype == np.float64  # type: ignore[union-attr]
    with pytest.raises(ImageError, match="floats are intensities in"):
        model.predict(noisy * 255)


@pytest.mark.parametrize("noise", [{"sigma": 127.5}, {"noise": "poisson", "peak": 2.0}])
def test_floats_may_leave_their_range_as_far_as_the_noise_that_was_learnt(
    noise: dict[str, Any], photos: px.Dataset, tmp_path: Path
) -> None:
    settings = {**noise, "window": 5}
    strong = px.train("denoise", photos, steps=1, network="logistic", settings=settings, out=tmp_path / "run", **FAST)
    clean = photos["test"].images[0][None].float() / 255
    noisy = strong.task.observe({"image": clean, "index": torch.arange(1)}, training=False)["image"][0, 0].numpy()
    assert noisy.max() > 2
    assert strong.predict(noisy).image.shape == noisy.shape  # type: ignore[union-attr]
    with pytest.raises(ImageError, match="floats are intensities in"):
        strong.predict(255 * noisy)


def test_names_are_kept_and_never_taken_from_a_path(model: px.Model, tmp_path: Path) -> None:
    for name in ("sheet.png", "a#1.png"):
        write_image(tmp_path / name, np.zeros((8, 8), dtype=np.uint8))
    px.predict(model, tmp_path, out=tmp_path / "out")
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"sheet.png", "sheet-2.png", "a-1.png", "predictions.jsonl"}


def test_patches_that_do_not_fit_are_named(photos: px.Dataset) -> None:
    with pytest.raises(UsageError, match="patches of 128x128 do not fit: the smallest training picture has 96x80"):
        px.train("denoise", photos, network="logistic", steps=1, size=(128, 128), **FAST)


def test_the_ladder_has_rungs_with_settings_of_their_own(photos: px.Dataset, here: Path) -> None:
    rungs = ["logistic:features=pixels:window=3", "logistic:features=gain:window=5"]
    comparison = px.compare("denoise", photos, networks=rungs, steps=30, size=(32, 32), out=here / "c", progress=False)
    assert {rung.network for rung in comparison.rungs} == set(rungs)
    assert comparison.rungs[0].metrics["psnr"] >= comparison.rungs[1].metrics["psnr"]
    for rung in comparison.rungs:  # the test picture has 64 x 90 pixels
        assert rung.seconds_per_megapixel == pytest.approx(1e6 / (64 * 90) / rung.images_per_second)
    assert "s/megapixel" in str(comparison)
    assert (here / "c" / "logistic-features-gain-window-5" / "model.safetensors").is_file()
    with (here / "c" / "logistic-features-pixels-window-3" / "metrics.csv").open() as file:
        assert list(csv.DictReader(file))
    with pytest.raises(UsageError, match="key=value"):
        px.compare("denoise", photos, networks=["logistic:window"], steps=1, progress=False)


def test_a_comparison_that_is_stopped_keeps_what_it_has(
    photos: px.Dataset, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = api_compare.train

    def stopped(*given: Any, **options: Any) -> px.Model:
        if options["network"] == "tv":
            raise KeyboardInterrupt
        return train(*given, **options)

    monkeypatch.setattr(api_compare, "train", stopped)
    with pytest.raises(KeyboardInterrupt):
        px.compare("denoise", photos, networks=["wavelet", "tv"], steps=1, out=here / "c", progress=False)
    kept = json.loads((here / "c" / "comparison.json").read_text(encoding="utf-8"))
    assert [rung["network"] for rung in kept["networks"]] == ["wavelet"]
    assert (here / "c" / "index.html").is_file()


def test_a_resumed_run_ends_with_the_same_weights(photos: px.Dataset, here: Path) -> None:
    whole = px.train("denoise", photos, network="logistic", steps=8, size=(32, 32), out=here / "whole", **FAST)
    import pixelry.training.module as module

    class Stop(Exception):
        pass

    step = module.TrainingModule.training_step

    def stops(self: Any, batch: Any, index: int) -> None:
        if self.step == 5:
            raise Stop
        step(self, batch, index)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module.TrainingModule, "training_step", stops)
        with pytest.raises(Stop):
            px.train(
                "denoise",
                photos,
                network="logistic",
                steps=8,
                size=(32, 32),
                out=here / "part",
                checkpoint_seconds=0,
                **FAST,
            )
    again = px.train(data=photos, resume=here / "part", progress=False)
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name]), name


def test_processes_share_whole_pictures_and_one_may_have_none(photos: px.Dataset, model: px.Model) -> None:
    one = model.task.fit_split(photos["test"], size=(32, 32), channels=1)
    shares = [evaluate_network(model.network, model.task, one, rank=rank, world=2) for rank in (0, 1)]
    figures = [dim_zero_cat(evaluator.figures) for evaluator in shares]
    assert [part.shape for part in figures] == [(1, 6), (0, 6)]
    assert figures[0].dtype == figures[1].dtype


def test_a_picture_that_breaks_in_a_worker_is_named_in_one_line(model: px.Model, tmp_path: Path) -> None:
    for number in range(3):
        write_image(tmp_path / f"{number}.png", np.full((20 + number, 24), 90, dtype=np.uint8))
    whole = (tmp_path / "2.png").read_bytes()
    (tmp_path / "2.png").write_bytes(whole[:50])
    with pytest.raises(ImageError, match=r"2\.png") as caught:
        model.evaluate(px.load_dataset(tmp_path))
    assert "Traceback" not in str(caught.value)


# What JPEG loses


def test_losses_of_jpeg_are_those_of_its_files() -> None:
    photo = torch.from_numpy(samples.astronaut()[100:164, 100:180].copy()).movedim(-1, 0)[None] / 255
    for quality in (10, 80):
        ours = observed(Likelihood(noise="jpeg", quality=quality), photo)[0].movedim(0, -1).numpy()
        file = io.BytesIO()
        PILImage.fromarray((photo[0].movedim(0, -1) * 255).round().byte().numpy()).save(file, "JPEG", quality=quality)
        theirs = np.asarray(PILImage.open(file)) / 255
        assert np.abs(ours - theirs).mean() < 1 / 255
        clean = photo[0].movedim(0, -1).numpy()
        assert peak_signal_noise_ratio(clean, ours, data_range=1) == pytest.approx(
            peak_signal_noise_ratio(clean, theirs, data_range=1), abs=0.2
        )
    with pytest.raises(UsageError, match="quality is 0"):
        Likelihood(noise="jpeg", quality=0)


# Networks


@pytest.mark.parametrize("name", ["unet", "dncnn", "autoencoder"])
def test_networks_learn_to_restore(name: str, photos: px.Dataset, here: Path) -> None:
    settings: dict[str, Any] = {"batch": 8} | ({"depth": 5, "width": 24, "lr": 5e-3} if name == "dncnn" else {})
    model = px.train("denoise", photos, network=name, steps=120, size=(32, 32), settings=settings, **FAST)
    figures = model.evaluate(photos).metrics
    if name == "autoencoder":  # few numbers: it blurs, and takes longer to learn what pictures look like
        untrained = px.train("denoise", photos, network=name, steps=1, size=(32, 32), settings=settings, **FAST)
        assert figures["psnr"] > untrained.evaluate(photos).metrics["psnr"] + 4
    else:
        assert figures["psnr"] > figures["psnr_noisy"] + 2.5
    model.save(here / "m.safetensors")
    assert px.load_model(here / "m.safetensors").evaluate(photos).metrics == figures
    for shape in ((37, 29), (1, 70), (40, 33, 3)):
        image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        restored = model.predict(image)
        assert isinstance(restored, Restored)
        assert restored.image.shape == shape
        assert restored.image.dtype == np.uint8


def test_the_unet_begins_with_the_picture_and_has_no_scale_of_its_own() -> None:
    network = unet.build(channels=3, size=(32, 32), width=8)
    image = torch.rand(2, 3, 21, 34)
    torch.testing.assert_close(network(image), image)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(0, 0.1)
        torch.testing.assert_close(network(2 * image), 2 * network(image), rtol=1e-4, atol=1e-4)
    # Two more blocks at the finest scale, down and up again, each of two convolutions.
    deeper = unet.build(channels=3, size=(32, 32), width=8, finest=5)
    assert sum(p.numel() for p in deeper.parameters()) - sum(p.numel() for p in network.parameters()) == 8 * 8 * 8 * 9
    torch.testing.assert_close(deeper(image), image)
    with pytest.raises(UsageError, match="finest 0, patch 2; expected"):
        unet.build(channels=3, size=(32, 32), finest=0)
    with pytest.raises(UsageError, match="patch 9; expected"):
        unet.build(channels=3, size=(32, 32), patch=9)


def test_dncnn_is_that_of_the_paper() -> None:
    network = dncnn.build(channels=1, size=(40, 40))
    kinds = [type(layer) for layer in network.noise]
    assert kinds.count(torch.nn.Conv2d) == 17
    assert kinds.count(torch.nn.BatchNorm2d) == 15
    assert kinds.count(torch.nn.ReLU) == 16
    # 3x3 filters: 1 to 64 channels, fifteen of 64, 64 to 1; biases where no normalisation follows.
    assert sum(p.numel() for p in network.parameters()) == 640 + 15 * (64 * 64 * 9 + 128) + 577
    image, network = torch.rand(1, 1, 60, 60), network.eval()
    reach = torch.autograd.functional.jacobian(lambda x: network(x)[0, 0, 30, 30], image)[0, 0].abs()
    seen = reach.nonzero()
    assert (seen.max(0).values - seen.min(0).values + 1).tolist() == [35, 35]  # section III-A


@pytest.mark.parametrize("self_ensemble", [False, True])
def test_large_pictures_are_seen_by_tiles(self_ensemble: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = dncnn.build(channels=1, size=(40, 40), depth=4, width=8).eval()
    images = torch.rand(2, 3, 150, 90)
    task = Regression(self_ensemble=self_ensemble)
    whole = task.forward(network, {"image": images})
    monkeypatch.setattr("pixelry.tasks._restoration.AT_ONCE", 60 * 60)
    monkeypatch.setattr("pixelry.tasks._restoration.TILE", 60)
    parts = task.forward(network, {"image": images})
    assert parts.shape == whole.shape
    # A tile's edge, which counts for little, has zeros around it.
    assert (parts - whole).abs().mean() < 0.01 * (whole - images).abs().mean()
    assert (parts - whole).abs()[..., 10:25, 10:25].max() < 1e-5  # which only one tile sees


def test_the_loss_psnr_is_the_logarithm_of_each_pictures_error() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(3, 1, 12, 10, generator=generator)
    restored = target + torch.tensor([0.02, 0.1, 0.3]).view(3, 1, 1, 1) * torch.randn(target.shape, generator=generator)
    pairs = zip(target.numpy(), restored.numpy(), strict=True)
    errors = [10 ** (-peak_signal_noise_ratio(clean, found, data_range=1) / 10) for clean, found in pairs]
    batch = {"image": restored, "target": target}
    loss = Regression(loss="psnr").losses(torch.nn.Identity(), batch)["loss"]
    assert float(loss) == pytest.approx(np.mean(np.log(np.array(errors) + 1e-4)), rel=1e-4)
    # Of hidden pixels, those alone.
    masked = torch.rand(3, 1, 12, 10, generator=generator) < 0.3
    hidden = Regression(loss="psnr").losses(torch.nn.Identity(), {**batch, "masked": masked})["loss"]
    parts = [float((restored - target)[k][masked[k]].square().mean()) for k in range(3)]
    assert float(hidden) == pytest.approx(np.mean(np.log(np.array(parts) + 1e-4)), rel=1e-4)


def test_a_self_ensemble_is_the_mean_of_eight_views(model: px.Model) -> None:
    picture = np.random.default_rng(0).random((20, 30)).astype(np.float32)

    def alone(view: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(np.ascontiguousarray(view)))

    views = [(turns, mirrored) for turns in range(4) for mirrored in (False, True)]
    answers = []
    for turns, mirrored in views:
        found = alone(np.rot90(picture[:, ::-1] if mirrored else picture, turns))
        back = np.rot90(found, -turns)
        answers.append(back[:, ::-1] if mirrored else back)
    assert np.ptp(answers, axis=0).max() > 1e-3  # they differ
    together = np.asarray(model.predict(picture, settings={"self_ensemble": True}))
    np.testing.assert_allclose(together, np.mean(answers, axis=0), atol=1e-5)


def test_files_keep_their_format_depth_and_metadata(model: px.Model, here: Path) -> None:
    exif = PILImage.Exif()
    exif[274], exif[315] = 6, "Ada"
    noise = np.random.default_rng(0)
    (here / "in").mkdir()
    PILImage.fromarray(noise.integers(0, 256, (20, 30), np.uint8)).save(here / "in/a.jpg", exif=exif)
    write_image(here / "in/b.tif", noise.integers(0, 65536, (20, 30), np.uint16))
    write_image(here / "in/c.png", noise.integers(0, 65536, (20, 30, 4), np.uint16))
    write_image(here / "in/d.tiff", noise.random((20, 30), np.float32))
    write_image(here / "in/f.tif", noise.random((20, 30, 3), np.float32))
    write_image(here / "in/e.gif", noise.integers(0, 256, (20, 30), np.uint8))
    px.predict(model, here / "in", out=here / "out")
    for name, shape, dtype in [
        ("a.jpg", (30, 20), np.uint8), ("b.tif", (20, 30), np.uint16), ("c.png", (20, 30, 4), np.uint16),
        ("d.tiff", (20, 30), np.float32), ("e.png", (20, 30, 3), np.uint8),
        ("f.tif", (20, 30, 3), np.float32),
    ]:  # fmt: skip
        restored = read_image(here / "out" / name)
        assert (restored.shape, restored.dtype) == (shape, dtype), name
    with PILImage.open(here / "out/a.jpg") as written:
        assert written.getexif()[315] == "Ada"
        assert written.getexif()[274] == 1


# Classical methods


def test_classical_methods_are_scikit_images(photos: px.Dataset) -> None:
    clean = photos["test"].images[0]
    for name, restore in {
        "nlm": lambda x, s: restoration.denoise_nl_means(x, 7, 11, 0.6 * s, fast_mode=True, sigma=s),
        "tv": lambda x, s: restoration.denoise_tv_chambolle(x, weight=0.7 * s),
        "wavelet": lambda x, s: restoration.denoise_wavelet(x, s, "db2", rescale_sigma=True),
    }.items():
        model = px.train("denoise", photos, network=name, steps=5, **FAST)
        assert model.card.training["steps"] == 0
        level = float(model.network.level.sigma)
        assert level * 255 == pytest.approx(25, rel=0.1)
        noisy = observed(Likelihood(), clean[None] / 255)[0, 0].numpy()
        restored: Any = model.predict(noisy)
        np.testing.assert_allclose(restored.image, restore(noisy, level).clip(0, 1), atol=1e-5)
        figures = model.evaluate(photos).metrics
        assert figures["psnr"] > figures["psnr_noisy"] + 2


def test_classical_methods_take_levels_and_colour(photos: px.Dataset, here: Path) -> None:
    told = px.train("denoise", photos, network="tv", steps=1, settings={"level": 40}, **FAST)
    assert float(told.network.level.sigma) == pytest.approx(40 / 255)
    told.save(here / "tv.safetensors")
    colour = samples.astronaut()[:48, :40]
    again: Any = px.load_model(here / "tv.safetensors").predict(colour)
    np.testing.assert_array_equal(again.image, np.asarray(told.predict(colour)))
    each = px.train("denoise", photos, network="tv", steps=1, settings={"each": True}, **FAST)
    flat = np.full((32, 32), 0.5)
    np.testing.assert_allclose(np.asarray(each.predict(flat)), flat)
    with pytest.raises(UsageError, match="level is -1"):
        px.train("denoise", photos, network="tv", settings={"level": -1.0}, out=here / "a", **FAST)


def test_bm3d_is_asked_for_where_it_is_missing(photos: px.Dataset, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_classical, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pip install bm3d; its licence allows non-commercial use only"):
        px.train("denoise", photos, network="bm3d", steps=1, out=here / "a", **FAST)


def test_bm3d_is_called_with_the_level(photos: px.Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def method(picture: Any, sigma: float) -> Any:
        asked.append((picture.shape, sigma))
        return picture / 2

    monkeypatch.setitem(sys.modules, "bm3d", SimpleNamespace(bm3d=method, bm3d_rgb=method))
    monkeypatch.setattr(_classical, "find_spec", lambda name: "found")
    model = px.train("denoise", photos, network="bm3d", steps=1, val_fraction=0, settings={"level": 51.0}, **FAST)
    asked.clear()
    np.testing.assert_allclose(np.asarray(model.predict(np.full((16, 20), 0.5))), 0.25)
    assert asked == [((16, 20), pytest.approx(0.2))]


# What a figure is of


@pytest.fixture(scope="module")
def blind(photos: px.Dataset, tmp_path_factory: pytest.TempPathFactory) -> px.Model:
    out = tmp_path_factory.mktemp("blind") / "run"
    settings = {"features": "gain", "window": 3, "sigma": 50.0, "sigma_min": 5.0}
    return px.train("denoise", photos, network="logistic", steps=5, size=(32, 32), settings=settings, out=out, **FAST)


def test_one_sigma_is_one_sigma_whatever_range_was_trained_on(blind: px.Model, photos: px.Dataset) -> None:
    clean = photos["test"].images[0].clamp(110, 150)  # clipping does not change the noise
    many = px.Dataset("many", {"test": Split(clean[None].expand(6, -1, -1, -1))})
    fixed = blind.evaluate(many, settings={"sigma": 40.0})
    noisy = [float(row[1]) for row in fixed.findings.tables[0].rows]
    assert noisy == pytest.approx([20 * np.log10(255 / 40)] * 6, abs=0.3)
    assert "sigma 40 (of 255), unclipped" in fixed.findings.protocol
    ranged = blind.evaluate(many)
    assert "sigma 5 to 50 (of 255), drawn for each image" in ranged.findings.protocol
    again = blind.evaluate(many, settings={"sigma": 40.0, "sigma_min": 10.0})
    assert "sigma 10 to 40" in again.findings.protocol
    assert "photons" in blind.evaluate(many, settings={"peak": 9.0}).findings.protocol


def test_the_protocol_stands_in_text_and_json(blind: px.Model, photos: px.Dataset) -> None:
    color = px.Dataset("color", {"train": Split(photos["test"].images.expand(-1, 3, -1, -1))})
    report = blind.evaluate(color)
    for said in (str(report), report.to_dict()["protocol"], report.to_html()):
        for what in ("sigma 5 to 50", "clipped to [0, 1]", "of color images: their luma, BT.601", "7x7 window"):
            assert what in said
    # A folder without splits: what was judged is all of it, not its "training" images.
    assert report.to_dict()["split"] == "all"
    assert "on all images of color" in str(report)
    assert blind.evaluate(color, split="all").split == "all"
    with pytest.raises(UsageError, match="all"):
        blind.evaluate(photos, split="all")
