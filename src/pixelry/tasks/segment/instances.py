"""Objects with masks: a detector that also says which pixels of a box are its object's (He et al. 2017)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.models.detection.roi_heads import paste_masks_in_image
from torchvision.ops import masks_to_boxes

from pixelry.data.augment import GROWN_AFTER, augment_share
from pixelry.data.dataset import Dataset, Split
from pixelry.data.framing import fitted_objects, framed_objects
from pixelry.data.loading import Batch
from pixelry.data.masks import IGNORE
from pixelry.data.outlines import NO_MASKS, with_crowds
from pixelry.errors import DataError, UsageError, unknown
from pixelry.instances import Instances, encode
from pixelry.tasks.base import OF_TRAINING, Evaluator, Source, check_ranges, size_of, training_split
from pixelry.tasks.segment._window import Size, Window
from pixelry.tasks.segment.augment import MaskJitter, jitter_masks
from pixelry.tasks.segment.objects import InstanceEvaluator, Runs

LEAST_PIXELS = 8  # of an object in training: what is cut off more is none
SIDE = 28  # of the masks that the network gives, stretched over their boxes
SURE = 0.5  # a pixel is an object's from this probability on
MOST = 100  # objects that the network keeps of a picture, and that COCO's figures judge
PASTED = 2**24  # pixels of stretched masks that are held at once, 4 bytes each and twice


@dataclass(frozen=True)
class Objects(Window):
    """Boxes, classes and masks by torchvision's Mask R-CNN, with its own losses.

    Attributes:
        confidence: Objects of lower scores are not shown; a judgement by precision and recall wants them all.
        most: At most so many objects in a picture, up to 100.
        only: Names of the classes that are shown, () for all.
    """

    confidence: float = 0.5
    most: int = MOST
    only: tuple[str, ...] = ()
    smallest: float = field(default=0.7, metadata=OF_TRAINING)
    largest: float = field(default=1.4, metadata=OF_TRAINING)
    turn: float = field(default=0.0, metadata=OF_TRAINING)

    least: ClassVar[int] = 256
    monitor: ClassVar[str] = "mask_map"
    higher_is_better: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_ranges(self, shares=("confidence",))
        if not 1 <= self.most <= MOST:
            raise UsageError(f"most is {self.most}; expected 1 to {MOST} objects: the network gives no more")
        for name in self.only:
            if name not in self.classes:
                raise unknown("class", name, self.classes)

    @classmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Objects:
        """Make the task for a data set's classes of objects.

        Raises:
            DataError: There are no objects with masks in it.
        """
        train = training_split(dataset)
        if "masks" not in train.targets:
            why = [note for note in dataset.notes if NO_MASKS in note]
            raise DataError(
                f"{dataset.name} ({dataset.format}) has no masks of objects ({'; '.join(why)})"
                if why
                else f"{dataset.name} ({dataset.format}) has no masks of objects; COCO with outlines has them, Pascal "
                "VOC with SegmentationObject (--format voc_masks), and the built-in shapes"
            )
        if not sum(len(labels) for labels in train.targets["labels"]):
            raise DataError(f"{dataset.name} has no object in its {len(train)} training images")
        return cls(classes=dataset.classes, **options)

    def fit_split(self, split: Split, *, size: Size, channels: int, training: bool = False) -> Split:
        """Return the split with its pictures scaled to fit the frame; to be judged, masks stay as large as they are.

        To be judged, it has "area" too, where a file states areas: by image those of the objects, NaN for none.
        """
        if "masks" not in split.targets:
            raise DataError(
                "these images have no masks of objects; where their file has outlines, the notes of `pixelry data "
                "show` say why they are not read"
            )
        split = with_crowds(split)
        if training:
            return framed_objects(split, frame=size, channels=channels)
        fitted = fitted_objects(split, frame=size, channels=channels)
        if split.origin is None:
            return fitted
        # None becomes NaN.
        areas = [torch.from_numpy(np.array(row, dtype=np.float64)) for row in split.origin.areas]
        return replace(fitted, targets={**fitted.targets, "area": areas})

    def observe(self, batch: Batch, *, training: bool) -> Batch:
        """Return the batch, in training with changed pictures and their objects.

        Objects are numbers in a map "objects" (B, H, W), from 1 on, whose classes are "labels" (B, M).
        """
        if not training:
            return batch
        how = self.grown(augment_share(batch.get("passes", GROWN_AFTER), full_after=GROWN_AFTER))
        images, objects = jitter_masks(batch["image"], batch["objects"], how)
        return {**batch, "image": images, "objects": torch.where(objects == IGNORE, 0, objects)}

    def grown(self, share: float) -> MaskJitter:
        """Return how training pictures are changed, but scaled and turned only by a part of that.

        In a run of a few passes a network learns the less, the more sizes there are of everything.
        """
        whole = self.changes()
        smallest, largest = (1 + share * (scale - 1) for scale in (whole.smallest, whole.largest))
        return replace(whole, smallest=smallest, largest=largest, turn=share * whole.turn)

    def losses(self, network: Any, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the loss and the network's own parts of it.

        Args:
            network: Maps pictures and targets to losses by name.
            batch: "image" (B, C, H, W), "objects" (B, H, W), "labels" (B, M).
            phase: The only one.
        """
        pairs = zip(batch["objects"], batch["labels"], strict=True)
        parts: dict[str, Tensor] = network(batch["image"], [_target(objects, labels) for objects, labels in pairs])
        named = {f"{name.removeprefix('loss_').removesuffix('_loss')}_loss": value for name, value in parts.items()}
        return {"loss": torch.stack(list(parts.values())).sum(), **named}

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the objects of each picture, surest first: (B, most, 6 + 28 * 28).

        Box xyxy in pixels of what the network saw, score, label (-1 for none), and the probability of each of 28x28
        places of the box to be the object's.
        """
        images = batch["image"]
        found = images.new_zeros(len(images), self.most, 6 + SIDE**2)
        found[..., 5] = -1
        for one, into in zip(network(images), found, strict=True):
            best = one["scores"].topk(min(self.most, len(one["scores"]))).indices
            rows = (one["boxes"], one["scores"][:, None], one["labels"][:, None], one["masks"].flatten(1))
            into[: len(best)] = torch.cat([row[best].to(into) for row in rows], 1)
        return found

    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        return InstanceEvaluator(self.classes, at_own_size, confidence=self.confidence, sync=sync)

    def decode(self, output: Tensor, sources: list[Source], names: list[str], *, size: Size) -> list[Instances]:
        """Turn the network's objects into one `Instances` an image, in its own pixels; weak ones are left out."""
        results = []
        wanted = [self.classes.index(name) for name in self.only or self.classes]
        for found, source, name in zip(output.cpu(), sources, names, strict=True):
            kept = found[(found[:, 4] >= self.confidence) & torch.isin(found[:, 5].long(), torch.tensor(wanted))]
            own = size_of(source)
            boxes, runs = at_own_size(kept, own, self.seen_size(own, size))
            results.append(
                Instances(
                    xyxy=boxes.numpy().astype(np.float32),
                    scores=kept[:, 4].numpy().astype(np.float32),
                    labels=kept[:, 5].numpy().astype(np.int64),
                    classes=self.classes,
                    name=name,
                    source=source,
                    runs=runs,
                )
            )
        return results


def _target(objects: Tensor, labels: Tensor) -> dict[str, Tensor]:
    """Return what torchvision learns from: the boxes, labels and masks of the objects of a map (H, W)."""
    counts = objects.long().flatten().bincount(minlength=1)
    here = (counts[1:] >= LEAST_PIXELS).nonzero().flatten()
    masks = objects[None] == (here + 1)[:, None, None].to(objects)
    boxes = masks_to_boxes(masks) if len(here) else torch.zeros(0, 4, device=objects.device)
    # It gives the last pixel's place, and a box ends behind it.
    boxes = boxes + boxes.new_tensor([0.0, 0, 1, 1])
    return {"boxes": boxes, "labels": labels[here], "masks": masks.to(torch.uint8)}


def at_own_size(found: Tensor, own: Size, seen: Size) -> tuple[Tensor, Runs]:
    """Return boxes (n, 4) in an image's own pixels, and the run lengths of n masks as large as the image.

    Of a large image one mask is stretched at a time: a hundred of 12 million pixels would take 10 GB.

    Args:
        found: (n, 6 + 28 * 28) as of `forward`.
        own: (height, width) of the image.
        seen: Of what the network saw of it.
    """
    scale = found.new_tensor([own[1] / seen[1], own[0] / seen[0]]).repeat(2)
    most = found.new_tensor([own[1], own[0]]).repeat(2)
    boxes = torch.minimum((found[:, :4] * scale).clamp_min(0), most)
    places, few = found[:, 6:].view(len(found), 1, SIDE, SIDE), max(1, PASTED // (own[0] * own[1]))
    runs: list[dict[str, Any]] = []
    for start in range(0, len(found), few):
        here = slice(start, start + few)
        pasted = paste_masks_in_image(places[here], boxes[here], own, padding=1)[:, 0]
        runs += encode((pasted >= SURE).cpu().numpy())
    return boxes, tuple(runs)


FAMILY = Objects
