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

# A squared error at which a picture is good enough for "psnr", that of 40 dB: patches of bare sky would be all that
# counts without it.
FLOOR = 1e-4


@dataclass(frozen=True)
class Regression(Denoise):
    """The distance between the network's picture and the clean one.

    Attributes:
        loss: "mse", the squared error, whose least is the expected clean picture and the largest PSNR; or "l1", the
            absolute error, whose least is the median, and which heeds outliers less; or "psnr", the logarithm of each
            picture's squared error, so that pictures count alike however hard they are (Chen et al. 2021, HINet).
    """

    loss: Literal["mse", "l1", "psnr"] = field(default="mse", metadata=OF_TRAINING)

    def losses(self, network: nn.Module, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the mean error over the pixels, or that of the pictures' logarithms.

        Args:
            network: Maps noisy images to clean ones.
            batch: "image" noisy and "target" clean, both (B, C, H, W) in [0, 1]; where there is no clean one, "masked"
                (B, 1, H, W), the pixels that count.
            phase: The only one.
        """
        restored, target = self.output(network, batch["image"]).float(), batch["target"]
        distance = F.l1_loss if self.loss == "l1" else F.mse_loss
        errors, masked = distance(restored, target, reduction="none"), batch.get(MASKED)
        if self.loss != "psnr":
            return {"loss": weighted(errors, masked)}
        return {"loss": (weighted(errors, masked, each=True) + FLOOR).log().mean()}

    @staticmethod
    def intensities(output: Tensor) -> Tensor:
        """Return the output itself."""
        return output


FAMILY = Regression
