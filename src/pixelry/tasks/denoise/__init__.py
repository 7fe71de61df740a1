"""Denoising: a clean picture from a noisy one. The ways to learn it are files of this folder."""

from __future__ import annotations

from pixelry.tasks.denoise.base import Denoise
from pixelry.tasks.denoise.likelihood import Likelihood
from pixelry.tasks.denoise.regression import Regression

__all__ = ["TASK", "Denoise", "Likelihood", "Regression"]

TASK = Denoise
