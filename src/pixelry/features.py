"""Networks that say in numbers what is on a picture, so that sets of pictures can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pixelry.data.dataset import Split
from pixelry.data.loading import eval_batch, prepare, to_float
from pixelry.errors import UsageError
from pixelry.model import Model, load_model
from pixelry.training.module import head_of
from pixelry.training.weights import download

DIGITS = Path(__file__).parent / "weights" / "digits.safetensors"
DIGIT_CLASSES = tuple("0123456789")
INCEPTION = "Inception_V3_Weights.IMAGENET1K_V1"
INCEPTION_SIZE = (299, 299)


@dataclass(frozen=True)
class Features:
    """What a classifier knows of pictures just before it decides.

    Attributes:
        name: For the protocol.
        network: Maps (B, C, H, W) in [0, 1] to scores (B, K).
        head: The layer of it whose input the features are.
        size: (height, width) at the network.
        channels: At the network.
        classes: Names of the classes, () where they mean nothing here.
    """

    name: str
    network: nn.Module
    head: nn.Module
    size: tuple[int, int]
    channels: int
    classes: tuple[str, ...]

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return features (N, D) float32 and the likeliest class (N,) of uint8 pictures (N, C, H, W) of any size."""
        found: list[Tensor] = []
        classes: list[Tensor] = []
        keep = self.head.register_forward_pre_hook(lambda module, given: found.append(given[0].flatten(1).float()))
        try:
            step = eval_batch(self.size)
            for start in range(0, len(images), step):
                part = prepare(Split(images[start : start + step]), size=self.size, channels=self.channels).images
                assert isinstance(part, Tensor)
                scores = self.network(to_float(part).contiguous(memory_format=torch.channels_last))
                classes.append(scores.argmax(1))
        finally:
            keep.remove()
        return torch.cat(found), torch.cat(classes)


def load_features(features: Any, *, channels: int, classes: tuple[str, ...]) -> Features | None:
    """Return the features on which pictures are compared.

    Args:
        features: A classifier (model file, run's folder, `Model`), "digits" (a small network that ships with
            Pixelry), "inception" (torchvision's Inception v3, whose weights are downloaded), or None: digits for
            grey digits, else nothing.
        channels: Of the pictures.
        classes: Of the data.

    Raises:
        UsageError: The model is no classifier.
        ModelError: It cannot be loaded, or weights cannot be downloaded.
    """
    if features is None:
        digits = channels == 1 and classes == DIGIT_CLASSES
        return load_features("digits", channels=channels, classes=classes) if digits else None
    if features == "inception":
        return _inception()
    model: Model = load_model(DIGITS if features == "digits" else features)
    if model.card.task != "classify":
        raise UsageError(f"features come from a classifier; {features} is a model for {model.card.task}")
    name = "digits (shipped)" if features == "digits" else f"{model.card.network} {model.path or ''}".strip()
    return Features(name, model.network, head_of(model.network), model.card.size, model.card.channels, model.classes)


class _Inception(nn.Module):
    """torchvision's Inception v3 behind our input: (B, 3, H, W) in [0, 1] to 1000 scores."""

    def __init__(self) -> None:
        super().__init__()
        from torchvision import models

        self.body = models.inception_v3(weights=None, init_weights=False)
        self.body.load_state_dict(download(INCEPTION))

    def forward(self, images: Tensor) -> Tensor:
        scores: Tensor = self.body(2 * images - 1)
        return scores


def _inception() -> Features:
    """Return the 2048 numbers of torchvision's Inception v3.

    They come from other weights than those of the published Fréchet Inception Distances, with which figures on them do
    not compare.
    """
    network = _Inception().eval()
    return Features("Inception v3 of torchvision", network, network.body.fc, INCEPTION_SIZE, 3, ())
