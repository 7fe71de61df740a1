"""Denoisers whose output are logits: the intensities of clean pixels as the soft targets of a logistic regression."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.data.loading import Batch
from pixelry.tasks.denoise.base import Denoise
from pixelry.tasks.denoise.blind import MASKED, weighted


@dataclass(frozen=True)
class Likelihood(Denoise):
    """Cross-entropy between the clean intensities, as soft targets, and the network's sigmoid.

    For soft targets the cross-entropy is least where the output is the expected clean intensity given what the network
    sees, as for the squared error; on binary pictures it is the likelihood of the pixels' classes.
    """

    def losses(self, network: nn.Module, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the mean cross-entropy in nats, less the entropy of the targets: 0 is a perfect copy.

        Args:
            network: Maps noisy images to logits of the clean ones.
            batch: "image" noisy and "target" clean, both (B, C, H, W); where there is no clean one, "masked" (B, 1, H,
                W), the pixels that count.
            phase: The only one.
        """
        logits, target = self.output(network, batch["image"]).float(), batch["target"]
        entropy = -(torch.xlogy(target, target) + torch.xlogy(1 - target, 1 - target))
        errors = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
        return {"loss": weighted(errors - entropy, batch.get(MASKED))}

    @staticmethod
    def intensities(output: Tensor) -> Tensor:
        """Return the sigmoid."""
        return output.sigmoid()


FAMILY = Likelihood
