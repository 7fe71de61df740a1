"""Classification: one label an image."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.transforms import v2

from pixelry.data.crop_modes import FITS, CropMode, crop_mode_for, crop_notes, uncropped
from pixelry.data.dataset import Dataset, Split, image_to_tensor, require_labels
from pixelry.data.loading import Batch, native_size, prepare
from pixelry.errors import UsageError
from pixelry.tasks._class_weights import balanced_weights, class_named, imbalance_notes, weights_by_name
from pixelry.tasks._classify_metrics import ClassifyEvaluator
from pixelry.tasks._explain import evidence_maps
from pixelry.tasks._mistakes import mistake_evidence
from pixelry.tasks._two_classes import decide
from pixelry.tasks._views import Views, mean_logits
from pixelry.tasks.base import OF_TRAINING, Block, Candidate, Evaluator, Source, Task, size_of
from pixelry.types import Labels, Result

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
        class_weights: Weight of each class in the loss: "balanced" (inversely proportional to its images), weights by
            class name, or None for equal ones.
        weights: The weights as numbers, one a class; follows from `class_weights`.
        positive: Of two classes: the one that AUROC, precision and recall are of; by default the rarer one.
        threshold: Of two classes: least probability at which the answer is the positive one; None takes the larger.
        tta: Test-time augmentation: views whose probabilities are averaged, "none" for the image alone.
        crop_mode: How images of another aspect come to the network's size: "center" (scaled to cover it, and cropped),
            "border" (the whole image, with gray around) or "squash" (stretched). By default by the data: "center",
            unless that would lose much of many of the images.
    """

    classes: tuple[str, ...]
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    temperature: float = field(default=1.0, metadata={"fitted": True})
    class_weights: str | Mapping[str, float] | None = field(default=None, metadata=OF_TRAINING)
    weights: tuple[float, ...] = field(default=(), metadata={"fitted": True})
    positive: Any = ""
    threshold: float | None = None
    tta: Views = "none"
    crop_mode: CropMode = field(default="center", metadata=OF_TRAINING)

    name: ClassVar[str] = "classify"
    monitor: ClassVar[str] = "accuracy"
    higher_is_better: ClassVar[bool] = True
    cross_validates: ClassVar[bool] = True
    tells: ClassVar[tuple[str, ...]] = ("classes",)
    recommended: ClassVar[str] = "airbench"
    ladder: ClassVar[tuple[str, ...]] = ("logistic", "cnn", "airbench")
    min_side: ClassVar[int] = 16
    # Of photographs from scratch: with fewer passes at more pixels `cnn` is behind in the same time.
    min_passes: ClassVar[float] = 20.0

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise UsageError(f"label_smoothing is {self.label_smoothing}; it must be at least 0 and below 1")
        if not (0 < self.temperature < float("inf")):
            raise UsageError(f"temperature is {self.temperature}; it must be above 0")
        for name in ("mixup", "cutmix"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} is {getattr(self, name)}; it must be 0 (off) or more, such as 0.2")
        self._check_weights()
        self._check_two_classes()

    def _check_weights(self) -> None:
        given = self.class_weights
        object.__setattr__(self, "weights", tuple(self.weights))  # of a model's card, a list
        if isinstance(given, str) and given != "balanced":
            raise UsageError(f"class_weights is '{given}'; expected balanced, or weights by class: {{cat: 2, dog: 1}}")
        if isinstance(given, Mapping):
            object.__setattr__(self, "weights", weights_by_name(given, self.classes))
            object.__setattr__(self, "class_weights", dict(zip(self.classes, self.weights, strict=True)))
        if given is not None:
            # The best of all validations by accuracy would be one that forgets the rare classes.
            object.__setattr__(self, "monitor", "balanced_accuracy")

    def _check_two_classes(self) -> None:
        if len(self.classes) != 2 and (self.positive != "" or self.threshold is not None):
            raise UsageError(
                f"positive and threshold are for two classes; there are {len(self.classes)}: leave them out"
            )
        if self.positive != "":
            object.__setattr__(self, "positive", class_named(self.positive, self.classes, "positive"))
        if self.threshold is not None and not 0 < self.threshold < 1:
            raise UsageError(f"threshold is {self.threshold}; it is a probability, above 0 and below 1")

    @classmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Classify:
        """Make the task for a data set's classes.

        Raises:
            DataError: No labels, or fewer than two classes.
        """
        require_labels(dataset)
        options.setdefault("crop_mode", crop_mode_for(dataset["train"]))
        task, labels = cls(classes=dataset.classes, **options), dataset["train"].labels
        if task.class_weights == "balanced":
            task = dataclasses.replace(task, weights=balanced_weights(labels, len(task.classes)))
        if len(task.classes) == 2 and task.positive == "":
            rarer = 0 if 2 * int((labels == 0).sum()) < len(labels) else 1
            task = dataclasses.replace(task, positive=task.classes[rarer])
        return task

    @classmethod
    def notes(cls, dataset: Dataset) -> tuple[str, ...]:
        """Return notes where classes have many more training images than others, or images extreme aspects."""
        return (*imbalance_notes(dataset), *crop_notes(dataset["train"]))

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

    def fit_split(self, split: Split, *, size: tuple[int, int], channels: int, training: bool = False) -> Split:
        """Return a split with its images at one size, by `crop_mode`."""
        return prepare(split, size=size, channels=channels, fit=FITS[self.crop_mode])

    def to_input(self, image: NDArray[Any], *, size: tuple[int, int], channels: int) -> Tensor:
        """Return an image as uint8 (C, H, W) at the network's size, by `crop_mode`."""
        return FITS[self.crop_mode](image_to_tensor(image, channels=channels), size=size)

    def losses(self, network: nn.Module, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the cross-entropy in nats.

        Args:
            network: Maps images to logits (B, K).
            batch: "image" (B, C, H, W) float in [0, 1] and "label" (B,) int64.
            phase: The only one.
        """
        images, labels = self._blend(batch["image"], batch["label"])
        logits: Tensor = network(images).float()
        weights = torch.tensor(self.weights, device=logits.device) if self.weights else None
        return {"loss": F.cross_entropy(logits, labels, weight=weights, label_smoothing=self.label_smoothing)}

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return logits (B, K), with `tta` those of the mean probabilities over views."""
        return mean_logits(network, batch["image"], self.tta)

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
        return ClassifyEvaluator(
            self.classes,
            self.temperature,
            positive=self.positive,
            threshold=self.threshold,
            tta=self.tta,
            sync=sync,
        )

    def calibrated(self, evaluator: Evaluator) -> Classify:
        """Return the task with its temperature fitted to what an evaluator gathered, which then uses it too."""
        assert isinstance(evaluator, ClassifyEvaluator)
        evaluator.temperature = evaluator.best_temperature()
        evaluator.forget_figures()
        return dataclasses.replace(self, temperature=evaluator.temperature)

    def explanations(self, network: nn.Module, evaluator: Evaluator, split: Split) -> tuple[Block, ...]:
        """Return the most confident mistakes with the evidence for the answer and for the true class."""
        assert isinstance(evaluator, ClassifyEvaluator)
        return mistake_evidence(network, evaluator.mistakes(), split, self.classes)

    def explained(self, network: nn.Module, images: Tensor, results: Sequence[Result]) -> list[Labels]:
        """Return the labels (B) of images (B, C, H, W) with the evidence for each; see `evidence_maps`."""
        labels = [result for result in results if isinstance(result, Labels)]
        maps = evidence_maps(network, images, torch.tensor([label.index for label in labels]))
        return [
            dataclasses.replace(label, evidence=uncropped(part.cpu(), size_of(label.source), self.crop_mode).numpy())
            for label, part in zip(labels, maps, strict=True)
        ]

    def decode(self, output: Tensor, sources: list[Source], names: list[str], *, size: tuple[int, int]) -> list[Labels]:
        """Turn logits (B, K) into one `Labels` an image."""
        scores = (output.float() / self.temperature).softmax(1).cpu()
        decisions: list[int | None] = [None] * len(scores)
        if self.threshold is not None:
            positive = self.classes.index(self.positive) if self.positive else 1
            decisions = decide(scores, positive, self.threshold).tolist()
        return [
            Labels(scores=row, classes=self.classes, name=name, source=source, decision=decision)
            for row, decision, source, name in zip(scores.numpy(), decisions, sources, names, strict=True)
        ]


TASK = Classify
