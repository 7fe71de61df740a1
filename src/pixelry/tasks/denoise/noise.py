"""Noise for training and judging restoration: drawn on float images, unclipped; and what JPEG loses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Generator, Tensor

from pixelry.errors import UsageError
from pixelry.pixels import encode_image, read_image
from pixelry.tasks.denoise.camera import SIGMA_MAX, SIGMA_MIN, camera_noise

Kind = Literal["gaussian", "salt_pepper", "poisson", "jpeg", "camera"]
# What is added, or that nothing is: the pictures have noise of their own.
Noise = Literal["gaussian", "salt_pepper", "poisson", "jpeg", "camera", "given"]


# The kind of noise that an option belongs to.
KIND_OF_OPTION: dict[str, Noise] = {
    "sigma": "gaussian",
    "sigma_min": "gaussian",
    "amount": "salt_pepper",
    "peak": "poisson",
    "quality": "jpeg",
}


def for_evaluation(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings for use of a trained model, complete: no level or range is left over from its training.

    `sigma` without `sigma_min` is one level of noise, whatever range the model was trained on; and an option of one
    kind of noise means that kind, where `noise` is not set.

    Args:
        settings: Options of the task by name.

    Examples:
        >>> for_evaluation({"sigma": 25.0})
        {'sigma': 25.0, 'sigma_min': 0.0, 'noise': 'gaussian'}
    """
    complete = with_camera_range(settings)
    if "sigma" in complete:
        complete.setdefault("sigma_min", 0.0)
    kinds = {KIND_OF_OPTION[name] for name in settings if name in KIND_OF_OPTION}
    if len(kinds) == 1:
        complete.setdefault("noise", kinds.pop())
    return complete


def with_camera_range(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings in which camera noise has levels: a range that suits photographs, where none was set."""
    complete = dict(settings)
    if complete.get("noise") == "camera" and "sigma" not in complete:
        complete |= {"sigma": SIGMA_MAX, "sigma_min": complete.get("sigma_min", SIGMA_MIN)}
    return complete


def check_noise(sigma: float, sigma_min: float, amount: float, peak: float, quality: int) -> None:
    """Raise UsageError unless the options of `add_noise` are in range."""
    if not 0 <= sigma < float("inf"):
        raise UsageError(f"sigma is {sigma}; expected 0 or more, on the scale of 255 grey levels, such as 25")
    if not 0 <= sigma_min <= sigma:
        raise UsageError(f"sigma_min is {sigma_min}; expected 0 (always sigma) up to sigma, {sigma}")
    if not 0 <= amount <= 1:
        raise UsageError(f"amount is {amount}; expected the share of pixels that salt and pepper replace, 0 to 1")
    if not 0 < peak < float("inf"):
        raise UsageError(f"peak is {peak}; expected the photons of a white pixel, above 0")
    if not 1 <= quality <= 100:
        raise UsageError(f"quality is {quality}; expected that of a JPEG file, 1 to 100")


def add_noise(
    images: Tensor,
    kind: Kind,
    *,
    sigma: float,
    sigma_min: float = 0.0,
    amount: float = 0.05,
    peak: float = 30.0,
    quality: int = 30,
    generator: Generator | None = None,
) -> Tensor:
    """Return noisy images; nothing is clipped, so that the noise stays what its formula says.

    Args:
        images: (B, C, H, W) float in [0, 1].
        kind: "gaussian": x + sigma / 255 n with n standard normal. "salt_pepper": `amount` of the pixels become black
            or white, all channels alike, half of them each. "poisson": Poisson(peak x) / peak, the photons of an image
            in which white is `peak` of them. "jpeg": what a JPEG file keeps of 256 levels. "camera": as
            `camera_noise` has it.
        sigma: Of the Gaussian, on the scale of 255 grey levels; of a camera's noise, at mid-grey.
        sigma_min: Where above 0, the sigma of each image is drawn uniformly from sigma_min to sigma.
        amount: Share of pixels, 0 to 1.
        peak: Photons of a white pixel.
        quality: Of the JPEG file, 1 to 100.
        generator: None draws from torch's own.
    """
    shape, device = (len(images), 1, 1, 1), images.device

    def uniform(*size: int) -> Tensor:
        return torch.rand(size, generator=generator).to(device)

    if kind == "camera":
        return camera_noise(images, sigma=sigma, sigma_min=sigma_min, generator=generator)
    if kind == "gaussian":
        level = sigma_min + (sigma - sigma_min) * uniform(*shape) if sigma_min else sigma
        return images + level / 255 * torch.randn(images.shape, generator=generator).to(device)
    if kind == "poisson":
        return torch.poisson((images * peak).cpu(), generator=generator).to(device) / peak
    if kind == "jpeg":
        return torch.stack([_as_jpeg(image, quality) for image in images]).to(images)
    draw = uniform(len(images), 1, *images.shape[2:])
    noisy = torch.where(draw < amount / 2, torch.zeros_like(images), images)
    return torch.where(draw > 1 - amount / 2, torch.ones_like(images), noisy)


def reach(kind: Noise, *, sigma: float, peak: float) -> float:
    """Return by how much noisy intensities may leave [0, 1], 0 or more: six standard deviations at white.

    Of few photons it is more, as the Poisson distribution has the longer tail.

    Args:
        kind: As `add_noise` takes it; what it does not add, and what stays in the range, leaves it by nothing.
        sigma: Of the Gaussian, on the scale of 255 grey levels.
        peak: Photons of a white pixel.
    """
    return {"gaussian": 6 * sigma / 255, "poisson": 6 / peak**0.5 + 6 / peak}.get(kind, 0.0)


def _as_jpeg(image: Tensor, quality: int) -> Tensor:
    """Return what a JPEG file keeps of (C, H, W) in [0, 1]."""
    levels = (image.clamp(0, 1) * 255).round().byte().cpu().movedim(0, -1).numpy()
    kept = torch.from_numpy(read_image(encode_image(levels, format="JPEG", quality=quality)))
    return (kept[None] if kept.ndim == 2 else kept.movedim(-1, 0)) / 255
