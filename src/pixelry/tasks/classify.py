"""Classification: one label an image."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

from pixelry.data.dataset import Dataset, Split, require_labels
from pixelry.data.loading import Batch, native_size
from pixelry.errors import UsageError
from pixelry.tasks._classify_metrics import ClassifyEvaluator
from pixelry.tasks.base import Candidate, Evaluator, Source, Task
from pixelry.types import Labels

SMALL = 32  # of the longer side, in pixels: such images are taken as they are
SIDES = (128, 96, 64, 48, 32)  # at which larger ones are looked at


@dataclass(frozen=True)
class Classify(Task):
    """Cross-entropy over class logits.

    Attributes:
        classes: Class names; output k of the network is `classes[k]`.
        label_smoothing: Part of the target that is spread over all classes, in [0, 1) (Szegedy et al. 2016).
        mixup: Beta parameter with which pairs of images are blended, 0 for none (Zhang et al. 2018).
        cutmix: Beta parameter with which rectangles are exchanged, 0 for none (Yun et al. 2019). With both set,
            each step draws one of the two.
        temperature: Logits are divided by it before they become probabilities (Guo et al. 2017). Training fits it to
            the validation split when all else is done: label smoothing and mixing make a network less sure, and long
            training surer, than it has a right to be.
    """

    classes: tuple[str, ...]
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    temperature: float = field(default=1.0, metadata={"fitted": True})

    name: ClassVar[str] = "classify"
    monitor: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool] = True
    tells: ClassVar[tuple[str, ...]] = ("classes",)
    recommended: ClassVar[str] = "airbench"
    ladder: ClassVar[tuple[str, ...]] = ("logistic", "cnn", "airbench")
    min_side: ClassVar[int] = 16

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"label_smoothing is {self.label_smoothing}; it must be at least 0 and below 1")
        if not (0 < self.temperature < float("inf")):
            raise UsageError(f"temperature is {self.temperature}; it must be above 0")
        for name in ("mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be 0 (off) or more, such as 0.2")

    @classmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Classify:
        """Make the task for a data set's classes.

        Raises:
            DataError: No labels, or fewer than two classes.
        """
        require_labels(dataset)
        return cls(classes=dataset.classes, **options)

    @classmethod
    def candidates(cls, split: Split) -> tuple[Candidate, ...]:
        """Return `airbench` for small images, whose many steps it needs, and `cnn` at ever smaller sizes for all.

        For the same time `cnn` at fewer pixels, and so with more passes over the images, is ahead of wider networks.
        """
        native = native_size(split)
        if native is not None and max(native) <= SMALL:
            return Candidate("airbench", native), Candidate("cnn", native)
        limit = SIDES[0] if native is None else min(native)
        own = [native] if native is not None and max(native) <= SIDES[0] else []
        sizes = dict.fromkeys((*own, *((side, side) for side in SIDES if side <= limit)))
        return tuple(Candidate("cnn", size) for size in sizes)

    def outputs(self) -> dict[str, Any]:
        """Return the number of classes, which `build` needs."""
        return {"classes": len(self.classes)}

    def losses(self, network: nn.Module, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the cross-entropy in nats.

        Args:
            network: Maps images to logits (B, K).
            batch: "image" (B, C, H, W) float in [0, 1] and "label" (B,) int64.
            phase: The only one.
        """
        images, labels = self._blend(batch["image"], batch["label"])
        logits = self.forward(network, {**batch, "image": images}).float()
        return {"loss": F.cross_entropy(logits, labels, label_smoothing=self.label_smoothing)}

    def _blend(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        blends = [v2.MixUp(alpha=self.mixup, num_classes=len(self.classes))] if self.mixup else []
        blends += [v2.CutMix(alpha=self.cutmix, num_classes=len(self.classes))] if self.cutmix else []
        if not blends:
            return images, labels
        blend = blends[int(torch.randint(len(blends), ()))]
        mixed: tuple[Tensor, Tensor] = blend(images, labels)
        return mixed

    def evaluator(self, *, sync: bool = False) -> ClassifyEvaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        return ClassifyEvaluator(self.classes, self.temperature, sync=sync)

    def calibrated(self, evaluator: Evaluator) -> Classify:
        """Return the task with its temperature fitted to what an evaluator gathered, which then uses it too."""
        assert isinstance(evaluator, ClassifyEvaluator)
        evaluator.temperature = evaluator.best_temperature()
        evaluator.forget_figures()
        return dataclasses.replace(self, temperature=evaluator.temperature)

    def decode(self, output: Tensor, sources: list[Source], names: list[str], *, size: tuple[int, int]) -> list[Labels]:
        """Turn logits (B, K) into one `Labels` an image."""
        scores = (output.float() / self.temperature).softmax(1).cpu().numpy().astype(np.float32)
        return [
            Labels(scores=row, classes=self.classes, name=name, source=source)
            for row, source, name in zip(scores, sources, names, strict=True)
        ]


TASK = Classify
