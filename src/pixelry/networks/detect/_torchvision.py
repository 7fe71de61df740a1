"""torchvision's detectors behind our input: pictures (B, C, H, W) in [0, 1], boxes in their pixels."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from pixelry.networks.blocks import Normalize

Target = dict[str, Tensor]


class Untouched(nn.Module):
    """Stands for torchvision's transform, which scales and standardises pictures: ours come as they are to be seen."""

    def forward(self, images: list[Tensor], targets: list[Target] | None = None) -> tuple[ImageList, Any]:
        """Return the pictures as torchvision's list, and the targets."""
        return ImageList(torch.stack(images), [(int(i.shape[-2]), int(i.shape[-1])) for i in images]), targets

    def postprocess(self, result: list[Target], image_sizes: Any, original_image_sizes: Any) -> list[Target]:
        """Return the boxes as they are."""
        return result


class Regions(nn.Module):
    """A detector of torchvision with its own losses.

    Args:
        body: The detector, whose parameter names stay its own, so that its weights load by name.
        head_name: The submodule of `body` that scores classes; everything else is the backbone.
        first: The label of the first class: 1 where 0 is the background.

    Attributes:
        normalize: Input standardisation.
    """

    def __init__(self, body: nn.Module, head_name: str, channels: int, *, first: int) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.body, self.head_name, self.first = body, head_name, first
        self.body.transform = Untouched()

    @property
    def head(self) -> nn.Module:
        """The layer that scores classes."""
        return self.body.get_submodule(self.head_name)

    def forward(self, x: Tensor, targets: list[Target] | None = None) -> Any:
        """Return the losses by name, with targets and in training mode, else each picture's boxes, scores and labels.

        Args:
            x: (B, C, H, W) in [0, 1]; grey becomes three equal channels.
            targets: For each picture "boxes" (n, 4) xyxy in pixels and "labels" (n,), from 0.
        """
        # In full precision: boxes of bfloat16 are exact to one pixel in 128.
        with torch.autocast(x.device.type, enabled=False):
            pictures = self.normalize(x.float()).expand(-1, 3, -1, -1)
            if targets is not None:
                # torchvision tells training from use by the mode of these, also while the backbone is frozen.
                for module in (self.body, *self.body.children()):
                    module.training = True
                moved = [{"boxes": t["boxes"], "labels": t["labels"] + self.first} for t in targets]
                return self.body(list(pictures), moved)
            found = self.body(list(pictures))
        return [{**one, "labels": one["labels"] - self.first} for one in found]
