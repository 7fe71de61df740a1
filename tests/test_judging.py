"""Made pictures against real ones: figures with their floors, the features they stand on, files and films."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image as PILImage
from torchvision import models

import pixelry as px
from pixelry.data.dataset import Dataset
from pixelry.distances import frechet_distance
from pixelry.errors import ModelError, UsageError
from pixelry.features import load_features
from pixelry.judging import judge_pictures
from pixelry.pixels import read_image

FAST: dict[str, Any] = {"progress": False, "precision": "32-true", "memory_format": "contiguous"}
SMALL = {"width": 16, "blocks": 1, "steps": 3}
DIGITS = tuple("0123456789")


@pytest.fixture(scope="module")
def diffusion(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "ddpm"
    px.train(
        "generate", "digits", network="ddpm", steps=40, settings={**SMALL, "conditional": True}, out=folder, **FAST
    )
    return folder


class Copies:
    """A task that makes copies of given pictures, to see that figures tell copies from the real thing."""

    def __init__(self, task: Any, images: torch.Tensor, labels: list[str]) -> None:
        self.task, self.images, self.labels = task, images, labels

    def generate(self, network: Any, count: int, **how: Any) -> Any:
        for i in range(count):
            yield px.types.Generated(self.images[i, 0].numpy(), 0, i, self.labels[i])

    def describe(self) -> str:
        return "copies"


def judged(diffusion: Path, images: torch.Tensor, labels: list[str], **how: Any) -> dict[str, float]:
    model, digits = px.load_model(diffusion), px.load_dataset("digits")
    task: Any = Copies(model.task, images, labels)
    found = judge_pictures(
        model, task, digits, "test", features=how.get("features"), count=len(images), on_progress=lambda done: None
    )
    return dict(found.metrics)


def names(labels: torch.Tensor) -> list[str]:
    return [DIGITS[int(k)] for k in labels]


def test_training_pictures_get_the_floor_and_are_known_as_copies(diffusion: Path) -> None:
    train = px.load_dataset("digits")["train"]
    figures = judged(diffusion, train.images[:300], names(train.labels[:300]))
    assert figures["frechet"] == pytest.approx(figures["frechet_floor"], rel=0.6)
    assert figures["nearest_ratio"] < 0.01
    assert figures["classes_made"] == 10
    assert figures["class_consistency"] > 0.9
    assert figures["class_variation"] < 0.15
    assert figures["precision"] > 0.7
    assert figures["recall"] > 0.5


def test_noise_and_one_class_are_seen_for_what_they_are(diffusion: Path) -> None:
    train = px.load_dataset("digits")["train"]
    real = judged(diffusion, train.images[:150], names(train.labels[:150]))
    noise = judged(diffusion, torch.randint(0, 256, (150, 1, 8, 8), dtype=torch.uint8), ["0"] * 150)
    assert noise["frechet"] > 5 * real["frechet"]
    assert noise["kid"] > real["kid"]
    assert noise["precision"] < real["precision"]
    assert noise["class_consistency"] < 0.9
    zeros = train.images[train.labels == 0][:100]
    collapsed = judged(diffusion, zeros, ["0"] * len(zeros))
    assert collapsed["class_variation"] > 0.8
    assert collapsed["recall"] < 0.5
    assert collapsed["frechet"] > 2 * real["frechet"]


def test_evaluation_of_a_generator_has_the_figures_and_the_protocol(diffusion: Path, here: Path) -> None:
    report = px.evaluate(diffusion, "digits", count=60, out=here / "report", progress=False)
    for name in ("frechet", "frechet_floor", "kid", "precision", "recall", "class_consistency", "denoising_loss"):
        assert np.isfinite(report.metrics[name]), name
    text = str(report)
    for what in ("digits (shipped)", "60 made pictures of seed 0", "dpmpp, 3 steps", "of test"):
        assert what in text, what
    again = px.evaluate(diffusion, "digits", count=60, progress=False)
    assert dict(again.metrics) == dict(report.metrics)


def test_features_may_be_any_classifier(squares: Dataset) -> None:
    classifier = px.train("classify", squares, network="cnn", steps=5, **FAST)
    model = px.train("generate", squares, network="ddpm", steps=3, settings=SMALL, **FAST)
    without = model.evaluate(squares, count=20)
    assert "frechet" not in without.metrics
    assert "give --features MODEL" in str(without)
    figures = model.evaluate(squares, count=20, features=classifier).metrics
    assert figures["frechet"] > 0
    assert figures["frechet_floor"] >= 0


def test_features_are_what_the_head_gets(few_digits: Dataset) -> None:
    classifier = px.train("classify", few_digits, network="cnn", steps=5, **FAST)
    seer = load_features(classifier, channels=1, classes=DIGITS)
    assert seer is not None
    features, classes = seer(few_digits["test"].images)
    network: Any = classifier.network
    with torch.inference_mode():
        scores = network.head(features) * network.SCALE
        direct = network(few_digits["test"].images.float() / 255)
    torch.testing.assert_close(scores, direct, rtol=1e-4, atol=1e-4)
    assert (classes == direct.argmax(1)).all()


def test_the_shipped_features_read_digits(digits: Dataset) -> None:
    seer = load_features("digits", channels=1, classes=DIGITS)
    assert seer is not None
    assert seer.classes == DIGITS
    features, classes = seer(digits["test"].images)
    assert float((classes == digits["test"].labels).double().mean()) > 0.95
    assert features.shape[1] <= 256
    file = Path(px.__file__).parent / "weights" / "digits.safetensors"
    assert file.stat().st_size < 1_000_000
    assert load_features(None, channels=3, classes=DIGITS) is None
    assert load_features(None, channels=1, classes=("a", "b")) is None
    half = len(features) // 2
    real = frechet_distance(features[:half], features[half:])
    noise, _ = seer(torch.randint(0, 256, (half, 1, 8, 8), dtype=torch.uint8))
    assert frechet_distance(noise, features[half:]) > 5 * real


def test_features_that_do_not_suit_are_named(diffusion: Path, squares: Dataset) -> None:
    with pytest.raises(UsageError, match="features come from a classifier"):
        px.evaluate(diffusion, "digits", features=diffusion, progress=False)
    with pytest.raises(ModelError, match="there is no model file"):
        px.evaluate(diffusion, "digits", features="nowhere", progress=False)
    with pytest.raises(UsageError, match="fewer than 10"):
        px.evaluate(diffusion, "digits", count=5, progress=False)
    classifier = px.train("classify", squares, network="cnn", steps=2, **FAST)
    with pytest.raises(UsageError, match="makes none"):
        classifier.evaluate(squares, features="digits")


def test_inception_comes_from_torchvision(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    weights = models.inception_v3(weights=None, init_weights=False).state_dict()
    monkeypatch.setattr("pixelry.features.download", lambda name: weights)
    seer = load_features("inception", channels=3, classes=())
    assert seer is not None
    features, _ = seer(torch.randint(0, 256, (2, 3, 40, 40), dtype=torch.uint8))
    assert features.shape == (2, 2048)


def test_pictures_are_written_as_they_come(diffusion: Path, here: Path) -> None:
    made = px.generate(diffusion, count=5, label="3", steps=2, guidance=2.0, out=here / "made", progress=False)
    assert made.total == len(made) == 5
    lines = [json.loads(line) for line in (here / "made/images.jsonl").read_text().splitlines()]
    assert [line["index"] for line in lines] == list(range(5))
    assert all(line["label"] == "3" and line["steps"] == 2 and line["guidance"] == 2.0 for line in lines)
    for line, picture in zip(lines, made, strict=True):
        assert (read_image(here / "made" / line["file"]) == np.asarray(picture)).all()
    assert (here / "made/sheet.png").is_file()


def test_a_stream_makes_pictures_only_when_they_are_asked_for(diffusion: Path) -> None:
    parts: list[float] = []
    stream = px.load_model(diffusion).stream(10**9, on_progress=parts.append)
    assert not parts
    next(stream)
    assert sum(parts) == pytest.approx(100)  # those that are drawn at once


def test_a_film_shows_the_way_from_noise(diffusion: Path, here: Path) -> None:
    px.generate(diffusion, count=2, animate=True, out=here / "made", progress=False)
    with PILImage.open(here / "made/way.gif") as film:
        assert film.n_frames >= 3
        frames = film.n_frames
        film.seek(frames - 1)
        made = np.asarray(film.convert("L"))
    assert read_image(here / "made/way.png").ndim >= 2
    with PILImage.open(here / "made/noise.gif") as film:
        assert abs(film.n_frames - frames) <= 1  # a film leaves out what looks like the frame before
        first = np.asarray(film.convert("L"))
        film.seek(film.n_frames - 1)
        last = np.asarray(film.convert("L"))
    # From the pictures that were made, to noise; the first frame already has the least noise of drawing.
    assert np.corrcoef(first.ravel(), made.ravel())[0, 1] > 0.9
    assert abs(np.corrcoef(last.ravel(), made.ravel())[0, 1]) < 0.75  # the sheet around them stays
    gan = px.train("generate", "digits", network="dcgan", steps=2, settings={"width": 8}, **FAST)
    px.generate(gan, count=2, animate=True, out=here / "walk", progress=False)
    with PILImage.open(here / "walk/way.gif") as film:
        assert film.n_frames > 10
    assert not (here / "walk/noise.gif").exists()
    with pytest.raises(UsageError, match="dcgan has no --steps and no --guidance: these are for diffusion models"):
        px.generate(gan, count=2, steps=5, guidance=2.0, out=here / "none", progress=False)
    logistic = px.train("generate", "digits", network="logistic", steps=2, **FAST)
    with pytest.raises(UsageError, match="no way to show"):
        px.generate(logistic, count=2, animate=True, out=here / "none", progress=False)


def test_families_meet_in_one_comparison(few_digits: Dataset, here: Path) -> None:
    table = px.compare(
        "generate", few_digits, networks=["logistic:levels=4", "dcgan:width=8", "ddpm:width=16:blocks=1:steps=2"],
        steps=3, out=here / "compare", progress=False,
    )  # fmt: skip
    assert table.monitor == "frechet"
    scores = [rung.metrics["frechet"] for rung in table.rungs]
    assert scores == sorted(scores)


def test_the_floor_of_training_pictures_is_their_other_half(diffusion: Path) -> None:
    digits = px.load_dataset("digits")
    train = Dataset("d", {"train": digits["train"]}, digits.classes)
    figures = px.load_model(diffusion).evaluate(train, split="train", count=40).metrics
    assert figures["frechet_floor"] > 0
