"""Image sequences by their names: frames of a video share a stem and differ in a number."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from pixelry.data.dataset import Images, to_channels
from pixelry.data.formats._shared import split_of
from pixelry.errors import ImageError

# Numbered images of one stem that make a sequence: fewer are a coincidence.
MIN_FRAMES = 5
# Share of the images that belong to sequences in data that is called a set of sequences.
MIN_SHARE = 0.8
# Pairs of images that are compared to tell videos from photographs with numbers.
PAIRS = 24
SIDE = 32
# Of videos such as CamVid (one frame a second, from a moving car) neighbors differ at most half as much as other
# frames; of numbered photographs they differ as much.
MAX_RATIO = 0.6


@dataclass(frozen=True)
class Sequences:
    """What the names of N images say.

    Attributes:
        names: (N,) the sequence of each image: folder and stem with `#` for the number. Folders that are
            called after splits are left out: one video may be in several.
        numbers: (N,) the number of each image within its sequence, -1 for a name without a number.
    """

    names: tuple[str, ...]
    numbers: tuple[int, ...]

    @property
    def sizes(self) -> Counter[str]:
        """Images of each sequence."""
        return Counter(self.names)

    @property
    def plausible(self) -> bool:
        """Whether most images belong to a sequence of five or more."""
        in_sequences = sum(size for name, size in self.sizes.items() if size >= MIN_FRAMES and "#" in name)
        return bool(self.names) and in_sequences >= MIN_SHARE * len(self.names)

    def order(self) -> NDArray[np.int64]:
        """Return the images by sequence and number, (N,) indices."""
        return np.array(sorted(range(len(self.names)), key=lambda i: (self.names[i], self.numbers[i], i)), np.int64)


def find_sequences(names: Sequence[str]) -> Sequences:
    """Return the sequence and the number of each image, by its name.

    The number is the last run of digits in a name, or the last but one where that gives fewer sequences, as in
    KITTI's `000123_10.png`.

    Args:
        names: Paths with slashes, such as "seq01/seq01_000123.png".

    Examples:
        >>> find_sequences(["0001TP_006690.png", "0001TP_006720.png"]).names
        ('0001TP_#', '0001TP_#')
    """
    last, last_but_one = (_split_names(names, place) for place in (-1, -2))
    return last_but_one if len(last_but_one.sizes) < len(last.sizes) else last


def _split_names(names: Sequence[str], place: int) -> Sequences:
    stems, numbers = [], []
    for name in names:
        *folders, file = name.split("/")
        folder = "/".join(part for part in folders if split_of(part) is None)
        stem = file.rsplit(".", 1)[0]
        runs = list(re.finditer(r"\d+", stem))
        if len(runs) < -place or name.startswith("#"):  # "#3" is the name of an image in an array
            stems.append(f"{folder}/{stem}".lstrip("/"))
            numbers.append(-1)
            continue
        run = runs[place]
        stems.append(f"{folder}/{stem[: run.start()]}#{stem[run.end() :]}".lstrip("/"))
        numbers.append(int(run[0]))
    return Sequences(tuple(stems), tuple(numbers))


def looks_like_video(images: Images, sequences: Sequences, *, seed: int = 0) -> bool:
    """Return whether neighbors in the sequences look more alike than other images of the same sequence.

    At most 48 pairs of images are read; images that cannot be read are passed over.

    Args:
        images: N images.
        sequences: Of their names.
        seed: Of the choice of pairs.
    """
    if not sequences.plausible:
        return False
    thumbs: dict[int, Tensor | None] = {}

    def thumbnail(index: int) -> Tensor | None:
        if index not in thumbs:
            try:
                pixels = to_channels(images[index], 3)[None].float()
            except ImageError:
                thumbs[index] = None
            else:
                thumbs[index] = interpolate(pixels, (SIDE, SIDE), mode="bilinear", antialias=True)[0]
        return thumbs[index]

    return _neighbors_are_alike(sequences, thumbnail, np.random.default_rng(seed))


def _neighbors_are_alike(
    sequences: Sequences, thumbnail: Callable[[int], Tensor | None], generator: np.random.Generator
) -> bool:
    order, names = sequences.order(), sequences.names
    neighbors = [(int(a), int(b)) for a, b in pairwise(order) if names[a] == names[b]]
    members: dict[str, list[int]] = {}
    for index in order.tolist():
        members.setdefault(names[index], []).append(index)
    near, far = [], []
    for k in generator.permutation(len(neighbors))[:PAIRS]:
        first, second = neighbors[k]
        other = int(generator.choice(members[names[first]]))
        images = [thumbnail(index) for index in (first, second, other)]
        if other in (first, second) or any(image is None for image in images):
            continue
        here, following, elsewhere = (image for image in images if image is not None)
        near.append(float((here - following).abs().mean()))
        far.append(float((here - elsewhere).abs().mean()))
    return len(near) >= MIN_FRAMES and bool(np.median(near) < MAX_RATIO * np.median(far))


def sequence_note(names: Sequence[str], images: Images) -> str | None:
    """Return what to say of a random split where images look like frames of videos; None where they do not."""
    sequences = find_sequences(names)
    if not looks_like_video(images, sequences):
        return None
    count = len(sequences.sizes)
    what = "a video" if count == 1 else f"{count:,} videos"
    return (
        f"the images look like frames of {what} ({next(iter(sequences.sizes))}): neighboring frames in train and in "
        "validation flatter the scores; `pixelry data split --by sequence` makes a split that keeps them apart"
    )


__all__ = ["Sequences", "find_sequences", "looks_like_video", "sequence_note"]
