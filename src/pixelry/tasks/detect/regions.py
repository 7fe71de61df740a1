"""torchvision's detectors, which bring their losses along."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pixelry.data.loading import Batch
from pixelry.tasks.detect.base import Detect


@dataclass(frozen=True)
class Regions(Detect):
    """The sum of the losses that the network names."""

    def losses(self, network: Any, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the loss and the network's own parts of it.

        Args:
            network: Maps pictures and targets to losses by name.
            batch: "image" (B, C, H, W), "boxes" (B, M, 4) in pixels, "labels" (B, M), -1 for none.
            phase: The only one.
        """
        real = (batch["labels"] >= 0) & (batch["labels"] < len(self.classes))
        targets = [
            {"boxes": boxes[chosen], "labels": labels[chosen]}
            for boxes, labels, chosen in zip(batch["boxes"], batch["labels"], real, strict=True)
        ]
        parts: dict[str, Tensor] = network(batch["image"], targets)
        named = {
            name if name.endswith("loss") else f"{name.removeprefix('loss_')}_loss": v for name, v in parts.items()
        }
        return {"loss": torch.stack(list(parts.values())).sum(), **named}

    def detect(self, network: Any, images: Tensor, least: float) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return for each picture its boxes (n, 4) xyxy, scores (n,) and labels (n,)."""
        found = []
        for one in network(images):
            kept = one["scores"] >= least
            found.append((one["boxes"][kept], one["scores"][kept], one["labels"][kept]))
        return found


FAMILY = Regions
