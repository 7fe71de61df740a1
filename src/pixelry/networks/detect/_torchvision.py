"""torchvision's detectors behind our input: pictures (B, C, H, W) in [0, 1], boxes in their pixels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList

from pixelry.config import Recipe
from pixelry.networks.blocks import Normalize, to_multiple

Target = dict[str, Tensor]

STRIDE = 32  # the largest of them
LEAST_SCORE = 0.001  # what is judged; less is nothing
# Overlapping boxes are taken out by the task, by its own options.
LIMITS = {"nms_thresh": 0.95, "detections_per_img": 1000}
# From published weights: AdamW at a small rate, as such weights are commonly tuned further.
TRANSFER = Recipe(lr=3e-4, weight_decay=1e-2, batch=8, epochs=50, warmup=0.05, ema=0.05, clip=5.0, augment="none")
# Of a picture: regions before and after overlapping ones are taken out, and those that a step learns from. They are a
# quarter of torchvision's, for pictures of a quarter of the area.
REGIONS = {
    "rpn_pre_nms_top_n_train": 1000, "rpn_post_nms_top_n_train": 500, "rpn_pre_nms_top_n_test": 500,
    "rpn_post_nms_top_n_test": 250, "box_batch_size_per_image": 128,
}  # fmt: skip
# What they give is brought to full precision: places in bfloat16 are exact to one pixel in 128, and torchvision reckons
# with boxes in the precision of what it is given.
PRECISE = ("backbone", "head", "rpn.head", "roi_heads.box_predictor", "roi_heads.mask_predictor")


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
        heads: The submodules of `body` that know the classes; everything else is the backbone.
        channels: 1 or 3.
        first: The label of the first class: 1 where 0 is the background.
        weights: torchvision's weights that fit the body, by our name for them.

    Attributes:
        normalize: Input standardisation.
        statistics: Mean and standard deviation of the input with which torchvision's weights were trained.
    """

    def __init__(
        self, body: nn.Module, heads: Sequence[str], channels: int, *, first: int, weights: Mapping[str, str]
    ) -> None:
        super().__init__()
        self.normalize = Normalize(channels)
        self.body, self.heads, self.first, self.weights = body, tuple(heads), first, weights
        transform: Any = self.body.transform
        self.statistics = (tuple(transform.image_mean), tuple(transform.image_std))
        self.body.transform = Untouched()
        for name, module in self.body.named_modules():
            if name in PRECISE:
                module.register_forward_hook(_precise)

    @property
    def head(self) -> nn.Module:
        """The layers that know the classes."""
        return nn.ModuleList([self.body.get_submodule(name) for name in self.heads])

    def renamed(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return torchvision's weights with the names that its layers have today: its files keep those of old.

        Its modules rename them on loading, but only all together, and with a head for the same classes.
        """
        state = dict(state)
        for name, module in self.body.named_modules():
            if not any(True for _ in (*module.parameters(recurse=False), *module.buffers(recurse=False))):
                module._load_from_state_dict(state, f"{name}.", {}, False, [], [], [])
        return state

    def forward(self, x: Tensor, targets: list[Target] | None = None) -> Any:
        """Return the losses by name, with targets and in training mode, else each picture's boxes, scores and labels.

        Args:
            x: (B, C, H, W) in [0, 1]; grey becomes three equal channels.
            targets: For each picture "boxes" (n, 4) xyxy in pixels and "labels" (n,), from 0; for a body that wants
                them "masks" (n, H, W) uint8.
        """
        # torchvision takes a stride for the quotient of the sides of picture and grid.
        pictures = to_multiple(self.normalize(x.float()), STRIDE).expand(-1, 3, -1, -1)
        if targets is not None:
            # torchvision tells training from use by the mode of these, also while the backbone is frozen.
            for module in (self.body, *self.body.children()):
                module.training = True
            moved = [{**one, "labels": one["labels"] + self.first} for one in targets]
            return self.body(list(pictures), moved)
        found = self.body(list(pictures))
        return [{**one, "labels": one["labels"] - self.first} for one in found]


def known(backbones: Mapping[str, str], backbone: str) -> dict[str, str]:
    """Return the weights of COCO by our name for them, where torchvision has some for a backbone."""
    return {"coco": backbones[backbone]} if backbone in backbones else {}


def _precise(module: nn.Module, given: Any, result: Any) -> Any:
    """Return what a module gave with all its numbers as float32, as a hook of it."""
    if isinstance(result, Tensor):
        return result.float() if result.is_floating_point() else result
    if isinstance(result, Mapping):
        return type(result)((key, _precise(module, given, value)) for key, value in result.items())  # type: ignore[call-arg]
    return type(result)(_precise(module, given, value) for value in result)


def one_look(
    make: Callable[..., nn.Module], *, channels: int, classes: int, background: bool, weights: Mapping[str, str]
) -> Regions:
    """Build a detector that scores boxes at each place of some grids.

    Args:
        make: torchvision's function for it.
        channels: 1 or 3.
        classes: Kinds of objects.
        background: Whether it has a score for the background, as the first.
        weights: torchvision's weights that fit it, by our name for them.
    """
    first = int(background)
    body = make(weights=None, weights_backbone=None, num_classes=classes + first, score_thresh=LEAST_SCORE, **LIMITS)
    return Regions(body, ["head.classification_head"], channels, first=first, weights=weights)
