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
    # Only pairs of an object and a place in it are looked at: one in fifty.
    b, m, a = _pairs(points, least, true_boxes, true_labels)
    overlap = paired_iou(boxes[b, a], true_boxes[b, m])
    fitness = scores[b, a, true_labels[b, m]].pow(ALPHA) * overlap.pow(BETA)
    # Even where nothing fits yet, an object wants places: those of the largest IoU, by the tiny number.
    fitness = fitness + 1e-9 * (overlap + 1e-3)
    wanted = _first(b * objects + m, fitness, PLACES)
    b, m, a, overlap, fitness = (values[wanted] for values in (b, m, a, overlap, fitness))
    # A place that several objects want goes to the one that it boxes best.
    owned = _first(b * places + a, overlap, 1)
    b, m, a, overlap, fitness = (values[owned] for values in (b, m, a, overlap, fitness))
    # t is scaled so that an object's best place should score as high as its IoU (section 3.3).
    own = b * objects + m
    fittest, closest = (
        values.new_zeros(batch * objects).scatter_reduce(0, own, values, "amax")[own] for values in (fitness, overlap)
    )
    weight = fitness.new_zeros(batch, places).index_put((b, a), fitness / fittest.clamp_min(1e-12) * closest)
    labels = true_labels.new_zeros(batch, places).index_put((b, a), true_labels[b, m])
    matched = true_boxes.new_zeros(batch, places, 4).index_put((b, a), true_boxes[b, m])
    return Assigned(weight, labels, matched)


def _pairs(points: Tensor, least: float, true_boxes: Tensor, true_labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return picture, object and place of all pairs whose place lies in the object's box, in this order, each (P,)."""
    found = []
    for picture, (boxes, labels) in enumerate(zip(true_boxes, true_labels, strict=True)):
        real = (labels >= 0).nonzero().flatten()
        center = (boxes[real, :2] + boxes[real, 2:]) / 2
        half = ((boxes[real, 2:] - boxes[real, :2]) / 2).clamp_min(least / 2)
        # A box in the middle of four places reaches them just so.
        near = [(points[:, k] - center[:, k, None]).abs() <= half[:, k, None] for k in range(2)]
        m, a = (near[0] & near[1]).nonzero(as_tuple=True)
        found.append((torch.full_like(m, picture), real[m], a))
    b, m, a = (torch.cat(parts) for parts in zip(*found, strict=True))
    return b, m, a


def _first(groups: Tensor, values: Tensor, count: int) -> Tensor:
    """Return the indices (n,) of the largest values of each group, at most so many of each; of equals the first."""
    order = values.argsort(descending=True, stable=True)
    order = order[groups[order].argsort(stable=True)]
    ordered = groups[order]
    # How far each stands behind the first of its group.
    rank = torch.arange(len(order), device=order.device) - torch.searchsorted(ordered, ordered)
    return order[rank < count].sort().values


def paired_iou(one: Tensor, other: Tensor) -> Tensor:
    """Return the intersection over union of boxes (N, 4) and (N, 4), pair by pair, (N,)."""
    low, high = torch.maximum(one[:, :2], other[:, :2]), torch.minimum(one[:, 2:], other[:, 2:])
    common = (high - low).clamp_min(0).prod(1)
    areas = (one[:, 2:] - one[:, :2]).clamp_min(0).prod(1) + (other[:, 2:] - other[:, :2]).clamp_min(0).prod(1)
    return common / (areas - common).clamp_min(1e-9)
