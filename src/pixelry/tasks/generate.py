"""Generation: new pictures like those of a data set, and the completion of given ones."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pixelry.data.dataset import Dataset, image_to_tensor
from pixelry.data.loading import Batch, mix_seed, to_float
from pixelry.draw import draw_samples
from pixelry.errors import DataError, ImageError, UsageError, unknown
from pixelry.tasks._generate_metrics import GenerateEvaluator
from pixelry.tasks.base import Evaluator, Picture, Task
from pixelry.types import Generated

Binarise = Literal["dynamic", "static", "threshold"]

# Of the levels on which models are judged: image k of a split is rounded with the numbers of mix_seed(LEVEL_SEED, k).
LEVEL_SEED = 1996
DRAWN_AT_ONCE = 250


@dataclass(frozen=True)
class Generate(Task):
    """The exact likelihood of pictures of few grey levels, value after value in raster order.

    A value in [0, 1] is rounded to a level at random, up or down so that its expectation stays: for two levels a
    pixel of brightness 0.3 is white with probability 0.3, the binarisation of MNIST.

    Attributes:
        classes: Class names of a conditional model, () for one without.
        levels: Grey levels of each value, 2 for black and white.
        binarise: "dynamic" rounds anew each time a picture is trained on, and once, by a fixed seed, where it is
            judged; "static" rounds each picture once and for all, by the fixed seed; "threshold" takes the nearest
            level. Their likelihoods do not compare with each other.
        conditional: Learn what tells the classes apart, so that one can be asked for.
        prior: Share of each class of the training pictures, of a conditional model.
    """

    classes: tuple[str, ...] = ()
    levels: int = 2
    binarise: Binarise = "dynamic"
    conditional: bool = False
    prior: tuple[float, ...] = field(default=(), metadata={"fitted": True})

    name: ClassVar[str] = "generate"
    monitor: ClassVar[str] = "nll_nats"
    higher_is_better: ClassVar[bool] = False
    tells: ClassVar[tuple[str, ...]] = ("levels", "classes")
    recommended: ClassVar[str] = "logistic"
    ladder: ClassVar[tuple[str, ...]] = ("logistic", "logistic:pairs=4")

    def __post_init__(self) -> None:
        if not 2 <= self.levels <= 256:
            raise UsageError(f"levels is {self.levels}; expected 2 (black and white) to 256")
        if self.conditional != bool(self.classes) or len(self.prior) != len(self.classes):
            raise UsageError("a conditional model has classes, and a prior for each")

    @classmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Generate:
        """Make the task; labels are used where the model is conditional.

        Raises:
            DataError: There are no training pictures, or no labels for a conditional model.
        """
        if "train" not in dataset.splits or not len(dataset["train"]):
            raise DataError(f"{dataset.name} has no training images (splits: {', '.join(dataset.splits)})")
        if not options.get("conditional"):
            return cls(**options)
        if "label" not in dataset["train"].targets:
            raise DataError(f"{dataset.name} has no class labels, which --set conditional=true needs")
        counts = torch.bincount(dataset["train"].labels, minlength=len(dataset.classes)).double()
        return cls(classes=dataset.classes, prior=tuple((counts / counts.sum()).tolist()), **options)

    def outputs(self) -> dict[str, Any]:
        """Return levels and classes, which `build` needs."""
        return {"levels": self.levels, "classes": len(self.classes)}

    def protocol(self) -> str:
        """Return in words how pictures were rounded to levels where they are judged."""
        how = {
            "dynamic": "trained on other draws at each step",
            "static": "trained on one draw for each picture",
            "threshold": "nearest level, no draw",
        }[self.binarise]
        judged = f", judged on the draw of seed {LEVEL_SEED} and the image's number"
        seed = "" if self.binarise == "threshold" else judged
        return f"{self.levels} levels, {self.binarise} rounding ({how}{seed})"

    def observe(self, batch: Batch, *, training: bool) -> Batch:
        """Return the batch with its images rounded to levels, multiples of 1 / (levels - 1) in [0, 1]."""
        images = batch["image"]
        if self.binarise == "threshold":
            draw: Tensor | float = 0.5
        elif training and self.binarise == "dynamic":
            draw = torch.rand(images.shape, device=images.device)
        else:
            shape = images.shape[1:]
            draws = [torch.rand(shape, generator=_generator(LEVEL_SEED, i)) for i in batch["index"].tolist()]
            draw = torch.stack(draws).to(images.device)
        top = self.levels - 1
        rounded = (images * top + draw).floor().clamp(0, top) / top
        # Each value's own draw is independent of the others, so its expected loss can be had without drawing it: the
        # same objective, with less noise in its gradient.
        target = images if training and self.binarise == "dynamic" else rounded
        return {**batch, "image": rounded, "target": target}

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return -log p(image) in nats, (B, 1); of a conditional model -log p(image | class), (B, classes)."""
        return self._nats(network, batch["image"]).flatten(2).sum(2)

    def _nats(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return -log p of each pixel given those before it and the class, (B, classes or 1, H, W)."""
        if not self.classes:
            return self._nll(network(images), images)[:, None]
        labels = torch.arange(len(self.classes), device=images.device)[:, None].expand(-1, len(images))
        return torch.stack([self._nll(network(images, label), images) for label in labels], 1)

    def _nll(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return -log p of each pixel in nats, (B, H, W); of a target between two levels, what is expected of its draw.

        Args:
            logits: (B, C, k - 1, H, W), of "level >= 1", ..., "level >= k - 1".
            target: (B, C, H, W) in [0, 1].
        """
        thresholds = torch.arange(1, self.levels, device=target.device).view(1, 1, -1, 1, 1)
        level, logits = target[:, :, None] * (self.levels - 1), logits.float()
        # How probable it is that a coin is tossed, which is where the threshold below was reached, and comes up.
        tossed, reached = (level - thresholds + 2).clamp(0, 1), (level - thresholds + 1).clamp(0, 1)
        nats = tossed * F.softplus(logits) - reached * logits
        return nats.sum((1, 2))

    def losses(self, network: nn.Module, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the mean of -log p(image), or -log p(image | class), in nats.

        Args:
            network: Maps images to the logits of their thresholds.
            batch: "image" (B, C, H, W) of `levels` levels, "target" like it or between levels, and "label" for a
                conditional model.
            phase: The only one.
        """
        images = batch["image"]
        logits = network(images, batch["label"]) if self.classes else network(images)
        return {"loss": self._nll(logits, batch["target"]).flatten(1).sum(1).mean()}

    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        return GenerateEvaluator(self.protocol(), self.prior, sync=sync)

    def pictures(self, network: nn.Module) -> tuple[Picture, ...]:
        """Return a sheet of new pictures; of a conditional model a row for each class."""
        rows = self.classes[:10] if self.classes else (None,) * 10
        drawn = [
            image for row, label in enumerate(rows) for image in self.generate(network, 10, label=label, start=10 * row)
        ]
        note = "Seed 0, one after the other: nothing was chosen."
        return (Picture("New pictures", draw_samples([image.image for image in drawn]), note),)

    def generate(
        self, network: nn.Module, count: int, *, label: str | None = None, seed: int = 0, start: int = 0
    ) -> list[Generated]:
        """Draw pictures; number `start + i` of a seed is the same picture whatever else is drawn with it.

        Args:
            network: A network with `draw`.
            count: How many.
            label: The class to draw, of a conditional model; by default each picture draws its own by the prior.
            seed: With a picture's number it makes the same picture again.
            start: Number of the first.

        Raises:
            UsageError: The label is unknown, or the model has no classes.
        """
        return self._draw(network, range(start, start + count), label=label, seed=seed)

    def complete(
        self,
        network: nn.Module,
        image: NDArray[Any],
        known: NDArray[np.bool_],
        count: int,
        *,
        label: str | None = None,
        seed: int = 0,
    ) -> list[Generated]:
        """Draw completions of a picture.

        Args:
            network: A network with `draw`.
            image: (H, W) or (H, W, C) of the model's size, any dtype.
            known: (H, W), True where the picture is kept; these pixels come first, row by row.
            count: How many.
            label: The class, of a conditional model; by default each completion draws its own, by the probability
                of the classes given what is known.
            seed: With a picture's number it makes the same picture again.

        Raises:
            ImageError: The picture or the mask has another size, or known pixels follow unknown ones.
            UsageError: The label is unknown, or the model has no classes.
        """
        height, width, channels, _ = network.shape  # type: ignore[misc]
        pixels = to_float(image_to_tensor(image, channels=int(channels)))
        _check_mask(pixels, known, (int(height), int(width)))
        return self._draw(network, range(count), label=label, seed=seed, given=pixels, known=known)

    def _draw(
        self,
        network: Any,
        numbers: range,
        *,
        label: str | None,
        seed: int,
        given: Tensor | None = None,
        known: NDArray[np.bool_] | None = None,
    ) -> list[Generated]:
        fixed = self._label_index(label)
        device = next(network.parameters()).device
        weights = torch.tensor(self.prior) if given is None else self._posterior(network, given, known)
        drawn: list[Generated] = []
        for first in range(0, len(numbers), DRAWN_AT_ONCE):
            part = numbers[first : first + DRAWN_AT_ONCE]
            generators = [_generator(seed, number) for number in part]
            labels = self._labels(fixed, weights, generators)
            coins = torch.stack([torch.rand(network.bits, generator=generator) for generator in generators])
            start = {} if given is None else self._start(given, len(part), known, device)
            images = network.draw(coins.to(device), labels.to(device) if self.classes else None, **start)
            pixels = (images * 255).round().byte().movedim(1, -1).cpu().numpy()
            original = (_picture(given), known) if given is not None else (None, None)
            drawn += [
                Generated(_squeezed(picture), seed, number, self.classes[int(k)] if self.classes else None, *original)
                for picture, number, k in zip(pixels, part, labels, strict=True)
            ]
        return drawn

    def _start(self, given: Tensor, count: int, known: Any, device: torch.device) -> dict[str, Any]:
        return {"given": self._levels(given).expand(count, -1, -1, -1).to(device), "known": int(known.sum())}

    def _label_index(self, label: str | None) -> int | None:
        if label is None:
            return None
        if not self.classes:
            raise UsageError(f"the model has no classes, so none can be asked for; got label '{label}'")
        if label not in self.classes:
            raise unknown("class", label, self.classes)
        return self.classes.index(label)

    @torch.inference_mode()
    def _posterior(self, network: nn.Module, given: Tensor, known: Any) -> Tensor:
        """Return p(class | known pixels) by Bayes' rule, (classes,)."""
        if not self.classes:
            return torch.ones(1)
        device = next(network.parameters()).device
        nats = self._nats(network, self._levels(given)[None].to(device))[0].cpu()
        evidence = -(nats * torch.from_numpy(known)).flatten(1).sum(1)
        return (torch.tensor(self.prior).log() + evidence).softmax(0)

    def _levels(self, image: Tensor) -> Tensor:
        """Return an image in [0, 1] rounded to the nearest levels."""
        top = self.levels - 1
        return (image * top).round() / top

    def _labels(self, fixed: int | None, weights: Tensor, generators: list[Generator]) -> Tensor:
        if not self.classes:
            return torch.zeros(len(generators), dtype=torch.int64)
        # Drawn also where the class is given, so that the coins that follow are the same.
        own = torch.cat([torch.multinomial(weights, 1, generator=generator) for generator in generators])
        return own if fixed is None else torch.full_like(own, fixed)


def _generator(seed: int, number: int) -> Generator:
    return torch.Generator().manual_seed(mix_seed(seed, number))


def _squeezed(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return picture[..., 0] if picture.shape[-1] == 1 else picture


def _picture(pixels: Tensor) -> NDArray[np.uint8]:
    """Return float (C, H, W) in [0, 1] as uint8 (H, W) or (H, W, 3)."""
    picture: NDArray[np.uint8] = (pixels * 255).round().byte().movedim(0, -1).cpu().numpy()
    return _squeezed(picture)


def _check_mask(pixels: Tensor, known: NDArray[np.bool_], size: tuple[int, int]) -> None:
    have = tuple(pixels.shape[1:])
    if have != size:
        raise ImageError(
            f"the picture has {have[0]}x{have[1]} pixels, the model's have {size[0]}x{size[1]}; resize it first: "
            f"pixelry pixels resize IMAGE --shape {size[0]}x{size[1]} --out DIR"
        )
    if known.shape != size:
        raise ImageError(f"the mask has shape {known.shape}, the picture {size}; expected the same")
    flat = known.flatten()
    unknown_first = int((~flat).argmax()) if not flat.all() else len(flat)
    late = np.flatnonzero(flat[unknown_first:])
    if len(late):
        place = divmod(unknown_first + int(late[0]), size[1])
        gap = divmod(unknown_first, size[1])
        raise ImageError(
            f"this model draws row by row from the top left, so what is known must come first: the pixel at row "
            f"{place[0]}, column {place[1]} is known, but that at row {gap[0]}, column {gap[1]} before it is not; mask "
            "everything after the first masked pixel, such as the lower half"
        )


TASK = Generate
