"""torchvision's segmentation networks behind our input, on any of its backbones."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn
from torchvision import models
from torchvision.models._utils import IntermediateLayerGetter

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.blocks import Normalize

Backbone = Literal["resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v3"]

RECIPE = Recipe(
    optimizer="muon", lr=4e-3, momentum=0.9, beta2=0.99, weight_decay=1e-2, batch=8, epochs=50, warmup=0.05, ema=0.05,
    clip=5.0, augment="none",
)  # fmt: skip
# From published weights: AdamW at a small rate, as such weights are commonly tuned further.
TRANSFER = Recipe(lr=5e-4, weight_decay=1e-2, batch=8, epochs=50, warmup=0.05, ema=0.05, clip=5.0, augment="none")
IMAGENET = {
    "resnet18": "ResNet18_Weights.DEFAULT",
    "resnet34": "ResNet34_Weights.DEFAULT",
    "resnet50": "ResNet50_Weights.DEFAULT",
    "resnet101": "ResNet101_Weights.DEFAULT",
    "mobilenet_v3": "MobileNet_V3_Large_Weights.DEFAULT",
}
# Channels of the features at a stride of 8; in MobileNet v3 they come of the fifth of its blocks, before it strides on.
LOW = {"resnet18": 128, "resnet34": 128, "resnet50": 512, "resnet101": 512, "mobilenet_v3": 40}
MOBILE_LOW = "4"


class Segmenter(nn.Module):
    """A segmentation network of torchvision: (B, C, H, W) in [0, 1] to logits (B, K, H, W).

    Args:
        body: The network, whose parameter names stay its own, so that its weights load by name.
        channels: 1 or 3; grey becomes three equal channels.
        weights: torchvision's weights that fit the body, or its backbone, by our name for them.
        least: Pictures that a step of training needs: 2 where a whole picture becomes one place that is normalised.

    Attributes:
        normalize: Input standardisation.
    """

    def __init__(self, body: Any, channels: int, weights: Mapping[str, str], *, least: int = 1) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.body, self.weights, self.least = body, weights, least

    @property
    def head(self) -> nn.Module:
        """What makes classes of the backbone's features."""
        return self.body.get_submodule("classifier")

    def renamed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return torchvision's weights by the names that they have here, also those of a classifier's backbone."""
        if any(name.startswith("backbone.") for name in state):
            return {name: value for name, value in state.items() if not name.startswith("aux_classifier.")}
        kept = {name.removeprefix("features."): value for name, value in state.items()}
        return {f"backbone.{name}": v for name, v in kept.items() if not name.startswith(("fc.", "classifier."))}

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) of any size to logits (B, K, H, W).

        Raises:
            UsageError: A step of training has too few pictures.
        """
        if self.training and len(x) < self.least:
            raise UsageError(
                f"a step of {len(x)} training picture: this network normalises what it saw of whole pictures, and "
                f"wants {self.least} or more of them (--set batch={self.least})"
            )
        logits: Tensor = self.body(self.normalize(x).expand(-1, 3, -1, -1))["out"]
        return logits


def features(name: Backbone) -> tuple[nn.Module, int]:
    """Return a backbone that gives {"out": (B, channels, H / stride, W / stride)}, and its channels.

    The last strides of the larger ones become dilations (Chen et al. 2017, DeepLab v3): their stride is 8, that of
    mobilenet_v3 16. ResNets of basic blocks cannot, and keep a stride of 32.
    """
    layers, _, last, width = _layers(name)
    return IntermediateLayerGetter(layers, {last: "out"}), width


def two_features(name: Backbone) -> tuple[nn.Module, int, int]:
    """Return a backbone that gives "low", features at a stride of 8, and "high", its last; and the channels of both."""
    layers, middle, last, width = _layers(name)
    return IntermediateLayerGetter(layers, {middle: "low", last: "high"}), LOW[name], width


def _layers(name: Backbone) -> tuple[nn.Module, str, str, int]:
    """Return a backbone's layers, the names of those whose outputs have a stride of 8 and that come last, its width."""
    if name == "mobilenet_v3":
        # With 0.01, its own, statistics follow so slowly that those of a run in minutes would be of its start.
        norm = partial(nn.BatchNorm2d, eps=1e-3, momentum=0.1)
        layers = models.mobilenet_v3_large(dilated=True, norm_layer=norm).features
        return layers, MOBILE_LOW, str(len(layers) - 1), 960
    make = getattr(models, name)
    dilated = {} if name in ("resnet18", "resnet34") else {"replace_stride_with_dilation": [False, True, True]}
    body = make(**dilated)
    return body, "layer2", "layer4", int(body.fc.in_features)


def known(coco: Mapping[str, str], backbone: str) -> dict[str, str]:
    """Return the weights by name that a network on a backbone may start from."""
    found = {"imagenet": IMAGENET[backbone]}
    return {**found, "coco": coco[backbone]} if backbone in coco else found
