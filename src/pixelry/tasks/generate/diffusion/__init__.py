"""Diffusion: pictures from noise, step by step, by a network that tells how a noisy picture looked without the noise.

`process` has the way to noise, `objectives` what the network learns, `samplers` the way back, `task` the whole.
"""

from __future__ import annotations

from pixelry.tasks.generate.diffusion.task import Diffusion

__all__ = ["FAMILY", "Diffusion"]

FAMILY = Diffusion
