"""What denoisers have in common: clean pictures and noise that is added, or pictures that have noise of their own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from pixelry.data.dataset import Dataset, Split
from pixelry.data.loading import Batch, generator_for
from pixelry.data.pairs import PAIRED, apart, is_paired, joined
from pixelry.data.patches import cut_patches
from pixelry.errors import UsageError
from pixelry.tasks._restoration import Restoration
from pixelry.tasks._restoration_metrics import PAIRS, RestorationEvaluator
from pixelry.tasks.base import Evaluator, Task, check_ranges, training_split
from pixelry.tasks.denoise.blind import MASKED, hidden
from pixelry.tasks.denoise.noise import Noise, add_noise, check_noise, for_evaluation, reach, with_camera_range

# Of the noise on which models are judged: image k of a split gets the noise of mix_seed(NOISE_SEED, k).
NOISE_SEED = 2017


@dataclass(frozen=True)
class Denoise(Restoration):
    """A clean picture from a noisy one, of any size.

    Training adds noise to clean pictures, other noise at each step; or it sees noisy pictures beside clean ones, as the
    data has them; or noisy pictures alone, where it learns to tell pixels from those around them. A network's file says
    in `FAMILY` how it learns: "likelihood" (its output are logits of the clean intensities) or "regression" (the
    intensities themselves), each a file of this folder.

    Attributes:
        noise: "gaussian", "salt_pepper", "poisson", "jpeg", the losses of that format, or "camera", that of photographs
            (see `camera_noise`). "given": the pictures have noise of their own. That is what pairs of noisy and clean
            pictures ask for by themselves; of pictures without clean ones it says that they are noisy, and that the
            network is to learn from them alone.
        sigma: Standard deviation of the Gaussian noise, on the scale of 255 grey levels; of a camera's, at mid-grey.
        sigma_min: Where above 0, each picture's sigma is drawn uniformly from sigma_min to sigma (blind denoising).
        amount: Share of the pixels that salt and pepper replace.
        peak: Photons of a white pixel under Poisson noise.
        quality: Of the JPEG files, 1 to 100.
        strength: How much of the model's answer is taken: 1 all, 0 the image as it was, between them a mixture. Of a
            model's use, not of its training.
    """

    noise: Noise = "gaussian"
    sigma: float = 25.0
    sigma_min: float = 0.0
    amount: float = 0.05
    peak: float = 30.0
    quality: int = 30
    strength: float = 1.0

    name: ClassVar[str] = "denoise"
    recommended: ClassVar[str] = "unet"
    ladder: ClassVar[tuple[str, ...]] = ("wavelet", "nlm", "logistic", "dncnn", "unet")

    def __post_init__(self) -> None:
        check_ranges(self, shares=("strength",))
        check_noise(self.sigma, self.sigma_min, self.amount, self.peak, self.quality)

    @property
    def beyond(self) -> float:
        """By how much floats may leave [0, 1]: by the noise that the model knows, where that is more than usual."""
        return max(super().beyond, reach(self.noise, sigma=self.sigma, peak=self.peak))

    @classmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Self:
        """Make the task; of pairs of noisy and clean pictures it takes the noise that they have.

        Raises:
            DataError: There are no training pictures.
            UsageError: Noise is to be added to pairs, or to half of a set of them.
        """
        pairs = is_paired(training_split(dataset))
        if pairs and options.setdefault("noise", "given") != "given":
            raise UsageError(
                f"noise is {options['noise']}, and {dataset.name} has noisy pictures beside the clean ones; leave "
                "noise out to learn from these pairs, or give the folder of the clean pictures alone"
            )
        options = with_camera_range(options)
        if options.get("noise") == "camera" and "loss" in cls.settable():
            # The squared error is nearly all that of the noisiest images; its logarithm counts each alike.
            options.setdefault("loss", "psnr")
        return super().from_dataset(dataset, **options)

    def fit_split(self, split: Split, *, size: tuple[int, int], channels: int, training: bool = False) -> Split:
        """Return patches that cover the training pictures; whole pictures to be judged on; pairs are one picture."""
        if not is_paired(split):
            return super().fit_split(split, size=size, channels=channels, training=training)
        pairs = joined(split, channels)
        return cut_patches(pairs, size=size, channels=2 * channels) if training else pairs

    def with_settings(self, settings: Mapping[str, Any]) -> Task:
        """Return the task with other options; `sigma` alone is one level of Gaussian noise, never a range.

        Raises:
            UsageError: There is no such option, or a value has the wrong type or is out of range.
        """
        return super().with_settings(for_evaluation(settings))

    def restored(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return intensities (B, C, H, W): the images, moved towards what the network answers by the strength."""
        answer = super().restored(network, images)
        return answer if self.strength == 1 else torch.lerp(images, answer.to(images.dtype), self.strength)

    def describe(self) -> str:
        """Return the noise in words."""
        sigma = f"{self.sigma:g} (of 255)"
        if self.sigma_min:
            sigma = f"{self.sigma_min:g} to {self.sigma:g} (of 255), drawn for each image"
        return {
            "gaussian": f"Gaussian noise of sigma {sigma}, unclipped",
            "salt_pepper": f"salt and pepper on {100 * self.amount:g} % of the pixels",
            "poisson": f"Poisson noise of {self.peak:g} photons at white",
            "camera": f"noise as of a camera, at mid-grey of sigma {sigma}, partly demosaicked and partly as JPEG",
            "jpeg": f"losses of JPEG at quality {self.quality}",
            "given": "the noise that the pictures have",
        }[self.noise]

    def observe(self, batch: Batch, *, training: bool) -> Batch:
        """Return the batch with noisy images, and what they are to become as "target".

        Of noisy pictures alone some pixels are hidden; the target are the pictures themselves, and "masked" (B, 1, H,
        W) bool says where they are to be told.
        """
        images = batch["image"]
        if images.shape[1] in PAIRED:
            noisy, clean = apart(images)
            return {**batch, "image": noisy, "target": clean, PAIRS: torch.ones_like(images[:, 0, 0, 0]).bool()}
        if self.noise == "given":
            seeds = [None] if training else [generator_for(NOISE_SEED, int(index)) for index in batch["index"]]
            parts = [hidden(part, seed) for part, seed in zip(images.chunk(len(seeds)), seeds, strict=True)]
            visible, masked = (torch.cat(part) for part in zip(*parts, strict=True))
            return {**batch, "image": visible, "target": images, "given": images, MASKED: masked}
        options = {name: getattr(self, name) for name in ("sigma", "sigma_min", "amount", "peak", "quality")}
        if training:
            return {**batch, "image": _alike(add_noise(images, self.noise, **options), images), "target": images}
        noisy = torch.cat(
            [
                add_noise(image[None], self.noise, generator=generator_for(NOISE_SEED, int(index)), **options)
                for image, index in zip(images, batch["index"], strict=True)
            ]
        )
        return {**batch, "image": _alike(noisy, images), "target": images}

    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        seed = "" if self.noise == "given" else f"; seed {NOISE_SEED} and the image's number"
        seed += "" if self.strength == 1 else f"; strength {self.strength:g}"
        return RestorationEvaluator(self.describe() + seed, sync=sync)


def _alike(noisy: Tensor, clean: Tensor) -> Tensor:
    """Return noisy images (B, C, H, W) in which what was grey has the same noise in all channels, and stays grey."""
    grey = (clean == clean[:, :1]).flatten(1).all(1).view(-1, 1, 1, 1)
    return torch.where(grey, noisy[:, :1], noisy)
