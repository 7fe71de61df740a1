"""From splits to batches: uint8 (B, C, H, W) of one size, in an order that depends only on seed and step.

Small data lies in memory as one tensor and a batch is one indexing operation: no workers, no per-sample Python.
Larger data streams through a DataLoader. Both take their indices from `SeededBatches`, a pure function of (seed,
epoch), so that a run that was killed finds its place again without having stored any state.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.transforms.v2 import functional as F

from pixelry.data.dataset import FileImages, Images, Split, to_channels
from pixelry.data.pairs import Pairs
from pixelry.errors import DataError, ImageError, PixelryError
from pixelry.machine import available_cores

Batch = dict[str, Any]

MEMORY_LIMIT = 2**30  # bytes of uint8 pixels; above it data streams
DECODE_CHUNK = 512


class Fit(Protocol):
    """Brings uint8 (C, h, w), or several of one size, to (height, width); it can be pickled."""

    def __call__(self, image: Tensor, *, size: tuple[int, int]) -> Tensor:
        """Return (C, height, width)."""


def fit_image(image: Tensor, *, size: tuple[int, int]) -> Tensor:
    """Scale an image so that it covers `size` and crop the centre: uint8 (C, h, w) to (C, H, W).

    Bilinear with antialiasing, as torchvision's ImageNet evaluation does; an image of the size comes back as it is.
    """
    height, width = size
    h, w = image.shape[-2:]
    if (h, w) == size:
        return image
    scale = max(height / h, width / w)
    scaled = [max(height, round(h * scale)), max(width, round(w * scale))]
    if scaled != [h, w]:
        image = F.resize(image, scaled, antialias=True)
    return F.center_crop(image, [height, width])


def prepare(
    split: Split,
    *,
    size: tuple[int, int],
    channels: int,
    fit: Fit = fit_image,
    memory: int = MEMORY_LIMIT,
) -> Split:
    """Return the split with images of one size and channel count, in memory where they fit.

    Args:
        split: Any split.
        size: (height, width) at the network.
        channels: 1 or 3.
        fit: Brings an image to the size.
        memory: At most so many bytes are held; a larger split stays as it is, to be fitted while it streams.

    Raises:
        DataError: An image cannot be read; it is named.
    """
    count = len(split)
    if isinstance(split.images, Tensor) and tuple(split.images.shape[1:]) == (channels, *size):
        return split
    if count * channels * size[0] * size[1] > memory:
        return Split(_Fitted(split.images, size, channels, fit), split.targets, split.names)
    pixels = torch.empty(count, channels, *size, dtype=torch.uint8)
    if isinstance(split.images, Tensor):
        for start in range(0, count, DECODE_CHUNK):
            chunk = split.images[start : start + DECODE_CHUNK]
            pixels[start : start + DECODE_CHUNK] = fit(to_channels(chunk, channels), size=size)
        return Split(pixels, split.targets, split.names)

    def decode(index: int) -> None:
        pixels[index] = _fitted(split.images, index, size, channels, fit)

    # Threads: Pillow and torch release the interpreter lock where the time goes.
    with ThreadPoolExecutor(available_cores()) as pool:
        for _ in pool.map(decode, range(count), chunksize=64):
            pass
    names = split.names or [split.name(i) for i in range(count)]
    return Split(pixels, split.targets, names)


def _fitted(images: Images, index: int, size: tuple[int, int], channels: int, fit: Fit) -> Tensor:
    try:
        return fit(to_channels(images[index], channels), size=size)
    except ImageError as error:
        raise DataError(f"{error}; `pixelry data check` lists every image that cannot be read") from None


@dataclass(frozen=True)
class _Fitted:
    """Images brought to one size and channel count as they are read."""

    images: Images
    size: tuple[int, int]
    channels: int
    fit: Fit = fit_image

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> Tensor:
        return _fitted(self.images, index, self.size, self.channels, self.fit)


@dataclass(frozen=True)
class Windows:
    """Images in memory of which every batch sees other parts of one size, at random places.

    So a network does not always meet a part of a picture at the same place of its coarse grids, and with the same ends.

    Attributes:
        pixels: uint8 (N, C, H, W).
        size: (height, width) of the parts, at most H and W.
    """

    pixels: Tensor
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> Tensor:
        """Return the part (C, height, width) in the middle of an image."""
        return F.center_crop(self.pixels[index], list(self.size))

    def parts(self, indices: list[int], generator: torch.Generator) -> Tensor:
        """Return a part of each image that is named, uint8 (B, C, height, width)."""
        (height, width), (high, wide) = self.size, self.pixels.shape[-2:]
        tops = torch.randint(high - height + 1, (len(indices),), generator=generator).tolist()
        lefts = torch.randint(wide - width + 1, (len(indices),), generator=generator).tolist()
        places = zip(indices, tops, lefts, strict=True)
        return torch.stack([self.pixels[i, :, top : top + height, left : left + width] for i, top, left in places])


@runtime_checkable
class OfSizes(Protocol):
    """Images, read on access, that know which sizes (height, width) they come in."""

    sizes: frozenset[tuple[int, int]]


def native_size(split: Split) -> tuple[int, int] | None:
    """Return (height, width) if all images of a split have the same, else None; only headers are read."""
    images = split.images.noisy if isinstance(split.images, Pairs) else split.images
    if isinstance(images, Tensor):
        return int(images.shape[-2]), int(images.shape[-1])
    if isinstance(images, OfSizes):
        return next(iter(images.sizes)) if len(images.sizes) == 1 else None
    if isinstance(images, FileImages):
        from pixelry.pixels import read_header

        sizes = set()
        for source in images.sources:
            header = read_header(source)
            sizes.add((header.height, header.width))
            if len(sizes) > 1:
                return None
        return sizes.pop() if sizes else None
    shapes = {images[i].shape for i in range(min(len(images), 64))}
    sizes = {(int(shape[-2]), int(shape[-1])) for shape in shapes}
    return sizes.pop() if len(sizes) == 1 else None


def to_float(images: Tensor) -> Tensor:
    """Return images as float32 in [0, 1]: uint8 is divided by 255, floats come back as they are."""
    return images if images.is_floating_point() else images.float().div_(255)


class SeededBatches:
    """Indices of each batch, as a pure function of seed and epoch.

    Args:
        count: Number of samples.
        batch: Samples a batch over all ranks.
        seed: Of the order; None keeps the order and the last, smaller batch (evaluation).
        start: Step at which to begin (training); its epoch and place in it follow from `count` and `batch`.
        rank: This process of `world` processes, which share each batch.
        world: Number of processes.
    """

    def __init__(
        self,
        count: int,
        batch: int,
        *,
        seed: int | None = None,
        start: int = 0,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        self.count, self.seed, self.rank, self.world = count, seed, rank, world
        # Fewer samples than a batch: the batch is all of them.
        self.batch = max(world, min(batch, count) // world * world) if seed is not None else batch
        self.next_step = start

    @property
    def steps(self) -> int:
        """Batches an epoch; in training the remainder waits for the next epoch's other order.

        In evaluation those of this process alone.
        """
        if self.seed is not None:
            return self.count // self.batch
        return -(-len(range(self.rank, self.count, self.world)) // self.batch)

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[list[int]]:
        """Yield the batches of one epoch: of the first one, those that are left from `start` on."""
        if self.seed is None:
            # Evaluation: whole batches of what is this process's own.
            order = torch.arange(self.rank, self.count, self.world)
            for step in range(self.steps):
                yield order[step * self.batch : (step + 1) * self.batch].tolist()
            return
        epoch, first = divmod(self.next_step, self.steps)
        generator = torch.Generator().manual_seed(mix_seed(self.seed, epoch))
        order = torch.randperm(self.count, generator=generator)
        steps = self.steps
        self.next_step = (epoch + 1) * steps
        for step in range(first, steps):
            yield order[step * self.batch : (step + 1) * self.batch][self.rank :: self.world].tolist()


def mix_seed(*parts: int) -> int:
    """Return a 63-bit seed from several integers; close inputs give unrelated seeds (SplitMix64)."""
    state = 0
    for part in parts:
        state = (state + part + 0x9E3779B97F4A7C15) & (2**64 - 1)
        state = ((state ^ (state >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        state = ((state ^ (state >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        state ^= state >> 31
    return state >> 1


def generator_for(*parts: int) -> torch.Generator:
    """Return a generator, on the CPU, of several integers, such as a seed and an image's number."""
    return torch.Generator().manual_seed(mix_seed(*parts))


class MemoryLoader:
    """Batches of a split that lies in memory: each one indexing operation."""

    def __init__(self, split: Split, batches: SeededBatches) -> None:
        self.split, self.batches = split, batches

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[Batch]:
        for step, indices in enumerate(self.batches, self.batches.next_step):
            yield _take(self.split, indices, step, self.batches)


def _take(split: Split, indices: list[int], step: int, batches: SeededBatches) -> Batch:
    index, images = torch.tensor(indices), split.images
    if isinstance(images, Windows):
        images = images.parts(indices, generator_for(batches.seed or 0, step, batches.rank))
    else:
        assert isinstance(images, Tensor)
        images = images[index]
    batch: Batch = {"image": images, "index": index}
    for name, values in split.targets.items():
        batch[name] = values[index] if isinstance(values, Tensor) else [values[i] for i in indices]
    return batch


class _Samples(torch.utils.data.Dataset[Batch]):
    """A split as torch's DataLoader wants it."""

    def __init__(self, split: Split) -> None:
        self.split = split

    def __len__(self) -> int:
        return len(self.split)

    def __getitem__(self, index: int) -> Batch:
        try:
            return self._sample(index)
        except PixelryError as error:
            # Raised here, in a worker process, it would reach the user inside of a traceback.
            return {"error": error}

    def _sample(self, index: int) -> Batch:
        targets = {name: values[index] for name, values in self.split.targets.items()}
        return {"image": self.split.images[index], "index": index, **targets}


class StreamLoader:
    """Batches that worker processes read; an image that cannot be read is raised as the error that it is."""

    def __init__(self, loader: DataLoader[Batch]) -> None:
        self.loader = loader

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[Batch]:
        batches = iter(self.loader)
        for batch in batches:
            if "error" in batch:
                # Left to the garbage collector, the workers are waited for in vain, for seconds.
                if self.loader.num_workers:
                    batches._shutdown_workers()  # type: ignore[attr-defined]  # torch has no public name for it
                raise batch["error"]
            yield batch


Loader = MemoryLoader | StreamLoader


def make_loader(split: Split, batches: SeededBatches, *, workers: int | None = None) -> Loader:
    """Return batches of a prepared split: from memory, or streamed by worker processes.

    Args:
        split: What `prepare` returned.
        batches: The order.
        workers: Processes that decode; None takes one a core, 0 decodes in this process.
    """
    if isinstance(split.images, Tensor | Windows):
        return MemoryLoader(split, batches)
    count = available_cores() if workers is None else workers
    loader = DataLoader(
        _Samples(split),
        batch_sampler=batches,
        num_workers=count,
        persistent_workers=count > 0,
        collate_fn=partial(_collate),
    )
    return StreamLoader(loader)


def _collate(samples: list[Batch]) -> Batch:
    broken = next((sample for sample in samples if "error" in sample), None)
    if broken:
        return broken
    batch: Batch = {}
    for name in samples[0]:
        values = [sample[name] for sample in samples]
        if not isinstance(values[0], Tensor):
            batch[name] = torch.as_tensor(values)
        else:
            # True masks are as large as their pictures were, and these differ.
            same = all(value.shape == values[0].shape for value in values)
            batch[name] = torch.stack(values) if same else values
    return batch


def eval_batch(size: tuple[int, int]) -> int:
    """Return how many images to evaluate at once: some 2 million pixels, between 1 and 512 images."""
    return max(1, min(512, 2**21 // (size[0] * size[1])))
