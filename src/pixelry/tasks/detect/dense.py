"""Detectors with a box and scores at each place of some grids.

The network gives (B, A, 4 bins + K) logits at A places: of each side's distance (left, top, right, bottom) a
distribution over 0, 1, ..., bins - 1 strides, whose mean is the distance (Li et al. 2020, equation 4), and a score for
each class.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.ops import complete_box_iou_loss

from pixelry.data.loading import Batch
from pixelry.tasks.base import OF_TRAINING
from pixelry.tasks.detect.assign import assign
from pixelry.tasks.detect.base import CANDIDATES, Detect

LEAST_SIDE = 1e-2  # pixels


@dataclass(frozen=True)
class Dense(Detect):
    """Scores by cross-entropy, boxes by CIoU and by the distribution of their sides.

    Attributes:
        box_weight: Weight of the CIoU loss (Zheng et al. 2020) against that of the scores.
        side_weight: Weight of the distribution focal loss (Li et al. 2020).
    """

    box_weight: float = field(default=7.5, metadata=OF_TRAINING)
    side_weight: float = field(default=1.5, metadata=OF_TRAINING)

    def losses(self, network: Any, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the loss and its parts "scores", "boxes" and "sides".

        Args:
            network: Maps pictures to logits at the places of its grids.
            batch: "image" (B, C, H, W), "boxes" (B, M, 4) in pixels, "labels" (B, M), -1 for none, K and more for
                crowds.
            phase: The only one.
        """
        logits: Tensor = network(batch["image"]).float()
        # A coordinate in bfloat16 is exact to one pixel in 128.
        with torch.autocast(logits.device.type, enabled=False):
            return self._losses_of(logits, network_of(network), batch)

    def probe(self, network: Any, batch: Batch, phase: str) -> Tensor:
        """Return the output weighted by fixed numbers: which places answer for what changes with the last digit."""
        logits: Tensor = network(batch["image"]).float()
        weights = torch.randn(logits.shape, generator=torch.Generator().manual_seed(0)).to(logits.device)
        return 1 + (logits * weights).mean()

    def _losses_of(self, logits: Tensor, network: Any, batch: Batch) -> dict[str, Tensor]:
        images = batch["image"]
        points, strides = places(images, network.strides)
        sides, scores = logits.split([4 * network.bins, len(self.classes)], 2)
        sides = sides.unflatten(2, (4, -1))  # (B, A, 4, bins)
        boxes = boxes_of(sides, points, strides)
        crowd = batch["labels"] >= len(self.classes)
        labels = torch.where(crowd, -1, batch["labels"])
        told = assign(scores.sigmoid(), boxes, points, float(strides.min()), batch["boxes"], labels)
        goal = F.one_hot(told.labels, len(self.classes)) * told.weight[..., None]
        total = told.weight.sum().clamp_min(1.0)
        here = told.weight > 0
        # Within a crowd nobody knows what is background.
        judged = here | ~within(points, batch["boxes"], crowd)
        each = F.binary_cross_entropy_with_logits(scores, goal.to(scores), reduction="none")
        score_loss = (each * judged[..., None]).sum() / total
        weight = told.weight[here]
        box_loss = (box_losses(boxes[here], told.boxes[here]) * weight).sum() / total
        center, stride = points.expand(len(images), -1, -1)[here], strides.expand(len(images), -1)[here][:, None]
        true = told.boxes[here]
        distance = torch.cat([center - true[:, :2], true[:, 2:] - center], 1) / stride
        side_loss = (side_losses(sides[here], distance) * weight).sum() / total
        loss = score_loss + self.box_weight * box_loss + self.side_weight * side_loss
        return {"loss": loss, "score_loss": score_loss, "box_loss": box_loss, "side_loss": side_loss}

    def detect(self, network: Any, images: Tensor, least: float) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return for each picture its boxes (n, 4) xyxy, scores (n,) and labels (n,), the surest."""
        logits: Tensor = network(images).float()
        points, strides = places(images, network.strides)
        sides, scores = logits.split([4 * network.bins, len(self.classes)], 2)
        found = []
        for one, score in zip(sides.unflatten(2, (4, -1)), scores.sigmoid(), strict=True):
            place, label = (score >= least).nonzero(as_tuple=True)
            sure = score[place, label]
            # Boxes are worked out of the few that count.
            best = sure.topk(min(CANDIDATES, len(sure))).indices
            place, label = place[best], label[best]
            found.append((boxes_of(one[place], points[place], strides[place]), sure[best], label))
        return found


def network_of(network: nn.Module) -> Any:
    """Return a network itself, where it is wrapped, as by torch.compile."""
    return getattr(network, "_orig_mod", network)


def places(images: Tensor, strides: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Return the places of the grids of pictures (B, C, H, W): points (A, 2) as x and y, and their strides (A,)."""
    height, width = images.shape[-2:]
    points, sizes = [], []
    for stride in strides:
        y, x = torch.meshgrid(
            torch.arange(height // stride, device=images.device),
            torch.arange(width // stride, device=images.device),
            indexing="ij",
        )
        points.append((torch.stack([x, y], -1).flatten(0, 1) + 0.5) * stride)
        sizes.append(torch.full((len(points[-1]),), float(stride), device=images.device))
    return torch.cat(points), torch.cat(sizes)


def within(points: Tensor, boxes: Tensor, chosen: Tensor) -> Tensor:
    """Return which points (A, 2) lie in one of the chosen (B, M) boxes (B, M, 4), (B, A)."""
    if not bool(chosen.any()):
        return chosen.new_zeros(len(boxes), len(points))
    spread = points[None, None]  # (1, 1, A, 2)
    inside = ((spread >= boxes[:, :, None, :2]) & (spread <= boxes[:, :, None, 2:])).all(-1)
    return (inside & chosen[..., None]).any(1)


def boxes_of(sides: Tensor, points: Tensor, strides: Tensor) -> Tensor:
    """Return boxes (..., 4) xyxy of logits of their sides (..., 4, bins) at points (..., 2) with strides (...)."""
    bins = torch.arange(sides.shape[-1], device=sides.device, dtype=sides.dtype)
    distance = (sides.softmax(-1) @ bins) * strides[..., None]
    return torch.cat([points - distance[..., :2], points + distance[..., 2:]], -1)


def box_losses(found: Tensor, true: Tensor) -> Tensor:
    """Return the complete IoU loss (Zheng et al. 2020, section 3.3) of each box: (N, 4) and (N, 4) to (N,), from 0.

    Boxes are xyxy in pixels; found ones have sides of at least `LEAST_SIDE`, since the aspect of one without height has
    no gradient.
    """
    start, end = found.split(2, 1)
    missing = (LEAST_SIDE - (end - start)).clamp_min(0).detach()
    losses: Tensor = complete_box_iou_loss(torch.cat([start, end + missing], 1), true)
    return losses


def side_losses(sides: Tensor, distance: Tensor) -> Tensor:
    """Return the distribution focal loss of each box (N,): cross-entropy of the two bins beside the truth.

    Args:
        sides: (N, 4, bins) logits.
        distance: (N, 4) true distances in strides; those out of reach count as the farthest.
    """
    distance = distance.clamp(0, sides.shape[-1] - 1 - 1e-3)
    low = distance.floor().long()
    upper = distance - low
    logs = sides.log_softmax(-1)
    near, far = (logs.gather(-1, bin[..., None])[..., 0] for bin in (low, low + 1))
    return -(near * (1 - upper) + far * upper).mean(-1)


FAMILY = Dense
