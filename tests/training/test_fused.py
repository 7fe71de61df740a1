"""The copy of a network that predicts: as the network itself, also after that has changed."""

from __future__ import annotations

import importlib

import pytest
import torch
from torch import Tensor, nn

from pixelry.training.fused import fused

NETWORKS = ("cnn", "airbench", "resnet18", "vgg16", "efficientnet_b0", "detect.yolo_n")


def stirred(name: str) -> nn.Module:
    """Return a network whose normalisations have seen something."""
    torch.manual_seed(5)
    network: nn.Module = importlib.import_module(f"pixelry.networks.{name}").build(channels=3, size=(64, 64), classes=3)
    with torch.no_grad():
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.weight.uniform_(0.5, 1.5)
                layer.bias.normal_(0, 0.2)
                layer.running_mean.normal_(0, 0.2)
                layer.running_var.uniform_(0.5, 1.5)
    return network.eval()


def answer(network: nn.Module) -> Tensor:
    with torch.inference_mode():
        result: Tensor = network(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)))
        return result


@pytest.mark.parametrize("name", NETWORKS)
def test_it_answers_as_the_network_does(name: str) -> None:
    network = stirred(name)
    before = answer(network)
    scale = float(before.abs().max())
    torch.testing.assert_close(answer(fused(network)), before, atol=1e-4 * scale, rtol=0)
    assert torch.equal(answer(network), before)


def test_normalisation_is_gone_where_a_convolution_takes_it_on() -> None:
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in fused(stirred("detect.yolo_n")).modules())


def test_it_is_kept_and_made_anew_after_changes() -> None:
    network = stirred("cnn")
    first = fused(network)
    assert fused(network) is first
    with torch.no_grad():
        network.get_parameter("head.weight").mul_(2)
    second = fused(network)
    assert second is not first
    torch.testing.assert_close(answer(second), answer(network))
    network.add_module("head", nn.Linear(network.get_parameter("head.weight").shape[1], 7))
    assert answer(fused(network)).shape == (2, 7)
    network.load_state_dict({name: value * 0.5 for name, value in network.state_dict().items()})
    torch.testing.assert_close(answer(fused(network)), answer(network))
