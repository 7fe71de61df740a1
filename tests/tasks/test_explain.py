"""Where the evidence for a class lies: by hand on tiny networks, and on images whose object is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pixelry as px
from pixelry.data.dataset import Split
from pixelry.errors import UsageError
from pixelry.heat import draw_heat, place_heat
from pixelry.networks.logistic import build as build_logistic
from pixelry.pixels import read_image, write_image
from pixelry.plugins import network_for
from pixelry.tasks._explain import evidence_maps


class Tiny(nn.Module):
    """A convolution of two channels, the mean of each, one linear map."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 2, 1, bias=False)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = nn.Linear(2, 2, bias=False)
        with torch.no_grad():
            self.conv.weight.copy_(torch.tensor([1.0, -1.0]).view(2, 1, 1, 1))
            self.head.weight.copy_(torch.tensor([[3.0, 0.5], [-1.0, 2.0]]))

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.pool(self.conv(x)).flatten(1))
        return logits


def test_grad_cam_by_hand() -> None:
    image = torch.rand(2, 1, 4, 6, generator=torch.Generator().manual_seed(0))
    maps = evidence_maps(Tiny(), image, torch.tensor([0, 1]))
    # d score / d A_k(i, j) = w_k / 24 of all places, and A = (x, -x): of class 0 (3 - 0.5) x, of class 1 (-1 - 2) x.
    torch.testing.assert_close(maps[0], image[0, 0] / image[0, 0].max())
    assert torch.equal(maps[1], torch.zeros(4, 6))


def test_evidence_of_a_linear_network_is_what_each_pixel_adds() -> None:
    network = build_logistic(channels=3, size=(5, 4), classes=3)
    with torch.no_grad():
        network.head.weight.normal_(generator=torch.Generator().manual_seed(1))
    image = torch.rand(1, 3, 5, 4, generator=torch.Generator().manual_seed(2))
    added = (network.head.weight[2].view(3, 5, 4) * network.normalize(image)[0]).sum(0).detach()
    torch.testing.assert_close(evidence_maps(network, image, torch.tensor([2]))[0], added.relu() / added.max())


@pytest.mark.parametrize("name", ["cnn", "airbench", "resnet18", "vgg16", "efficientnet_b0", "logistic"])
@pytest.mark.parametrize("size", [(8, 8), (64, 48)])
def test_every_network_is_explained_and_left_as_it_was(name: str, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network: nn.Module = network_for(name, "classify").build(channels=3, size=size, classes=4)
    network.eval().requires_grad_(False)
    before = {key: value.clone() for key, value in network.state_dict().items()}
    images = torch.randint(0, 256, (3, 3, *size), dtype=torch.uint8)
    maps = evidence_maps(network, images, torch.tensor([0, 3, 1]))
    assert maps.shape == (3, *size)
    assert maps.min() >= 0
    assert maps.max() <= 1
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())
    assert not any(module._forward_hooks for module in network.modules())


@pytest.fixture(scope="module")
def marks() -> px.Dataset:
    """Noisy grey images with a mark in one of many places: a ring or a cross, 9 of 32 pixels."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(60, 120, (500, 1, 32, 32), generator=generator, dtype=torch.uint8)
    labels = torch.arange(500) % 2
    rows, columns = torch.meshgrid(torch.arange(9) - 4, torch.arange(9) - 4, indexing="ij")
    ring = ((rows**2 + columns**2 - 12).abs() < 6).byte()
    cross = (rows.abs() == columns.abs()).byte()
    places = torch.randint(0, 24, (500, 2), generator=generator)
    for image, label, (top, left) in zip(images, labels.tolist(), places.tolist(), strict=True):
        image[0, top : top + 9, left : left + 9] += 110 * (cross if label else ring)
    boxes = places.float()
    splits = {
        name: Split(images[part], {"label": labels[part], "place": boxes[part]})
        for name, part in {"train": slice(0, 440), "val": slice(440, 500)}.items()
    }
    return px.Dataset("marks", splits, ("ring", "cross"))


@pytest.fixture(scope="module")
def model(marks: px.Dataset, tmp_path_factory: pytest.TempPathFactory) -> px.Model:
    out = tmp_path_factory.mktemp("explained") / "run"
    return px.train(
        "classify", marks, network="cnn", epochs=8, settings={"augment": "none"}, out=out, precision="32-true",
        memory_format="channels_last", progress=False,
    )  # fmt: skip


def test_evidence_lies_on_the_object(model: px.Model, marks: px.Dataset) -> None:
    val = marks["val"]
    results: Any = model.predict(val.images, explain=True)
    assert model.card.metrics["accuracy"] > 0.9
    shares = []
    for result, (top, left) in zip(results, val.targets["place"].int().tolist(), strict=True):
        assert result.evidence.shape == (32, 32)
        # A place of the feature map is 8 pixels wide, and so the map reaches as far beyond the mark.
        around = result.evidence[max(0, top - 6) : top + 15, max(0, left - 6) : left + 15].sum()
        shares.append(around / max(1e-6, result.evidence.sum()))
    assert np.mean(shares) > 0.7  # of evidence that is anywhere, a third at most would be there
    assert all(result.evidence is None for result in model.predict(val.images))  # type: ignore[union-attr]


def test_a_report_shows_why_beside_mistakes(model: px.Model, marks: px.Dataset) -> None:
    val = marks["val"]
    wrong = px.Dataset("wrong", {"val": Split(val.images, {"label": 1 - val.labels})}, marks.classes)
    report = model.evaluate(wrong)
    titles = [block.title for block in report.findings.pictures]
    assert titles.index("Most confident mistakes") + 1 == titles.index(
        "Why: evidence behind the most confident mistakes"
    )
    images = report.findings.pictures[-1].images  # type: ignore[attr-defined]
    assert len(images) == 8
    assert images[0][0].shape == (160, 3 * 160 + 8, 3)
    assert "in truth" in images[0][1]


def test_predict_writes_why(run: Any, model: px.Model, marks: px.Dataset, here: Path) -> None:
    (here / "new").mkdir()
    for i in range(2):
        write_image(here / "new" / f"{i}.png", np.pad(marks["val"].images[i][0].numpy(), ((0, 0), (8, 8))))
    said = run("predict", model.path, "new", "--explain", "--out", "found")
    assert said.code == 0, said.err
    assert {"0-why.png", "1-why.png", "predictions.csv"} <= {path.name for path in (here / "found").iterdir()}
    assert read_image(here / "found" / "0-why.png").shape[2] == 3
    said = run("predict", model.path, "new/0.png", "--explain")
    assert said.code == 0
    assert "give --out FOLDER to --explain" in said.err


def test_only_classifiers_explain(run: Any, model: px.Model, here: Path) -> None:
    result: Any = model.predict(np.zeros((32, 32), np.uint8))
    with pytest.raises(UsageError, match="ask for it with predict"):
        result.overlay()
    photos = torch.randint(0, 256, (8, 1, 32, 32), dtype=torch.uint8)
    dataset = px.Dataset("photos", {"train": Split(photos), "val": Split(photos)})
    denoiser = px.train("denoise", dataset, network="tv", progress=False, steps=1)
    with pytest.raises(UsageError, match="--explain is for classifiers"):
        denoiser.predict(photos[0], explain=True)


def test_heat_is_placed_on_the_part_that_the_network_saw() -> None:
    heat = np.ones((8, 8), np.float32)
    whole = place_heat(heat, (40, 100))
    assert whole[:, 30:70].min() == 1
    assert whole[:, :30].max() == whole[:, 70:].max() == 0
    page = draw_heat(np.full((40, 100), 200, np.uint8), heat)
    assert page.shape == (80, 200, 3)
    assert (page[:, :50] == page[0, 0]).all()
