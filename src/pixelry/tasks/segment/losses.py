"""Losses of segmentation: a class for each pixel, where pixels of 255 (IGNORE) do not count.

Logits are (B, K, H, W), masks (B, H, W) of class ids in any integer type; logits of a lower resolution than the mask
are scaled up first. A batch without a labelled pixel has the loss 0, and gradients of 0.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelry.data.masks import IGNORE
from pixelry.errors import unknown

LOSSES = ("cross_entropy", "dice", "cross_entropy_dice", "focal", "hard")
WEIGHTS = ("equal", "median", "enet")
SMALLEST = 1e-7  # added to a divisor that may be 0


def mask_losses(
    logits: Tensor,
    mask: Tensor,
    *,
    kind: str = "cross_entropy_dice",
    weights: Tensor | None = None,
    gamma: float = 2.0,
    share: float = 0.25,
) -> dict[str, Tensor]:
    """Return the losses of a batch by name, scalars; "loss" is the one to descend.

    Args:
        logits: (B, K, h, w).
        mask: (B, H, W), 255 where a pixel does not count.
        kind: One of `LOSSES`. The sum of cross-entropy and Dice is told apart as "cross_entropy" and "dice".
        weights: (K,) of the classes, for all but Dice, which weighs classes equally by itself.
        gamma: Of the focal loss.
        share: Of the pixels that count for "hard".

    Raises:
        UsageError: There is no such kind.
    """
    if kind not in LOSSES:
        raise unknown("loss", kind, LOSSES)
    logits = at_mask_size(logits, mask)
    if kind == "focal":
        return {"loss": focal(logits, mask, gamma=gamma, weights=weights)}
    if kind == "hard":
        return {"loss": hard_cross_entropy(logits, mask, share=share, weights=weights)}
    parts = {}
    if kind != "dice":
        parts["cross_entropy"] = cross_entropy(logits, mask, weights=weights)
    if kind != "cross_entropy":
        parts["dice"] = soft_dice(logits, mask)
    if len(parts) == 1:
        return {"loss": next(iter(parts.values()))}
    return {"loss": parts["cross_entropy"] + parts["dice"], **parts}


def at_mask_size(logits: Tensor, mask: Tensor) -> Tensor:
    """Return logits (B, K, h, w) at the size of a mask (..., H, W), bilinearly, in float32 (float64 stays)."""
    logits = logits if logits.dtype == torch.float64 else logits.float()
    if logits.shape[-2:] == mask.shape[-2:]:
        return logits
    return F.interpolate(logits, mask.shape[-2:], mode="bilinear", align_corners=False)


def cross_entropy(logits: Tensor, mask: Tensor, *, weights: Tensor | None = None, smoothing: float = 0.0) -> Tensor:
    """Return the mean cross-entropy over labelled pixels, in nats.

    Args:
        logits: (B, K, h, w).
        mask: (B, H, W).
        weights: (K,) of the classes: the mean is weighted by them.
        smoothing: Part of the target that is spread over all classes, in [0, 1).
    """
    logits, target = at_mask_size(logits, mask), mask.long()
    weights = None if weights is None else weights.to(logits)
    losses = F.cross_entropy(
        logits, target, weight=weights, ignore_index=IGNORE, reduction="none", label_smoothing=smoothing
    )
    return losses.sum() / _pixel_weights(target, weights, losses).sum().clamp_min(SMALLEST)


def _pixel_weights(target: Tensor, weights: Tensor | None, like: Tensor) -> Tensor:
    """Return the weight of each pixel (B, H, W): that of its class, 0 where it is ignored."""
    labelled = (target != IGNORE).to(like)
    return labelled if weights is None else labelled * weights[torch.where(target == IGNORE, 0, target)]


def soft_dice(logits: Tensor, mask: Tensor) -> Tensor:
    """Return 1 minus the Dice coefficient of probabilities, its mean over the classes that the batch's masks show.

    2 sum(p t) / (sum(p^2) + sum(t^2)) for each class, over the labelled pixels of the whole batch (Milletari et al.
    2016). A class that no mask shows has no Dice coefficient to raise: cross-entropy keeps it away.
    """
    logits, target = at_mask_size(logits, mask), mask.long()
    labelled = target != IGNORE
    filled = torch.where(labelled, target, 0)
    probabilities = logits.softmax(1)
    truth = torch.zeros(logits.shape[1], dtype=logits.dtype, device=logits.device)
    own = probabilities.gather(1, filled[:, None])[:, 0] * labelled
    common = truth.index_add(0, filled.flatten(), own.flatten())
    squares = (probabilities.square() * labelled[:, None]).sum((0, 2, 3))
    truth = truth.index_add(0, filled.flatten(), labelled.to(logits).flatten())
    shown = truth > 0
    lost = torch.where(shown, 1 - 2 * common / (squares + truth + SMALLEST), 0)
    return lost.sum() / shown.sum().clamp_min(1)


def focal(logits: Tensor, mask: Tensor, *, gamma: float = 2.0, weights: Tensor | None = None) -> Tensor:
    """Return the mean over labelled pixels of (1 - p)^gamma times the cross-entropy, p that of the true class.

    Pixels that are right already count less (Lin et al. 2017). With gamma 0 it is the cross-entropy, its mean not
    divided by the weights, as the paper's alpha.

    Args:
        logits: (B, K, h, w).
        mask: (B, H, W).
        gamma: 0 or more.
        weights: (K,) of the classes.
    """
    logits, target = at_mask_size(logits, mask), mask.long()
    plain = F.cross_entropy(logits, target, ignore_index=IGNORE, reduction="none")
    # Where p is 1 a power below 1 has no gradient.
    losses = (-torch.expm1(-plain)).clamp_min(SMALLEST) ** gamma * plain
    weighted = losses * _pixel_weights(target, None if weights is None else weights.to(logits), losses)
    return weighted.sum() / (target != IGNORE).sum().clamp_min(1)


def hard_cross_entropy(logits: Tensor, mask: Tensor, *, share: float = 0.25, weights: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of the pixels that are most wrong (OHEM, Shrivastava et al. 2016).

    Args:
        logits: (B, K, h, w).
        mask: (B, H, W).
        share: Of the labelled pixels of the batch, in (0, 1]; at least one pixel counts.
        weights: (K,) of the classes; their losses are multiplied before the hardest are chosen.
    """
    logits, target = at_mask_size(logits, mask), mask.long()
    labelled = (target != IGNORE).flatten()
    weights = None if weights is None else weights.to(logits)
    losses = F.cross_entropy(logits, target, weight=weights, ignore_index=IGNORE, reduction="none").flatten()
    count = max(1, round(share * int(labelled.sum())))
    # Ignored pixels have a loss of 0, and so come after all others: a batch without labels has the loss 0.
    return losses.topk(count).values.sum() / count


def class_counts(masks: Tensor, classes: int) -> Tensor:
    """Return the labelled pixels of each class in each of some masks (N, H, W) or one (H, W): (N, K) int64."""
    flat = masks.reshape(-1, masks.shape[-2] * masks.shape[-1]).long()
    return torch.stack([torch.bincount(row[row != IGNORE], minlength=classes)[:classes] for row in flat])


def class_weights(counts: Tensor, kind: str = "median") -> Tensor:
    """Return a weight for each class by how rare it is, (K,) float32.

    Args:
        counts: (N, K) pixels of each class in each picture, as `class_counts` gives them, or (K,) in all of them.
        kind: "equal" gives 1 to each. "median" is median frequency balancing (Eigen and Fergus 2015): the median of
            the classes' frequencies by a class's own, which is its share of the pictures that show it ((K,) counts
            know no pictures: its share of all pixels). "enet" is 1 / ln(1.02 + p), p its share of all pixels (Paszke
            et al. 2016): from 1.4 for a class that is everywhere to 50 for one that is nowhere.

    Returns:
        Of a class that no picture shows "median" says 1: it has no frequency.

    Raises:
        UsageError: There is no such kind.
    """
    if kind not in WEIGHTS:
        raise unknown("kind of class weights", kind, WEIGHTS)
    pictures = counts.double().reshape(-1, counts.shape[-1])
    pixels = pictures.sum(0)
    if kind == "equal":
        return torch.ones(len(pixels))
    if kind == "enet":
        return (1 / torch.log(1.02 + pixels / pixels.sum().clamp_min(1))).float()
    around = ((pictures > 0) * pictures.sum(1, keepdim=True)).sum(0)
    frequency = pixels / around.clamp_min(1)
    shown = frequency > 0
    if not shown.any():
        return torch.ones(len(pixels))
    # With an even number of classes the mean of the two in the middle, as NumPy's median.
    middle = frequency[shown].quantile(0.5)
    return torch.where(shown, middle / frequency.clamp_min(SMALLEST**2), 1.0).float()
