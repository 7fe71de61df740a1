"""Generation: new pictures like those of a data set. The ways to learn it are files of this folder."""

from __future__ import annotations

from pixelry.tasks.generate.adversarial import Adversarial
from pixelry.tasks.generate.autoregressive import Autoregressive
from pixelry.tasks.generate.base import Generate
from pixelry.tasks.generate.diffusion import Diffusion

__all__ = ["TASK", "Adversarial", "Autoregressive", "Diffusion", "Generate"]

TASK = Generate
