"""One grid over every network file: a new file is tested without a new test."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from pixelry.config import Recipe
from pixelry.networks.blocks import Fitted, Normalize
from pixelry.plugins import network_for, network_names, networks, tasks
from pixelry.training.module import head_of

# Every network under every task that it does.
PAIRS = [(task, name) for task in tasks.names() for name in network_names(task)]
CLASSIFIERS = network_names("classify")
# What a task tells `build` beside channels and size, and the shape of the output for pictures (B, C, H, W).
TOLD = {"classify": {"classes": 5}, "denoise": {}, "generate": {"levels": 3}}
SHAPES = {
    "classify": lambda b, c, h, w: (b, 5),
    "denoise": lambda b, c, h, w: (b, c, h, w),
    "generate": lambda b, c, h, w: (b, c, 2, h, w),
}


def build(task: str, name: str, channels: int, size: tuple[int, int]) -> nn.Module:
    torch.manual_seed(0)
    network: nn.Module = network_for(name, task).build(channels=channels, size=size, **TOLD[task])
    return network


@pytest.mark.parametrize(("task", "name"), PAIRS)
@pytest.mark.parametrize(("channels", "size"), [(1, (8, 8)), (3, (33, 17))])
def test_any_input_gives_outputs_and_gradients(task: str, name: str, channels: int, size: tuple[int, int]) -> None:
    network = build(task, name, channels, size)
    images = torch.rand(3, channels, *size)
    output = network(images)
    assert output.shape == SHAPES[task](3, channels, *size)
    assert torch.isfinite(output).all()
    output.float().flatten(1).logsumexp(1).sum().backward()
    missing = [key for key, p in network.named_parameters() if p.requires_grad and p.grad is None]
    assert not missing


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_evaluation_takes_each_image_by_itself(task: str, name: str) -> None:
    network = build(task, name, 3, (32, 32)).eval()
    images = torch.rand(4, 3, 32, 32)
    with torch.inference_mode():
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_the_file_says_what_it_is(task: str, name: str) -> None:
    plugin = network_for(name, task)
    assert plugin.SUMMARY
    assert plugin.SOURCE
    assert isinstance(plugin.RECIPES[task], Recipe)
    assert "Args:" in (inspect.getdoc(plugin.build) or "")


def test_every_file_does_a_task() -> None:
    done = {f"{task}.{name}" for task, name in PAIRS} | {name for _, name in PAIRS}
    assert set(networks.names()) <= done


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_it_is_fitted_to_its_input(task: str, name: str) -> None:
    assert any(isinstance(module, Fitted) for module in build(task, name, 3, (32, 32)).modules())


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_has_a_head_and_an_input_standardisation(name: str) -> None:
    network = build("classify", name, 3, (32, 32))
    assert sum(p.numel() for p in head_of(network).parameters()) > 0
    assert any(isinstance(module, Normalize) for module in network.modules())


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_the_same_seed_builds_the_same_weights(task: str, name: str) -> None:
    first, again = build(task, name, 3, (32, 32)).state_dict(), build(task, name, 3, (32, 32)).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize("name", [name for name in CLASSIFIERS if hasattr(network_for(name, "classify"), "WEIGHTS")])
def test_named_weights_exist_in_torchvision(name: str) -> None:
    from torchvision import models

    for weights in network_for(name, "classify").WEIGHTS.values():
        assert models.get_weight(weights).url.startswith("https://")


def test_normalisation_is_fitted_to_data() -> None:
    layer = Normalize(3)
    images = torch.rand(50, 3, 8, 8) * torch.tensor([1.0, 0.5, 0.0]).view(3, 1, 1)
    layer.fit(images)
    out = layer(images)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.std((0, 2, 3))[:2], torch.ones(2), atol=1e-3, rtol=0)
    assert torch.isfinite(out).all()
