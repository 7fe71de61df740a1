"""Denoising pictures that have noise of their own: pairs of noisy and clean ones, and noisy ones alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from skimage import data as samples
from skimage.metrics import peak_signal_noise_ratio

import pixelry as px
from pixelry.data.dataset import Split
from pixelry.errors import DataError, UsageError
from pixelry.pixels import gaussian_noise, read_image, write_image
from pixelry.tasks.denoise import Likelihood, Regression
from pixelry.training.evaluate import evaluate_network

FAST: dict[str, Any] = {"progress": False, "precision": "32-true", "memory_format": "channels_last"}
SIDE = 48


def crops(count: int) -> list[np.ndarray]:
    camera = samples.camera()
    return [
        camera[60 + 30 * k : 60 + 30 * k + SIDE, 180 + 20 * k : 180 + 20 * k + SIDE + 8 * (k % 2)] for k in range(count)
    ]


def written(root: Path, *, noisy: str = "{}noisy", clean: str = "{}clean", ends: tuple[str, str] = ("", "")) -> Path:
    """Write pairs of two splits: train and test."""
    for split, count in (("train/", 6), ("test/", 2)):
        for k, picture in enumerate(crops(count)):
            for folder, end, image in (
                (noisy, ends[0], gaussian_noise(picture, sigma=25 / 255, seed=k)),
                (clean, ends[1], picture),
            ):
                file = root / folder.format(split) / f"picture{k}{end}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                write_image(file, image)
    return root


# Pairs


@pytest.mark.parametrize(
    ("noisy", "clean", "ends"),
    [
        ("{}noisy", "{}clean", ("", "")),
        ("{}input", "{}target", ("", "")),
        ("noisy/{}", "gt/{}", ("_noisy", "_gt")),
        ("{}Noisy", "{}Clean", ("", "_clean")),
    ],
)
def test_where_pairs_lie(tmp_path: Path, noisy: str, clean: str, ends: tuple[str, str]) -> None:
    dataset = px.load_dataset(written(tmp_path, noisy=noisy, clean=clean, ends=ends))
    assert dataset.format == "pairs"
    assert [len(dataset[split]) for split in ("train", "test")] == [6, 2]
    picture = crops(6)[3]
    sample = dataset["train"][3]
    np.testing.assert_array_equal(sample["clean"][0].numpy(), picture)
    np.testing.assert_array_equal(sample["image"][0].numpy(), gaussian_noise(picture, sigma=25 / 255, seed=3))
    part = dataset["train"].subset([3])
    np.testing.assert_array_equal(part.targets["clean"][0][0].numpy(), picture)


def test_two_classes_of_pictures_are_no_pairs(tmp_path: Path) -> None:
    for kind in ("noisy", "clean"):
        for k in range(3):
            (tmp_path / kind).mkdir(exist_ok=True)
            write_image(tmp_path / kind / f"{kind}-photo-{k}.png", crops(1)[0])
    assert px.load_dataset(tmp_path).classes == ("clean", "noisy")


def test_pairs_that_do_not_match_are_named(tmp_path: Path) -> None:
    root = written(tmp_path)
    lone = root / "train" / "noisy" / "picture2.png"
    kept = read_image(lone)
    lone.unlink()
    with pytest.raises(DataError, match=r"1 clean picture without a noisy one of the same name .*picture2\.png"):
        px.load_dataset(root)
    write_image(lone, kept[:-1])
    with pytest.raises(DataError, match=r"picture2\.png has 47x48 pixels, .*picture2\.png 48x48.*crop or scale"):
        px.load_dataset(root)
    write_image(lone, kept, overwrite=True)
    write_image(lone.with_suffix(".jpg"), kept)
    with pytest.raises(DataError, match=r"picture2\.jpg and .*picture2\.png have the same name"):
        px.load_dataset(root, format="pairs")


def test_both_of_a_pair_are_cut_turned_and_mirrored_alike(tmp_path: Path) -> None:
    """Training on pairs whose noisy picture is the negative of the clean one works only if they lie over each other."""
    root = tmp_path / "data"
    for split, count in (("train", 6), ("test", 2)):
        for k, picture in enumerate(crops(count)):
            for kind, image in (("noisy", 255 - picture), ("clean", picture)):
                (root / split / kind).mkdir(parents=True, exist_ok=True)
                write_image(root / split / kind / f"{k}.png", image)
    data = px.load_dataset(root)
    model = px.train(
        "denoise", data, network="unet", steps=150, size=(32, 32), settings={"batch": 8}, out=tmp_path / "run", **FAST
    )
    assert isinstance(model.task, Regression)
    assert model.task.noise == "given"
    figures = model.evaluate(data).metrics
    assert figures["psnr"] > figures["psnr_noisy"] + 10
    restored = model.predict(root / "test" / "noisy" / "0.png").image
    clean = read_image(root / "test" / "clean" / "0.png")
    assert peak_signal_noise_ratio(clean, restored) > 18


def test_figures_of_pairs_are_those_of_their_files(tmp_path: Path) -> None:
    data = px.load_dataset(written(tmp_path / "data"))
    model = px.train("denoise", data, network="tv", steps=1, size=(32, 32), out=tmp_path / "run", **FAST)
    figures = model.evaluate(data).metrics
    root = tmp_path / "data" / "test"
    pairs = [[read_image(root / kind / f"picture{k}.png") for kind in ("clean", "noisy")] for k in range(2)]
    theirs = np.mean([peak_signal_noise_ratio(clean, noisy) for clean, noisy in pairs])
    assert figures["psnr_noisy"] == pytest.approx(theirs, abs=1e-4)
    assert figures["psnr"] > theirs + 3
    # A model that learnt from pairs is judged on clean pictures with noise that is added.
    alone = px.load_dataset(root / "clean")
    assert model.evaluate(alone, settings={"noise": "gaussian", "sigma": 25.0}).metrics["psnr"] > 23


def test_noise_is_not_added_to_pairs(tmp_path: Path) -> None:
    data = px.load_dataset(written(tmp_path))
    with pytest.raises(UsageError, match=r"noise is gaussian, and .* has noisy pictures beside the clean ones"):
        px.train("denoise", data, network="tv", settings={"noise": "gaussian"}, steps=1, **FAST)


# Noisy pictures alone


@pytest.mark.parametrize("task", [Regression(noise="given"), Likelihood(noise="given")])
def test_hidden_pixels_show_their_neighbours_and_count_alone(task: Regression | Likelihood) -> None:
    torch.manual_seed(0)
    images = torch.rand(6, 3, 9, 10)
    batch = task.observe({"image": images, "index": torch.arange(6)}, training=True)
    seen, masked = batch["image"], batch["masked"]
    assert masked.shape == (6, 1, 9, 10)
    torch.testing.assert_close(batch["target"], images)
    torch.testing.assert_close(torch.where(masked, images, seen), images)
    first = masked[0, 0].nonzero()
    assert len(first) in (4, 6, 9)  # one of 16
    around = images[0, :, max(0, int(first[0, 0]) - 2) :, max(0, int(first[0, 1]) - 2) :][:, :5, :5].flatten(1)
    shown = seen[0, :, first[0, 0], first[0, 1]]
    assert bool((around == shown[:, None]).all(0).any())  # one of its neighbours
    assert bool((seen != images)[masked.expand_as(images)].all())  # and never itself

    class Same(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.logit(x.clamp(1e-4, 1 - 1e-4)) if isinstance(task, Likelihood) else x

    loss = float(task.losses(Same(), batch)["loss"])
    wrong = images.clone()
    wrong[~masked.expand_as(wrong)] = 0.5  # what is not hidden has no part in it
    other = float(task.losses(Same(), {**batch, "target": wrong})["loss"])
    assert loss == pytest.approx(other, rel=1e-5)
    if isinstance(task, Regression):
        chosen = masked.expand_as(images)
        assert loss == pytest.approx(float((seen - images)[chosen].square().mean()), rel=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (3, 2), (2, 9)])
def test_small_pictures_have_a_hidden_pixel_too(shape: tuple[int, int]) -> None:
    for index in range(16):
        batch = Regression(noise="given").observe(
            {"image": torch.rand(1, 1, *shape), "index": torch.tensor([index])}, training=False
        )
        assert bool(batch["masked"].any())


def test_a_network_learns_from_noisy_pictures_alone(tmp_path: Path) -> None:
    """It never saw a clean picture, and comes near one: nearer by far than what it learnt from."""
    rng = np.random.default_rng(0)
    clean = np.stack([samples.camera()[r : r + 64, c : c + 64] for r in (60, 130, 200) for c in (160, 220, 280, 340)])
    noisy = np.clip(clean + rng.normal(0, 25, clean.shape), 0, 255).round().astype(np.uint8)
    split = Split(torch.from_numpy(noisy)[:, None])
    data = px.Dataset("noisy", {"train": split, "val": split.subset([0, 1])})
    settings = {"noise": "given", "batch": 8}
    model = px.train("denoise", data, network="unet", steps=250, settings=settings, out=tmp_path / "run", **FAST)
    restored = np.stack([model.predict(picture).image for picture in noisy])
    before, after = (peak_signal_noise_ratio(clean, pictures) for pictures in (noisy, restored))
    assert after > before + 4
    report = model.evaluate(data, split="val")
    # The squared error against hidden noisy pixels is that against the clean ones and the noise's variance.
    assert 16 < report.metrics["psnr"] < before + 1
    assert set(report.metrics) == {"psnr", "images"}
    report.save(tmp_path / "report.html")
    assert "there are no clean pictures" in (tmp_path / "report.html").read_text(encoding="utf-8")
    # On clean pictures with noise that is added, it is judged as any other.
    known = px.Dataset("clean", {"test": Split(torch.from_numpy(clean)[:, None])})
    figures = model.evaluate(known, settings={"noise": "gaussian", "sigma": 25.0}).metrics
    assert figures["psnr"] > figures["psnr_noisy"] + 4


def test_hidden_pixels_are_the_same_at_each_evaluation() -> None:
    network = torch.nn.Identity()
    split = Split((torch.rand(3, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 255).byte())
    first, second = (
        evaluate_network(network, Regression(noise="given"), split, memory_format=torch.contiguous_format).compute()
        for _ in range(2)
    )
    assert first == second
    images = split.images[:].float() / 255
    batch = Regression(noise="given").observe({"image": images, "index": torch.arange(3)}, training=False)
    errors = [float(((a - b)[m.expand_as(a)] ** 2).mean()) for a, b, m in
              zip(batch["image"], images, batch["masked"], strict=True)]  # fmt: skip
    assert first["psnr"] == pytest.approx(np.mean([-10 * np.log10(error) for error in errors]), abs=1e-4)


def test_pairs_are_not_said_to_have_noise_that_was_added(tmp_path: Path) -> None:
    pairs = px.load_dataset(written(tmp_path / "data"))
    clean = px.Dataset("clean", {"train": Split(torch.from_numpy(np.stack([crops(2)[0]] * 3))[:, None])})
    how = {"network": "logistic", "steps": 3, "val_fraction": 0.34, "out": tmp_path / "run"}
    model = px.train("denoise", clean, **how, **FAST)
    assert "judged by the clean ones beside them" in model.evaluate(pairs).findings.protocol
