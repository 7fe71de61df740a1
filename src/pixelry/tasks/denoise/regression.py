"""Denoisers whose output are the intensities of the clean picture."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.data.loading import Batch
from pixelry.tasks.base import OF_TRAINING
from pixelry.tasks.denoise.base import Denoise
from pixelry.tasks.denoise.blind import MASKED, weighted


@dataclass(frozen=True)
class Regression(Denoise):
    """The distance between the network's picture and the clean one.

    Attributes:
        loss: "mse", the squared error, whose least is the expected clean picture and the largest PSNR; or "l1", the
            absolute error, whose least is the median, and which heeds outliers less.
    """

    loss: Literal["mse", "l1"] = field(default="mse", metadata=OF_TRAINING)

    def losses(self, network: nn.Module, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the mean error over the pixels.

        Args:
            network: Maps noisy images to clean ones.
            batch: "image" noisy and "target" clean, both (B, C, H, W) in [0, 1]; where there is no clean one, "masked"
                (B, 1, H, W), the pixels that count.
            phase: The only one.
        """
        restored, target = self.output(network, batch["image"]).float(), batch["target"]
        distance = F.mse_loss if self.loss == "mse" else F.l1_loss
        return {"loss": weighted(distance(restored, target, reduction="none"), batch.get(MASKED))}

    @staticmethod
    def intensities(output: Tensor) -> Tensor:
        """Return the output itself."""
        return output


FAMILY = Regression
