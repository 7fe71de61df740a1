"""Samplers: pure functions from noise to pictures over `denoise(x, sigma)`.

Each takes x at sigmas[0] down the list to sigmas[-1] = 0. With D = denoise(x, sigma), the way from noise to pictures
is the ordinary differential equation

    dx / dsigma = (x - D) / sigma                                   (Karras et al. 2022, equation 1 with s = 1)

and in lambda = -log sigma, where exponential integrators live, x / sigma changes by the integral of e^lambda D. All
methods below ask for D and differ in how they go on from it; `ddpm` adds noise, the others none.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Literal, get_args

import torch
from torch import Tensor

from pixelry.tasks.generate.diffusion.process import Denoiser, Schedule

Name = Literal["ddpm", "ddim", "heun", "dpmpp", "unipc"]
NAMES: tuple[str, ...] = get_args(Name)

# Draws standard normal noise for the pictures, (B, C, H, W).
Noise = Callable[[], Tensor]
# Called after each step with its number, x (B, C, H, W) and the last D.
OnStep = Callable[[int, Tensor, Tensor], None]


def _ignore(step: int, x: Tensor, denoised: Tensor) -> None:
    """What is called after a step if nobody wants to know."""


def ddpm(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, on_step: OnStep = _ignore) -> Tensor:
    """Ancestral sampling (Ho et al. 2020, algorithm 2) with the variance of the posterior, equation 7.

    In x / sqrt(alpha_bar) the posterior q(x_s | x_t, x_0) for sigma_s < sigma_t has the mean
    D + (sigma_s / sigma_t)^2 (x - D) and the variance sigma_s^2 (1 - (sigma_s / sigma_t)^2).
    """
    for step, (now, then) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, now)
        ratio = (then / now).square()
        x = denoised + ratio * (x - denoised)
        if then > 0:
            x = x + then * (1 - ratio).sqrt() * noise()
        on_step(step, x, denoised)
    return x


def ddim(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, on_step: OnStep = _ignore) -> Tensor:
    """DDIM without noise (Song et al. 2021, equation 12 with sigma = 0): Euler's method in sigma."""
    for step, (now, then) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, now)
        x = denoised + then / now * (x - denoised)
        on_step(step, x, denoised)
    return x


def heun(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, on_step: OnStep = _ignore) -> Tensor:
    """Heun's second-order method (Karras et al. 2022, algorithm 1): two evaluations a step, one in the last."""
    for step, (now, then) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, now)
        slope = (x - denoised) / now
        ahead = x + (then - now) * slope
        if then > 0:
            slope = (slope + (ahead - denoise(ahead, then)) / then) / 2
            ahead = x + (then - now) * slope
        x = ahead
        on_step(step, x, denoised)
    return x


def dpmpp(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, on_step: OnStep = _ignore) -> Tensor:
    """DPM-Solver++(2M) (Lu et al. 2022, algorithm 2): second order from one evaluation a step and the one before.

    The first step and the last, to sigma = 0 where lambda has no end, are of first order.
    """
    previous, h_before = x, torch.zeros(())
    for step, (now, then) in enumerate(itertools.pairwise(sigmas)):
        denoised = denoise(x, now)
        h = (now / then).log()
        guess = denoised
        if step > 0 and then > 0:
            guess = denoised + (denoised - previous) * h / (2 * h_before)
        x = then / now * x + (1 - then / now) * guess  # 1 - e^-h = 1 - then / now
        previous, h_before = denoised, h
        on_step(step, x, denoised)
    return x


def unipc(denoise: Denoiser, x: Tensor, sigmas: Tensor, noise: Noise, on_step: OnStep = _ignore) -> Tensor:
    """UniPC of second order with B(h) = e^h - 1 (Zhao et al. 2023, algorithms 5 to 8).

    The evaluation at the end of a step corrects that step before it begins the next: no evaluation more than DDIM.
    """
    denoised = previous = x
    h_before, h = torch.zeros(()), torch.zeros(())
    base = x  # the step's first-order part, from which its correction starts anew
    for step, (now, then) in enumerate(itertools.pairwise(sigmas)):
        latest = denoise(x, now)
        if step > 0:
            slope = None if step == 1 else (previous - denoised) / (-h_before / h)
            x = base + (1 - (-h).exp()) * _corrected(h, slope, latest - denoised, -h_before / h)
        previous, denoised, h_before, h = denoised, latest, h, (now / then).log()
        base = then / now * x + (1 - then / now) * denoised
        x = base
        if step > 0 and then > 0:
            # Predictor of second order: half of the extrapolated difference.
            x = base + (1 - then / now) * (denoised - previous) * h / (2 * h_before)
        on_step(step, x, denoised)
    return x


def _corrected(h: Tensor, slope: Tensor | None, change: Tensor, before: Tensor) -> Tensor:
    """Return UniC's weighted sum of differences (Zhao et al. 2023, equation 7, p = 1 or 2).

    Args:
        h: The step in lambda.
        slope: (D_-1 - D_0) / r_1 with r_1 = `before`; None in the first step.
        change: D_1 - D_0 of the evaluation at the step's end.
        before: r_1, where the evaluation before lies, in steps (negative).
    """
    if slope is None:
        return 0.5 * change
    # phi_k of the data prediction, at -h, over B = e^-h - 1.
    expm1 = torch.expm1(-h)
    first = expm1 / -h - 1
    second = first / -h - 0.5
    b1, b2 = first / expm1, 2 * second / expm1
    # [1 1; r 1] (rho_1, rho_2) = (b1, b2)
    rho_1 = (b1 - b2) / (1 - before)
    return rho_1 * slope + (b1 - rho_1) * change


def noise_levels(steps: int, *, largest: float, smallest: float, rho: float = 7.0) -> Tensor:
    """Return sigmas from `largest` to `smallest` and 0, float32 (steps + 1,) (Karras et al. 2022, equation 5)."""
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64) if steps > 1 else torch.zeros(1, dtype=torch.float64)
    high, low = largest ** (1 / rho), smallest ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1, dtype=torch.float64)]).float()


def schedule_levels(steps: int, schedule: Schedule) -> Tensor:
    """Return the sigmas of `steps` of a schedule's T steps, evenly spaced from T down, and 0, float32 (steps + 1,)."""
    t = torch.linspace(schedule.steps, schedule.steps / steps, steps, dtype=torch.float64).round().long()
    return torch.cat([schedule.sigmas[t], schedule.sigmas[:1]]).float()
