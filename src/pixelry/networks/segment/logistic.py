"""Softmax regression of each pixel's class on the window around it: the first rung of segmentation.

A pixel is described by the colours of the window at several scales, and by where in the picture it lies: sky is above.
The problem is convex, and the weights can be looked at.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.blocks import Normalize

SUMMARY = "a softmax regression of each pixel on the window around it: the first rung"
SOURCE = "Cox 1958; pixel classification on windows as in Shotton et al. 2009 (TextonBoost), without its textons"
RECIPES = {
    "segment": Recipe(lr=2e-2, weight_decay=0.0, batch=8, epochs=30, warmup=0.02, ema=0.05, augment="none"),
}
STRIDE = 4  # of the pixels that are described: their class changes no faster
PLACES = 5  # y, x, their squares and their product


class Logistic(nn.Module):
    """The regression: (B, C, H, W) in [0, 1] to logits (B, K, H / 4, W / 4), rounded up.

    Args:
        channels: 1 or 3.
        classes: K.
        window: Side of the window in places of each scale, odd.
        scales: The window is looked at on the picture's mean over 4, 8, 16, ... pixels: so many times.

    Attributes:
        sees_places: It knows where in a picture a pixel lies, so that a part of one is no picture to it.
    """

    sees_places = True

    def __init__(self, channels: int, classes: int, window: int, scales: int) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.window, self.scales = window, scales
        # Mean and mean square of each place: brightness, and how rough it is.
        self.head = nn.Conv2d(2 * channels * scales * window**2 + PLACES, classes, 1)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]  # it has a bias

    def forward(self, x: Tensor) -> Tensor:
        """Map (B, C, H, W) of any size to logits (B, K, H / 4, W / 4), rounded up."""
        x = self.normalize(x)
        seen = torch.cat([x, x.square()], 1)
        finest = F.avg_pool2d(seen, STRIDE, ceil_mode=True)
        parts = [self._windows(finest)]
        for scale in range(1, self.scales):
            coarse = F.avg_pool2d(finest, min(2**scale, *finest.shape[-2:]), ceil_mode=True)
            parts.append(F.interpolate(self._windows(coarse), finest.shape[-2:], mode="bilinear"))
        logits: Tensor = self.head(torch.cat([*parts, _places(finest)], 1))
        return logits

    def _windows(self, x: Tensor) -> Tensor:
        margin = self.window // 2
        padded = F.pad(x, [margin] * 4, mode="replicate")
        return F.unfold(padded, self.window).unflatten(-1, (int(x.shape[-2]), int(x.shape[-1])))


def _places(x: Tensor) -> Tensor:
    """Return (B, 5, H, W): y and x from -1 to 1, their squares and their product."""
    y = torch.linspace(-1, 1, x.shape[-2], device=x.device).view(1, 1, -1, 1).expand(len(x), 1, *x.shape[-2:])
    z = torch.linspace(-1, 1, x.shape[-1], device=x.device).view(1, 1, 1, -1).expand(len(x), 1, *x.shape[-2:])
    return torch.cat([y, z, y * y, z * z, y * z], 1).to(x.dtype)


def build(*, channels: int, size: tuple[int, int], classes: int, window: int = 5, scales: int = 3) -> Logistic:
    """Build the regression.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any.
        classes: Outputs.
        window: Side of the window in places, odd; a place is 4 pixels wide at the finest scale.
        scales: Each further one looks at places twice as wide.
    """
    if window < 1 or window % 2 == 0 or not 1 <= scales <= 6:
        raise UsageError(f"window is {window}, scales {scales}; expected an odd window, and 1 to 6 scales")
    return Logistic(channels, classes, window, scales)
