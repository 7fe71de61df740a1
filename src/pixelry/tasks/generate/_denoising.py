"""What an evaluation of a diffusion model says without drawing: its loss, and a bound on the likelihood."""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from pixelry.data.dataset import Split
from pixelry.data.loading import Batch
from pixelry.tasks.base import Evaluator, Findings, Table


class DenoisingEvaluator(Evaluator):
    """Means over the pictures, each with noise of its own.

    Args:
        protocol: How pictures are drawn, for the report.
        sync: `compute` joins what all processes gathered.
    """

    full_state_update = False
    values: list[Tensor]

    def __init__(self, protocol: str, *, sync: bool = False) -> None:
        super().__init__(sync_on_compute=sync)
        self.protocol = protocol
        self.add_state("values", default=[], dist_reduce_fx="cat")

    def update(self, output: Tensor, batch: Batch) -> None:
        """Take (B, 2): each picture's loss, and its share of the bound in bits for each value."""
        self.values.append(output.double())

    def compute(self) -> dict[str, float]:
        """Return `denoising_loss`, and `bits_bound`, the variational bound on -log2 p for each value."""
        values: Tensor = dim_zero_cat(self.values)
        loss, bits = torch.nan_to_num(values, nan=float("inf")).mean(0).tolist()
        return {"denoising_loss": loss, "bits_bound": bits, "images": len(values)}

    def findings(self, split: Split) -> Findings:
        """Return the figures and how they came about."""
        rows = (
            ("pictures are drawn by", self.protocol),
            ("denoising_loss", "squared error of what the network learns, each picture once, noise by a fixed seed"),
            ("bits_bound", "Ho et al. 2020, equation 5, T = 1000: one term for each picture, of a t by a fixed seed"),
        )
        return Findings(
            self.compute(), (Table("Protocol", ("what", "how"), rows),), protocol=f"images are drawn by {self.protocol}"
        )
