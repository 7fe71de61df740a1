"""What a data set is here: named splits of samples, class names, a fingerprint of the content.

Sample: a dict with torchvision `tv_tensors`, so that one augmentation moves image, boxes and masks together:

    image    (C, H, W) uint8
    label    int

Detection, segmentation and restoration add `boxes`, `mask`, `target`, ... as further targets of a split.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor
from torchvision import tv_tensors

from pixelry.arguments import verb
from pixelry.data.tensors import image_to_tensor as image_to_tensor
from pixelry.data.tensors import to_channels as to_channels
from pixelry.display import Sheet
from pixelry.errors import DataError, ImageError, UsageError, unknown
from pixelry.pixels import read_image

Sample = dict[str, Any]

# Head and tail of a file that its fingerprint reads: enough to tell two photographs apart, and quick for many.
FINGERPRINT_BYTES = 65_536
# A validation set larger than this sharpens no decision but costs training data.
MAX_VAL = 5_000
# Classes that a line names.
MAX_NAMES = 6


class Images(Protocol):
    """A sequence of images: a uint8 tensor (N, C, H, W), or one that decodes on access."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Tensor: ...


@dataclass(frozen=True)
class FileImages:
    """Encoded images, decoded on access to uint8 (C, H, W).

    Attributes:
        sources: Paths, or the encoded bytes themselves.
        names: What each is called in messages; by default its path.
        channels: 1 or 3: every image is converted to it, alpha is blended over white; None keeps grey as 1
            channel and colour as 3, image by image.
    """

    sources: Sequence[Path | bytes]
    names: Sequence[str] = ()
    channels: int | None = None

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, index: int) -> Tensor:
        try:
            image = read_image(self.sources[index])
        except ImageError as error:
            name = self.name(index)
            raise ImageError(str(error) if name in str(error) else f"{name}: {error}") from None
        return image_to_tensor(image, channels=self.channels)

    def __repr__(self) -> str:
        return f"FileImages({len(self):,} images)"

    def name(self, index: int) -> str:
        """Return what the image is called in messages."""
        return self.names[index] if self.names else str(self.sources[index])

    def digest(self, index: int) -> bytes:
        """Return a hash of the encoded image: its size, its first and its last 64 KiB."""
        return file_digest(self.sources[index])

    def take(self, positions: Sequence[int]) -> FileImages:
        """Return the images at some positions; nothing is decoded."""
        names = [self.names[i] for i in positions] if self.names else ()
        return FileImages([self.sources[i] for i in positions], names, self.channels)


@runtime_checkable
class Lazy(Protocol):
    """Images or targets that are read on access, and can be chosen from and told apart without that."""

    def __len__(self) -> int: ...

    def take(self, positions: Sequence[int]) -> Any: ...

    def digest(self, index: int) -> bytes: ...


def file_digest(source: Path | bytes) -> bytes:
    """Return a hash of a file or its bytes: size, first and last 64 KiB."""
    if isinstance(source, bytes):
        parts = [str(len(source)).encode(), source[:FINGERPRINT_BYTES], source[-FINGERPRINT_BYTES:]]
    else:
        size = source.stat().st_size
        with source.open("rb") as file:
            head = file.read(FINGERPRINT_BYTES)
            file.seek(max(0, size - FINGERPRINT_BYTES))
            parts = [str(size).encode(), head, file.read(FINGERPRINT_BYTES)]
    return hashlib.blake2b(b"".join(parts), digest_size=16).digest()


@dataclass(frozen=True)
class Origin:
    """What a COCO file says of a split that nothing learns from: ids by which others refer to it, and areas.

    A conversion to COCO writes them again, and results that refer to the ids are judged. They are no part of a
    fingerprint, and of no sample.

    Attributes:
        image_ids: N, the id of each image: a number or text.
        category_ids: Label by the id of its category; several ids may stand for one class.
        areas: N times the area of each object in pixels squared, such as that of its outline; None where the file
            states none.
    """

    image_ids: Sequence[int | str]
    category_ids: Mapping[int | str, int]
    areas: Sequence[Sequence[float | None]]


@dataclass(frozen=True)
class Split:
    """One split: images, their targets, and what each image is called.

    Attributes:
        images: uint8 (N, C, H, W), or any `Images`.
        targets: By name, N long each; "label" is an int64 tensor.
        names: N names for messages and reports; () makes them from the index.
        origin: Ids and areas of the COCO file that it was read from; None for other data.
    """

    images: Images
    targets: Mapping[str, Any] = field(default_factory=dict)
    names: Sequence[str] = ()
    origin: Origin | None = None

    def __post_init__(self) -> None:
        aligned: dict[str, Any] = {**self.targets, **({"names": self.names} if self.names else {})}
        if self.origin is not None:
            aligned |= {"image_ids": self.origin.image_ids, "areas": self.origin.areas}
        for name, values in aligned.items():
            if len(values) != len(self.images):
                raise DataError(f"{len(self.images)} images but {len(values)} entries of '{name}'")

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Sample:
        """Return a sample: the image as a tv_tensor (C, H, W) uint8, and each of its targets."""
        targets = {
            name: int(values[index]) if name == "label" else values[index] for name, values in self.targets.items()
        }
        return {"image": tv_tensors.Image(self.images[index]), **targets}

    def __repr__(self) -> str:
        return f"Split({len(self):,} images{''.join(f', {name}' for name in self.targets)})"

    @property
    def labels(self) -> Tensor:
        """Class indices, int64 (N,).

        Raises:
            DataError: The split has no labels.
        """
        if "label" not in self.targets:
            raise DataError("these images have no labels")
        labels = self.targets["label"]
        assert isinstance(labels, Tensor)
        return labels

    def name(self, index: int) -> str:
        """Return what image `index` is called in messages."""
        if self.names:
            return self.names[index]
        return self.images.name(index) if isinstance(self.images, FileImages) else f"#{index}"

    def subset(self, indices: Sequence[int] | Tensor) -> Split:
        """Return the samples at some indices, in that order; nothing is decoded."""
        index = torch.as_tensor(indices, dtype=torch.int64)
        positions: list[int] = index.tolist()
        origin = self.origin
        if origin is not None:
            image_ids, areas = [origin.image_ids[i] for i in positions], [origin.areas[i] for i in positions]
            origin = Origin(image_ids, origin.category_ids, areas)
        return Split(
            images=take_items(self.images, positions),
            targets={name: take_items(values, positions) for name, values in self.targets.items()},
            names=[self.name(i) for i in positions],
            origin=origin,
        )

    def digest(self) -> str:
        """Return a hash of every image and target (of files: size, first and last 64 KiB)."""
        hasher = hashlib.blake2b(digest_size=16)
        for values in (self.images, *(self.targets[name] for name in sorted(self.targets))):
            if isinstance(values, Tensor):
                hasher.update(str(tuple(values.shape)).encode())
                hasher.update(values.contiguous().numpy().data)
            elif isinstance(values, Lazy):
                for i in range(len(values)):
                    hasher.update(values.digest(i))
            else:
                for i in range(len(values)):
                    value = np.asarray(values[i])
                    # With shapes: a box that moves from one image to the next is another content.
                    hasher.update(f"{value.dtype.str}{value.shape}".encode())
                    hasher.update(value.tobytes())
        return hasher.hexdigest()


def take_items(values: Any, positions: list[int]) -> Any:
    """Return the images or targets at some positions, in a container of the same kind; nothing is decoded."""
    if isinstance(values, Tensor):
        return values[torch.as_tensor(positions, dtype=torch.int64)]
    if isinstance(values, Lazy):
        return values.take(positions)
    if isinstance(values, Sequence):
        return [values[i] for i in positions]
    return _Subset(values, positions)


@dataclass(frozen=True)
class _Subset:
    """Some of the images of a source that is neither a tensor nor files, such as another library's data set."""

    images: Images
    positions: list[int]

    def __len__(self) -> int:
        return len(self.positions)

    def __getitem__(self, index: int) -> Tensor:
        return self.images[self.positions[index]]


@dataclass(frozen=True)
class Dataset:
    """A data set: splits "train", "val" and "test" (those that there are) and the classes' names.

    Attributes:
        name: What it is called: a built-in name, or the last part of its path.
        splits: The splits by name.
        classes: Class names; label k is `classes[k]`. Empty for data without labels.
        format: Name of the format that read it, or "memory".
        source: Where it was read from, if from a path or by name.
        notes: What a reader should know of how it was made, such as a split that was drawn here.
        mask_classes: Names of the values of the target "mask": value k is `mask_classes[k]`, 255 no class at all.
            Empty for data without it.
    """

    name: str
    splits: Mapping[str, Split]
    classes: tuple[str, ...] = ()
    format: str = "memory"
    source: str | None = None
    notes: tuple[str, ...] = ()
    mask_classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for split_name, split in self.splits.items():
            if "label" in split.targets and len(split):
                low, high = int(split.labels.min()), int(split.labels.max())
                if low < 0 or high >= len(self.classes):
                    wrong = low if low < 0 else high
                    first = int((split.labels == wrong).nonzero()[0])
                    raise DataError(
                        f"{self.name}: image {split.name(first)} of split '{split_name}' has label {wrong}; "
                        f"with {len(self.classes)} classes, labels go from 0 to {len(self.classes) - 1}"
                    )

    def __getitem__(self, split: str) -> Split:
        """Return a split by name.

        Raises:
            UsageError: The data set has no such split.
        """
        if not isinstance(split, str):
            raise UsageError(
                f"{self.name}[{split!r}]: a data set has splits, and these have images: "
                f"data['{next(iter(self.splits), 'train')}'][0]; its splits are {', '.join(self.splits)}"
            )
        if split not in self.splits:
            raise unknown(f"split of {self.name}", split, self.splits)
        return self.splits[split]

    @cached_property
    def fingerprint(self) -> str:
        """A hash of the content of all splits, their names, the classes and those of masks: 32 hexadecimal digits."""
        parts = [f"{name}:{self.splits[name].digest()}" for name in sorted(self.splits)]
        if self.mask_classes:
            parts.append(f"masks:{'|'.join(self.mask_classes)}")
        return hashlib.blake2b("|".join([*self.classes, *parts]).encode(), digest_size=16).hexdigest()

    @cached_property
    def channels(self) -> int:
        """1 if every image is grey, else 3 (headers are read, nothing is decoded)."""
        return max((_channels(split.images) for split in self.splits.values() if len(split)), default=3)

    def with_val(self, fraction: float = 0.1, *, seed: int = 0) -> Dataset:
        """Return the data set with a validation split: its own, or one drawn from train, stratified and seeded.

        Args:
            fraction: Part of train, in [0, 1); at most 5,000 images are taken. 0 draws none.
            seed: Of the draw; the same seed draws the same images.
        """
        if "val" in self.splits or fraction == 0:
            return self
        train = self["train"]
        count = min(MAX_VAL, round(len(train) * fraction))
        counts = torch.bincount(train.labels, minlength=len(self.classes)) if "label" in train.targets else None
        if count < 1 or len(train) - count < 1:
            raise DataError(
                f"{self.name} has {len(train)} training images: too few to set {fraction:.0%} aside for validation; "
                "add images, or give --val-fraction 0"
            )
        chosen = _draw(train, count, counts, seed)
        mask = torch.zeros(len(train), dtype=torch.bool)
        mask[chosen] = True
        notes = [f"no val split: {int(mask.sum()):,} of {len(train):,} training images set aside for it (seed {seed})"]
        if isinstance(train.images, FileImages):
            from pixelry.data.sequences import sequence_note  # which reads images of data sets

            names = [Path(train.name(index)).as_posix() for index in range(len(train))]
            notes += filter(None, [sequence_note(names, train.images)])
        splits = {
            **self.splits,
            "train": train.subset((~mask).nonzero().flatten()),
            "val": train.subset(mask.nonzero().flatten()),
        }
        return replace(self, splits=splits, notes=(*self.notes, *notes))

    @verb
    def show(self, split: str | None = None, *, per_class: int = 8, seed: int = 0) -> Sheet:
        """Return a sheet of images, class by class, which shows itself in a notebook and can be saved.

        Args:
            split: Which of the splits; by default the training split, or the first where there is none.
            per_class: Images of each class.
            seed: Of the choice of images.

        Raises:
            UsageError: There is no such split, or it has no images.
            ImageError: An image that was chosen cannot be read.
        """
        from pixelry.data.sheet import dataset_sheet

        name = split or ("train" if "train" in self.splits else next(iter(self.splits), "train"))
        image = dataset_sheet(self, split=name, per_class=per_class, seed=seed)
        return Sheet(image, f"{self.name}, {name}")

    def _repr_html_(self) -> str:
        from pixelry.data.preview import dataset_card

        return dataset_card(self)

    def __repr__(self) -> str:
        from pixelry.data.preview import contents

        more = len(self.classes) - MAX_NAMES
        names = ", ".join(self.classes[:MAX_NAMES]) + (f", and {more:,} more" if more > 0 else "")
        return f"Dataset({self.describe()}{f': {names}' if names else ''}; {contents(self)})"

    def describe(self) -> str:
        """Return one line: name, format, images by split, classes."""
        sizes = ", ".join(f"{len(split):,} {name}" for name, split in self.splits.items())
        classes = f", {len(self.classes)} classes" if self.classes else ""
        return f"{self.name} ({self.format}): {sizes}{classes}"


def _draw(train: Split, count: int, counts: Tensor | None, seed: int) -> np.ndarray:
    """Draw `count` indices, stratified by label where each class can spare one."""
    generator = np.random.default_rng(seed)
    if counts is None:
        return generator.permutation(len(train))[:count]
    order = generator.permutation(len(train))
    labels = train.labels.numpy()[order]
    # Within each class, in the random order, the k-th of n gets the key (k + 1/2) / n: the smallest keys over all
    # classes are a sample whose proportions are the classes', rounded; no class is emptied below half.
    keys = np.empty(len(train))
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        keys[members] = (np.arange(len(members)) + 0.5 + generator.random() * 1e-6) / len(members)
    return order[np.argsort(keys, kind="stable")[:count]]


def _channels(images: Images) -> int:
    if isinstance(images, Tensor):
        return int(images.shape[1])
    if isinstance(images, FileImages) and images.channels is not None:
        return images.channels
    if isinstance(images, FileImages):
        from pixelry.pixels import read_header

        return max(read_header(source).channels for source in images.sources)
    return max(int(images[i].shape[0]) for i in range(min(len(images), 64)))


Progress = Callable[[int, int], None]


def require_labels(dataset: Dataset) -> None:
    """Raise a clear error unless the data set can train a classifier."""
    if not dataset.classes:
        raise DataError(f"{dataset.name} has no class labels; classification needs them")
    if len(dataset.classes) < 2:
        raise DataError(
            f"{dataset.name} has one class, '{dataset.classes[0]}'; a classifier needs at least two: "
            "one folder for each class"
        )
    if "train" not in dataset.splits or not len(dataset["train"]):
        raise UsageError(f"{dataset.name} has no training images (splits: {', '.join(dataset.splits)})")
