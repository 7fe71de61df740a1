"""What a check finds in the images themselves: unreadable, odd, blank, repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np

from pixelry.data.duplicates import Positions
from pixelry.data.findings import MAX_EXAMPLES, Example, Finding, counted
from pixelry.data.scan import Failure, Scan

# Sizes or channel counts that at most this share of a split has are odd; more of them are a mixed collection.
ODD_SHARE = 0.1

Shape = tuple[int, ...]


def image_findings(scan: Scan) -> Iterator[Finding]:
    """Yield what is wrong with single images: unreadable, of odd size or channels, blank."""
    if not len(scan.labels):
        yield Finding("error", "no-images", f"{scan.dataset.name} has no images")
        return
    for name, split in scan.dataset.splits.items():
        if not len(split):
            yield Finding("warning", "empty-split", f"split '{name}' has no images: leave it out, or fill it")
    yield from _unreadable(scan)
    yield from _odd(scan, "size", slice(1, 3))
    yield from _odd(scan, "channels", slice(0, 1))
    blank = np.flatnonzero(scan.blank)
    if len(blank):
        message = f"{counted(len(blank), 'image')} of one colour all over: remove, unless this is meant to be learnt"
        yield Finding("warning", "blank", message, _examples(scan, blank), len(blank))


def copy_findings(scan: Scan, groups: Sequence[Positions]) -> Iterator[Finding]:
    """Yield what exact copies spoil: labels that contradict each other, scores, and the weight of a picture."""
    conflicts = [group for group in groups if len(set(scan.labels[group].tolist()) - {-1}) > 1]
    leaks = [group for group in groups if len(_splits(scan, group)) > 1]
    repeated = [group for group in groups if max(_splits(scan, group).values()) > 1]
    if conflicts:
        message = f"{_pictures(conflicts)} with exact copies that are labelled differently: correct the labels"
        yield Finding("error", "label-conflict", message, _groups(scan, conflicts), len(conflicts))
    if leaks:
        where = " and ".join(dict.fromkeys(name for group in leaks for name in _splits(scan, group)))
        message = (
            f"{_pictures(leaks)} in more than one split ({where}), as exact copies: scores are flattered; "
            "remove them from one"
        )
        yield Finding("error", "leak", message, _groups(scan, leaks), len(leaks))
    if repeated:
        verb = "occurs" if len(repeated) == 1 else "occur"
        message = f"{_pictures(repeated)} {verb} more than once within a split: keep one of each"
        yield Finding("warning", "duplicate", message, _groups(scan, repeated), len(repeated))


def near_findings(scan: Scan, groups: Sequence[Positions]) -> Iterator[Finding]:
    """Yield pictures that look nearly the same: across splits a warning, within one a hint."""
    # Those with different labels first: one of the labels may be wrong.
    groups = sorted(groups, key=lambda group: len(set(scan.labels[group].tolist())) == 1)
    leaks = [group for group in groups if len(_splits(scan, group)) > 1]
    within = [group for group in groups if len(_splits(scan, group)) == 1]
    if leaks:
        where = " and ".join(dict.fromkeys(name for group in leaks for name in _splits(scan, group)))
        message = (
            f"{_pictures(leaks)} in nearly the same form in more than one split ({where}): scores are flattered; "
            "look at them, and keep each in one"
        )
        yield Finding("warning", "near-leak", message, _groups(scan, leaks), len(leaks))
    if within:
        message = f"{_pictures(within)} in nearly the same form within a split: prints of one picture weigh double"
        yield Finding("info", "near-duplicate", message, _groups(scan, within), len(within))


def _unreadable(scan: Scan) -> Iterator[Finding]:
    empty = [failure for failure in scan.failures if failure.empty]
    other = [failure for failure in scan.failures if not failure.empty]
    if empty:
        message = f"{counted(len(empty), 'file')} without content (0 bytes): copy again, or remove"
        yield Finding("error", "empty-file", message, _examples(scan, [each.position for each in empty]), len(empty))
    if other:
        message = f"{counted(len(other), 'image')} cannot be read: replace, or remove"
        examples = tuple(_failed(scan, failure) for failure in other[:MAX_EXAMPLES])
        yield Finding("error", "unreadable", message, examples, len(other))


def _failed(scan: Scan, failure: Failure) -> Example:
    place = scan.named(failure.position)
    # Messages begin with the name of the image, which stands before them anyway.
    return Example((place,), failure.message.removeprefix(place[1]).lstrip(": "))


def _odd(scan: Scan, kind: str, columns: slice) -> Iterator[Finding]:
    """Yield the images of sizes or channel counts that few in their split have, and splits that differ."""
    usual: dict[str, Shape] = {}
    for name in scan.starts:
        positions = np.array(scan.range(name), dtype=np.int64)
        positions = positions[scan.readable[positions]]
        values: list[Shape] = list(map(tuple, scan.shapes[positions, columns].tolist()))
        if not values:
            continue
        (most, count), *others = Counter(values).most_common()
        if count >= (1 - ODD_SHARE) * len(values):
            usual[name] = most
        if name in usual and others:
            odd = [(int(p), value) for p, value in zip(positions, values, strict=True) if value != most]
            examples = tuple(
                Example((scan.named(position),), _said(value), {kind: list(value)})
                for position, value in odd[:MAX_EXAMPLES]
            )
            message = (
                f"{counted(len(odd), 'image')} of {len(values):,} in split '{name}' not {_said(most)}: look at them"
            )
            yield Finding("warning", kind, message, examples, len(odd))
    if len(set(usual.values())) > 1:
        said = ", ".join(f"{name} {_said(value)}" for name, value in usual.items())
        yield Finding("warning", f"split-{kind}", f"the splits differ: {said}; see that they come from the same source")


def _said(shape: Shape) -> str:
    return ("grey" if shape[0] == 1 else "in colour") if len(shape) == 1 else f"{shape[0]} x {shape[1]} pixels"


def _splits(scan: Scan, group: Positions) -> Counter[str]:
    return Counter(scan.place(int(position))[0] for position in group)


def _pictures(groups: Sequence[Positions]) -> str:
    return counted(len(groups), "picture")


def _examples(scan: Scan, positions: Sequence[int] | Positions) -> tuple[Example, ...]:
    return tuple(Example((scan.named(int(position)),)) for position in positions[:MAX_EXAMPLES])


def _groups(scan: Scan, groups: Sequence[Positions]) -> tuple[Example, ...]:
    return tuple(_group(scan, group) for group in groups[:MAX_EXAMPLES])


def _group(scan: Scan, group: Positions) -> Example:
    images = tuple(scan.named(int(position)) for position in group)
    labels = [scan.dataset.classes[label] for label in scan.labels[group].tolist() if label >= 0]
    distinct = list(dict.fromkeys(labels))
    note = f"labelled {' and '.join(distinct)}" if len(distinct) > 1 else ""
    return Example(images, note, {"labels": distinct} if distinct else {})
