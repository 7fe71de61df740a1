"""What all generators share: classes, pictures that follow from a seed and a number, completion of given ones."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from pixelry.data.dataset import Dataset, Split, image_to_tensor
from pixelry.data.loading import generator_for, native_size
from pixelry.data.patches import smallest_size
from pixelry.data.sheet import as_picture
from pixelry.draw import draw_samples
from pixelry.errors import DataError, ImageError, UsageError, unknown
from pixelry.tasks.base import Candidate, Form, Picture, Task, training_split
from pixelry.types import Generated

SHEET_ROWS = SHEET_COLUMNS = 10
# Sides in pixels of the images that are made, where the data's own are larger or differ.
SIDES = (64, 48, 32)

# Called with the pictures that are finished, a fraction of one for each that is on its way.
OnProgress = Callable[[float], None]


@dataclass(frozen=True)
class Generate(Task):
    """New pictures like those of a data set.

    A network's file says in `FAMILY` how it learns to make them: "autoregressive", "adversarial" or "diffusion", each
    a file of this folder with a subclass.

    Attributes:
        classes: Class names of a conditional model, () for one without.
        conditional: Learn what tells the classes apart, so that one can be asked for.
        prior: Share of each class of the training pictures, of a conditional model.
    """

    classes: tuple[str, ...] = ()
    conditional: bool = False
    prior: tuple[float, ...] = field(default=(), metadata={"fitted": True})

    name: ClassVar[str] = "generate"
    monitor: ClassVar[str] = "frechet"
    higher_is_better: ClassVar[bool] = False
    tells: ClassVar[tuple[str, ...]] = ("classes",)
    recommended: ClassVar[str] = "ddpm"
    ladder: ClassVar[tuple[str, ...]] = ("logistic", "dcgan", "ddpm")
    min_steps: ClassVar[int] = 500
    # Pictures that are drawn together.
    at_once: ClassVar[int] = 100

    def __post_init__(self) -> None:
        if self.conditional != bool(self.classes) or len(self.prior) != len(self.classes):
            raise UsageError("a conditional model has classes, and a prior for each")

    @classmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Generate:
        """Make the task; labels are used where the model is conditional.

        Raises:
            DataError: There are no training pictures, or no labels for a conditional model.
        """
        train = training_split(dataset)
        if not options.get("conditional"):
            return cls(**options)
        if "label" not in train.targets:
            raise DataError(f"{dataset.name} has no class labels, which --set conditional=true needs")
        counts = torch.bincount(train.labels, minlength=len(dataset.classes)).double()
        return cls(classes=dataset.classes, prior=tuple((counts / counts.sum()).tolist()), **options)

    def outputs(self) -> dict[str, Any]:
        """Return the number of classes, which `build` needs."""
        return {"classes": len(self.classes)}

    def input_form(self, split: Split, form: Form) -> Form:
        """Return the form of the pictures to be made, which is the user's choice where theirs differ.

        Raises:
            DataError: The pictures are of several sizes, and none was asked for.
        """
        if form.size is None and native_size(split) is None:
            raise DataError(
                "the pictures are of several sizes, and those to be made have one: give --size HEIGHTxWIDTH, such as "
                "--size 64x64 (each is scaled to cover it and cropped at the centre)"
            )
        return form

    @classmethod
    def candidates(cls, split: Split) -> tuple[Candidate, ...]:
        """Return the recommended generator at the images' own size, where it is one small size, and at smaller ones.

        Images of several sizes are brought to a square no larger than the smallest of them.
        """
        native = native_size(split)
        if native is not None and max(native) <= SIDES[0]:
            sizes = [native, *((side, side) for side in SIDES if side < min(native))]
        else:
            smallest = min(smallest_size(split))
            sizes = [(side, side) for side in SIDES if side <= smallest] or [(smallest, smallest)]
        return tuple(Candidate(cls.recommended, size) for size in sizes)

    def drawing(self) -> dict[str, Any]:
        """Return the options by which pictures are drawn, for the record of each."""
        return {}

    def describe(self) -> str:
        """Return in words how pictures are drawn, for a protocol."""
        return "one pass through the network"

    @abstractmethod
    def draw(
        self, network: nn.Module, generators: list[Generator], labels: Tensor | None, on_progress: OnProgress
    ) -> Tensor:
        """Return one picture for each generator, (B, C, H, W) in [0, 1].

        Args:
            network: In evaluation mode.
            generators: On the CPU; all that is random in a picture comes from its own.
            labels: (B,) int64 on the CPU, of a conditional model.
            on_progress: Called with the parts of pictures that are done.
        """

    def fill(
        self,
        network: nn.Module,
        generators: list[Generator],
        labels: Tensor | None,
        given: Tensor,
        known: NDArray[np.bool_],
        on_progress: OnProgress,
    ) -> Tensor:
        """Return one completion for each generator, (B, C, H, W) in [0, 1].

        Args:
            network: In evaluation mode.
            generators: As for `draw`.
            labels: (B,) int64, of a conditional model whose class is decided.
            given: (C, H, W) in [0, 1].
            known: (H, W), True where the picture is kept.
            on_progress: As for `draw`.

        Raises:
            UsageError: The model makes whole pictures only.
            ImageError: The mask does not suit the model.
        """
        raise UsageError(
            "this model makes whole pictures and completes none; one that does: pixelry train generate --network ddpm"
        )

    def completion_labels(
        self, network: nn.Module, generators: list[Generator], given: Tensor, known: NDArray[np.bool_]
    ) -> Tensor | None:
        """Return the class of each completion for which none was asked, (B,) int64; None leaves it open."""
        return None

    def generate(
        self,
        network: nn.Module,
        count: int,
        *,
        label: str | None = None,
        seed: int = 0,
        start: int = 0,
        on_progress: OnProgress = lambda done: None,
    ) -> Iterator[Generated]:
        """Yield pictures; number `start + i` of a seed is the same picture whatever else is drawn with it.

        Args:
            network: In evaluation mode.
            count: How many; they are made a few at a time, so that memory stays the same for any number.
            label: The class to draw, of a conditional model; by default each picture draws its own by the prior.
            seed: With a picture's number it makes the same picture again.
            start: Number of the first.
            on_progress: Called with the number of pictures (or parts of them) that were done since the last call.

        Raises:
            UsageError: The label is unknown, or the model has no classes.
        """
        for first in range(start, start + count, self.at_once):
            numbers = range(first, min(first + self.at_once, start + count))
            generators = [generator_for(seed, number) for number in numbers]
            labels = self.labels(label, generators)
            pixels = _to_bytes(self.draw(network, generators, labels, on_progress))
            for i, number in enumerate(numbers):
                yield Generated(as_picture(pixels[i]), seed, number, self._label_name(labels, i))

    def complete(
        self,
        network: nn.Module,
        image: NDArray[Any],
        known: NDArray[np.bool_],
        count: int,
        *,
        size: tuple[int, int],
        channels: int,
        label: str | None = None,
        seed: int = 0,
        on_progress: OnProgress = lambda done: None,
    ) -> Iterator[Generated]:
        """Yield completions of a picture, whose known pixels come back untouched.

        Args:
            network: In evaluation mode.
            image: (H, W) or (H, W, C) of the model's size, any dtype.
            known: (H, W), True where the picture is kept.
            count: How many.
            size: (height, width) of the model's pictures.
            channels: Of the model's pictures.
            label: The class, of a conditional model; by default it is drawn from what is known, or left open.
            seed: With a picture's number it makes the same picture again.
            on_progress: As for `generate`.

        Raises:
            ImageError: The picture or the mask has another size, or the mask does not suit the model.
            UsageError: The label is unknown, or the model has no classes.
        """
        fixed = self._label_index(label)
        original = image_to_tensor(image, channels=channels)
        _check_sizes(original, known, size)
        picture, kept = as_picture(original), torch.from_numpy(known)
        given = original.float() / 255
        for first in range(0, count, self.at_once):
            numbers = range(first, min(first + self.at_once, count))
            generators = [generator_for(seed, number) for number in numbers]
            open_labels = self.completion_labels(network, generators, given, known)
            labels = open_labels if fixed is None else torch.full((len(numbers),), fixed)
            drawn = _to_bytes(self.fill(network, generators, labels, given, known, on_progress))
            pixels = torch.where(kept, original, drawn)
            for i, number in enumerate(numbers):
                yield Generated(as_picture(pixels[i]), seed, number, self._label_name(labels, i), picture, known)

    def samples(self, network: nn.Module) -> NDArray[np.uint8]:
        """Return a sheet of pictures of seed 0; of a conditional model a row for each class."""
        rows = self.classes[:SHEET_ROWS] if self.classes else (None,) * SHEET_ROWS
        drawn = [
            made.image
            for row, label in enumerate(rows)
            for made in self.generate(network, SHEET_COLUMNS, label=label, start=SHEET_COLUMNS * row)
        ]
        return draw_samples(drawn)

    def pictures(self, network: nn.Module) -> tuple[Picture, ...]:
        """Return a sheet of new pictures."""
        note = "Seed 0, one after the other: nothing was chosen."
        return (Picture("New pictures", self.samples(network), note),)

    def draw_labels(self, weights: Tensor, generators: list[Generator]) -> Tensor:
        """Return a class for each generator, drawn from it, (B,) int64."""
        return torch.cat([torch.multinomial(weights, 1, generator=generator) for generator in generators])

    def labels(self, label: str | None, generators: list[Generator]) -> Tensor | None:
        """Return the class of each picture, (B,) int64: the one asked for, else drawn by the prior.

        Raises:
            UsageError: The label is unknown, or the model has no classes.
        """
        fixed = self._label_index(label)
        if not self.classes:
            return None
        # Drawn also where the class is given, so that the random numbers that follow are the same.
        own = self.draw_labels(torch.tensor(self.prior), generators)
        return own if fixed is None else torch.full_like(own, fixed)

    def check_label(self, label: str | None) -> None:
        """Raise UsageError unless the model knows the class, or none is asked for."""
        self._label_index(label)

    def _label_index(self, label: str | None) -> int | None:
        if label is None:
            return None
        if not self.classes:
            raise UsageError(
                f"the model has no classes, so none can be asked for; got label '{label}'. Train one that has: "
                "--set conditional=true"
            )
        if label not in self.classes:
            raise unknown("class", label, self.classes)
        return self.classes.index(label)

    def _label_name(self, labels: Tensor | None, i: int) -> str | None:
        return None if labels is None else self.classes[int(labels[i])]


def _to_bytes(images: Tensor) -> Tensor:
    """Return pictures in [0, 1] as uint8 on the CPU."""
    return (images.clamp(0, 1) * 255).round().byte().cpu()


def _check_sizes(pixels: Tensor, known: NDArray[np.bool_], size: tuple[int, int]) -> None:
    have = tuple(pixels.shape[1:])
    if have != size:
        raise ImageError(
            f"the picture has {have[0]}x{have[1]} pixels, the model's have {size[0]}x{size[1]}; resize it first: "
            f"pixelry pixels resize IMAGE --shape {size[0]}x{size[1]} --out DIR"
        )
    if known.shape != size:
        raise ImageError(f"the mask has shape {known.shape}, the picture {size}; expected the same")
