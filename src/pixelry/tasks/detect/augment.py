"""Augmentation of pictures together with their boxes, whole batches at once.

Four pictures become one (mosaic, Bochkovskiy et al. 2020), which is zoomed, shifted and mirrored. All of it is one map
from the pixels of the result to those of four pictures laid side by side, so that each pixel is interpolated once.
Numbers come from torch's global generator, which training sets by the step.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional as F

from pixelry.data.letterbox import GREY
from pixelry.tasks._recolor import Changes, recolored

LEAST_SEEN = 0.2  # of an object's area; what is cut off more is no object
LEAST_SIDE = 2.0  # pixels
CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))  # top and left of the four pictures of a mosaic, in pictures


@dataclass(frozen=True)
class Jitter(Changes):
    """How much pictures are changed, beside mirrors and colours.

    Attributes:
        mosaic: Share of results made of four pictures.
        zoom: The scale is drawn from 1 - zoom to 1 + zoom.
        shift: At most so much of a side, to each direction.
    """

    mosaic: float = 1.0
    zoom: float = 0.5
    shift: float = 0.1
    saturation: float = field(default=0.7, kw_only=True)


def jitter(images: Tensor, boxes: Tensor, labels: Tensor, how: Jitter) -> tuple[Tensor, Tensor, Tensor]:
    """Return changed pictures with their objects.

    Args:
        images: (B, C, H, W) float in [0, 1].
        boxes: (B, M, 4) xyxy in pixels.
        labels: (B, M), -1 for none.
        how: How much.

    Returns:
        (B, C, H, W), (B, M', 4) and (B, M'), where M' is the largest number of objects in a result, at least 1.
    """
    images, boxes, labels = _moved(images, boxes, labels, how)
    images = recolored(images, how)
    return images, boxes, labels


def rescaled(images: Tensor, boxes: Tensor, *, most: float, stride: int) -> tuple[Tensor, Tensor]:
    """Return a batch at another size, one for all of it, with its boxes: a multiple of the stride in both directions.

    Args:
        images: (B, C, H, W).
        boxes: (B, M, 4) xyxy in pixels.
        most: The scale is drawn from 1 - most to 1 + most.
        stride: Of the sides.
    """
    height, width = images.shape[-2:]
    scale = 1 + most * (2 * float(torch.rand(())) - 1)
    high, wide = (max(stride, stride * round(side * scale / stride)) for side in (height, width))
    factors = boxes.new_tensor([wide / width, high / height] * 2)
    return F.interpolate(images, (high, wide), mode="bilinear", antialias=True), boxes * factors


@dataclass(frozen=True)
class _Map:
    """Where the results are taken from: point p of four pictures side by side comes to (p - middle) * factor + target.

    Attributes:
        order: (4, B) which pictures are laid side by side.
        used: (4, B) bool, which of them are seen: all, or the first.
        middle: (B, 2) x and y.
        factor: (B, 2), negative for mirrored ones.
        target: (B, 2).
        side: (2,) width and height of a picture.
    """

    order: Tensor
    used: Tensor
    middle: Tensor
    factor: Tensor
    target: Tensor
    side: Tensor


def _draw_map(count: int, height: int, width: int, how: Jitter) -> _Map:
    side = torch.tensor([width, height], dtype=torch.float32)
    mixed = torch.rand(count) < how.mosaic
    order = torch.stack([torch.arange(count), *(torch.randperm(count) for _ in range(3))])
    used = torch.stack([torch.ones_like(mixed), mixed, mixed, mixed])
    zoom = 1 + how.zoom * (2 * torch.rand(count, 1) - 1)
    shift = how.shift * (2 * torch.rand(count, 2) - 1) * side
    flip = torch.stack([torch.rand(count) < how.mirror, torch.rand(count) < how.upend], 1)
    # What comes to lie in the middle: a point about the corner in which the four meet, or the middle of the first.
    middle = torch.where(mixed[:, None], side + (torch.rand(count, 2) - 0.5) * side, side / 2)
    return _Map(order, used, middle, zoom * (1 - 2 * flip.float()), side / 2 + shift, side)


def _moved(images: Tensor, boxes: Tensor, labels: Tensor, how: Jitter) -> tuple[Tensor, Tensor, Tensor]:
    count, _, height, width = images.shape
    where = _draw_map(count, height, width, how)
    pixels = _sampled(images, where)
    corners = torch.tensor([(left, top) for top, left in CORNERS], dtype=torch.float32) * where.side
    all_boxes, all_labels = [], []
    for part, used, corner in zip(where.order, where.used, corners, strict=True):
        points = boxes[part].cpu().unflatten(-1, (2, 2)) + corner  # (B, M, 2, 2)
        points = (points - where.middle[:, None, None]) * where.factor[:, None, None] + where.target[:, None, None]
        # A mirror exchanges left and right.
        all_boxes.append(torch.cat([points.amin(2), points.amax(2)], -1))
        all_labels.append(torch.where(used[:, None], labels[part].cpu(), -1))
    kept_boxes, kept_labels = _kept(torch.cat(all_boxes, 1), torch.cat(all_labels, 1), where.side)
    return pixels, kept_boxes.to(boxes.device), kept_labels.to(labels.device)


def _sampled(images: Tensor, where: _Map) -> Tensor:
    """Return the pixels of the results: grey where there is no picture."""
    height, width = images.shape[-2:]
    mixed = bool(where.used[1:].any())
    extent = where.side * (2 if mixed else 1)
    # It asks where in the pictures, from -1 to 1, a place of the result, from -1 to 1, is taken from.
    scale = where.side / (where.factor * extent)
    offset = (2 * where.middle + (where.side - 2 * where.target) / where.factor) / extent - 1
    theta = torch.zeros(len(images), 2, 3)
    theta[:, 0, 0], theta[:, 1, 1], theta[:, :, 2] = scale[:, 0], scale[:, 1], offset
    grid = F.affine_grid(theta.to(images.device), [len(images), 1, height, width], align_corners=False)
    # Outside of what it samples from, grid_sample finds zeros: so grey is made zero meanwhile.
    grey = GREY / 255
    away = images - grey
    if not mixed:
        return F.grid_sample(away, grid, align_corners=False).add_(grey)
    # Four pictures side by side are four times the memory: a CPU is quicker with as many at a time as it has threads.
    some = max(1, torch.get_num_threads()) if images.device.type == "cpu" else len(images)
    canvas = away.new_empty(min(some, len(images)), images.shape[1], 2 * height, 2 * width)
    results = []
    for start in range(0, len(images), some):
        rows = range(start, min(start + some, len(images)))
        for into, row in zip(canvas, rows, strict=False):
            for part, used, (top, left) in zip(where.order[:, row], where.used[:, row], CORNERS, strict=True):
                quarter = into[:, top * height : (top + 1) * height, left * width : (left + 1) * width]
                _ = quarter.copy_(away[part]) if used else quarter.zero_()
        results.append(F.grid_sample(canvas[: len(rows)], grid[rows.start : rows.stop], align_corners=False))
    return torch.cat(results).add_(grey)


def _kept(boxes: Tensor, labels: Tensor, side: Tensor) -> tuple[Tensor, Tensor]:
    """Return the boxes (B, M, 4) cut at the border, and the labels (B, M), of those of which enough is left, first."""
    area = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    cut = torch.minimum(boxes.clamp_min(0), side.repeat(2))
    sides = cut[..., 2:] - cut[..., :2]
    good = (labels >= 0) & (sides > LEAST_SIDE).all(-1) & (sides.prod(-1) > LEAST_SEEN * area)
    order = good.long().argsort(dim=1, descending=True, stable=True)[:, : max(1, int(good.sum(1).max()))]
    labels = torch.where(good, labels, -1).gather(1, order)
    return cut.gather(1, order[..., None].expand(-1, -1, 4)), labels
