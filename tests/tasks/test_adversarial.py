"""Adversarial networks: losses against their formulas, phases that train their own, pictures that follow seeds."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pixelry as px
from pixelry.data.dataset import Dataset, Split
from pixelry.errors import DataError, UsageError
from pixelry.networks.generate import dcgan, dcgan2016
from pixelry.pixels import read_image
from pixelry.tasks.generate import Adversarial
from pixelry.types import Generated

FAST: dict[str, Any] = {"progress": False, "precision": "32-true", "memory_format": "contiguous"}
SMALL = {"width": 8, "batch": 16}


class LinearGame(nn.Module):
    """A game whose losses can be written down: the generator adds, the discriminator is linear."""

    latent = 4

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.generator, self.discriminator = _Shift(), _Linear()


class _Shift(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(1, 1, 2, 2))

    def forward(self, latent: Tensor, label: Tensor | None) -> Tensor:
        return torch.tanh(latent.view(-1, 1, 2, 2) + self.shift)


class _Linear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5, 0.25]))

    def forward(self, images: Tensor, label: Tensor | None) -> Tensor:
        return images.flatten(1) @ self.weight


@pytest.mark.parametrize("loss", ["logistic", "hinge"])
def test_losses_are_the_published_ones(loss: Any) -> None:
    game, task = LinearGame(), Adversarial(loss=loss)
    batch = {"image": torch.rand(8, 1, 2, 2)}
    torch.manual_seed(1)
    found = {phase: task.losses(game, batch, phase)["loss"] for phase in task.phases}
    torch.manual_seed(1)
    weight = game.discriminator.weight
    real = (2 * batch["image"] - 1).flatten(1) @ weight
    made = {phase: torch.tanh(torch.randn(8, 4)) @ weight for phase in task.phases}
    if loss == "logistic":
        expected_d = -real.sigmoid().log().mean() - (1 - made["discriminator"].sigmoid()).log().mean()
        expected_g = -made["generator"].sigmoid().log().mean()
    else:
        expected_d = (1 - real).clamp_min(0).mean() + (1 + made["discriminator"]).clamp_min(0).mean()
        expected_g = -made["generator"].mean()
    torch.testing.assert_close(found["discriminator"], expected_d)
    torch.testing.assert_close(found["generator"], expected_g)


def test_r1_is_the_squared_slope_at_real_pictures() -> None:
    game, batch = LinearGame(), {"image": torch.rand(8, 1, 2, 2)}
    values = []
    for r1 in (0.0, 10.0):
        torch.manual_seed(1)
        values.append(Adversarial(r1=r1).losses(game, batch, "discriminator")["loss"])
    torch.testing.assert_close(values[1] - values[0], 0.5 * 10 * game.discriminator.weight.square().sum())


def test_each_phase_trains_its_own() -> None:
    game, batch = LinearGame(), {"image": torch.rand(8, 1, 2, 2)}
    Adversarial().losses(game, batch, "discriminator")["loss"].backward()
    assert game.generator.shift.grad is None
    assert game.discriminator.weight.grad is not None
    task = Adversarial()
    assert task.parameters(game, "generator") is game.generator
    assert task.parameters(game, "discriminator") is game.discriminator


@pytest.mark.parametrize("network", ["dcgan", "dcgan2016"])
def test_training_moves_both_networks_and_leaves_curves_and_sheets(
    network: str, few_digits: Dataset, here: Path
) -> None:
    before = px.train("generate", few_digits, network=network, steps=1, settings={**SMALL, "lr": 1e-12}, **FAST)
    model = px.train("generate", few_digits, network=network, epochs=3, settings=SMALL, out=here / "run", **FAST)
    first, last = before.network.state_dict(), model.network.state_dict()
    for part in ("generator", "discriminator"):
        moved = [key for key in first if key.startswith(part) and not torch.allclose(first[key], last[key])]
        assert len(moved) >= 4, part
    with (here / "run/metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert all(np.isfinite(float(rows[-2][name])) for name in ("loss", "discriminator_loss", "generator_loss"))
    total = float(rows[-2]["discriminator_loss"]) + float(rows[-2]["generator_loss"])
    assert float(rows[-2]["loss"]) == pytest.approx(total, rel=1e-5)
    sheets = sorted((here / "run/samples").iterdir())
    assert sheets
    assert read_image(sheets[0]).ndim >= 2
    assert 0 <= model.card.metrics["told_apart"] <= 1


def test_every_option_trains_and_is_read_back(few_digits: Dataset, here: Path) -> None:
    options = {"norm": "spectral", "loss": "hinge", "r1": 1.0, "diff_augment": "shift-cut", "conditional": True}
    settings = {**SMALL, **options}
    model = px.train("generate", few_digits, network="dcgan", steps=4, settings=settings, out=here / "run", **FAST)
    again = px.load_model(here / "run")
    for one, other in zip(model.generate(3), again.generate(3), strict=True):
        assert (np.asarray(one) == np.asarray(other)).all()
    with pytest.raises(UsageError, match=r"r1=2.0: the model was trained with 1.0"):
        again.generate(1, settings={"r1": 2.0})
    with pytest.raises(UsageError, match="early stopping needs a figure"):
        px.train("generate", few_digits, network="dcgan", steps=4, early_stop=2, settings=SMALL, **FAST)
    with pytest.raises(UsageError, match="to keep the best needs a figure"):
        px.train("generate", few_digits, network="dcgan", steps=4, settings={**SMALL, "keep": "best"}, **FAST)


def test_the_same_seed_trains_the_same_game(few_digits: Dataset) -> None:
    first, again = (
        px.train("generate", few_digits, network="dcgan", steps=5, settings=SMALL, **FAST).network.state_dict()
        for _ in range(2)
    )
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("conditional", [False, True])
def test_pictures_follow_seed_and_number(conditional: bool, few_digits: Dataset, here: Path) -> None:
    settings = {**SMALL, "conditional": conditional}
    px.train("generate", few_digits, network="dcgan", steps=20, settings=settings, out=here / "run", **FAST)
    model = px.load_model(here / "run")
    among = model.generate(5, seed=2)
    (alone,) = model.generate(1, seed=2, start=3)
    assert isinstance(alone, Generated)
    assert np.abs(np.asarray(alone).astype(int) - np.asarray(among[3]).astype(int)).max() <= 1
    assert (alone.label is not None) == conditional
    if conditional:
        made = {label: np.asarray(model.generate(1, label=label)[0]).astype(int) for label in "12"}
        assert np.abs(made["1"] - made["2"]).max() > 0


def test_a_walk_goes_from_picture_to_picture(few_digits: Dataset) -> None:
    model = px.train("generate", few_digits, network="dcgan", steps=5, settings=SMALL, **FAST)
    generators = lambda: [torch.Generator().manual_seed(i) for i in range(3)]  # noqa: E731
    way = model.task.walk(model.network, generators(), None, 4)
    pictures = model.task.draw(model.network, generators(), None, lambda done: None)
    assert len(way) == 12
    for i in range(3):
        torch.testing.assert_close(way[4 * i][0], pictures[i], atol=1e-4, rtol=0)
    assert (way[1] - way[0]).abs().max() > 0


def test_the_plain_network_has_the_layers_of_the_example() -> None:
    network = dcgan2016.build(channels=3, size=(64, 64))
    shapes = [tuple(m.weight.shape) for m in network.generator.modules() if isinstance(m, nn.ConvTranspose2d)]
    assert shapes == [(512, 256, 4, 4), (256, 128, 4, 4), (128, 64, 4, 4), (64, 3, 4, 4)]
    shapes = [tuple(m.weight.shape) for m in network.discriminator.modules() if isinstance(m, nn.Conv2d)]
    assert shapes == [(64, 3, 4, 4), (128, 64, 4, 4), (256, 128, 4, 4), (512, 256, 4, 4)]
    weights = torch.cat([m.weight.detach().flatten() for m in network.modules() if isinstance(m, nn.Conv2d)])
    assert float(weights.std()) == pytest.approx(0.02, rel=0.05)


@pytest.mark.parametrize("size", [(28, 28), (32, 32), (64, 64), (8, 8), (33, 17)])
@pytest.mark.parametrize("plugin", [dcgan, dcgan2016])
def test_pictures_have_the_size_and_range_that_was_asked_for(plugin: Any, size: tuple[int, int]) -> None:
    network = plugin.build(channels=3, size=size, classes=2, width=8)
    label = torch.tensor([0, 1, 1])
    made = network.generator(torch.randn(3, network.latent), label)
    assert made.shape == (3, 3, *size)
    assert made.abs().max() <= 1
    assert network.discriminator(made, label).shape == (3,)


def test_layers_of_the_discriminator_have_spectral_norm_one() -> None:
    torch.manual_seed(0)
    network = dcgan.build(channels=1, size=(28, 28), width=8, norm="spectral")
    for _ in range(30):  # each pass in training mode refines the estimate
        network.discriminator(torch.randn(4, 1, 28, 28))
    network.eval()
    for layer in network.discriminator.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            assert float(torch.linalg.matrix_norm(layer.weight.detach().flatten(1), 2)) == pytest.approx(1, rel=0.05)


def test_the_discriminator_sees_a_batch_without_variety() -> None:
    torch.manual_seed(0)
    judge = dcgan.build(channels=1, size=(28, 28), width=8, norm="spectral").discriminator.eval()
    picture = torch.randn(1, 1, 28, 28)
    same, varied = picture.expand(8, -1, -1, -1), torch.cat([picture, torch.randn(7, 1, 28, 28)])
    with torch.inference_mode():
        assert abs(float(judge(same)[0] - judge(varied)[0])) > 1e-5


def test_bad_settings_are_named(few_digits: Dataset) -> None:
    for settings, message in (
        ({"r1": -1.0}, "r1 is -1.0"),
        ({"generator_rate": 0.0}, "generator_rate is 0.0"),
        ({"loss": "wasserstein"}, "loss is 'wasserstein'; it must be one of logistic, hinge"),
    ):
        with pytest.raises(UsageError, match=message):
            px.train("generate", few_digits, network="dcgan", steps=1, settings=settings, **FAST)


def test_a_game_needs_two_pictures() -> None:
    data = Dataset("one", {"train": Split(torch.zeros(1, 1, 8, 8, dtype=torch.uint8))}, ())
    with pytest.raises(DataError, match="needs 2 or more"):
        px.train("generate", data, network="dcgan", steps=1, val_fraction=0, **FAST)


def test_it_completes_nothing_and_knows_no_steps(few_digits: Dataset) -> None:
    model = px.train("generate", few_digits, network="dcgan", steps=1, settings=SMALL, **FAST)
    mask = np.zeros((8, 8), np.uint8)
    mask[4:] = 255
    with pytest.raises(UsageError, match="completes none"):
        model.inpaint(few_digits["test"].images[0, 0].numpy(), mask)
    with pytest.raises(UsageError, match="unknown setting of generate 'guidance'"):
        model.generate(1, settings={"guidance": 2.0})
