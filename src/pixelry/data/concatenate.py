"""Several splits as one, so that all images of a data set can be divided anew."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from pixelry.data.dataset import FileImages, Lazy, Origin, Split, take_items
from pixelry.data.masks import FileMasks, InstanceFiles
from pixelry.data.outlines import Outlines

# Fields with an entry for each image; all other fields of two parts must be equal.
PER_IMAGE: Mapping[type, tuple[str, ...]] = {
    FileImages: ("sources", "names"),
    FileMasks: ("files", "images"),
    InstanceFiles: ("files", "values", "images"),
    Outlines: ("images", "sizes", "segments", "ids", "left_out"),
}


def concatenate(splits: Sequence[Split]) -> Split:
    """Return one split with the images of several, one split after the other; nothing is decoded.

    A target that one of the splits lacks is left out.
    """
    splits = [split for split in splits if len(split)] or list(splits[:1])
    if len(splits) == 1:
        return splits[0]
    shared = [name for name in splits[0].targets if all(name in split.targets for split in splits)]
    return Split(
        images=_joined([split.images for split in splits]),
        targets={name: _joined([split.targets[name] for split in splits]) for name in shared},
        names=[split.name(i) for split in splits for i in range(len(split))],
        origin=_origin([split.origin for split in splits]),
    )


def _origin(origins: Sequence[Origin | None]) -> Origin | None:
    """Return the ids and areas of all parts; None where a part has none, or other ids of categories."""
    known = [origin for origin in origins if origin is not None]
    if len(known) < len(origins) or any(one.category_ids != known[0].category_ids for one in known):
        return None
    ids = [key for one in known for key in one.image_ids]
    return Origin(ids, known[0].category_ids, [areas for one in known for areas in one.areas])


def _joined(parts: Sequence[Any]) -> Any:
    first = parts[0]
    if all(isinstance(part, Tensor) and part.shape[1:] == first.shape[1:] for part in parts):
        return torch.cat(list(parts))
    if (whole := _same_kind(parts)) is not None:
        return whole
    if all(isinstance(part, Sequence) for part in parts):
        return [value for part in parts for value in part]
    places = [(number, i) for number, part in enumerate(parts) for i in range(len(part))]
    return Joined(tuple(parts), tuple(places))


def _same_kind(parts: Sequence[Any]) -> Any | None:
    """Return containers of one kind as one; None where they differ in more than their images."""
    if type(parts[0]) not in PER_IMAGE or any(type(part) is not type(parts[0]) for part in parts):
        return None
    columns = PER_IMAGE[type(parts[0])]
    values = {name: [list(getattr(part, name)) for part in parts] for name in columns}
    # () means "without": all parts have the column, or none has.
    if any(len({bool(value) for value in column}) > 1 for column in values.values()):
        return None
    merged = {name: [item for value in column for item in value] or () for name, column in values.items()}
    first = replace(parts[0], **merged)
    return first if all(replace(part, **merged) == first for part in parts) else None


@dataclass(frozen=True)
class Joined:
    """Images or targets of several sources, read on access.

    Attributes:
        parts: The sources.
        places: (number of the source, index in it) of each entry.
    """

    parts: tuple[Any, ...]
    places: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> Any:
        number, position = self.places[index]
        return self.parts[number][position]

    def take(self, positions: Sequence[int]) -> Any:
        """Return the entries at some positions; entries of one source alone are of its kind again."""
        places = [self.places[i] for i in positions]
        numbers = {number for number, _ in places}
        if len(numbers) == 1:
            return take_items(self.parts[numbers.pop()], [position for _, position in places])
        return Joined(self.parts, tuple(places))

    def digest(self, index: int) -> bytes:
        """Return a hash of an entry."""
        number, position = self.places[index]
        part = self.parts[number]
        if isinstance(part, Lazy):
            return part.digest(position)
        value = torch.as_tensor(part[position])
        content = f"{value.dtype}{tuple(value.shape)}".encode() + value.contiguous().numpy().tobytes()
        return hashlib.blake2b(content, digest_size=16).digest()
