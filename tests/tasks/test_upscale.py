"""Upscaling: small pictures as Pillow makes them, figures against scikit-image, networks, pictures of any kind."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from skimage import data as samples
from skimage.color import rgb2ycbcr
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

import pixelry as px
from pixelry.data.dataset import Split
from pixelry.errors import ImageError, UsageError
from pixelry.networks.upscale import bicubic, edsr
from pixelry.pixels import read_image, write_image
from pixelry.tasks.upscale import TASK
from pixelry.types import Restored

FAST: dict[str, Any] = {"progress": False, "precision": "32-true", "memory_format": "channels_last"}
FEW: dict[str, Any] = {"width": 12, "blocks": 2, "batch": 8}


@pytest.fixture(scope="module")
def photos() -> px.Dataset:
    """Colour crops of a photograph."""
    photo = torch.from_numpy(samples.astronaut()).movedim(-1, 0)
    crops = torch.stack([photo[:, y : y + 96, x : x + 80] for y in (0, 90, 200, 300) for x in (0, 150, 250, 400)])
    return px.Dataset("crops", {"train": Split(crops[:12]), "val": Split(crops[12:14]), "test": Split(crops[14:])})


@pytest.fixture(scope="module")
def model(photos: px.Dataset, tmp_path_factory: pytest.TempPathFactory) -> px.Model:
    out = tmp_path_factory.mktemp("upscale") / "run"
    return px.train("upscale", photos, network="edsr", steps=120, size=(48, 48), settings=FEW, out=out, **FAST)


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_small_pictures_are_those_of_pillow(factor: int) -> None:
    photo = samples.astronaut()[100:173, 60:142]  # no multiple of a factor
    batch = {"image": torch.from_numpy(photo.copy()).movedim(-1, 0)[None] / 255, "index": torch.tensor([0])}
    seen = TASK(factor=factor).observe(batch, training=False)
    height, width = photo.shape[0] // factor, photo.shape[1] // factor
    cut = photo[: factor * height, : factor * width]
    np.testing.assert_allclose(seen["target"][0].movedim(0, -1) * 255, cut, atol=1e-4)
    for channel in range(3):  # of floats: with bytes Pillow rounds between its two passes
        small, given = (seen[name][0, channel].numpy() * 255 for name in ("image", "given"))
        np.testing.assert_allclose(small, pillow(cut[..., channel], small.shape).clip(0, 255).round(), atol=1e-3)
        np.testing.assert_allclose(given, pillow(small, given.shape), atol=1e-2)


def pillow(channel: Any, shape: tuple[int, ...]) -> Any:
    picture = PILImage.fromarray(channel.astype(np.float32))
    return np.asarray(picture.resize((shape[1], shape[0]), PILImage.Resampling.BICUBIC))


def test_figures_are_those_of_the_luma_without_the_edge(photos: px.Dataset, model: px.Model) -> None:
    report = model.evaluate(photos)
    factor, psnrs, ssims = 2, [], []
    for image in photos["test"].images:
        seen = TASK().observe({"image": image[None] / 255, "index": torch.tensor([0])}, training=False)
        restored = model.task.forward(model.network, seen)[0].clamp(0, 1).detach()
        true, found = (
            rgb2ycbcr(one.movedim(0, -1).double().numpy())[factor:-factor, factor:-factor, 0] / 255
            for one in (seen["target"][0], restored)
        )
        psnrs.append(peak_signal_noise_ratio(true, found, data_range=1))
        ssims.append(
            structural_similarity(
                true, found, data_range=1, gaussian_weights=True, sigma=1.5, use_sample_covariance=False
            )
        )
    assert report.metrics["psnr"] == pytest.approx(np.mean(psnrs), abs=1e-3)
    assert report.metrics["ssim"] == pytest.approx(np.mean(ssims), abs=1e-4)
    assert "figures of the luma (BT.601), less 2 pixels at each edge" in report.findings.tables[0].note


def test_the_network_begins_with_bicubic_and_beats_it(photos: px.Dataset, model: px.Model) -> None:
    fresh = edsr.build(channels=3, size=(48, 48), factor=3, width=8, blocks=1)
    image = torch.rand(2, 3, 9, 14)
    torch.testing.assert_close(fresh(image), bicubic.enlarged(image, 3))
    figures = model.evaluate(photos).metrics
    assert figures["psnr"] > figures["psnr_bicubic"] + 0.5
    assert figures["ssim"] > figures["ssim_bicubic"]
    plain = px.train("upscale", photos, network="bicubic", **FAST)
    assert plain.card.training["steps"] == 0
    figures = plain.evaluate(photos).metrics
    assert figures["psnr"] == pytest.approx(figures["psnr_bicubic"])


def test_pictures_of_any_kind_become_large(model: px.Model, here: Path) -> None:
    kinds = [((21, 34), np.uint8), ((20, 33, 3), np.uint8), ((20, 33, 4), np.uint16), ((1, 1), np.uint8)]
    for shape, dtype in kinds:
        image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape).astype(dtype)
        found = model.predict(image)
        assert isinstance(found, Restored)
        assert found.image.shape == (2 * shape[0], 2 * shape[1], *shape[2:])
        assert found.image.dtype == dtype
        assert found.draw().shape[0] == 2 * shape[0]
    clear = np.zeros((8, 8, 4), np.uint8)
    clear[..., 3] = 255
    clear[:4, :, 3] = 0
    assert set(np.unique(np.asarray(model.predict(clear))[[0, -1], :, 3])) == {0, 255}
    write_image(here / "photo.jpg", samples.astronaut()[:40, :50])
    px.predict(model, here / "photo.jpg", out=here / "out")
    assert read_image(here / "out/photo.jpg").shape == (80, 100, 3)
    assert (here / "out/sheet.png").exists()


def test_large_pictures_are_seen_by_tiles(model: px.Model, monkeypatch: pytest.MonkeyPatch) -> None:
    image = samples.astronaut()[:120, :90]
    whole = np.asarray(model.predict(image)).astype(float)
    monkeypatch.setattr("pixelry.tasks._restoration.AT_ONCE", 48 * 48)
    monkeypatch.setattr("pixelry.tasks._restoration.TILE", 48)
    parts = np.asarray(model.predict(image)).astype(float)
    assert parts.shape == whole.shape
    assert np.abs(parts - whole).mean() < 0.5
    # Only one tile sees these; rounding to levels may fall otherwise.
    np.testing.assert_allclose(parts[20:60, 20:60], whole[20:60, 20:60], atol=1)


def test_what_does_not_go_is_named(photos: px.Dataset, model: px.Model, here: Path) -> None:
    with pytest.raises(UsageError, match="factor is 5; expected one of 2, 3, 4"):
        px.train("upscale", photos, settings={"factor": 5}, out=here / "a", **FAST)
    with pytest.raises(UsageError, match="the network was built for"):
        model.predict(np.zeros((8, 8), np.uint8), settings={"factor": 4})
    with pytest.raises(UsageError, match="width is 0"):
        px.train("upscale", photos, settings={"width": 0}, out=here / "b", **FAST)
    with pytest.raises(ImageError, match="cannot be made 4 times smaller"):
        TASK(factor=4).observe({"image": torch.zeros(1, 1, 3, 9)}, training=True)
