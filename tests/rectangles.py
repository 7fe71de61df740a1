"""Pictures with rectangles, for the tests of detection."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from pixelry.data.dataset import Split
from pixelry.tasks.detect.assign import paired_iou

FAST: dict[str, Any] = {"progress": False, "precision": "32-true", "memory_format": "channels_last"}
COLORS = torch.tensor([[220, 40, 40], [40, 60, 220]], dtype=torch.uint8)


def scenes(count: int, *, seed: int, size: tuple[int, int] = (64, 96)) -> Split:
    """Grey pictures with one to three bright rectangles, red ones and blue ones."""
    generator = np.random.default_rng(seed)
    images = torch.from_numpy(generator.integers(90, 130, (count, 3, *size), dtype=np.uint8))
    boxes, labels = [], []
    for image in images:
        mine, kinds = [], []
        for _ in range(generator.integers(1, 4)):
            high, wide = generator.integers(14, 30, 2)
            top, left = generator.integers(0, size[0] - high), generator.integers(0, size[1] - wide)
            box = torch.tensor([left, top, left + wide, top + high], dtype=torch.float32)
            if any(float(paired_iou(box[None], other[None])) > 0 for other in mine):
                continue
            kind = int(generator.integers(2))
            image[:, top : top + high, left : left + wide] = COLORS[kind][:, None, None]
            mine.append(box)
            kinds.append(kind)
        boxes.append(torch.stack(mine))
        labels.append(torch.tensor(kinds))
    crowd = [torch.zeros(len(k), dtype=torch.bool) for k in labels]
    return Split(images, {"boxes": boxes, "labels": labels, "crowd": crowd})
