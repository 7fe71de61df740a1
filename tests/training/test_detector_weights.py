"""torchvision's weights of detectors, whose files have the names that layers had when they were trained."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.models._api import WeightsEnum

import pixelry as px
from pixelry.data.dataset import Dataset
from pixelry.data.shapes import CLASSES, render_shapes
from pixelry.errors import UsageError
from pixelry.training.weights import load_weights

FAST: dict[str, Any] = {"progress": False, "precision": "32-true", "memory_format": "contiguous"}
# By network and backbone: torchvision's function, and the name of the weights that are asked for.
DETECTORS: dict[tuple[str, str], tuple[Any, str]] = {
    ("fcos", "resnet50"): (detection.fcos_resnet50_fpn, "FCOS_ResNet50_FPN_Weights"),
    ("retinanet", "resnet50"): (detection.retinanet_resnet50_fpn, "RetinaNet_ResNet50_FPN_Weights"),
    ("ssd", "mobilenet_v3"): (detection.ssdlite320_mobilenet_v3_large, "SSDLite320_MobileNet_V3_Large_Weights"),
    ("ssd", "vgg16"): (detection.ssd300_vgg16, "SSD300_VGG16_Weights"),
    ("faster_rcnn", "mobilenet_v3"): (
        detection.fasterrcnn_mobilenet_v3_large_fpn,
        "FasterRCNN_MobileNet_V3_Large_FPN_Weights",
    ),
    ("faster_rcnn", "resnet50"): (detection.fasterrcnn_resnet50_fpn, "FasterRCNN_ResNet50_FPN_Weights"),
}


def of_old(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict under the names that torchvision's files have: from before some layers became blocks."""
    old = {}
    for name, value in state.items():
        name = re.sub(r"(fpn\.(?:inner|layer)_blocks\.\d+)\.0\.", r"\1.", name)
        name = re.sub(r"(rpn\.head\.conv)\.0\.0\.", r"\1.", name)
        # RetinaNet's towers were convolution, activation, convolution, activation, ...
        name = re.sub(r"(head\.\w+_head\.conv)\.(\d)\.0\.", lambda m: f"{m[1]}.{2 * int(m[2])}.", name)
        if not name.endswith("num_batches_tracked"):
            old[name] = value
    return old


def noisy(body: nn.Module) -> nn.Module:
    """Return a network whose every weight differs from what it is built with."""
    with torch.no_grad():
        for tensor in (*body.parameters(), *body.buffers()):
            if tensor.is_floating_point():
                tensor.add_(0.01 * torch.rand_like(tensor))
    return body


@pytest.mark.parametrize(("network", "backbone"), DETECTORS)
def test_weights_of_coco_fit_as_torchvision_keeps_them(
    network: str, backbone: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, wanted = DETECTORS[network, backbone]
    torch.manual_seed(3)
    given = noisy(make(weights=None, weights_backbone=None, num_classes=91))
    asked: list[str] = []

    def read(self: WeightsEnum, **kwargs: object) -> dict[str, Tensor]:
        asked.append(type(self).__name__)
        return of_old(given.state_dict())

    monkeypatch.setattr(WeightsEnum, "get_state_dict", read)
    plugin = importlib.import_module(f"pixelry.networks.detect.{network}")
    ours = plugin.build(channels=3, size=(320, 320), classes=2, backbone=backbone)
    left = load_weights(ours, "coco", plugin)

    assert asked == [wanted]
    assert left
    heads = tuple(f"{name}." for name in ours.heads)
    # Only what scores the classes, of which there are others, stays as it was built.
    assert all(what.removeprefix("body.").startswith(heads) for what in left)
    theirs = given.state_dict()
    same = [name for name, value in ours.body.state_dict().items() if torch.equal(value, theirs[name])]
    others = [name for name in theirs if name not in same and not name.startswith(heads)]
    assert [name for name in others if not name.endswith("num_batches_tracked")] == []
    transform: Any = given.transform
    torch.testing.assert_close(ours.normalize.mean.flatten(), torch.tensor(transform.image_mean))
    torch.testing.assert_close(ours.normalize.std.flatten(), torch.tensor(transform.image_std))


def test_weights_of_other_backbones_are_named() -> None:
    plugin = importlib.import_module("pixelry.networks.detect.faster_rcnn")
    ours = plugin.build(channels=3, size=(320, 320), classes=2)
    with pytest.raises(UsageError, match=r"there for --set backbone=mobilenet_v3 or backbone=resnet50"):
        load_weights(ours, "coco", plugin)


@pytest.mark.parametrize(("weights", "optimizer"), [(None, "muon"), ("coco", "adamw")])
def test_from_published_weights_there_is_another_recipe(
    weights: str | None, optimizer: str, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    body = detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None)
    monkeypatch.setattr(WeightsEnum, "get_state_dict", lambda self, **kwargs: body.state_dict())
    splits = {"train": render_shapes(8, size=(64, 64)), "val": render_shapes(2, size=(64, 64))}
    scenes = Dataset("scenes", splits, CLASSES)
    settings = {"backbone": "mobilenet_v3", "batch": 4}
    model = px.train(
        "detect", scenes, network="ssd", steps=1, size=(64, 64), weights=weights, settings=settings, **FAST
    )
    assert model.card.training["recipe"]["optimizer"] == optimizer
