"""Noise for training and judging restoration: drawn on float images, unclipped."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Generator, Tensor

from pixelry.errors import UsageError

Kind = Literal["gaussian", "salt_pepper", "poisson"]


def check_noise(kind: str, sigma: float, sigma_min: float, amount: float, peak: float) -> None:
    """Raise UsageError unless the options of `add_noise` are in range."""
    if not 0 <= sigma < float("inf"):
        raise UsageError(f"sigma is {sigma}; expected 0 or more, on the scale of 255 grey levels, such as 25")
    if not 0 <= sigma_min <= sigma:
        raise UsageError(f"sigma_min is {sigma_min}; expected 0 (always sigma) up to sigma, {sigma}")
    if not 0 <= amount <= 1:
        raise UsageError(f"amount is {amount}; expected the share of pixels that salt and pepper replace, 0 to 1")
    if not 0 < peak < float("inf"):
        raise UsageError(f"peak is {peak}; expected the photons of a white pixel, above 0")


def add_noise(
    images: Tensor,
    kind: Kind,
    *,
    sigma: float,
    sigma_min: float = 0.0,
    amount: float = 0.05,
    peak: float = 30.0,
    generator: Generator | None = None,
) -> Tensor:
    """Return noisy images; nothing is clipped, so that the noise stays what its formula says.

    Args:
        images: (B, C, H, W) float in [0, 1].
        kind: "gaussian": x + sigma / 255 n with n standard normal. "salt_pepper": `amount` of the pixels become black
            or white, all channels alike, half of them each. "poisson": Poisson(peak x) / peak, the photons of an image
            in which white is `peak` of them.
        sigma: Of the Gaussian, on the scale of 255 grey levels.
        sigma_min: Where above 0, the sigma of each image is drawn uniformly from sigma_min to sigma.
        amount: Share of pixels, 0 to 1.
        peak: Photons of a white pixel.
        generator: None draws from torch's own.
    """
    shape, device = (len(images), 1, 1, 1), images.device

    def uniform(*size: int) -> Tensor:
        return torch.rand(size, generator=generator).to(device)

    if kind == "gaussian":
        level = sigma_min + (sigma - sigma_min) * uniform(*shape) if sigma_min else sigma
        return images + level / 255 * torch.randn(images.shape, generator=generator).to(device)
    if kind == "poisson":
        return torch.poisson((images * peak).cpu(), generator=generator).to(device) / peak
    draw = uniform(len(images), 1, *images.shape[2:])
    noisy = torch.where(draw < amount / 2, torch.zeros_like(images), images)
    return torch.where(draw > 1 - amount / 2, torch.ones_like(images), noisy)
