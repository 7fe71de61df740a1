"""One pass over a data set: what each image measures, a hash of its pixels, and a thumbnail.

Every image is decoded once, by all cores, and forgotten: what stays is some 800 bytes an image.
"""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from pixelry.data.dataset import Dataset, FileImages, Images, Split, to_channels
from pixelry.errors import ImageError
from pixelry.machine import available_cores

# Of a thumbnail in pixels: a model on 16 x 16 digits is as good as one on 28 x 28.
SIDE = 16
# Images between two looks at the results: bounds the memory of a long pass.
CHUNK = 1024


@dataclass(frozen=True)
class Failure:
    """An image that cannot be read.

    Attributes:
        position: In the scan.
        message: Why.
        empty: The file has no bytes at all.
    """

    position: int
    message: str
    empty: bool


@dataclass(frozen=True)
class Scan:
    """What one pass over a data set of N images learns; the splits follow one another.

    Attributes:
        dataset: That was read.
        starts: Position of each split's first image, by name.
        labels: (N,) class index, -1 where there is none.
        shapes: (N, 3): channels, height and width; 0 where an image cannot be read.
        blank: (N,) every channel has one value only.
        digests: (N,) 64 bits of BLAKE2b over shape and decoded pixels.
        thumbs: (N, C, 16, 16) uint8, C 1 if all images are grey, else 3.
        failures: The images that cannot be read.
    """

    dataset: Dataset
    starts: dict[str, int]
    labels: NDArray[np.int64]
    shapes: NDArray[np.int32]
    blank: NDArray[np.bool_]
    digests: NDArray[np.uint64]
    thumbs: Tensor
    failures: tuple[Failure, ...]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(N,) which images can be read."""
        readable: NDArray[np.bool_] = self.shapes[:, 0] > 0
        return readable

    def range(self, split: str) -> range:
        """Return the positions of a split's images."""
        return range(self.starts[split], self.starts[split] + len(self.dataset.splits[split]))

    def place(self, position: int) -> tuple[str, int]:
        """Return the split and the index in it of the image at a position."""
        split = next(name for name in self.starts if position in self.range(name))
        return split, position - self.starts[split]

    def named(self, position: int) -> tuple[str, str]:
        """Return the split and the name of the image at a position."""
        split, index = self.place(position)
        return split, self.dataset.splits[split].name(index)

    def image(self, position: int) -> Tensor:
        """Read the image at a position again: uint8 (C, H, W)."""
        split, index = self.place(position)
        return self.dataset.splits[split].images[index]


def scan_dataset(dataset: Dataset) -> Scan:
    """Read every image of a data set once.

    Images that cannot be read are listed in `failures`; nothing is raised for them.
    """
    starts, count = {}, 0
    for name, split in dataset.splits.items():
        starts[name], count = count, count + len(split)
    channels = max((_channels(split.images) for split in dataset.splits.values()), default=1)
    scan = Scan(
        dataset,
        starts,
        labels=np.concatenate([np.empty(0, np.int64), *map(_labels, dataset.splits.values())]),
        shapes=np.zeros((count, 3), np.int32),
        blank=np.zeros(count, np.bool_),
        digests=np.zeros(count, np.uint64),
        thumbs=torch.zeros(count, channels, SIDE, SIDE, dtype=torch.uint8),
        failures=(),
    )
    failures: list[Failure] = []
    for name, split in dataset.splits.items():
        failures += _read_split(scan, split.images, starts[name])
    thumbs = scan.thumbs if (scan.shapes[:, 0] == 3).any() else scan.thumbs[:, :1]
    return replace(scan, thumbs=thumbs, failures=tuple(failures))


def _channels(images: Images) -> int:
    """Channels that the thumbnails need; 3 where only reading would tell."""
    if isinstance(images, Tensor):
        return 1 if images.ndim == 4 and images.shape[1] == 1 else 3
    return 1 if isinstance(images, FileImages) and images.channels == 1 else 3


def _labels(split: Split) -> NDArray[np.int64]:
    if "label" in split.targets:
        return np.asarray(split.labels.numpy(), dtype=np.int64)
    return np.full(len(split), -1, dtype=np.int64)


def _read_split(scan: Scan, images: Images, start: int) -> list[Failure]:
    chunks = [range(first, min(first + CHUNK, len(images))) for first in range(0, len(images), CHUNK)]
    if isinstance(images, Tensor) and _is_regular(images):
        for chunk in chunks:
            _record(scan, images[chunk.start : chunk.stop], start + chunk.start)
        return []

    def read(index: int) -> Failure | None:
        try:
            _record(scan, _checked(images[index])[None], start + index)
        except Exception as error:
            # A reader may raise anything; whatever it is, it belongs to this image, and the user wants all of them.
            message = str(error) or type(error).__name__
            return Failure(start + index, message, _has_no_bytes(images, index))
        return None

    # Threads: decoders, torch and hashlib release the interpreter lock where the time goes.
    with ThreadPoolExecutor(available_cores()) as pool:
        return [failure for chunk in chunks for failure in pool.map(read, chunk) if failure]


def _is_regular(images: Tensor) -> bool:
    shape = images.shape
    return images.dtype == torch.uint8 and images.ndim == 4 and shape[1] in (1, 3) and 0 not in shape


def _checked(image: Tensor) -> Tensor:
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] not in (1, 3) or 0 in image.shape:
        shape, dtype = tuple(image.shape), str(image.dtype).removeprefix("torch.")
        raise ImageError(f"expected uint8 pixels (1 or 3, height, width); got {dtype} {shape}")
    return image


def _has_no_bytes(images: Images, index: int) -> bool:
    if not isinstance(images, FileImages):
        return False
    source = images.sources[index]
    if isinstance(source, Path):
        return source.is_file() and source.stat().st_size == 0
    return not source


def _record(scan: Scan, images: Tensor, first: int) -> None:
    """Note what is to know of some images of one shape, uint8 (n, C, H, W), from position `first` on."""
    here = slice(first, first + len(images))
    flat = images.flatten(2)
    scan.blank[here] = (flat.amax(2) == flat.amin(2)).all(1).numpy()
    shape = np.array(images.shape[1:], dtype=np.int32)
    thumbs = interpolate(images, (SIDE, SIDE), mode="bilinear", antialias=True)
    scan.thumbs[here] = to_channels(thumbs, scan.thumbs.shape[1])
    for offset, pixels in enumerate(images.contiguous().numpy()):
        digest = hashlib.blake2b(shape.tobytes(), digest_size=8)
        digest.update(pixels)
        scan.digests[first + offset] = int.from_bytes(digest.digest(), "little")
    # Last: a shape says that everything else is there too.
    scan.shapes[here] = shape
