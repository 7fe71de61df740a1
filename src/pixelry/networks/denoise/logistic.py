"""Logistic regression of each clean pixel on the noisy window around it: the first rung of restoration.

A clean intensity c in [0, 1] is the soft target of a logistic regression, fitted by cross-entropy:

    logit p = logit m + (w . d + g v . d) / (m (1 - m)) + b

with m the Gaussian mean of the window, d the window's deviations from it, and g the Wiener gain, the part of the
window's variance that is not noise. The first two terms are the first-order expansion of logit(m + w . d): in a
window where the sigmoid must copy a brightness, it does so without having to learn the logit. A weight is wanted
twice since how much of a deviation to believe depends on how much of it is noise.

With `buckets`, the weights are chosen by the gradients around the pixel, so that edges are smoothed along and not
across.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.blocks import Fitted

SUMMARY = "a logistic regression of each pixel on the window around it: restoration on one page"
SOURCE = (
    "window regression after Wiener 1949 and Lee 1980; buckets after RAISR (Romano, Isidoro and Milanfar 2017) and "
    "BLADE (Getreuer et al. 2018)"
)
FAMILY = "likelihood"
RECIPES = {
    "denoise": Recipe(lr=1e-2, weight_decay=0.0, batch=16, epochs=10, warmup=0.02, ema=0.05, augment="none"),
}

Features = Literal["pixels", "gain", "buckets"]

WINDOW = 9
# Buckets: directions of the gradient, its strength, and how much of it has one direction.
ANGLES, STRENGTHS, COHERENCES = 8, 4, 3
FITTED_PIXELS = 2**19
DARKEST = 0.02  # in the logit the mean is kept within [DARKEST, 1 - DARKEST], where it is finite
STRIP_PIXELS = 2**18  # pixels whose features are held at once


class Window(nn.Module):
    """The deviations of a k x k window from its Gaussian mean, rotated and scaled so that they are uncorrelated.

    One direction a channel is constant, and left out as zeros: the Gaussian mean of the deviations.

    Whitening is the preconditioner of the regression: in these coordinates the cross-entropy's curvature is about
    the same in all directions, and plain gradient steps reach the optimum of the convex problem in a few passes.
    """

    weight: Tensor
    shift: Tensor

    def __init__(self, channels: int, side: int) -> None:
        super().__init__()
        self.channels, self.side = channels, side
        size = channels * side**2
        self.register_buffer("weight", torch.eye(size).view(size, channels, side, side))
        self.register_buffer("shift", self.weight.sum((2, 3))[:, :, None, None].clone())

    @property
    def outputs(self) -> int:
        """Numbers that describe a window: D."""
        return self.channels * self.side**2

    def mean(self, x: Tensor) -> Tensor:
        """Return the Gaussian mean of the window of each pixel, (B, C, H, W)."""
        return blur(x, self.side // 2, self.side / 4)

    def forward(self, padded: Tensor, mean: Tensor) -> Tensor:
        """Describe each window: (B, C, H + k - 1, W + k - 1) and (B, C, H, W) to (B, D, H, W)."""
        # Each deviation is x_i - m, so the filter's sum goes with the mean of the middle.
        return F.conv2d(padded, self.weight) - F.conv2d(mean, self.shift)

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Take the rotation from noisy images (N, C, H, W)."""
        images = first_images(images)
        mean = self.mean(images)
        patches = F.unfold(pad(images, self.side // 2), self.side)  # (N, C k k, H W)
        patches = patches.unflatten(1, (self.channels, -1)) - mean.flatten(2)[:, :, None]
        deviations = patches.flatten(1, 2).movedim(1, 0).flatten(1)  # (C k k, N H W)
        values, vectors = torch.linalg.eigh((deviations @ deviations.T / deviations.shape[1]).double())
        scale = values.clamp_min(1e-6 * float(values[-1]) + 1e-12).rsqrt()
        # The Gaussian mean of the deviations is 0, so that one direction a channel has no variance but rounding errors,
        # which must not be blown up.
        scale[: self.channels] = 0
        rotation = vectors * scale  # columns
        self.weight.copy_(rotation.T.view_as(self.weight))
        self.shift.copy_(self.weight.sum((2, 3))[:, :, None, None])


class Buckets(nn.Module):
    """Sorts pixels by the gradients around them: direction, strength in units of the noise, and coherence.

    Of the structure tensor, smoothed by a Gaussian of 2.5 pixels, direction is that of the first eigenvector,
    strength the root of the first eigenvalue l1, coherence (sqrt l1 - sqrt l2) / (sqrt l1 + sqrt l2). The bounds of
    strength and coherence are quantiles of the training pictures.
    """

    strengths: Tensor
    coherences: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("strengths", torch.arange(1.0, STRENGTHS))
        self.register_buffer("coherences", torch.arange(1.0, COHERENCES) / COHERENCES)

    def forward(self, x: Tensor, noise: Tensor) -> Tensor:
        """Return the bucket of each pixel, int64 (B, 1, H, W), for grey images and their noise (B, 1, 1, 1)."""
        angle, strength, coherence = gradients(x, noise)
        turn = (angle / torch.pi + 0.5 + 0.5 / ANGLES) * ANGLES
        direction = turn.floor().long() % ANGLES
        level = torch.bucketize(strength, self.strengths) * COHERENCES + torch.bucketize(coherence, self.coherences)
        return level * ANGLES + direction

    @torch.no_grad()
    def fit(self, x: Tensor, noise: Tensor) -> None:
        """Take the bounds from grey images (N, 1, H, W)."""
        _, strength, coherence = gradients(x, noise)
        for bounds, values in ((self.strengths, strength), (self.coherences, coherence)):
            values = values.flatten()[:: max(1, values.numel() // 2**20)]
            shares = torch.arange(1, len(bounds) + 1) / (len(bounds) + 1)
            bounds.copy_(torch.quantile(values, shares))


class Logistic(Fitted):
    """The regression: (B, C, H, W) noisy, about [0, 1], to logits of the clean intensities, (B, C, H, W).

    Attributes:
        window: Describes the window of each pixel by D numbers.
        buckets: Sorts pixels, where the features are "buckets".
        head: The weights: for each bucket and channel, D (or 2 D with the gain) numbers and a bias.
        least_side: Smallest height or width in pixels that a picture may have.
    """

    def __init__(self, channels: int, side: int, features: Features) -> None:
        super().__init__()
        self.channels, self.least_side = channels, side
        self.window = Window(channels, side)
        self.with_gain = features != "pixels"
        self.buckets = Buckets() if features == "buckets" else None
        count = ANGLES * STRENGTHS * COHERENCES if self.buckets else 1
        self.head = nn.Conv2d(self.window.outputs * (1 + self.with_gain), count * channels, 1)
        # From zero, where the answer is the local mean; the problem is convex.
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def fit(self, images: Tensor) -> None:
        """Fit the window's coordinates and the buckets' bounds to noisy images (N, C, H, W)."""
        self.window.fit(images)
        if self.buckets:
            grey = first_images(images).mean(1, keepdim=True)
            self.buckets.fit(grey, noise_level(grey))

    def forward(self, x: Tensor) -> Tensor:
        """Map noisy (B, C, H, W) to logits (B, C, H, W)."""
        grey = x.mean(1, keepdim=True)
        mean, padded = self.window.mean(x), pad(x, self.least_side // 2)
        gain = wiener_gain(x, mean, self.least_side) if self.with_gain else None
        bucket = self.buckets(grey, noise_level(grey)) if self.buckets else None
        rows = max(1, STRIP_PIXELS // (x.shape[0] * x.shape[-1])) if not self.training else x.shape[-2]
        strips = [
            self._strip(
                padded[:, :, top : top + rows + self.least_side - 1],
                mean[:, :, top : top + rows],
                gain[:, :, top : top + rows] if gain is not None else None,
                bucket[:, :, top : top + rows] if bucket is not None else None,
            )
            for top in range(0, x.shape[-2], rows)
        ]
        return torch.cat(strips, 2)

    def _strip(self, padded: Tensor, mean: Tensor, gain: Tensor | None, bucket: Tensor | None) -> Tensor:
        features = self.window(padded, mean)
        if gain is not None:
            features = torch.cat([features, gain * features], 1)
        change = self.head(features)  # (B, buckets * C, H, W)
        if bucket is not None:
            change = change.unflatten(1, (self.channels, -1))
            change = change.gather(2, bucket[:, None].expand(-1, self.channels, -1, -1, -1)).squeeze(2)
        mean = mean.clamp(DARKEST, 1 - DARKEST)
        return torch.logit(mean) + change.float() / (mean * (1 - mean))


def pad(x: Tensor, margin: int) -> Tensor:
    """Continue images (B, C, H, W) by their mirror image; by their last pixels where they are too small for that."""
    mode = "reflect" if min(x.shape[-2:]) > margin else "replicate"
    return F.pad(x, [margin] * 4, mode=mode)


def blur(x: Tensor, radius: int, sigma: float) -> Tensor:
    """Return the Gaussian mean of the (2 radius + 1)^2 pixels around each; shape as given."""
    offsets = torch.arange(-radius, radius + 1, device=x.device, dtype=x.dtype)
    weights = torch.exp(-(offsets**2) / (2 * sigma**2))
    return _separable(x, weights / weights.sum())


def box(x: Tensor, side: int) -> Tensor:
    """Return the mean of the side x side pixels around each; shape as given."""
    return _separable(x, torch.full((side,), 1 / side, device=x.device, dtype=x.dtype))


def _separable(x: Tensor, weights: Tensor) -> Tensor:
    flat = pad(x, len(weights) // 2).flatten(0, 1)[:, None]  # each channel by itself
    return F.conv2d(F.conv2d(flat, weights.view(1, 1, 1, -1)), weights.view(1, 1, -1, 1)).view_as(x)


def first_images(images: Tensor) -> Tensor:
    """Return the first images (N, C, H, W), as many as half a million pixels."""
    return images[: max(1, FITTED_PIXELS // (images.shape[-2] * images.shape[-1]))]


def noise_level(x: Tensor) -> Tensor:
    """Return the standard deviation of the noise in each channel of images (B, C, H, W), (B, C, 1, 1).

    Immerkaer 1996, "Fast noise variance estimation": a difference of Laplacians that lines and slopes pass unseen,
    here with the median in place of the mean, which edges do not move (Donoho and Johnstone 1994).
    """
    line = torch.tensor([1.0, -2.0, 1.0], device=x.device, dtype=x.dtype)
    response = F.conv2d(pad(x, 1).flatten(0, 1)[:, None], torch.outer(line, line).view(1, 1, 3, 3) / 6)
    return response.abs().flatten(1).median(1).values.view(*x.shape[:2], 1, 1) / 0.6745


def wiener_gain(x: Tensor, mean: Tensor, side: int) -> Tensor:
    """Return the part of each window's variance around its mean that is not noise, (B, 1, H, W) in [0, 1]."""
    variance = (box(x * x, side) - 2 * mean * box(x, side) + mean * mean).mean(1, keepdim=True)
    noise = (noise_level(x) ** 2).mean(1, keepdim=True)
    return (1 - noise / variance.clamp_min(1e-8)).clamp_min(0)


def gradients(x: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return direction in [-pi/2, pi/2], strength in units of the noise, and coherence in [0, 1] at each pixel.

    Args:
        x: Grey images (B, 1, H, W).
        noise: Their noise level, (B, 1, 1, 1).
    """
    smooth = pad(blur(x, 3, 1.0), 1)
    sobel = torch.tensor([[-1.0, 0, 1], [-2, 0, 2], [-1, 0, 1]], device=x.device, dtype=x.dtype).view(1, 1, 3, 3) / 8
    dx, dy = F.conv2d(smooth, sobel), F.conv2d(smooth, sobel.transpose(2, 3))
    xx, yy, xy = (blur(product, 7, 2.5) for product in (dx * dx, dy * dy, dx * dy))
    root = ((xx - yy) ** 2 + 4 * xy**2).sqrt()
    first, second = ((xx + yy + root) / 2).sqrt(), ((xx + yy - root) / 2).clamp_min(0).sqrt()
    coherence = (first - second) / (first + second).clamp_min(1e-8)
    return 0.5 * torch.atan2(2 * xy, xx - yy), first / noise.clamp_min(1 / 512), coherence


def build(*, channels: int, size: tuple[int, int], window: int = 0, features: Features = "gain") -> Logistic:
    """Build the regression; pictures of any size from the window on can be restored.

    Args:
        channels: 1 or 3.
        size: (height, width) of the training patches in pixels.
        window: Side of the window in pixels, odd; 0 takes 9, or what fits into the patches.
        features: "pixels" is the window alone, "gain" adds it times its Wiener gain, "buckets" takes other weights
            for each of 96 kinds of gradient.
    """
    side = window or min(WINDOW, (min(size) - 1) // 2 * 2 + 1)
    if side < 3 or side % 2 == 0 or side > min(size):
        raise UsageError(
            f"window is {side}; expected an odd number from 3 to the smaller side of the patches, {min(size)}"
        )
    return Logistic(channels, side, features)
