"""What augmentations have in common: mirrors, and changes of brightness, saturation and hue of whole batches."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

# Luma and two chroma axes (YIQ): a hue is an angle in the plane of the latter.
YIQ = ((0.299, 0.587, 0.114), (0.5959, -0.2746, -0.3213), (0.2115, -0.5227, 0.3112))


@dataclass(frozen=True, kw_only=True)
class Changes:
    """How much pictures are changed.

    Attributes:
        mirror: Share that is mirrored left to right.
        upend: Share that is mirrored top to bottom: for pictures without an up, such as of cells or from above.
        hue: At most such a part of the colour circle.
        saturation: Drawn from 1 - saturation to 1 + saturation.
        value: Brightness, drawn likewise.
    """

    mirror: float = 0.5
    upend: float = 0.0
    hue: float = 0.015
    saturation: float = 0.4
    value: float = 0.4


def recolored(images: Tensor, how: Changes) -> Tensor:
    """Change brightness, and of colour pictures saturation and hue: one 3x3 matrix for each picture.

    Numbers come from torch's global generator.

    Args:
        images: (B, C, H, W) float in [0, 1].
        how: Its hue, saturation and value.
    """
    count, channels = images.shape[:2]
    bright = (1 + how.value * (2 * torch.rand(count) - 1)).view(-1, 1, 1, 1).to(images.device)
    draw = 2 * torch.rand(count, 2) - 1
    if channels != 3:
        return (images * bright).clamp_(0, 1)
    angle, chroma = 2 * math.pi * how.hue * draw[:, 0], 1 + how.saturation * draw[:, 1]
    turn = torch.zeros(count, 3, 3)
    turn[:, 0, 0] = 1
    turn[:, 1, 1] = turn[:, 2, 2] = chroma * angle.cos()
    turn[:, 1, 2], turn[:, 2, 1] = -chroma * angle.sin(), chroma * angle.sin()
    to_yiq = torch.tensor(YIQ)
    matrix = (torch.linalg.inv(to_yiq) @ turn @ to_yiq).to(images.device) * bright[:, 0]
    return torch.einsum("bij,bjhw->bihw", matrix, images).clamp_(0, 1)
