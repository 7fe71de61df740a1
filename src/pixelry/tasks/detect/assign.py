"""Which places of the grids answer for which object: task-aligned assignment (TOOD, Feng et al. 2021, section 3.3).

A place is fit for an object if it both scores its class and boxes it well: t = score^alpha IoU^beta (equation 6). The
objects take the places that are fittest for them, so that scoring and boxing are learnt at the same places.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

ALPHA, BETA = 0.5, 6.0
PLACES = 10  # of an object


@dataclass(frozen=True)
class Assigned:
    """What each of A places of B pictures is to say.

    Attributes:
        weight: (B, A) how well the place should score, in [0, 1]; 0 for those that answer for nothing.
        labels: (B, A) class of its object; 0 where there is none.
        boxes: (B, A, 4) box of its object; 0 where there is none.
    """

    weight: Tensor
    labels: Tensor
    boxes: Tensor


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, points: Tensor, least: float, true_boxes: Tensor, true_labels: Tensor
) -> Assigned:
    """Assign the objects of pictures to places.

    Args:
        scores: (B, A, K) in [0, 1] that the places give to the classes.
        boxes: (B, A, 4) xyxy that they predict.
        points: (A, 2) x and y of the places.
        least: Pixels; smaller objects are taken for so large, so that some place lies in each.
        true_boxes: (B, M, 4).
        true_labels: (B, M), -1 for none.
    """
    batch, objects = true_labels.shape
    places = len(points)
    center = (true_boxes[..., :2] + true_boxes[..., 2:]) / 2
    half = ((true_boxes[..., 2:] - true_boxes[..., :2]) / 2).clamp_min(least / 2)
    # A box in the middle of four places reaches them just so.
    inside = ((points - center[:, :, None]).abs() <= half[:, :, None]).all(-1)  # (B, M, A)
    b, m, a = (inside & (true_labels >= 0)[..., None]).nonzero(as_tuple=True)
    # Only pairs of an object and a place in it are looked at: one in fifty.
    overlap = paired_iou(boxes[b, a], true_boxes[b, m])
    fitness = scores[b, a, true_labels[b, m]].pow(ALPHA) * overlap.pow(BETA)
    table = fitness.new_zeros(batch, objects, places)
    # Even where nothing fits yet, an object wants places: those of the largest IoU, by the tiny number.
    table[b, m, a] = fitness + 1e-9 * (overlap + 1e-3)
    best = table.topk(min(PLACES, places), -1)
    chosen = torch.zeros_like(table, dtype=torch.bool).scatter_(-1, best.indices, best.values > 0)
    # A place that several objects want goes to the one that it boxes best.
    ious = fitness.new_full((batch, objects, places), -1.0)
    ious[b, m, a] = overlap
    ious = ious.masked_fill(~chosen, -1.0)
    found, owner = ious.max(1)  # (B, A)
    chosen &= torch.arange(objects, device=owner.device)[None, :, None] == owner[:, None]
    table, ious = table * chosen, ious.clamp_min(0) * chosen
    # t is scaled so that an object's best place should score as high as its IoU (section 3.3).
    scaled = table / table.amax(-1, keepdim=True).clamp_min(1e-12) * ious.amax(-1, keepdim=True)
    taken = found >= 0
    labels = true_labels.gather(1, owner) * taken
    matched = true_boxes.gather(1, owner[..., None].expand(-1, -1, 4)) * taken[..., None]
    return Assigned(scaled.amax(1) * taken, labels, matched)


def paired_iou(one: Tensor, other: Tensor) -> Tensor:
    """Return the intersection over union of boxes (N, 4) and (N, 4), pair by pair, (N,)."""
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    common = (high - low).clamp_min(0).prod(1)
    areas = (one[:, 2:] - one[:, :2]).clamp_min(0).prod(1) + (other[:, 2:] - other[:, :2]).clamp_min(0).prod(1)
    return common / (areas - common).clamp_min(1e-9)
