"""How a data set is divided: options of `pixelry data split` become a list of splits."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from pixelry.data.assign import assign, assign_blocks, merge_groups
from pixelry.data.dataset import Dataset, Split
from pixelry.data.duplicates import exact_groups, near_groups
from pixelry.data.findings import counted, listed
from pixelry.data.scan import scan_dataset
from pixelry.data.sequences import Sequences, find_sequences, looks_like_video
from pixelry.data.split_list import Entry, list_entries, select, source_root
from pixelry.errors import DataError, UsageError, unknown

By = Literal["class", "random", "group", "sequence", "block"]
DEFAULT_SHARE = 0.1
# A split that is off by more than this part of all images is worth a note.
TOLERANCE = 0.03


@dataclass(frozen=True)
class SplitPlan:
    """How a data set is to be divided.

    Attributes:
        by: What images are divided by.
        val: Part of the images for validation; None takes 0.1 where the data has no such split.
        test: Part of the images for the test, likewise.
        pattern: Regular expression that finds an image's group in its name.
        groups: Group by the name of an image's file, from a column of a list.
        duplicates: Keep copies, exact and near, in one split.
        resplit: Divide all images anew, those of the data set's own splits included.
        seed: Of the draw.
    """

    by: By | None = None
    val: float | None = None
    test: float | None = None
    pattern: str | None = None
    groups: Mapping[str, str] | None = None
    duplicates: bool = True
    resplit: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        if self.by is not None and self.by not in get_args(By):
            raise unknown("way to split by", self.by, get_args(By))
        for name, share in (("val", self.val), ("test", self.test)):
            if share is not None and not 0 <= share < 1:
                raise UsageError(f"{name} is {share}; expected the part of the images, from 0 to less than 1, like 0.1")
        if (self.val or 0) + (self.test or 0) >= 1:
            raise UsageError(f"val {self.val} and test {self.test} leave nothing to train on; the sum must be below 1")
        grouped = self.pattern is not None or self.groups is not None
        if grouped and self.by not in (None, "group"):
            raise UsageError(f"a group pattern or column goes with --by group, not with --by {self.by}")
        if self.by == "group" and not grouped:
            raise UsageError(
                "--by group needs to know the groups: --group-pattern, a regular expression for names such as "
                "'patient\\d+', or --group-column, a column of the list of images"
            )


@dataclass
class _Draw:
    """The images that are divided, and what is found out about them."""

    dataset: Dataset
    entries: list[Entry]
    shares: dict[str, float]
    split: Split
    notes: list[str] = field(default_factory=list)


def split_dataset(dataset: Dataset, plan: SplitPlan) -> tuple[list[Entry], list[str]]:
    """Divide a data set.

    Returns:
        An entry for each image, with its split; and notes on how it was done.

    Raises:
        DataError: There is nothing to divide, a name has no group, or there are fewer groups than splits.
        UsageError: A split is asked for that the data set has.
    """
    entries = list_entries(dataset, source_root(dataset))
    own = [] if plan.resplit else [name for name in ("val", "test") if len(dataset.splits.get(name, ()))]
    shares = _shares(dataset, plan, own)
    fixed = [replace(entry, split=entry.source_split) for entry in entries if entry.source_split in own]
    drawn = [entry for entry in entries if entry.source_split not in own]
    places = _places(drawn)
    draw = _Draw(dataset, drawn, shares, select(dataset, places))
    if own:
        draw.notes.append(f"kept as they are in the data: {' and '.join(own)} (`--resplit` divides all images anew)")
    by = plan.by or ("group" if plan.pattern is not None or plan.groups is not None else "class")
    found = _by_block(draw) if by == "block" else _by_unit(draw, plan, by)
    divided = [replace(entry, split=name) for entry, name in zip(draw.entries, found, strict=True)]
    draw.notes += _absent_classes(divided) + _uneven(divided, shares)
    order = {(entry.source_split, index): entry for entry, (_, index) in zip(divided, places, strict=True)}
    kept = {(entry.source_split, index): entry for entry, (_, index) in zip(fixed, _places(fixed), strict=True)}
    everything = {**order, **kept}
    return [everything[place] for place in _places(entries)], draw.notes


def _places(entries: Sequence[Entry]) -> list[tuple[str, int]]:
    """Return (split, index in it) of entries that list whole splits in order."""
    seen: Counter[str] = Counter()
    places = []
    for entry in entries:
        places.append((entry.source_split, seen[entry.source_split]))
        seen[entry.source_split] += 1
    return places


def _shares(dataset: Dataset, plan: SplitPlan, own: Sequence[str]) -> dict[str, float]:
    """Return the part of the divided images for each split that is drawn, train first."""
    for name in own:
        if getattr(plan, name) is not None:
            raise UsageError(
                f"{dataset.name} has a {name} split of {counted(len(dataset[name]), 'image')}: leave --{name} out to "
                "keep it, or give --resplit to divide all images anew"
            )
    drawn = {name: share for name, share in (("val", plan.val), ("test", plan.test)) if name not in own}
    parts = {name: DEFAULT_SHARE if share is None else share for name, share in drawn.items()}
    parts = {name: share for name, share in parts.items() if share}
    if not parts:
        raise UsageError(
            f"nothing to do: {dataset.name} has {', '.join(dataset.splits)} already; --resplit divides all images anew"
        )
    return {"train": 1 - sum(parts.values()), **parts}


def _by_unit(draw: _Draw, plan: SplitPlan, by: str) -> list[str]:
    """Divide by units that stay together: groups, sequences, or single images; copies join units."""
    count = len(draw.entries)
    groups: list[Sequence[int] | NDArray[np.int64]] = []
    if by == "group":
        named = _named_groups(draw, plan)
        draw.entries = [replace(entry, group=name) for entry, name in zip(draw.entries, named, strict=True)]
        groups += _members(named)
        draw.notes.append(f"by group: {counted(len(set(named)), 'group')}, each in one split")
    else:
        sequences = find_sequences([entry.image for entry in draw.entries])
        if by == "sequence" and (found := _sequences(draw, sequences)) is None:
            return _by_block(draw)
        elif by == "sequence":
            groups += found or []
        elif note := _video_note(draw, sequences):
            draw.notes.append(note)
    strata = _strata(draw, by)
    if plan.duplicates:
        copies = _copies(draw)
        groups += copies
        if copies:
            draw.notes.append(
                f"{counted(len(copies), 'picture')} with copies, exact or near: those of a picture are in one split"
            )
    try:
        return assign(merge_groups(count, groups), strata, draw.shares, seed=plan.seed)
    except DataError as error:
        raise DataError(
            f"{draw.dataset.name}: {error}; ask for fewer splits (--val 0), or divide it otherwise"
        ) from None


def _members(names: Sequence[str]) -> list[list[int]]:
    found: dict[str, list[int]] = {}
    for index, name in enumerate(names):
        found.setdefault(name, []).append(index)
    return list(found.values())


def _named_groups(draw: _Draw, plan: SplitPlan) -> list[str]:
    """Return the group of each image, by the pattern or the column."""
    images = [entry.image for entry in draw.entries]
    if plan.groups is not None:
        found = [plan.groups.get(image, "") for image in images]
        how = "has no value in the column of groups"
    else:
        try:
            pattern = re.compile(plan.pattern or "")
        except re.error as error:
            raise UsageError(f"the group pattern '{plan.pattern}' is no regular expression: {error}") from None
        matches = [pattern.search(image) for image in images]
        found = [(match[1] if pattern.groups else match[0]) if match else "" for match in matches]
        how = f"has no part that matches the group pattern '{plan.pattern}'"
    if lone := [image for image, name in zip(images, found, strict=True) if not name]:
        raise DataError(f"{counted(len(lone), 'image')} of {len(images):,} {how}: {listed(lone)}")
    return found


def _sequences(draw: _Draw, sequences: Sequences) -> list[list[int]] | None:
    """Return the images of each sequence; None where there are fewer sequences than splits."""
    if not sequences.plausible:
        raise DataError(
            f"the names of {draw.dataset.name} show no sequences (expected a common stem and a number, such as "
            f"walk_000123.png; got {listed([entry.image for entry in draw.entries], most=3)}); --by group with "
            "--group-pattern says what belongs together"
        )
    if not looks_like_video(draw.split.images, sequences):
        draw.notes.append("neighboring images are no more alike than others: the numbers may not be those of a video")
    count = len(sequences.sizes)
    if count < len(draw.shares):
        what = counted(count, "sequence")
        draw.notes.append(f"{what} for {len(draw.shares)} splits: divided by contiguous blocks instead")
        return None
    draw.entries = [replace(entry, group=name) for entry, name in zip(draw.entries, sequences.names, strict=True)]
    named = ", ".join(f"{name} {size:,}" for name, size in sequences.sizes.most_common(5))
    more = f" and {count - 5:,} more" if count > 5 else ""
    draw.notes.append(f"by sequence: {counted(count, 'sequence')}, each in one split ({named}{more})")
    return _members(sequences.names)


def _by_block(draw: _Draw) -> list[str]:
    """Cut each sequence into contiguous blocks; names without sequences are one in natural order."""
    from natsort import natsorted, ns

    images = [entry.image for entry in draw.entries]
    sequences = find_sequences(images)
    if sequences.plausible:
        order = sequences.order()
        names = np.array(sequences.names)[order]
        cuts = np.flatnonzero(names[1:] != names[:-1]) + 1
        blocks = np.split(order, cuts)
    else:
        blocks = [np.array(natsorted(range(len(images)), key=lambda i: images[i], alg=ns.PATH), np.int64)]
    draw.notes.append(
        f"by contiguous block: each of {counted(len(blocks), 'sequence')} is cut into {', '.join(draw.shares)}, in "
        "this order; copies may lie on both sides of a cut"
    )
    return assign_blocks(blocks, draw.shares)


def _video_note(draw: _Draw, sequences: Sequences) -> str | None:
    if not looks_like_video(draw.split.images, sequences):
        return None
    return (
        f"warning: the images look like frames of {counted(len(sequences.sizes), 'video')} "
        f"({listed(list(sequences.sizes), most=3)}) and are divided one by one: neighboring frames in train and test "
        "flatter the scores; --by sequence keeps them apart"
    )


def _strata(draw: _Draw, by: str) -> NDArray[np.int64]:
    """Return the class of each image; of images with boxes the rarest class among them, else one class for all."""
    split, classes = draw.split, draw.dataset.classes
    if by == "random":
        draw.notes.append("at random, whatever the classes")
        return np.zeros(len(split), np.int64)
    if "label" in split.targets:
        labels: NDArray[np.int64] = split.labels.numpy()
        strata, what = labels, "in the proportions of the classes"
    elif "labels" in split.targets and classes:
        rows = [np.asarray(row, np.int64) for row in split.targets["labels"]]
        frequency = np.bincount(np.concatenate([np.empty(0, np.int64), *rows]), minlength=len(classes))
        strata = np.array([row[frequency[row].argmin()] if len(row) else len(classes) for row in rows], np.int64)
        what = "in the proportions of the classes of boxes, an image by its rarest"
    else:
        strata, what = np.zeros(len(split), np.int64), "at random: images without labels have no classes to keep even"
    if by == "class" or "proportions" in what:
        draw.notes.append(what)
    _, codes = np.unique(strata, return_inverse=True)
    return np.asarray(codes, np.int64)


def _copies(draw: _Draw) -> list[NDArray[np.int64]]:
    """Return groups of images that are copies of each other, exact or near."""
    scan = scan_dataset(Dataset(draw.dataset.name, {"train": draw.split}, draw.dataset.classes))
    pictures = np.flatnonzero(scan.readable & ~scan.blank)
    exact = exact_groups(scan.digests, pictures)
    repeats = np.concatenate([np.empty(0, np.int64), *(group[1:] for group in exact)])
    return [*exact, *near_groups(scan.thumbs, np.setdiff1d(pictures, repeats, assume_unique=True))]


def _absent_classes(entries: Sequence[Entry]) -> list[str]:
    """Return notes on classes that a split lacks."""
    classes = {entry.label for entry in entries if entry.label}
    notes = []
    for name in dict.fromkeys(entry.split for entry in entries):
        if absent := sorted(classes - {entry.label for entry in entries if entry.split == name}):
            notes.append(f"{name} has no image of {counted(len(absent), 'class', 'classes')}: {listed(absent)}")
    return notes


def _uneven(entries: Sequence[Entry], shares: Mapping[str, float]) -> list[str]:
    counts = Counter(entry.split for entry in entries)
    off = [name for name, share in shares.items() if abs(counts[name] / len(entries) - share) > TOLERANCE]
    if not off:
        return []
    said = ", ".join(f"{name} {counts[name] / len(entries):.0%} (asked for {shares[name]:.0%})" for name in off)
    return [f"what belongs together is not cut, so the parts are not exact: {said}"]


__all__ = ["SplitPlan", "split_dataset"]
