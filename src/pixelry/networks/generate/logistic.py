"""Pictures pixel by pixel: the probability of a picture is a product of logistic regressions, one a pixel.

    p(x) = prod_t p(x_t | x_1, ..., x_{t-1}),    logit p(x_t = 1 | x_<t) = b_t + sum_{s<t} W_ts (x_s - mean_s)

All regressions together are one strictly lower-triangular matrix: the fully visible sigmoid belief network. Its
likelihood is exact, its training convex, and a picture is drawn by tossing one coin after the other; a part that
comes first can as well be given, and the rest drawn.

Grey levels become bits by thresholds, level >= 1, ..., level >= k - 1, each a regression of its own: the bit "level
>= j" is tossed only where "level >= j - 1" came up (continuation-ratio logits). Binary pictures have one bit a pixel.

With `pairs`, each regression also sees products of two bits, one of the ten nearest before it and one of a window:
still one logistic regression a pixel, but one that can tell a stroke that goes on from two that end side by side.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.config import Recipe
from pixelry.errors import UsageError
from pixelry.networks.blocks import Fitted

SUMMARY = "one logistic regression a pixel, on all pixels before it: exact likelihood on one page"
SOURCE = (
    "Frey, Hinton and Dayan 1996, Does the wake-sleep algorithm produce good density estimators?; Neal 1992; pairs "
    "after Bengio and Bengio 2000"
)
FAMILY = "autoregressive"
RECIPES = {
    "generate": Recipe(lr=6e-3, weight_decay=0.0, batch=256, epochs=40, warmup=0.02, schedule="linear", augment="none"),
}

# The matrix has bits^2 weights, and Adam keeps two more numbers for each: 800 MB here.
MOST_BITS = 8192
MOST_SEEN = 2**19  # bits in all windows together: each picture of a batch has a number for each
LABEL_REACH = 2  # pixels whose weights a class has for itself
NEAREST = 10  # pixels whose products with the whole window are features
RAREST = 1e-3  # base rates are kept within [RAREST, 1 - RAREST], where the logit is finite


class Logistic(Fitted):
    """The regressions of all bits, in raster order, N = H W C (k - 1).

    Attributes:
        levels: Grey levels k of each value.
        shape: (H, W, C, k - 1), the bits of a picture.
        bits: Number of bits, N.
        weight: (N, N), of which `matrix` uses what lies below the diagonal.
        bias: (N,), logits of the base rates before training.
        mean: (N,), base rates, subtracted from the bits: a weight then says what a bit's being unusual changes.
        label: (classes, N), added for the class of a picture, where the model is conditional.
        label_near: (classes, N, n), of a conditional model: what the bits just before mean in a class.
        quadratic: (N, a, n) weights of the products of the a nearest with the n bits of the window, with `pairs`;
            of each square's upper triangle, so that no product counts twice.
    """

    mean: Tensor
    near: Tensor
    window: Tensor

    def __init__(self, channels: int, size: tuple[int, int], levels: int, classes: int, pairs: int) -> None:
        super().__init__()
        self.levels, self.shape = levels, (*size, channels, levels - 1)
        self.bits = math.prod(self.shape)
        self.register_buffer("mean", torch.full((self.bits,), 0.5))
        self.weight = nn.Parameter(torch.zeros(self.bits, self.bits))
        self.bias = nn.Parameter(torch.zeros(self.bits))
        depth = channels * (levels - 1)
        self.register_buffer("near", windows(size, depth, LABEL_REACH if classes else 0), persistent=False)
        self.label = nn.Parameter(torch.zeros(classes, self.bits)) if classes else None
        self.label_near = nn.Parameter(torch.zeros(classes, *self.near.shape)) if classes else None
        self.register_buffer("window", windows(size, depth, pairs), persistent=False)
        self.nearest = min(NEAREST * depth, self.window.shape[1])
        shape = (self.bits, self.nearest, self.window.shape[1])
        self.quadratic = nn.Parameter(torch.zeros(shape)) if pairs else None

    def fit(self, images: Tensor) -> None:
        """Start from independent bits: take the base rates from pictures (B, C, H, W) of k levels."""
        bits = self.encode(images)
        # A bit is tossed only where the threshold below was reached, so that is what its rate is of.
        tossed = torch.ones_like(self.mean).view(self.shape)
        tossed[..., 1:] = bits.mean(0).view(self.shape)[..., :-1]
        rate = bits.mean(0) / tossed.flatten().clamp_min(1 / len(bits))
        self.mean.copy_(bits.mean(0))
        with torch.no_grad():
            self.bias.copy_(torch.logit(rate.clamp(RAREST, 1 - RAREST)))

    def encode(self, images: Tensor) -> Tensor:
        """Return the bits of pictures (B, C, H, W) whose values are multiples of 1 / (k - 1) in [0, 1], (B, N)."""
        thresholds = (torch.arange(1, self.levels, device=images.device) - 0.5) / (self.levels - 1)
        return (images.movedim(1, -1)[..., None] > thresholds).flatten(1).float()

    def decode(self, bits: Tensor) -> Tensor:
        """Return the pictures (B, C, H, W) in [0, 1] of bits (B, N)."""
        return bits.unflatten(1, self.shape).mean(-1).movedim(-1, 1)

    def matrix(self) -> Tensor:
        """Return the weights that are used, (N, N): from the bits of each value to those of later ones."""
        thresholds = self.shape[-1]
        if thresholds == 1:
            return self.weight.tril(-1)
        values = self.bits // thresholds
        later = torch.ones(values, values, dtype=torch.bool, device=self.weight.device).tril(-1)
        # The bits of one value need no weights to each other: where one is tossed, those below it are 1.
        blocks = self.weight.view(values, thresholds, values, thresholds)
        return (blocks * later[:, None, :, None]).view_as(self.weight)

    def forward(self, images: Tensor, label: Tensor | None = None) -> Tensor:
        """Return the logit of every bit given those before it, (B, C, k - 1, H, W).

        Args:
            images: (B, C, H, W) whose values are multiples of 1 / (k - 1) in [0, 1].
            label: (B,) int64 for a conditional model.
        """
        return self.scores(self.encode(images), label).unflatten(1, self.shape).permute(0, 3, 4, 1, 2)

    def scores(self, bits: Tensor, label: Tensor | None = None) -> Tensor:
        """Return the logits (B, N) of bits (B, N)."""
        weight = self.matrix()
        # The mean goes through the matrix once, not with each picture: bits are exact in any precision.
        logits = F.linear(bits, weight, self.bias - weight @ self.mean)
        if self.label is not None and self.label_near is not None:
            near = F.pad(bits, (0, 1))[:, self.near]  # (B, N, n)
            logits = logits + self.label[label] + (self.label_near[label] * near).sum(2)
        if self.quadratic is not None:
            # A last row of zeros stands for what lies outside of the picture.
            rows = F.pad(bits.T, (0, 0, 0, 1))[self.window]  # (N, n, B)
            logits = logits + ((self.quadratic.triu(1) @ rows) * rows[:, : self.nearest]).sum(1).T
        return logits

    @torch.inference_mode()
    def draw(self, coins: Tensor, label: Tensor | None = None, given: Tensor | None = None, known: int = 0) -> Tensor:
        """Draw pictures, one coin after the other.

        Each coin that comes up adds its column of the matrix to the scores of all bits that follow: a rank-1 update
        for the batch, and N of them for a picture instead of N products with the matrix.

        Args:
            coins: (B, N) uniform in [0, 1).
            label: (B,) int64 for a conditional model.
            given: (B, C, H, W), pictures of which the first `known` pixels are kept.
            known: Pixels in raster order; the rest is drawn.

        Returns:
            (B, C, H, W) pictures in [0, 1].
        """
        count, thresholds = len(coins), self.shape[-1]
        weight = self.matrix()
        quadratic = None if self.quadratic is None else self.quadratic.triu(1)
        bits = torch.zeros(self.bits + 1, count, device=coins.device)  # a last row for outside of the picture
        # Scores and bits lie transposed, so that one bit of all pictures is one row.
        scores = (self.bias - weight @ self.mean)[:, None].repeat(1, count)
        label_near = None
        if self.label is not None and self.label_near is not None:
            scores += self.label[label].T
            label_near = self.label_near[label]  # (B, N, n)
        start = 0
        if given is not None:
            start = known * self.shape[2] * thresholds
            bits[:start] = self.encode(given).T[:start]
            scores += weight[:, :start] @ bits[:start]
        limits = torch.logit(coins.T.double()).float()
        for t in range(start, self.bits):
            score = scores[t]
            if label_near is not None:
                score = score + (label_near[:, t] * bits[self.near[t]].T).sum(1)
            if quadratic is not None:
                rows = bits[self.window[t]]  # (n, B)
                score = score + ((quadratic[t] @ rows) * rows[: self.nearest]).sum(0)
            bits[t] = limits[t] < score
            if t % thresholds:
                bits[t] *= bits[t - 1]
            scores[t + 1 :].addr_(weight[t + 1 :, t], bits[t])
        return self.decode(bits[:-1].T)


def windows(size: tuple[int, int], depth: int, reach: int) -> Tensor:
    """Return which bits lie in the window before each bit, int64 (N, n), N for those outside of the picture.

    The window holds the pixels up to `reach` rows above and `reach` columns to the side, and those of the same row
    before; of a pixel's several bits (channels, thresholds) it holds all. The nearest come first.
    """
    height, width = size
    steps = [(dy, dx) for dy in range(-reach, 1) for dx in range(-reach, reach + 1) if (dy, dx) < (0, 0)]
    steps.sort(key=lambda step: step[0] ** 2 + step[1] ** 2)
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None]
    count = height * width * depth
    places = []
    for dy, dx in steps:
        y, x = (rows + dy).expand(height, width), (columns + dx).expand(height, width)
        inside = (y >= 0) & (x >= 0) & (x < width)
        first = torch.where(inside, (y * width + x) * depth, count)
        places += [torch.where(inside, first + d, count).flatten() for d in range(depth)]
    if not places:
        return torch.zeros(count, 0, dtype=torch.int64)
    return torch.stack(places, 1).repeat_interleave(depth, 0)


def build(*, channels: int, size: tuple[int, int], levels: int = 2, classes: int = 0, pairs: int = 0) -> Logistic:
    """Build the regressions for pictures of one size.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels.
        levels: Grey levels of each value, 2 for black and white.
        classes: Classes of a conditional model, 0 for one without.
        pairs: Reach in pixels of the window whose products are features, 0 for none; 4 is good.
    """
    depth = channels * (levels - 1)
    bits = size[0] * size[1] * depth
    what = f"pictures of {size[0]}x{size[1]} with {channels} channels and {levels} levels have {bits:,} bits"
    less = "give a smaller --size, --channels 1 or fewer levels"
    if bits > MOST_BITS:
        raise UsageError(f"{what}, and the matrix their square; at most {MOST_BITS:,} go: {less}")
    if not 0 <= pairs <= 8:
        raise UsageError(f"pairs is {pairs}; expected a reach of 0 (none) to 8 pixels")
    reach = max(pairs, LABEL_REACH if classes else 0)
    seen = bits * depth * 2 * reach * (reach + 1)
    if seen > MOST_SEEN:
        raise UsageError(
            f"{what}, which see {seen:,} in windows of reach {reach} (pairs, or classes); at most {MOST_SEEN:,} go: "
            f"{less}, or no pairs and classes"
        )
    return Logistic(channels, size, levels, classes, pairs)
