"""What all detectors have in common: pictures in frames, found boxes, and how they are judged."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torchvision.ops import batched_nms

from pixelry.boxes import Boxes
from pixelry.data.augment import GROWN_AFTER, augment_share
from pixelry.data.dataset import Dataset, Split, image_to_tensor
from pixelry.data.framing import frame_for
from pixelry.data.letterbox import has_area, letterbox, letterboxed, place_in
from pixelry.data.loading import Batch
from pixelry.errors import DataError, UsageError, unknown
from pixelry.tasks.base import (
    OF_TRAINING,
    Candidate,
    Evaluator,
    Form,
    Source,
    Task,
    check_ranges,
    size_of,
    training_split,
)
from pixelry.tasks.detect.augment import Jitter, jitter, rescaled
from pixelry.tasks.detect.metrics import DetectEvaluator

Size = tuple[int, int]

STRIDE = 32  # sides of frames are multiples of it
LONGEST = 320  # of a frame, unless the user says more: what a CPU trains on
SMALLER = (256, 192)  # where the time does not suffice for that
LEAST = 192  # of a frame: in a smaller one, what is small has too few places on the finest grid, of a stride of 8
CANDIDATES = 1000  # of a picture before overlapping ones are taken out
MOST_CALM = 10.0  # passes
LEAST_SCORE = 0.001  # what is judged; less is nothing


@dataclass(frozen=True)
class Detect(Task):
    """Boxes with classes and scores.

    A network's file says in `FAMILY` how it learns: "dense" (a box and scores at each place of some grids) or "regions"
    (torchvision's detectors, which bring their losses), each a file of this folder.

    Attributes:
        classes: Class names.
        confidence: Boxes of lower scores are not shown; a judgement by precision and recall wants them all.
        overlap: Of two boxes of a class with a larger intersection over union the surer stays.
        most: At most so many boxes in a picture.
        only: Names of the classes that are shown, () for all.
        mosaic: Share of training pictures that are made of four, once all have been seen thirty times; before, it
            grows, as do `zoom` and `shift`: what is new needs no mixing, and objects are learnt sooner from pictures as
            they are.
        calm: Last part of a run, but at most ten passes over the data, that sees whole pictures, and no mosaics: a
            few pictures, seen whole again and again, are learnt by heart.
        zoom: Training pictures are scaled by 1 - zoom to 1 + zoom.
        shift: They are moved by at most so much of a side.
        mirror: Share that is mirrored left to right.
        upend: Share that is mirrored top to bottom: for pictures without an up.
        hue: At most such a part of the colour circle.
        saturation: Changed by at most such a factor, up or down.
        value: Brightness likewise.
        multi_scale: Each step sees its pictures at a size of 1 - multi_scale to 1 + multi_scale of the frame's, for a
            detector that is to be used at several sizes.
    """

    classes: tuple[str, ...]
    confidence: float = 0.25
    overlap: float = 0.6
    most: int = 300
    only: tuple[str, ...] = ()
    mosaic: float = field(default=1.0, metadata=OF_TRAINING)
    calm: float = field(default=0.2, metadata=OF_TRAINING)
    zoom: float = field(default=0.5, metadata=OF_TRAINING)
    shift: float = field(default=0.1, metadata=OF_TRAINING)
    mirror: float = field(default=0.5, metadata=OF_TRAINING)
    upend: float = field(default=0.0, metadata=OF_TRAINING)
    hue: float = field(default=0.015, metadata=OF_TRAINING)
    saturation: float = field(default=0.7, metadata=OF_TRAINING)
    value: float = field(default=0.4, metadata=OF_TRAINING)
    multi_scale: float = field(default=0.0, metadata=OF_TRAINING)

    name: ClassVar[str] = "detect"
    monitor: ClassVar[str] = "map"
    higher_is_better: ClassVar[bool] = True
    tells: ClassVar[tuple[str, ...]] = ("classes",)
    placed: ClassVar[bool] = True
    by_tiles: ClassVar[str] = "boxes"
    size_multiple: ClassVar[int] = STRIDE
    min_side: ClassVar[int] = 4 * STRIDE
    recommended: ClassVar[str] = "yolo_n"
    ladder: ClassVar[tuple[str, ...]] = ("yolo_n", "ssd", "faster_rcnn")

    def __post_init__(self) -> None:
        check_ranges(
            self,
            shares=("confidence", "overlap", "mosaic", "calm", "mirror", "upend"),
            below_one=("zoom", "shift", "hue", "saturation", "value", "multi_scale"),
        )
        for name in self.only:
            if name not in self.classes:
                raise unknown("class", name, self.classes)
        if self.most < 1:
            raise UsageError(f"most is {self.most}; expected 1 or more boxes")

    @classmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Detect:
        """Make the task for a data set's classes.

        Raises:
            DataError: There are no boxes in it, or boxes that no detector can learn.
        """
        train = training_split(dataset)
        if "boxes" not in train.targets:
            raise DataError(
                f"{dataset.name} ({dataset.format}) has no boxes; detection wants Pascal VOC, COCO, YOLO or a CSV"
            )
        if not sum(int(has_area(boxes).sum()) for boxes in train.targets["boxes"]):
            raise DataError(f"{dataset.name} has no box with an area in its {len(train)} training images")
        return cls(classes=dataset.classes, **options)

    @classmethod
    def notes(cls, dataset: Dataset) -> tuple[str, ...]:
        """Return which boxes are left out, since they have no area."""
        flat = [
            (split.name(i), boxes[~has_area(boxes)].tolist())
            for split in dataset.splits.values()
            for i, boxes in enumerate(split.targets.get("boxes", ()))
            if not bool(has_area(boxes).all())
        ]
        if not flat:
            return ()
        what = "a box without an area" if len(flat) == 1 else "boxes without an area"
        first = f"{flat[0][0]}: {flat[0][1][0]}"
        return (f"{len(flat):,} images have {what}, which are left out ({first}); `pixelry data check` names all",)

    def outputs(self) -> dict[str, Any]:
        """Return the number of classes, which `build` needs."""
        return {"classes": len(self.classes)}

    def input_form(self, split: Split, form: Form) -> Form:
        """Return frames of the pictures' own aspect where they share one, else square ones; at most 320 pixels long.

        Pictures of less than 192 pixels are enlarged, to no more than twice their size.
        """
        if form.size is not None:
            if form.size[0] % STRIDE or form.size[1] % STRIDE:
                raise UsageError(
                    f"size is {form.size[0]}x{form.size[1]}; detectors want multiples of {STRIDE}, such as 320x320"
                )
            return form
        return Form(form.channels, frame_for(split, longest=LONGEST, stride=STRIDE, least=LEAST))

    @classmethod
    def candidates(cls, split: Split) -> tuple[Candidate, ...]:
        """Return the recommended detector with frames of 320 pixels and of fewer."""
        frames = [frame_for(split, longest=longest, stride=STRIDE, least=LEAST) for longest in (LONGEST, *SMALLER)]
        return tuple(Candidate(cls.recommended, frame) for frame in dict.fromkeys(frames))

    def fit_split(self, split: Split, *, size: Size, channels: int, training: bool = False) -> Split:
        """Return the split with its pictures in frames, and boxes in pixels of the frames."""
        if "boxes" not in split.targets:
            raise DataError("these images have no boxes")
        return letterboxed(split, frame=size, channels=channels)

    def observe(self, batch: Batch, *, training: bool) -> Batch:
        """Return the batch, in training with changed pictures, "boxes" (B, M, 4) and "labels" (B, M).

        The label of a crowd is its class and K more.
        """
        if not training:
            return batch
        # What stands for many objects, or for one that is hardly seen, is no object, and its place no background.
        labels = torch.where(batch["crowd"], batch["labels"] + len(self.classes), batch["labels"])
        how = self.changes(batch.get("progress", 0.0), batch.get("passes", GROWN_AFTER))
        images, boxes, labels = jitter(batch["image"], batch["boxes"], labels, how)
        if self.multi_scale:
            images, boxes = rescaled(images, boxes, most=self.multi_scale, stride=STRIDE)
        return {**batch, "image": images, "boxes": boxes, "labels": labels}

    def changes(self, progress: float, passes: float) -> Jitter:
        """Return how training pictures are changed together with their boxes.

        Args:
            progress: The part of the run that is over.
            passes: Over the data, so far.
        """
        total = passes / max(progress, 1e-9)
        calm = total - passes <= min(self.calm * total, MOST_CALM)
        grown = augment_share(passes, full_after=GROWN_AFTER)
        mosaic = 0.0 if calm else grown * self.mosaic
        return Jitter(
            mosaic, grown * self.zoom, grown * self.shift, mirror=self.mirror, upend=self.upend, hue=self.hue,
            saturation=self.saturation, value=self.value,
        )  # fmt: skip

    @abstractmethod
    def detect(self, network: nn.Module, images: Tensor, least: float) -> list[tuple[Tensor, Tensor, Tensor]]:
        """Return for each picture its boxes (n, 4) xyxy, scores (n,) from the least on, labels (n,), in any order."""

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return the boxes of each picture, surest first: (B, most, 6): xyxy, score and label, -1 for none.

        To be judged, boxes of all scores are wanted; where there is no truth in the batch, only those that are shown.
        """
        images = batch["image"]
        least = LEAST_SCORE if "boxes" in batch else max(LEAST_SCORE, self.confidence)
        found = images.new_zeros(len(images), self.most, 6)
        found[..., 5] = -1
        for (boxes, scores, labels), into in zip(self.detect(network, images, least), found, strict=True):
            best = scores.topk(min(CANDIDATES, len(scores))).indices
            boxes, scores, labels = boxes[best], scores[best], labels[best]
            kept = batched_nms(boxes, scores, labels, self.overlap)[: self.most]
            into[: len(kept)] = torch.cat([boxes[kept], scores[kept, None], labels[kept, None].to(boxes)], 1)
        return found

    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        return DetectEvaluator(self.classes, confidence=self.confidence, overlap=self.overlap, sync=sync)

    def to_input(self, image: NDArray[Any], *, size: Size, channels: int) -> Tensor:
        """Return an image as uint8 (C, H, W) in a frame no larger than its aspect asks for."""
        pixels = image_to_tensor(image, channels=channels)
        return letterbox(pixels, _tight(pixels.shape[-2:], size))

    def decode(self, output: Tensor, sources: list[Source], names: list[str], *, size: Size) -> list[Boxes]:
        """Turn boxes in frames (B, most, 6) into one `Boxes` an image, in its own pixels; weak ones are left out."""
        results = []
        for found, source, name in zip(output.cpu(), sources, names, strict=True):
            height, width = size_of(source)
            across, down, left, top = place_in((height, width), _tight((height, width), size)).numbers()
            kept = found[(found[:, 4] >= self.confidence) & (found[:, 5] >= 0)]
            if self.only:
                wanted = torch.tensor([self.classes.index(name) for name in self.only])
                kept = kept[torch.isin(kept[:, 5].long(), wanted)]
            xyxy = (kept[:, :4] - torch.tensor([left, top, left, top])) / torch.tensor([across, down, across, down])
            xyxy = torch.minimum(xyxy.clamp_min(0), torch.tensor([width, height, width, height]).to(xyxy))
            results.append(
                Boxes(
                    xyxy=xyxy.numpy().astype(np.float32),
                    scores=kept[:, 4].numpy().astype(np.float32),
                    labels=kept[:, 5].numpy().astype(np.int64),
                    classes=self.classes,
                    name=name,
                    source=source,
                )
            )
        return results


def _tight(picture: Any, frame: Size) -> Size:
    """Return the smallest frame in which a picture lies as large as in the given one."""
    size = place_in((int(picture[0]), int(picture[1])), frame).size
    return STRIDE * math.ceil(size[0] / STRIDE), STRIDE * math.ceil(size[1] / STRIDE)
