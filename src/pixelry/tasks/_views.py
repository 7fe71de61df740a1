"""Test-time augmentation of a classifier: the mean of its probabilities over views of an image."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Views = Literal["none", "flip", "shift", "flip_shift"]

STEP = 1 / 32  # of a side, by which views are shifted: one pixel of 32, as for CIFAR-10 (Jordan 2024, section 3.5)


def views_of(images: Tensor, kind: Views) -> Iterator[Tensor]:
    """Yield views of images (B, C, H, W), the images themselves first.

    Args:
        images: Float in [0, 1].
        kind: "flip" adds the mirror image, "shift" four shifts by 1/32 of a side, whose edges are continued, and
            "flip_shift" both: 2, 5 and 10 views.
    """
    mirrored = (False, True) if kind in ("flip", "flip_shift") else (False,)
    for mirror in mirrored:
        view = images.flip(-1) if mirror else images
        yield view
        if kind in ("shift", "flip_shift"):
            yield from _shifted(view)


def _shifted(images: Tensor) -> Iterator[Tensor]:
    height, width = images.shape[-2:]
    down, right = max(1, round(STEP * height)), max(1, round(STEP * width))
    padded = F.pad(images, (right, right, down, down), mode="replicate")
    for top, left in ((0, right), (2 * down, right), (down, 0), (down, 2 * right)):
        yield padded[..., top : top + height, left : left + width]


def mean_logits(network: nn.Module, images: Tensor, kind: Views) -> Tensor:
    """Return logits (B, K) whose softmax is the mean of the network's probabilities over the views."""
    if kind == "none":
        logits: Tensor = network(images)
        return logits
    found = [network(view) for view in views_of(images, kind)]
    logs = torch.stack([logits.float().log_softmax(1) for logits in found])
    return logs.logsumexp(0) - torch.log(torch.tensor(float(len(found)), device=logs.device))
