"""Bicubic interpolation: the rung that everything else has to beat."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.config import Recipe

SUMMARY = "bicubic interpolation: nothing to train; the rung to beat"
SOURCE = "Keys 1981, Cubic Convolution Interpolation for Digital Image Processing"
RECIPES = {"upscale": Recipe(augment="none")}


class Bicubic(nn.Module):
    """Pictures (B, C, H, W) to (B, C, factor H, factor W).

    Args:
        factor: How many times as high and wide.
    """

    def __init__(self, factor: int) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        """Enlarge pictures; values may leave [0, 1] a little at edges."""
        return enlarged(x, self.factor)


def enlarged(x: Tensor, factor: int) -> Tensor:
    """Return pictures (B, C, H, W) by bicubic interpolation, (B, C, factor H, factor W)."""
    return interpolated(x, (factor * int(x.shape[-2]), factor * int(x.shape[-1])))


def interpolated(x: Tensor, size: tuple[int, int]) -> Tensor:
    """Return pictures (B, C, H, W) at another (height, width) by bicubic interpolation, with Keys' a = -0.5.

    Where they become smaller, the kernel is stretched (antialiasing), as Pillow and MATLAB do.
    """
    # With antialiasing torch takes their kernel; without it another one, with a = -0.75.
    return F.interpolate(x.float(), size=size, mode="bicubic", antialias=True)


def build(*, channels: int, size: tuple[int, int], factor: int) -> Bicubic:
    """Build it.

    Args:
        channels: 1 or 3.
        size: (height, width) of the training patches in pixels; it takes any.
        factor: How many times as high and wide the result is.
    """
    return Bicubic(factor)
