"""What denoisers have in common: clean pictures, the noise that is added to them, how restored ones are judged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from pixelry.data.loading import Batch, generator_for
from pixelry.tasks._restoration import Restoration
from pixelry.tasks._restoration_metrics import RestorationEvaluator
from pixelry.tasks.base import Evaluator
from pixelry.tasks.denoise.noise import Kind, add_noise, check_noise

# Of the noise on which models are judged: image k of a split gets the noise of mix_seed(NOISE_SEED, k).
NOISE_SEED = 2017


@dataclass(frozen=True)
class Denoise(Restoration):
    """A clean picture from a noisy one, of any size.

    Training adds noise to clean pictures, other noise at each step. A network's file says in `FAMILY` how it learns:
    "likelihood" (its output are logits of the clean intensities) or "regression" (the intensities themselves), each a
    file of this folder.

    Attributes:
        noise: "gaussian", "salt_pepper", "poisson", or "jpeg", the losses of that format.
        sigma: Standard deviation of the Gaussian noise, on the scale of 255 grey levels.
        sigma_min: Where above 0, each picture's sigma is drawn uniformly from sigma_min to sigma (blind denoising).
        amount: Share of the pixels that salt and pepper replace.
        peak: Photons of a white pixel under Poisson noise.
        quality: Of the JPEG files, 1 to 100.
    """

    noise: Kind = "gaussian"
    sigma: float = 25.0
    sigma_min: float = 0.0
    amount: float = 0.05
    peak: float = 30.0
    quality: int = 30

    name: ClassVar[str] = "denoise"
    recommended: ClassVar[str] = "unet"
    ladder: ClassVar[tuple[str, ...]] = ("wavelet", "nlm", "logistic", "dncnn", "unet")

    def __post_init__(self) -> None:
        check_noise(self.sigma, self.sigma_min, self.amount, self.peak, self.quality)

    def describe(self) -> str:
        """Return the noise in words."""
        sigma = f"{self.sigma_min:g} to {self.sigma:g}" if self.sigma_min else f"{self.sigma:g}"
        return {
            "gaussian": f"Gaussian noise of sigma {sigma} (of 255), unclipped",
            "salt_pepper": f"salt and pepper on {100 * self.amount:g} % of the pixels",
            "poisson": f"Poisson noise of {self.peak:g} photons at white",
            "jpeg": f"losses of JPEG at quality {self.quality}",
        }[self.noise]

    def observe(self, batch: Batch, *, training: bool) -> Batch:
        """Return the batch with noisy images, and the clean ones as "target"."""
        clean = batch["image"]
        options = {name: getattr(self, name) for name in ("sigma", "sigma_min", "amount", "peak", "quality")}
        if training:
            return {**batch, "image": _alike(add_noise(clean, self.noise, **options), clean), "target": clean}
        noisy = [
            add_noise(image[None], self.noise, generator=generator_for(NOISE_SEED, int(index)), **options)
            for image, index in zip(clean, batch["index"], strict=True)
        ]
        return {**batch, "image": _alike(torch.cat(noisy), clean), "target": clean}

    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        return RestorationEvaluator(f"{self.describe()}; seed {NOISE_SEED} and the image's number", sync=sync)


def _alike(noisy: Tensor, clean: Tensor) -> Tensor:
    """Return noisy images (B, C, H, W) in which what was grey has the same noise in all channels, and stays grey."""
    grey = (clean == clean[:, :1]).flatten(1).all(1).view(-1, 1, 1, 1)
    return torch.where(grey, noisy[:, :1], noisy)
