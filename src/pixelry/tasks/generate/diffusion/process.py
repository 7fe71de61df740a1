"""The forward process of Ho et al. 2020, "Denoising Diffusion Probabilistic Models": from a picture to noise.

    q(x_t | x_{t-1}) = N(x_t; sqrt(1 - beta_t) x_{t-1}, beta_t I)                              (equation 2)
    q(x_t | x_0)     = N(x_t; sqrt(alpha_bar_t) x_0, (1 - alpha_bar_t) I)                      (equation 4)

Divided by sqrt(alpha_bar_t), x_t is the picture plus noise of standard deviation sigma_t: that is the one scale of
noise that samplers know (Karras et al. 2022, "Elucidating the Design Space of Diffusion-Based Generative Models",
table 1), and `sigma_t = sqrt((1 - alpha_bar_t) / alpha_bar_t)` the bridge between the two.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import torch
from torch import Tensor

from pixelry.errors import UsageError

Shape = Literal["linear", "cosine"]
# Maps (x, sigma) to the expected picture: x (B, C, H, W) is a picture plus noise of standard deviation sigma, a
# scalar tensor or (B,). The only seam between networks and everything that draws with them.
Denoiser = Callable[[Tensor, Tensor], Tensor]

LARGEST_BETA = 0.999
BYTES = 255


@dataclass(frozen=True)
class Schedule:
    """How much noise each of T steps adds; t runs from 1 to T, and 0 is the picture itself.

    Attributes:
        shape: "linear" (Ho et al. 2020, section 4: beta from 1e-4 to 0.02 for T = 1000) or "cosine" (Nichol and
            Dhariwal 2021, equation 17).
        steps: T.
    """

    shape: Shape = "linear"
    steps: int = 1000

    def __post_init__(self) -> None:
        if self.steps < 2:
            raise UsageError(f"a schedule has {self.steps} steps; expected 2 or more")

    @cached_property
    def betas(self) -> Tensor:
        """The variances beta_1, ..., beta_T, float64 (T,)."""
        if self.shape == "linear":
            # For another T the same noise in all: beta grows as 1000 / T.
            scale = 1000 / self.steps
            return torch.linspace(1e-4 * scale, 0.02 * scale, self.steps, dtype=torch.float64).clamp_max(LARGEST_BETA)
        t = torch.arange(self.steps + 1, dtype=torch.float64) / self.steps
        alpha_bar = torch.cos((t + 0.008) / 1.008 * math.pi / 2) ** 2
        return (1 - alpha_bar[1:] / alpha_bar[:-1]).clamp_max(LARGEST_BETA)

    @cached_property
    def alpha_bars(self) -> Tensor:
        """The products alpha_bar_0 = 1, ..., alpha_bar_T, float64 (T + 1,)."""
        return torch.cat([torch.ones(1, dtype=torch.float64), (1 - self.betas).cumprod(0)])

    @cached_property
    def sigmas(self) -> Tensor:
        """Noise of x_t / sqrt(alpha_bar_t), rising from sigma_0 = 0 to sigma_T, float64 (T + 1,)."""
        return ((1 - self.alpha_bars) / self.alpha_bars).sqrt()

    def noised(self, images: Tensor, t: Tensor, noise: Tensor) -> Tensor:
        """Draw from q(x_t | x_0), equation 4.

        Args:
            images: x_0, (B, C, H, W) in [-1, 1].
            t: (B,) int64 from 0 to T.
            noise: Standard normal, like `images`.
        """
        alpha_bar = self.alpha_bars.to(t.device)[t].view(-1, 1, 1, 1).to(images.dtype)
        return alpha_bar.sqrt() * images + (1 - alpha_bar).sqrt() * noise

    def time(self, sigma: Tensor) -> Tensor:
        """Return the t, a float between two steps, at which x_t / sqrt(alpha_bar_t) has so much noise."""
        table = self.sigmas[1:].log().float().to(sigma.device)
        value = sigma.float().log().clamp(table[0], table[-1])
        above = torch.searchsorted(table, value.contiguous()).clamp(1, self.steps - 1)
        low, high = table[above - 1], table[above]
        return above + (value - low) / (high - low)


@torch.inference_mode()
def variational_bound(denoise: Denoiser, images: Tensor, schedule: Schedule, *, noise: Tensor, t: Tensor) -> Tensor:
    """Return terms of the bound on -log p(x_0) in bits for each value (Ho et al. 2020, equation 5).

    The mean of T times such terms over uniform t in 1, ..., T, plus `prior_bits`, is the bound of a picture.

    L_{t-1} is the divergence of two Gaussians with the variance of the posterior (equation 7), which for a prediction
    of x_0 is (1/sigma_{t-1}^2 - 1/sigma_t^2) / 2 |x_0 - denoise|^2; L_0 is the likelihood of the levels of 8 bits
    under the last Gaussian, of standard deviation sigma_1 around the prediction (equation 13).

    Args:
        denoise: In [-1, 1].
        images: x_0, (B, C, H, W) in [-1, 1], multiples of 2 / 255 from -1.
        schedule: Of the process.
        noise: Standard normal, like `images`.
        t: (B,) int64 from 1 to T: the step whose term is computed.

    Returns:
        (B,) float64, L_{t-1} in bits for each value.
    """
    sigmas = schedule.sigmas.to(images.device)
    now, before = sigmas[t], sigmas[t - 1]
    x = images + now.view(-1, 1, 1, 1).to(images.dtype) * noise
    guess = denoise(x, now.to(images.dtype)).double()
    distance = (images.double() - guess).square().flatten(1).sum(1)
    divergence = 0.5 * (1 / before.square() - 1 / now.square()) * distance
    nats = torch.where(t == 1, _levels_nats(images.double(), guess, now), divergence)
    return nats / images[0].numel() / math.log(2)


def _levels_nats(images: Tensor, mean: Tensor, sigma: Tensor) -> Tensor:
    """Return -log of what a Gaussian gives to each value's level, (B,); the outer levels reach to infinity."""
    scale = sigma.view(-1, 1, 1, 1).clamp_min(1e-12)
    upper = torch.special.ndtr((images + 1 / BYTES - mean) / scale)
    lower = torch.special.ndtr((images - 1 / BYTES - mean) / scale)
    upper = torch.where(images > 1 - 0.5 / BYTES, torch.ones_like(upper), upper)
    lower = torch.where(images < -1 + 0.5 / BYTES, torch.zeros_like(lower), lower)
    return -(upper - lower).clamp_min(1e-12).log().flatten(1).sum(1)


def prior_bits(images: Tensor, schedule: Schedule) -> Tensor:
    """Return L_T, how far q(x_T | x_0) is from pure noise, in bits for each value, (B,) (equation 5)."""
    alpha_bar = schedule.alpha_bars[-1].to(images.device)
    mean, variance = alpha_bar.sqrt() * images.double(), 1 - alpha_bar
    nats = 0.5 * (variance + mean.square() - 1 - variance.log())
    return nats.flatten(1).mean(1) / math.log(2)
