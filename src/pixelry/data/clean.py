"""What is left out of a data set to clean it, and why; no file is changed or deleted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from pixelry.data.dataset import Dataset
from pixelry.data.duplicates import Positions, exact_groups, near_groups
from pixelry.data.findings import counted
from pixelry.data.label_noise import judge_labels
from pixelry.data.scan import Scan, scan_dataset
from pixelry.data.split_list import Entry, list_entries, source_root
from pixelry.errors import PixelryError, unknown

# Kinds of images that are left out, with what is said of them.
KINDS: Mapping[str, str] = {
    "unreadable": "cannot be read, or its mask cannot",
    "conflicts": "exact copies with different labels: no telling which is right",
    "leaks": "exact copy of an image in test or val",
    "duplicates": "exact copy of another image of its split",
    "near-leaks": "nearly the same as an image in test or val",
    "near": "nearly the same as another image of its split",
    "labels": "a label of train that a quick model finds improbable",
    "blank": "one color all over",
}
DEFAULT = ("unreadable", "conflicts", "leaks", "duplicates")
# A copy stays in the split that comes first here: a test set that shrinks is another test set.
PRECEDENCE = ("test", "val", "train")

Reasons = dict[int, tuple[str, int | None]]
Finder = Callable[[Reasons], dict[int, int | None]]


@dataclass(frozen=True)
class Cleaning:
    """What a data set is without the images that are left out.

    Attributes:
        entries: Of all images; those without a split are left out, with the reason.
        removed: How many are left out, by kind.
        spared: How many more each kind that was not asked for would leave out.
        notes: What could not be found out.
    """

    entries: list[Entry]
    removed: Mapping[str, int]
    spared: Mapping[str, int]
    notes: Sequence[str] = ()


def kinds_to_drop(drop: Sequence[str] = (), keep: Sequence[str] = ()) -> tuple[str, ...]:
    """Return what is left out: the default kinds, with those of `drop`, without those of `keep`.

    Raises:
        UsageError: A kind is unknown.
    """
    for kind in (*drop, *keep):
        if kind not in KINDS:
            raise unknown("kind of images to leave out", kind, KINDS)
    return tuple(kind for kind in KINDS if (kind in DEFAULT or kind in drop) and kind not in keep)


def clean_dataset(dataset: Dataset, kinds: Sequence[str], *, seed: int = 0) -> Cleaning:
    """Find the images that are to be left out of a data set.

    Every image is read once, as in `check_dataset`. An image that is left out for one reason is no longer looked at
    for the next one, in the order of `KINDS`.

    Args:
        dataset: The data.
        kinds: What is left out, some of `KINDS`.
        seed: Of the model that judges labels.
    """
    scan = scan_dataset(dataset)
    reasons: Reasons = {}
    spared: dict[str, int] = {}
    notes: list[str] = []
    for kind, find in _finders(scan, seed, notes, with_labels="labels" in kinds).items():
        found = {position: of for position, of in find(reasons).items() if position not in reasons}
        if kind in kinds:
            reasons |= {position: (kind, of) for position, of in found.items()}
        elif found:
            spared[kind] = len(found)
    entries = list_entries(dataset, source_root(dataset))
    cleaned = []
    for position, entry in enumerate(entries):
        if position not in reasons:
            cleaned.append(replace(entry, split=entry.source_split))
            continue
        kind, of = reasons[position]
        other = "" if of is None else entries[of].image
        cleaned.append(replace(entry, reason=f"{kind}: {KINDS[kind]}", duplicate_of=other))
    counts = Counter(kind for kind, _ in reasons.values())
    return Cleaning(cleaned, {kind: counts[kind] for kind in kinds}, spared, notes)


def _finders(
    scan: Scan, seed: int, notes: list[str], *, with_labels: bool
) -> dict[str, Callable[[Reasons], dict[int, int | None]]]:
    """Return for each kind what finds its images: position, and the position of the image that it is a copy of."""

    def copies(removed: Reasons) -> list[Positions]:
        positions = np.flatnonzero(scan.readable & ~scan.blank)
        return exact_groups(scan.digests, np.setdiff1d(positions, [*removed]))

    def near(removed: Reasons) -> list[Positions]:
        repeats = [int(p) for group in copies(removed) for p in group[1:]]
        positions = np.flatnonzero(scan.readable & ~scan.blank)
        return near_groups(scan.thumbs, np.setdiff1d(positions, [*removed, *repeats]))

    memory: list[list[Positions]] = []

    def near_once(removed: Reasons) -> list[Positions]:
        # What is removed between two looks is a member of these groups: they need not be found again.
        memory.extend([near(removed)] if not memory else [])
        return [left for group in memory[0] if len(left := np.setdiff1d(group, [*removed])) > 1]

    finders: dict[str, Finder] = {
        "unreadable": lambda removed: dict.fromkeys(_unreadable(scan)),
        "conflicts": lambda removed: _conflicts(scan, copies(removed)),
        "leaks": lambda removed: _leaks(scan, copies(removed)),
        "duplicates": lambda removed: _repeats(scan, copies(removed)),
        "near-leaks": lambda removed: _leaks(scan, near_once(removed)),
        "near": lambda removed: _repeats(scan, near_once(removed)),
    }
    if with_labels:
        finders["labels"] = lambda removed: dict.fromkeys(_improbable(scan, removed, seed, notes))
    return {**finders, "blank": lambda removed: dict.fromkeys(np.flatnonzero(scan.blank).tolist())}


def _unreadable(scan: Scan) -> Iterator[int]:
    yield from (failure.position for failure in scan.failures)
    with ThreadPoolExecutor() as pool:
        for name, split in scan.dataset.splits.items():
            if "mask" in split.targets:
                wrong = pool.map(partial(_mask_is_wrong, scan, name), range(len(split)))
                yield from (scan.starts[name] + index for index, is_wrong in enumerate(wrong) if is_wrong)


def _mask_is_wrong(scan: Scan, name: str, index: int) -> bool:
    """Return whether the mask of an image cannot be read, or has another size than the image."""
    size = tuple(scan.shapes[scan.starts[name] + index, 1:].tolist())
    try:
        return tuple(scan.dataset[name].targets["mask"][index].shape) != size
    except PixelryError:
        return True


def _conflicts(scan: Scan, groups: Sequence[Positions]) -> dict[int, int | None]:
    found: dict[int, int | None] = {}
    for group in groups:
        labels = scan.labels[group]
        if len(set(labels.tolist()) - {-1}) > 1:
            for position, label in zip(group.tolist(), labels, strict=True):
                found[position] = int(group[labels != label][0])
    return found


def _leaks(scan: Scan, groups: Sequence[Positions]) -> dict[int, int | None]:
    """Return the members of groups whose split comes after that of another member in the order of precedence."""
    found: dict[int, int | None] = {}
    for group in groups:
        ranks = [PRECEDENCE.index(scan.place(int(position))[0]) for position in group]
        kept = int(group[int(np.argmin(ranks))])
        found |= {int(p): kept for p, rank in zip(group, ranks, strict=True) if rank > min(ranks)}
    return found


def _repeats(scan: Scan, groups: Sequence[Positions]) -> dict[int, int | None]:
    """Return the members of groups that follow another one of their split."""
    found: dict[int, int | None] = {}
    for group in groups:
        first: dict[str, int] = {}
        for position in group.tolist():
            split = scan.place(position)[0]
            if first.setdefault(split, position) != position:
                found[position] = first[split]
    return found


def _improbable(scan: Scan, removed: Reasons, seed: int, notes: list[str]) -> list[int]:
    """Return the images of train with a label that a cross-validated model finds improbable; notes are added."""
    labels = np.where(scan.readable, scan.labels, -1)
    labels[[*removed]] = -1
    judged = judge_labels(scan.thumbs, labels, seed=seed)
    if judged is None or not judged.usable or "train" not in scan.starts:
        why = "" if judged is None else f": it agrees with {judged.accuracy:.0%} of them, too few to be trusted"
        notes.append(f"the quick model could not judge the labels{why}")
        return []
    train = scan.range("train")
    return [position for position in judged.positions[judged.suspicious].tolist() if position in train]


def describe_cleaning(cleaning: Cleaning) -> list[str]:
    """Return what was left out and what was not, one line a kind."""
    left = [
        f"{counted(number, 'image')} left out: {KINDS[kind]}" for kind, number in cleaning.removed.items() if number
    ]
    lines = left or ["nothing to leave out was found"]
    lines += cleaning.notes
    for kind, number in cleaning.spared.items():
        lines.append(f"{counted(number, 'image')} kept: {KINDS[kind]} (--drop {kind} leaves them out)")
    return lines


__all__ = ["DEFAULT", "KINDS", "Cleaning", "clean_dataset", "describe_cleaning", "kinds_to_drop"]
