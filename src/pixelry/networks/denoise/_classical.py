"""What classical methods have in common: no weights, one number that is measured, and pictures as arrays.

Their own constants are the best of a few for Gaussian noise of sigma 25 on training pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.blocks import Fitted

Restore = Callable[[NDArray[np.float32], float], NDArray[np.floating]]
Picture = NDArray[np.float32]

FAMILY = "regression"
RECIPES = {"denoise": Recipe(augment="none")}
LEVELS = 255.0
FITTED = 256  # patches by which the level is measured
LEAST = 8  # pixels a side that wavelets and patches want


class Level(Fitted):
    """The standard deviation of the noise, measured on the noisy training pictures: the median over them."""

    sigma: Tensor

    def __init__(self, sigma: float) -> None:
        super().__init__()
        self.given = sigma > 0
        self.register_buffer("sigma", torch.tensor(sigma / LEVELS))

    def forward(self, x: Tensor) -> Tensor:
        """Return the pictures as they are."""
        return x

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Measure the level on noisy images (N, C, H, W)."""
        if not self.given:
            levels = [measured(as_array(image)) for image in images[:FITTED]]
            self.sigma.copy_(torch.tensor(float(np.median(levels))))


class Classical(nn.Module):
    """A method without weights as a network: noisy pictures (B, C, H, W) in [0, 1] to clean ones.

    Args:
        channels: C.
        restore: Takes a picture (H, W) or (H, W, 3) float32 and the noise's standard deviation; returns it restored.
        sigma: Of the noise, of 255 grey levels; 0 measures it on the training pictures.
        each: Measure it on each picture that is to be restored, instead.
    """

    def __init__(self, channels: int, restore: Restore, *, sigma: float, each: bool) -> None:
        super().__init__()
        if not 0 <= sigma < float("inf"):
            raise UsageError(f"level is {sigma}; expected 0 (as measured) or more, of 255 grey levels")
        self.channels, self.restore, self.each = channels, restore, each
        self.level = Level(sigma)

    def at(self, sigma: float | None) -> Classical:
        """Return the same method for noise of a level, of 255 grey levels; None measures it on each picture."""
        return Classical(self.channels, self.restore, sigma=sigma or 0.0, each=sigma is None).eval()

    def forward(self, x: Tensor) -> Tensor:
        """Restore each picture."""
        restored = []
        for image in x.detach().float().cpu():
            picture, (height, width) = as_array(image), image.shape[-2:]
            sigma = measured(picture) if self.each else float(self.level.sigma)
            # Where there is no noise, there is nothing to restore, and some methods divide by its level.
            result = np.atleast_3d(self.restore(mirrored(picture), sigma) if sigma > 0 else picture)
            restored.append(torch.from_numpy(result[:height, :width].astype(np.float32)).movedim(-1, 0))
        return torch.stack(restored).to(x)


class Build(Protocol):
    """What a network's file offers."""

    def __call__(self, *, channels: int, size: tuple[int, int], level: float = 0.0, each: bool = False) -> Classical:
        """Build the network."""


def by(restore: Restore, *, package: str = "", terms: str = "") -> Build:
    """Return the function that builds the network of a method.

    Args:
        restore: The method, see `Classical`.
        package: What has to be installed for it, beside what comes with Pixelry.
        terms: What to know before that.
    """

    def build(*, channels: int, size: tuple[int, int], level: float = 0.0, each: bool = False) -> Classical:
        """Build the network.

        Args:
            channels: 1 or 3.
            size: (height, width) of the training patches in pixels; it takes any.
            level: Standard deviation of the noise, of 255 grey levels; 0 measures it on the noisy training pictures.
            each: Measure it on each picture that is restored instead.

        Raises:
            UsageError: The level is out of range, or the method's package is not installed.
        """
        if package and find_spec(package) is None:
            raise UsageError(
                f"this network is the package {package}, which is not installed: pip install {package}; {terms}"
            )
        return Classical(channels, restore, sigma=level, each=each)

    return build


def as_array(image: Tensor) -> Picture:
    """Return (C, H, W) as (H, W), or as (H, W, 3)."""
    values: Picture = np.ascontiguousarray((image[0] if len(image) == 1 else image.movedim(0, -1)).cpu().numpy())
    return values


def mirrored(picture: Picture) -> Picture:
    """Return a picture that is continued by its mirror image where it has fewer pixels a side than methods want."""
    missing = [max(0, LEAST - side) for side in picture.shape[:2]]
    if not any(missing):
        return picture
    return np.pad(picture, [(0, count) for count in (*missing, *[0] * (picture.ndim - 2))], mode="symmetric")


def channel_axis(picture: Picture) -> int | None:
    """Return the axis of the channels, as scikit-image wants it."""
    return None if picture.ndim == 2 else -1


def measured(picture: Picture) -> float:
    """Return the noise's standard deviation by its finest wavelet coefficients (Donoho and Johnstone 1994)."""
    from skimage.restoration import estimate_sigma

    return float(estimate_sigma(mirrored(picture), average_sigmas=True, channel_axis=channel_axis(picture)))
