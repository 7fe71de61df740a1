"""What the network learns: three formulations of one thing, as rows of one table (Karras et al. 2022, table 1).

The network F sees a scaled noisy picture and a number for the level of noise, and

    denoise(x, sigma) = c_skip(sigma) x + c_out(sigma) F(c_in(sigma) x, c_noise(sigma))          (equation 7)

With the weights that each paper chose, each trains F by a plain squared error to the target that makes the denoiser
right, (x_0 - c_skip x) / c_out: the noise for DDPM, a mixture of noise and picture for EDM, the velocity for flows.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from pixelry.tasks.generate.diffusion.process import Denoiser, Schedule

LARGEST = 158.0  # sigma_T of the linear schedule, rounded up
# F(input (B, C, H, W), level (B,)) -> (B, C, H, W)
Raw = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Scaling:
    """One row of the table for given levels of noise, each (B, 1, 1, 1) but `noise`, (B,)."""

    skip: Tensor
    out: Tensor
    into: Tensor
    noise: Tensor


class Objective(ABC):
    """A formulation: its four scalings, and which levels of noise it trains on."""

    # Whether it wants pictures of mean 0 and variance 1; else they are in [-1, 1].
    standardised = True

    @abstractmethod
    def scaling(self, sigma: Tensor) -> Scaling:
        """Return the scalings for sigma (B,)."""

    @abstractmethod
    def sigma(self, u: Tensor) -> Tensor:
        """Return the levels of noise to train on as quantiles: u uniform in (0, 1), (B,)."""

    @property
    @abstractmethod
    def limits(self) -> tuple[float, float]:
        """The largest and the smallest level of noise at which pictures are drawn."""

    def denoiser(self, raw: Raw) -> Denoiser:
        """Return denoise(x, sigma) of a network."""

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            c = self.scaling(sigma.expand(len(x)))
            return c.skip * x + c.out * raw(c.into * x, c.noise).float()

        return denoise

    def losses(self, raw: Raw, images: Tensor, noise: Tensor, u: Tensor) -> Tensor:
        """Return each picture's squared error of F, the mean over its values, (B,)."""
        sigma = self.sigma(u)
        x = images + sigma.view(-1, 1, 1, 1) * noise
        c = self.scaling(sigma)
        error = raw(c.into * x, c.noise).float() - (images - c.skip * x) / c.out
        return error.square().flatten(1).mean(1)


@dataclass(frozen=True)
class Epsilon(Objective):
    """DDPM as published: F is the noise, and the loss the simplified one (Ho et al. 2020, equation 14)."""

    schedule: Schedule = field(default_factory=Schedule)
    standardised = False

    def scaling(self, sigma: Tensor) -> Scaling:
        """Return the scalings: F sees x_t, whose variance is 1 for pictures of variance 1, and t / T."""
        wide = sigma.view(-1, 1, 1, 1)
        level = self.schedule.time(sigma) / self.schedule.steps
        return Scaling(torch.ones_like(wide), -wide, (1 + wide.square()).rsqrt(), level)

    def sigma(self, u: Tensor) -> Tensor:
        """Return sigma_t of uniform t."""
        t = (u * self.schedule.steps).long().clamp(0, self.schedule.steps - 1) + 1
        return self.schedule.sigmas.to(u.device)[t].float()

    @property
    def limits(self) -> tuple[float, float]:
        """sigma_T, or that of the linear schedule where it is less, and sigma_1.

        The cosine schedule ends at 20,000, and most steps of a quick sampler would see nothing but noise.
        """
        return min(float(self.schedule.sigmas[-1]), LARGEST), float(self.schedule.sigmas[1])


@dataclass(frozen=True)
class LogNormal(Objective):
    """What EDM and flow matching have in common: levels whose logarithm is normal, for pictures of variance 1.

    Attributes:
        mean: Of ln sigma in training.
        std: Of ln sigma in training.
        largest: sigma at which drawing begins, in standard deviations of the pictures.
        smallest: sigma of the last evaluation.
    """

    mean: float
    std: float
    largest: float
    smallest: float

    def sigma(self, u: Tensor) -> Tensor:
        """Return log-normal levels."""
        return (self.mean + self.std * torch.special.ndtri(u.double())).exp().float()

    @property
    def limits(self) -> tuple[float, float]:
        """The largest and the smallest level."""
        return self.largest, self.smallest


class EDM(LogNormal):
    """Karras et al. 2022, section 5: F's input and target have variance 1 at every level.

    `mean` and `std` are P_mean and P_std, `largest` and `smallest` sigma_max and sigma_min.
    """

    def scaling(self, sigma: Tensor) -> Scaling:
        """Return the scalings of table 1, last column, with sigma_data = 1."""
        wide = sigma.view(-1, 1, 1, 1)
        total = (1 + wide.square()).rsqrt()
        return Scaling(total.square(), wide * total, total, sigma.log() / 4)


class Flow(LogNormal):
    """Flow matching on straight ways (Lipman et al. 2023; Liu et al. 2023), with levels of Esser et al. 2024.

    x_t = (1 - t) x_0 + t noise, and F is the velocity noise - x_0. Divided by 1 - t, x_t is the picture plus noise of
    sigma = t / (1 - t), so that a normal ln sigma is a normal logit of t (Esser et al. 2024, equation 19).
    """

    def scaling(self, sigma: Tensor) -> Scaling:
        """Return the scalings: x_t - t F is the picture."""
        wide = sigma.view(-1, 1, 1, 1)
        rest = 1 / (1 + wide)  # 1 - t
        return Scaling(rest, -wide * rest, rest, sigma / (1 + sigma))


def stratified(count: int, generator: torch.Generator | None = None) -> Tensor:
    """Return `count` numbers in (0, 1), one in each of as many equal parts, in any order (Kingma et al. 2021, I.1)."""
    order = torch.randperm(count, generator=generator)
    return ((order + torch.rand(count, generator=generator)) / count).clamp(1e-6, 1 - 1e-6)
