"""torchvision's segmentation networks behind our input, on any of its backbones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from torch import Tensor, nn
from torchvision import models
from torchvision.models._utils import IntermediateLayerGetter

from pixelry.config import Recipe
from pixelry.networks.blocks import Normalize

Backbone = Literal["resnet18", "resnet34", "resnet50", "resnet101", "mobilenet_v3"]

RECIPE = Recipe(lr=5e-4, weight_decay=1e-2, batch=8, epochs=50, warmup=0.05, ema=0.05, clip=5.0, augment="none")
IMAGENET = {
    "resnet18": "ResNet18_Weights.DEFAULT",
    "resnet34": "ResNet34_Weights.DEFAULT",
    "resnet50": "ResNet50_Weights.DEFAULT",
    "resnet101": "ResNet101_Weights.DEFAULT",
    "mobilenet_v3": "MobileNet_V3_Large_Weights.DEFAULT",
}


class Segmenter(nn.Module):
    """A segmentation network of torchvision: (B, C, H, W) in [0, 1] to logits (B, K, H, W).

    Args:
        body: The network, whose parameter names stay its own, so that its weights load by name.
        channels: 1 or 3; grey becomes three equal channels.
        weights: torchvision's weights that fit the body, or its backbone, by our name for them.

    Attributes:
        normalize: Input standardisation.
    """

    def __init__(self, body: Any, channels: int, weights: Mapping[str, str]) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.body, self.weights = body, weights

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
        """Map (B, C, H, W) of any size to logits (B, K, H, W)."""
        logits: Tensor = self.body(self.normalize(x).expand(-1, 3, -1, -1))["out"]
        return logits


def features(name: Backbone) -> tuple[nn.Module, int]:
    """Return a backbone that gives {"out": (B, channels, H / stride, W / stride)}, and its channels.

    The last strides of the larger ones become dilations (Chen et al. 2017, DeepLab v3): their stride is 8, that of
    mobilenet_v3 16. ResNets of basic blocks cannot, and keep a stride of 32.
    """
    if name == "mobilenet_v3":
        layers = models.mobilenet_v3_large(dilated=True).features
        return IntermediateLayerGetter(layers, {str(len(layers) - 1): "out"}), 960
    make = getattr(models, name)
    dilated = {} if name in ("resnet18", "resnet34") else {"replace_stride_with_dilation": [False, True, True]}
    body = make(**dilated)
    return IntermediateLayerGetter(body, {"layer4": "out"}), int(body.fc.in_features)


def known(coco: Mapping[str, str], backbone: str) -> dict[str, str]:
    """Return the weights by name that a network on a backbone may start from."""
    found = {"imagenet": IMAGENET[backbone]}
    return {**found, "coco": coco[backbone]} if backbone in coco else found
