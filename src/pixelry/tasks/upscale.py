"""Upscaling: a picture twice, three or four times as high and wide, with the detail that it lost."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.data.loading import Batch
from pixelry.errors import ImageError, UsageError
from pixelry.networks.upscale.bicubic import interpolated
from pixelry.tasks._restoration import Restoration
from pixelry.tasks._restoration_metrics import RestorationEvaluator
from pixelry.tasks.base import OF_TRAINING, Evaluator

LEVELS = 255
FACTORS = (2, 3, 4)


@dataclass(frozen=True)
class Upscale(Restoration):
    """The large picture of a small one, of any size.

    Training makes pictures small as the field does, by bicubic interpolation with antialiasing, in 256 levels, and the
    network learns the way back.

    Attributes:
        factor: 2, 3 or 4 times as high and wide.
        loss: "l1", the absolute error (Lim et al. 2017), or "mse", the squared one.
    """

    factor: int = 2
    loss: Literal["l1", "mse"] = field(default="l1", metadata=OF_TRAINING)

    name: ClassVar[str] = "upscale"
    recommended: ClassVar[str] = "edsr"
    ladder: ClassVar[tuple[str, ...]] = ("bicubic", "edsr")
    patch: ClassVar[int] = 96

    def __post_init__(self) -> None:
        if self.factor not in FACTORS:
            raise UsageError(f"factor is {self.factor}; expected one of {', '.join(map(str, FACTORS))}")

    @property
    def enlarged(self) -> int:
        """How many times as high and wide the answer is."""
        return self.factor

    def outputs(self) -> dict[str, Any]:
        """Return the factor, which `build` needs."""
        return {"factor": self.factor}

    def observe(self, batch: Batch, *, training: bool) -> Batch:
        """Return the batch with small pictures, and the large ones, cut to multiples of the factor, as "target".

        To be judged beside it, "given" is the small picture by bicubic interpolation.

        Raises:
            ImageError: A picture is smaller than the factor.
        """
        height, width = (int(side) // self.factor for side in batch["image"].shape[-2:])
        if not height or not width:
            raise ImageError(
                f"a picture of {tuple(batch['image'].shape[-2:])} cannot be made {self.factor} times smaller"
            )
        large = batch["image"][..., : self.factor * height, : self.factor * width]
        small = (interpolated(large, (height, width)).clamp(0, 1) * LEVELS).round() / LEVELS
        seen = {**batch, "image": small, "target": large}
        return (
            seen if training else {**seen, "given": interpolated(small, (int(large.shape[-2]), int(large.shape[-1])))}
        )

    def losses(self, network: nn.Module, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the mean error over the pixels.

        Args:
            network: Maps small pictures to large ones.
            batch: "image" (B, C, h, w), "target" (B, C, factor h, factor w), in [0, 1].
            phase: The only one.
        """
        found, target = self.output(network, batch["image"]).float(), batch["target"]
        return {"loss": (F.l1_loss if self.loss == "l1" else F.mse_loss)(found, target)}

    @staticmethod
    def intensities(output: Tensor) -> Tensor:
        """Return the output itself."""
        return output

    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        protocol = f"made {self.factor} times smaller by bicubic interpolation with antialiasing, in 256 levels"
        return RestorationEvaluator(protocol, given="bicubic", border=self.factor, luma=True, sync=sync)


TASK = Upscale
