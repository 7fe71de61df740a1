"""Noise as a camera makes it: of light and electronics, through demosaicking, tone curve and JPEG.

    clean -> light on the sensor -> shot and read noise -> demosaicking -> sharpness -> tone curve, sRGB -> JPEG

The noise of a photograph depends on its brightness (Foi et al. 2008, "Practical Poissonian-Gaussian Noise Modeling"),
and neighbours share it, since two of three colors of a pixel are interpolated. White noise teaches a network neither; a
network that is trained on the whole chain cleans real photographs (Guo et al. 2019, CBDNet; Brooks et al. 2019,
"Unprocessing Images for Learned Raw Denoising").
"""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from pixelry.pixels import encode_image, read_image

# Of images in training, where nothing else is set; of 255 levels, at mid-grey: clean daylight to a telephone at night.
SIGMA_MIN, SIGMA_MAX = 0.5, 25.0
# Variance of read noise as a multiple of that of shot noise at mid-grey: the range of cameras in Brooks et al.
READ_SHARE = (0.01, 1.0)
# White balance multiplies red and blue, and their noise with them (Brooks et al. 2019, section 3.2).
RED_GAIN, BLUE_GAIN = (1.5, 2.4), (1.3, 1.9)
# Shares of images: from a sensor with a mosaic (the others were made smaller, which leaves no trace of it), with the
# contrast curve of a camera, and stored as JPEG; the others are rounded to 256 levels.
MOSAIC, CURVE, JPEG = 0.6, 0.5, 0.5
QUALITY = (75, 98)
# Of training images so many stay as they are: a clean photograph is to stay sharp.
CLEAN = 0.1
# Standard deviation in pixels of the smoothing that scaling and in-camera denoising give to the noise.
MAX_SMOOTHING = 0.7
BLOCK = 8  # of JPEG, in pixels
# Bilinear demosaicking as a filter over the samples of one color: Bayer's pattern has every second green pixel and
# every fourth of the others.
GREEN = torch.tensor([[0.0, 0.25, 0.0], [0.25, 1.0, 0.25], [0.0, 0.25, 0.0]])
RED_BLUE = torch.tensor([[0.25, 0.5, 0.25], [0.5, 1.0, 0.5], [0.25, 0.5, 0.25]])


def camera_noise(images: Tensor, *, sigma: float, sigma_min: float = 0.0, generator: Generator | None = None) -> Tensor:
    """Return images as a camera would have stored them.

    Args:
        images: (B, C, H, W) float in [0, 1], sRGB or grey.
        sigma: Standard deviation of the noise at mid-grey before smoothing and JPEG, of 255 levels.
        sigma_min: Where above 0, that of each image is drawn between sigma_min and sigma, log-uniformly.
        generator: On the CPU; None is torch's own, as in training, where some images of a range stay clean.

    Returns:
        Of the same shape, in [0, 1].
    """
    drawn = [_one(image.float().cpu(), sigma, sigma_min, generator) for image in images]
    return torch.stack(drawn).to(images)


def _one(image: Tensor, sigma: float, sigma_min: float, generator: Generator | None) -> Tensor:
    """Return one image (C, H, W) with noise."""

    def uniform(low: float, high: float) -> float:
        return low + (high - low) * float(torch.rand((), generator=generator))

    if generator is None and sigma_min and uniform(0, 1) < CLEAN:
        return image
    level = sigma if not sigma_min else math.exp(uniform(math.log(sigma_min), math.log(max(sigma, sigma_min))))
    curved = uniform(0, 1) < CURVE
    light = _to_light(image, curved)
    gains = torch.ones(len(image), 1, 1)
    if len(image) == 3:
        gains = torch.tensor([uniform(*RED_GAIN), 1.0, uniform(*BLUE_GAIN)]).view(3, 1, 1)
    middle = _to_light(torch.tensor(0.5), curved)
    variance = (level / 255 / _slope(middle, curved)) ** 2
    share = math.exp(uniform(*map(math.log, READ_SHARE)))
    shot, read = variance / (float(middle) * (1 + share)), variance * share / (1 + share)
    # White balance multiplies what the sensor measured, light / gain, and its noise.
    deviation = (shot * light * gains + read * gains**2).sqrt()
    noise = deviation * torch.randn(image.shape, generator=generator)
    if len(image) == 3 and uniform(0, 1) < MOSAIC:
        noise = _demosaicked(noise)
    noise = _smoothed(noise, uniform(0, MAX_SMOOTHING))
    stored = _from_light((light + noise).clamp(0, 1), curved).clamp(0, 1)
    if uniform(0, 1) < JPEG:
        return _as_jpeg(stored, round(uniform(*QUALITY)), int(uniform(0, BLOCK)), int(uniform(0, BLOCK)))
    return (stored * 255).round() / 255


def _to_light(image: Tensor, curved: bool) -> Tensor:
    """Return linear light of sRGB values; `curved` also undoes the contrast curve 3 x^2 - 2 x^3."""
    light = torch.where(image <= 0.04045, image / 12.92, ((image + 0.055) / 1.055) ** 2.4)
    return 0.5 - torch.sin(torch.asin(1 - 2 * light) / 3) if curved else light


def _from_light(light: Tensor, curved: bool) -> Tensor:
    """Return sRGB values of linear light, the inverse of `_to_light`."""
    light = 3 * light**2 - 2 * light**3 if curved else light
    return torch.where(light <= 0.0031308, light * 12.92, 1.055 * light.clamp_min(1e-8) ** (1 / 2.4) - 0.055)


def _slope(light: Tensor, curved: bool, step: float = 1e-3) -> float:
    """Return the derivative of `_from_light`, by which small noise in the light is multiplied."""
    return float(_from_light(light + step, curved) - _from_light(light - step, curved)) / (2 * step)


def _demosaicked(noise: Tensor) -> Tensor:
    """Return noise (3, H, W) as it is after demosaicking: sampled by Bayer's pattern, and interpolated.

    Bilinear demosaicking is linear: of image plus noise it gives the image's and the noise's. The image is left as it
    is, so that a network learns to remove noise, and not to sharpen.
    """
    height, width = noise.shape[-2:]
    down, across = torch.arange(height)[:, None] % 2, torch.arange(width) % 2
    samples = torch.stack([(down + across) == 0, (down + across) == 1, (down + across) == 2])  # red, green, blue
    filters = torch.stack([RED_BLUE, GREEN, RED_BLUE])[:, None]
    edged = F.pad((noise * samples)[None], (1, 1, 1, 1), mode="reflect" if min(height, width) > 1 else "replicate")
    return F.conv2d(edged, filters, groups=3)[0]


def _smoothed(noise: Tensor, deviation: float) -> Tensor:
    """Return noise (C, H, W) smoothed by a Gaussian of a standard deviation in pixels, of the same strength as before.

    The camera's user sees the noise after smoothing; so its strength is kept, and only its grain is coarser.
    """
    taps = torch.exp(-0.5 * (torch.arange(-2, 3) / max(deviation, 1e-3)) ** 2)
    taps = taps / taps.square().sum().sqrt()  # white noise keeps its variance
    smooth = F.pad(noise[:, None], (2, 2, 2, 2), mode="replicate")
    smooth = F.conv2d(F.conv2d(smooth, taps.view(1, 1, 1, 5)), taps.view(1, 1, 5, 1))
    return smooth[:, 0]


def _as_jpeg(image: Tensor, quality: int, top: int, left: int) -> Tensor:
    """Return what a JPEG file keeps of (C, H, W) in [0, 1] whose blocks begin anywhere."""
    height, width = image.shape[-2:]
    edged = F.pad(image[None], (left, 0, top, 0), mode="replicate")[0]
    levels = (edged * 255).round().byte().movedim(0, -1).numpy()
    kept = torch.from_numpy(read_image(encode_image(levels, format="JPEG", quality=quality)))
    kept = kept[None] if kept.ndim == 2 else kept.movedim(-1, 0)
    return kept[:, top : top + height, left : left + width] / 255
