"""Completion with a model that was never trained to complete: the known part is imposed at each level of noise."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from pixelry.tasks.generate.diffusion.process import Denoiser
from pixelry.tasks.generate.diffusion.samplers import Noise, OnStep


def repaint(
    denoise: Denoiser,
    x: Tensor,
    sigmas: Tensor,
    noise: Noise,
    *,
    given: Tensor,
    known: Tensor,
    repeats: int,
    on_step: OnStep,
) -> Tensor:
    """Draw what is unknown, given what is known (RePaint, Lugmayr et al. 2022, algorithm 1, jumps of one step).

    At each level the known part is the given picture with fresh noise, and the rest comes from the step before. After
    a step, noise is put back and the step taken again, so that the two parts come to agree.

    Args:
        denoise: The model.
        x: (B, C, H, W), noise of standard deviation sigmas[0].
        sigmas: Levels of noise, falling to 0.
        noise: Draws standard normal noise like x.
        given: The known picture, like x or (1, C, H, W), of any values where it is not known.
        known: (H, W) bool.
        repeats: How often each step is taken.
        on_step: Called after each step, as by the samplers; repeats count as steps.

    Returns:
        (B, C, H, W), equal to `given` where it is known.
    """
    step = 0
    for now, then in itertools.pairwise(sigmas):
        # The last step ends without noise: to take it again would only repeat it.
        for repeat in range(repeats if then > 0 else 1):
            if repeat:
                x = x + (now.square() - then.square()).sqrt() * noise()
            x = torch.where(known, given + now * noise(), x)
            denoised = torch.where(known, given, denoise(x, now))
            ratio = (then / now).square()
            x = denoised + ratio * (x - denoised)
            if then > 0:
                x = x + then * (1 - ratio).sqrt() * noise()
            on_step(step, x, denoised)
            step += 1
    return torch.where(known, given, x)
