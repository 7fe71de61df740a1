"""A class for each pixel: how pictures and masks come to the network, what it learns, and how its answer is read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from pixelry.data.dataset import Dataset, Split
from pixelry.data.framing import check_masks, fitted, framed
from pixelry.data.loading import Batch
from pixelry.data.masks import IGNORE
from pixelry.errors import DataError, UsageError
from pixelry.segments import Segments
from pixelry.tasks.base import OF_TRAINING, Evaluator, Source, size_of, training_split
from pixelry.tasks.segment._window import Size, Window
from pixelry.tasks.segment.augment import jitter_masks
from pixelry.tasks.segment.losses import class_counts, class_weights, mask_losses
from pixelry.tasks.segment.metrics import SegmentEvaluator

FARTHEST = 4  # times smaller or larger at which a picture may be seen
SMOOTH: dict[str, Any] = {"mode": "bilinear", "align_corners": False, "antialias": True}
AT_ONCE = 2**26  # logits of one picture at its own size, 256 MiB: of larger ones one class after the other


@dataclass(frozen=True)
class Segment(Window):
    """The class of each pixel, by a network that gives logits at the size of the picture or a part of it.

    Attributes:
        loss: "cross_entropy", "dice" (Milletari et al. 2016), their sum, "focal" (Lin et al. 2017), or "hard", the
            cross-entropy of the worst quarter of the pixels.
        balance: Weights of the classes in the cross-entropy: "equal", "median" (Eigen and Fergus 2015) or "enet".
        weights: Those weights, of the training masks.
        crop: Part of the frame's sides that a training step sees of a picture.
        flip: In prediction, take the mean of the answers to a picture and to its mirror image, in twice the time.
        scales: In prediction, take the mean of the answers to a picture at so many times its size, such as 0.75, 1 and
            1.25.
    """

    loss: Literal["cross_entropy", "dice", "cross_entropy_dice", "focal", "hard"] = field(
        default="cross_entropy_dice", metadata=OF_TRAINING
    )
    balance: Literal["equal", "median", "enet"] = field(default="equal", metadata=OF_TRAINING)
    weights: tuple[float, ...] = field(default=(), metadata={"fitted": True})
    crop: float = field(default=0.67, metadata=OF_TRAINING)
    flip: bool = False
    scales: tuple[float, ...] = (1.0,)

    by_tiles: ClassVar[str] = "pixels"
    monitor: ClassVar[str] = "mean_iou"
    higher_is_better: ClassVar[bool] = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.crop <= 1:
            raise UsageError(f"crop is {self.crop}; it is a part of the frame's sides, above 0 and at most 1")
        if not self.scales or not all(1 / FARTHEST <= scale <= FARTHEST for scale in self.scales):
            raise UsageError(f"scales are {self.scales}; expected one or more, of 1/{FARTHEST} to {FARTHEST}")

    @classmethod
    def classes_of(cls, dataset: Dataset) -> tuple[str, ...]:
        """Return the names of the values of masks.

        Raises:
            DataError: There are no masks in it, or their values have no names.
        """
        masks = any("mask" in split.targets for split in dataset.splits.values())
        if masks and not dataset.mask_classes:
            raise DataError(f"{dataset.name} has masks, but their values have no names; give Dataset(mask_classes=...)")
        if not masks:
            raise DataError(
                f"{dataset.name} ({dataset.format}) has no masks; segmentation wants pairs of images and masks, "
                "such as images/ and masks/ with files of the same names"
            )
        return dataset.mask_classes

    @classmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Segment:
        """Make the task for a data set's classes of pixels.

        Raises:
            DataError: There are no masks in it, only one class to tell, or only one that its training masks show.
        """
        train, classes = training_split(dataset), cls.classes_of(dataset)
        if "mask" not in train.targets:
            raise DataError(f"{dataset.name} has no masks in its training images")
        if len(classes) < 2:
            raise DataError(
                f"the masks of {dataset.name} have one class, '{classes[0]}', and {IGNORE} for none: there is nothing "
                "to tell apart; name a second one, such as the background, or correct the masks"
            )
        masks = train.targets["mask"]
        shown: set[int] = set()
        for i in range(len(train)):
            shown.update(torch.as_tensor(masks[i]).unique().tolist())
            # The first masks that show two classes end the search: of files few are read.
            if len(shown - {IGNORE}) > 1:
                break
        else:
            check_masks(train, len(classes))  # masks that do not fit are the likelier fault, and are named
            only = [classes[k] for k in sorted(shown - {IGNORE})]
            count = f"{len(train)} training masks"
            if not only:
                raise DataError(f"{dataset.name} has no pixel of a class in its {count}, only {IGNORE}")
            raise DataError(
                f"the {count} of {dataset.name} show '{only[0]}' alone, of {len(classes)} classes: there is nothing to "
                "tell apart; correct the masks, or add some that show others"
            )
        task = cls(classes=classes, **options)
        if task.balance == "equal":
            return task
        counts = torch.cat([class_counts(masks[i][None], len(task.classes)) for i in range(len(train))])
        weights = class_weights(counts, task.balance)
        return cls(classes=task.classes, weights=tuple(float(w) for w in weights), **options)

    def fit_split(self, split: Split, *, size: Size, channels: int, training: bool = False) -> Split:
        """Return the split with its pictures scaled to fit the frame; to be judged, masks stay as large as they are."""
        if "mask" not in split.targets:
            raise DataError("these images have no masks")
        check_masks(split, len(self.classes))
        fit = framed if training else fitted
        return fit(split, frame=size, channels=channels)

    def observe(self, batch: Batch, *, training: bool) -> Batch:
        """Return the batch, in training with changed pictures and their masks (B, H, W)."""
        if not training:
            return batch
        height, width = batch["image"].shape[-2:]
        frame = max(1, round(self.crop * height)), max(1, round(self.crop * width))
        images, masks = jitter_masks(batch["image"], batch["mask"], self.changes(), frame=frame)
        return {**batch, "image": images, "mask": masks}

    def losses(self, network: nn.Module, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the loss, and its parts where it has several.

        Args:
            network: Maps pictures to logits (B, K, h, w).
            batch: "image" (B, C, H, W), "mask" (B, H, W), 255 where a pixel does not count.
            phase: The only one.
        """
        logits: Tensor = network(batch["image"])
        with torch.autocast(logits.device.type, enabled=False):
            weights = torch.tensor(self.weights, device=logits.device) if self.weights else None
            parts = mask_losses(logits.float(), batch["mask"], kind=self.loss, weights=weights)
        return {name if name == "loss" else f"{name}_loss": value for name, value in parts.items()}

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return logits (B, K, h, w), of several answers their mean at the size of the first."""
        images = batch["image"]
        answers: list[Tensor] = []
        for scale in self.scales:
            seen = images if scale == 1 else F.interpolate(images, size=_times(images, scale), **SMOOTH)
            answers.append(network(seen))
            if self.flip:
                answers.append(network(seen.flip(-1)).flip(-1))
        size = answers[0].shape[-2:]
        alike = [a if a.shape[-2:] == size else F.interpolate(a, size, **SMOOTH) for a in answers]
        return alike[0] if len(alike) == 1 else torch.stack(alike).mean(0)

    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        return LogitEvaluator(self.classes, sync=sync)

    def decode(self, output: Tensor, sources: list[Source], names: list[str], *, size: Size) -> list[Segments]:
        """Turn logits (B, K, h, w) into the class of each pixel of the images themselves."""
        found = []
        for logits, source, name in zip(output, sources, names, strict=True):
            ids, surest = at_own_size(logits, size_of(source))
            found.append(Segments(ids, self.classes, name, source, surest))
        return found

    @staticmethod
    def pixel_values(logits: Tensor, size: Size) -> Tensor:
        """Return the probabilities (K, H, W) of one picture's pixels, of logits (K, h, w)."""
        return _enlarged(logits, size).softmax(0).cpu()

    def from_pixel_values(self, rows: Iterable[Tensor], source: Source, name: str) -> Segments:
        """Return the result of a picture whose probabilities (K, n, W) come some rows at a time."""
        found = [(top.numpy(), ids.numpy().astype(np.uint8)) for top, ids in (part.max(0) for part in rows)]
        surest, ids = (np.concatenate(parts) for parts in zip(*found, strict=True))
        return Segments(ids, self.classes, name, source, surest)


class LogitEvaluator(SegmentEvaluator):
    """Judges logits at the size of the true masks."""

    def update(self, output: Any, batch: Batch) -> None:
        """Take logits (B, K, h, w), with "mask", one (H, W) of any size for each picture."""
        masks = batch["mask"]
        found = []
        for one, mask in zip(output, masks, strict=True):
            size = (int(mask.shape[-2]), int(mask.shape[-1]))
            few = len(one) * size[0] * size[1] <= AT_ONCE
            found.append(_enlarged(one, size).argmax(0) if few else _surest(one, size)[0])
        super().update(found, batch)


def at_own_size(logits: Tensor, size: Size) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """Return the surest class of each pixel (H, W), and its probability, of logits (K, h, w)."""
    if len(logits) * size[0] * size[1] <= AT_ONCE:
        surest, ids = _enlarged(logits, size).softmax(0).max(0)
    else:
        ids, surest = _surest(logits, size)
    return ids.cpu().numpy().astype(np.uint8), surest.cpu().numpy().astype(np.float32)


def _times(images: Tensor, scale: float) -> Size:
    """Return (height, width) of pictures at so many times their size."""
    height, width = (max(1, round(scale * side)) for side in images.shape[-2:])
    return height, width


def _enlarged(logits: Tensor, size: Size) -> Tensor:
    return F.interpolate(logits[None].float(), size, mode="bilinear", align_corners=False)[0]


def _surest(logits: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Return the surest class of each pixel (H, W), and its probability, with one class at its own size at a time."""
    best = _enlarged(logits[:1], size)[0]
    ids, total = torch.zeros_like(best, dtype=torch.int64), torch.ones_like(best)
    for k in range(1, len(logits)):
        one = _enlarged(logits[k : k + 1], size)[0]
        top = torch.maximum(best, one)
        ids[one > best] = k
        # The sum of exp(logit - best) over the classes so far: 1 / it is the probability of the best.
        total = total * (best - top).exp() + (one - top).exp()
        best = top
    return ids, 1 / total
