"""Denoising: a clean picture from a noisy one, of any size."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.data.dataset import Dataset, Split
from pixelry.data.loading import Batch, generator_for, native_size
from pixelry.data.patches import cut_patches, in_channels, smallest_size
from pixelry.errors import ImageError, UsageError
from pixelry.pixels import as_float, read_image
from pixelry.pixels.color import has_alpha
from pixelry.tasks._denoise_metrics import DenoiseEvaluator
from pixelry.tasks._noise import Kind, add_noise, check_noise
from pixelry.tasks.base import Evaluator, Form, Source, Task, check_side, training_split
from pixelry.types import Restored

PATCH = 64
# Pictures of one size up to this side are trained on whole.
WHOLE = 128
# Of the noise on which models are judged: image k of a split gets the noise of mix_seed(NOISE_SEED, k).
NOISE_SEED = 2017
NOISE_BEYOND = 1.0


@dataclass(frozen=True)
class Denoise(Task):
    """Cross-entropy between the clean intensities, as soft targets, and the network's sigmoid.

    Training adds noise to clean pictures, other noise at each step. For soft targets the cross-entropy is least where
    the output is the expected clean intensity given what the network sees, as for the squared error; on binary
    pictures it is the likelihood of the pixels' classes.

    Attributes:
        noise: "gaussian", "salt_pepper" or "poisson".
        sigma: Standard deviation of the Gaussian noise, on the scale of 255 grey levels.
        sigma_min: Where above 0, each picture's sigma is drawn uniformly from sigma_min to sigma (blind denoising).
        amount: Share of the pixels that salt and pepper replace.
        peak: Photons of a white pixel under Poisson noise.
    """

    classes: tuple[str, ...] = ()
    noise: Kind = "gaussian"
    sigma: float = 25.0
    sigma_min: float = 0.0
    amount: float = 0.05
    peak: float = 30.0

    name: ClassVar[str] = "denoise"
    monitor: ClassVar[str] = "psnr"
    higher_is_better: ClassVar[bool] = True
    recommended: ClassVar[str] = "logistic"
    ladder: ClassVar[tuple[str, ...]] = ("logistic:features=pixels", "logistic", "logistic:features=buckets")

    def __post_init__(self) -> None:
        check_noise(self.noise, self.sigma, self.sigma_min, self.amount, self.peak)

    @classmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Denoise:
        """Make the task; labels, where there are any, are not used.

        Raises:
            DataError: There are no training pictures.
        """
        training_split(dataset)
        return cls(**options)

    def describe(self) -> str:
        """Return the noise in words."""
        sigma = f"{self.sigma_min:g} to {self.sigma:g}" if self.sigma_min else f"{self.sigma:g}"
        return {
            "gaussian": f"Gaussian noise of sigma {sigma} (of 255), unclipped",
            "salt_pepper": f"salt and pepper on {100 * self.amount:g} % of the pixels",
            "poisson": f"Poisson noise of {self.peak:g} photons at white",
        }[self.noise]

    def input_form(self, split: Split, form: Form) -> Form:
        """Train on whole pictures where they are small and of one size, else on patches of 64 pixels."""
        smallest = smallest_size(split)
        if form.size is not None:
            if form.size[0] > smallest[0] or form.size[1] > smallest[1]:
                raise UsageError(
                    f"patches of {form.size[0]}x{form.size[1]} do not fit: the smallest training picture has "
                    f"{smallest[0]}x{smallest[1]} pixels; give a smaller --size"
                )
            return form
        native = native_size(split)
        if native is not None and max(native) <= WHOLE:
            return dataclasses.replace(form, size=native)
        return dataclasses.replace(form, size=(min(PATCH, smallest[0]), min(PATCH, smallest[1])))

    def fit_split(self, split: Split, *, size: tuple[int, int], channels: int, training: bool = False) -> Split:
        """Return patches that cover the training pictures; whole pictures, of any size, to be judged on."""
        bare = Split(split.images, {}, split.names)  # labels and other targets have no part in this
        return cut_patches(bare, size=size, channels=channels) if training else in_channels(bare, channels)

    def observe(self, batch: Batch, *, training: bool) -> Batch:
        """Return the batch with noisy images, and the clean ones as "target"."""
        clean = batch["image"]
        options = {name: getattr(self, name) for name in ("sigma", "sigma_min", "amount", "peak")}
        if training:
            return {**batch, "image": _alike(add_noise(clean, self.noise, **options), clean), "target": clean}
        noisy = [
            add_noise(image[None], self.noise, generator=generator_for(NOISE_SEED, int(index)), **options)
            for image, index in zip(clean, batch["index"], strict=True)
        ]
        return {**batch, "image": _alike(torch.cat(noisy), clean), "target": clean}

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return logits of the clean intensities; a network for grey takes the channels one by one."""
        images = batch["image"]
        check_side(network, images)
        if images.shape[1] == getattr(network, "channels", images.shape[1]):
            output: Tensor = network(images)
            return output
        output = network(images.flatten(0, 1)[:, None])
        return output.view_as(images)

    def losses(self, network: nn.Module, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the mean cross-entropy in nats, less the entropy of the targets: 0 is a perfect copy.

        Args:
            network: Maps noisy images to logits of the clean ones.
            batch: "image" noisy and "target" clean, both (B, C, H, W).
            phase: The only one.
        """
        logits, target = self.forward(network, batch).float(), batch["target"]
        entropy = -(torch.xlogy(target, target) + torch.xlogy(1 - target, 1 - target)).mean()
        return {"loss": F.binary_cross_entropy_with_logits(logits, target) - entropy}

    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        return DenoiseEvaluator(f"{self.describe()}; seed {NOISE_SEED} and the image's number", sync=sync)

    def to_input(self, image: NDArray[Any], *, size: tuple[int, int], channels: int) -> Tensor:
        """Return an image as float (C, H, W) in [0, 1], at its own size; alpha is left out."""
        colors = image[..., :-1] if has_alpha(image) else image
        pixels = torch.from_numpy(np.require(_in_range(colors), np.float32, ["C", "W"]))
        pixels = pixels[None] if pixels.ndim == 2 else pixels.movedim(-1, 0)
        if len(pixels) not in (1, 3):
            raise ImageError(f"an image has 1 or 3 channels, and alpha; got {image.shape}")
        return pixels.expand(channels, -1, -1) if channels > len(pixels) else pixels

    def decode(
        self, output: Tensor, sources: list[Source], names: list[str], *, size: tuple[int, int]
    ) -> list[Restored]:
        """Turn logits (B, C, H, W) into one restored picture an image, of the dtype that the image had."""
        restored = output.sigmoid().movedim(1, -1).cpu().numpy()
        return [
            Restored(image=_like(pixels, source), name=name, source=source)
            for pixels, source, name in zip(restored, sources, names, strict=True)
        ]


def _alike(noisy: Tensor, clean: Tensor) -> Tensor:
    """Return noisy images (B, C, H, W) in which what was grey has the same noise in all channels, and stays grey."""
    grey = (clean == clean[:, :1]).flatten(1).all(1).view(-1, 1, 1, 1)
    return torch.where(grey, noisy[:, :1], noisy)


def _in_range(image: NDArray[Any]) -> NDArray[Any]:
    """Return an image as floats in [0, 1]; floats as they are, so that noise may leave the range as in training."""
    if image.dtype.kind != "f":
        return as_float(image)
    if not np.isfinite(image).all() or image.min() < -NOISE_BEYOND or image.max() > 1 + NOISE_BEYOND:
        raise ImageError(
            f"floats are intensities in [0, 1], which noise may leave by {NOISE_BEYOND:g}; got values from "
            f"{image.min():g} to {image.max():g}; divide by the largest possible value"
        )
    return image


def _like(pixels: NDArray[np.float32], source: Source) -> NDArray[Any]:
    """Return (H, W, C) in [0, 1] in the form of an image: its channels, alpha and dtype."""
    original = source if isinstance(source, np.ndarray) else read_image(source)
    alpha = original[..., -1:] if has_alpha(original) else None
    colors = 1 if original.ndim == 2 else original.shape[-1] - (alpha is not None)
    if colors < pixels.shape[-1]:
        pixels = pixels.mean(-1, keepdims=True)
    kind = original.dtype
    if kind == np.bool_:
        form: NDArray[Any] = pixels > 0.5
    elif kind.kind == "f":
        form = pixels.astype(kind)
    elif kind in (np.uint8, np.uint16):
        form = (pixels * np.iinfo(kind).max).round().astype(kind)
    else:
        raise ImageError(f"a picture of {kind} cannot be restored in kind; convert it to uint8, uint16 or floats first")
    form = form if alpha is None else np.concatenate([form, alpha], -1)
    return form[..., 0] if original.ndim == 2 else form


TASK = Denoise
