"""One grid over every network file: a new file is tested without a new test."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from pixelry.config import Recipe
from pixelry.networks.blocks import Normalize
from pixelry.plugins import networks, tasks
from pixelry.training.module import head_of

NAMES = networks.names()


def build(name: str, channels: int, size: tuple[int, int], classes: int = 5) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = networks.load(name).build(channels=channels, size=size, classes=classes)
    return network


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("channels", "size"), [(1, (8, 8)), (3, (33, 47))])
def test_any_input_gives_logits_and_gradients(name: str, channels: int, size: tuple[int, int]) -> None:
    network = build(name, channels, size)
    images = torch.rand(3, channels, *size)
    logits = network(images)
    assert logits.shape == (3, 5)
    assert torch.isfinite(logits).all()
    logits.float().logsumexp(1).sum().backward()
    missing = [key for key, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_takes_each_image_by_itself(name: str) -> None:
    network = build(name, 3, (32, 32)).eval()
    images = torch.rand(4, 3, 32, 32)
    with torch.inference_mode():
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", NAMES)
def test_the_file_says_what_it_is(name: str) -> None:
    plugin = networks.load(name)
    assert plugin.SUMMARY
    assert plugin.SOURCE
    for task, recipe in plugin.RECIPES.items():
        assert task in tasks.names()
        assert isinstance(recipe, Recipe)
    assert "Args:" in (inspect.getdoc(plugin.build) or "")


@pytest.mark.parametrize("name", NAMES)
def test_it_has_a_head_and_an_input_standardisation(name: str) -> None:
    network = build(name, 3, (32, 32))
    assert sum(p.numel() for p in head_of(network).parameters()) > 0
    assert any(isinstance(module, Normalize) for module in network.modules())


@pytest.mark.parametrize("name", NAMES)
def test_the_same_seed_builds_the_same_weights(name: str) -> None:
    first, again = build(name, 3, (32, 32)).state_dict(), build(name, 3, (32, 32)).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("name", [name for name in NAMES if hasattr(networks.load(name), "WEIGHTS")])
def test_named_weights_exist_in_torchvision(name: str) -> None:
    from torchvision import models

    for weights in networks.load(name).WEIGHTS.values():
        assert models.get_weight(weights).url.startswith("https://")


def test_normalisation_is_fitted_to_data() -> None:
    layer = Normalize(3)
    images = torch.rand(50, 3, 8, 8) * torch.tensor([1.0, 0.5, 0.0]).view(3, 1, 1)
    layer.fit(images)
    out = layer(images)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.std((0, 2, 3))[:2], torch.ones(2), atol=1e-3, rtol=0)
    assert torch.isfinite(out).all()
