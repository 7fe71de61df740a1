"""A list of which images of a data set are in which split: `splits.json` and `splits.csv`; no image is copied.

`splits.json` names the data set and its fingerprint, and says how the list was made. `splits.csv` has a line for each
image: its file (relative to the data set), its split, the split of the data set that it comes from, its class and
group, and a hash of its file. `removed.csv` lists the images that are left out, with the reason.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pixelry.data.concatenate import concatenate
from pixelry.data.dataset import Dataset, FileImages, Lazy, Split
from pixelry.data.findings import counted, listed
from pixelry.data.formats._shared import SPLITS, is_split_list
from pixelry.errors import DataError
from pixelry.paths import cache_dir

FORMAT = "pixelry-splits"
INFO, ROWS, REMOVED = "splits.json", "splits.csv", "removed.csv"
COLUMNS = ("image", "split", "source_split", "class", "group", "digest")
REMOVED_COLUMNS = ("image", "source_split", "reason", "duplicate_of", "class", "digest")
DIGITS = 16  # of a file's hash that are kept


@dataclass(frozen=True)
class Entry:
    """An image of the data set.

    Attributes:
        image: Its file, relative to the data set, with slashes; "#3" for the fourth image of an array.
        source_split: The split of the data set that it comes from.
        split: The split that it belongs to, "" for an image that is left out.
        label: Name of its class, "" without one.
        group: What it must not be separated from, "" for nothing.
        digest: Hash of its file, "" for an image in an array.
        reason: Why it is left out.
        duplicate_of: The image that it is a copy of.
    """

    image: str
    source_split: str
    split: str = ""
    label: str = ""
    group: str = ""
    digest: str = ""
    reason: str = ""
    duplicate_of: str = ""


@dataclass(frozen=True)
class SplitList:
    """A data set by reference, and the split of each of its images.

    Attributes:
        source: Built-in name or path of the data set, a path relative to the folder of the list.
        fingerprint: Of the data set.
        entries: Of all its images, split by split in its own order.
        test: Path of a second source that is the test split, as in `load_dataset`.
        format: Of the data set, where it is not to be recognised.
        how: Verb and options that made the list.
        notes: What a reader should know.
    """

    source: str
    fingerprint: str | None
    entries: Sequence[Entry]
    test: str | None = None
    format: str | None = None
    how: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()

    def save(self, folder: Path) -> None:
        """Write the files of the list into a folder."""
        removed = [entry for entry in self.entries if not entry.split]
        facts = {
            "format": FORMAT,
            "version": 1,
            "source": self.source,
            "test_source": self.test,
            "source_format": self.format,
            "fingerprint": self.fingerprint,
            "made_by": dict(self.how),
            "counts": {name: sum(entry.split == name for entry in self.entries) for name in SPLITS},
            "removed": len(removed),
            "notes": list(self.notes),
        }
        (folder / INFO).write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        kept = [(e.image, e.split, e.source_split, e.label, e.group, e.digest) for e in self.entries if e.split]
        _write(folder / ROWS, COLUMNS, kept)
        if removed or self.how.get("verb") == "clean":
            rows = [(e.image, e.source_split, e.reason, e.duplicate_of, e.label, e.digest) for e in removed]
            _write(folder / REMOVED, REMOVED_COLUMNS, rows)

    def apply(self, dataset: Dataset, *, where: str) -> Dataset:
        """Return the data set with the splits of the list.

        Args:
            dataset: What `source` holds now.
            where: The list, for messages.

        Raises:
            DataError: The data set has other images than the list, or other content.
        """
        places = match_entries(self.entries, dataset, where=where)
        if self.fingerprint is not None and dataset.fingerprint != self.fingerprint:
            raise DataError(changed_content(self.entries, dataset, places, where=where))
        splits = {}
        for name in SPLITS:
            chosen = [place for entry, place in zip(self.entries, places, strict=True) if entry.split == name]
            if chosen:
                splits[name] = select(dataset, chosen)
        return replace(dataset, splits=splits)


def select(dataset: Dataset, chosen: Sequence[tuple[str, int]]) -> Split:
    """Return images as one split.

    Args:
        dataset: The data.
        chosen: (split, index in it) of each image.
    """
    by_split: dict[str, list[int]] = {}
    for name, index in chosen:
        by_split.setdefault(name, []).append(index)
    return concatenate([dataset[name].subset(sorted(indices)) for name, indices in by_split.items()])


def list_entries(dataset: Dataset, root: Path | None) -> list[Entry]:
    """Return an entry for each image of a data set, without a split.

    Args:
        dataset: The data.
        root: Folder that the names of files are relative to; None for data without files.
    """
    entries = []
    for name, split in dataset.splits.items():
        digests = split.images if isinstance(split.images, Lazy) else None
        for index, image in enumerate(image_keys(split, root)):
            label = dataset.classes[int(split.labels[index])] if "label" in split.targets else ""
            digest = digests.digest(index).hex()[:DIGITS] if digests is not None else ""
            entries.append(Entry(image, name, label=label, digest=digest))
    return entries


def image_keys(split: Split, root: Path | None) -> list[str]:
    """Return the images' files relative to a folder, with slashes; the names of what is in no file of its own."""
    images, cache = split.images, cache_dir() / "pages"
    keys = []
    for index in range(len(split)):
        source = images.sources[index] if isinstance(images, FileImages) else None
        if not isinstance(source, Path) or root is None:
            keys.append(split.name(index))
            continue
        if source.is_relative_to(cache):
            # A page of a stack, unpacked under a name that depends on this machine and the stack's date.
            keys.append(source.name)
            continue
        try:
            keys.append(Path(os.path.relpath(source.absolute(), root.absolute())).as_posix())
        except ValueError:  # another drive of Windows
            keys.append(source.absolute().as_posix())
    return keys


def match_entries(entries: Sequence[Entry], dataset: Dataset, *, where: str) -> list[tuple[str, int]]:
    """Return (split, index) in the data set of each entry; raise DataError for images that only one of both has."""
    root = source_root(dataset)
    free: dict[tuple[str, str], list[int]] = {}
    for name, split in dataset.splits.items():
        for index, image in enumerate(image_keys(split, root)):
            free.setdefault((name, image), []).append(index)
    places, missing = [], []
    for entry in entries:
        found = free.get((entry.source_split, entry.image))
        if found:
            places.append((entry.source_split, found.pop(0)))
        else:
            missing.append(entry.image)
    new = [image for (_, image), rest in free.items() for _ in rest]
    if missing or new:
        parts = [f"{counted(len(missing), 'image')} missing: {listed(missing)}"] if missing else []
        parts += [f"{counted(len(new), 'image')} new: {listed(new)}"] if new else []
        raise DataError(
            f"{where} was made for other images than {dataset.source} holds now ({'; '.join(parts)}); put the images "
            "back as they were, or make the list anew (its options are in splits.json)"
        )
    return places


def changed_content(
    entries: Sequence[Entry], dataset: Dataset, places: Sequence[tuple[str, int]], *, where: str
) -> str:
    """Return the message for a data set with the images of the list and other content."""
    changed = []
    for entry, (name, index) in zip(entries, places, strict=True):
        images = dataset[name].images
        if entry.digest and isinstance(images, Lazy) and images.digest(index).hex()[:DIGITS] != entry.digest:
            changed.append(entry.image)
    what = f"{counted(len(changed), 'image')} changed: {listed(changed)}" if changed else "labels, boxes or masks"
    return (
        f"the content of {dataset.source} is not what it was when {where} was made ({what}); make the list anew (its "
        'options are in splits.json), or delete the line "fingerprint" from splits.json to take the splits as they are'
    )


def source_root(dataset: Dataset) -> Path | None:
    """Return the folder that the names of a data set's files are relative to; None for data without files.

    It is the folder of the data set, of a list of splits that of the data set behind it, and of data by name the
    folder that all files share.
    """
    path = Path(dataset.source) if dataset.source is not None else None
    while path is not None and is_split_list(path):
        folder = path if path.is_dir() else path.parent
        path = Path(os.path.normpath(folder / read_info(folder / INFO)["source"]))
    if path is not None and path.exists() and dataset.format != "built-in":
        return path if path.is_dir() else path.parent
    files = [
        source.absolute().parent
        for split in dataset.splits.values()
        if isinstance(split.images, FileImages)
        for source in split.images.sources
        if isinstance(source, Path)
    ]
    return Path(os.path.commonpath(files)) if files else None


def read_info(file: Path) -> dict[str, Any]:
    """Return what `splits.json` says.

    Raises:
        DataError: It cannot be read, or is no list of splits.
    """
    try:
        facts = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{file} cannot be read: {error}") from None
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or not isinstance(facts.get("source"), str):
        raise DataError(f'{file} is no list of splits: expected "format": "{FORMAT}" and a "source"')
    if facts.get("version") != 1:
        raise DataError(f"{file} has version {facts.get('version')}; this Pixelry reads version 1: update Pixelry")
    return facts


def load_list(folder: Path) -> SplitList:
    """Read a list of splits from its folder.

    Raises:
        DataError: A file is missing or damaged; file and line are named.
    """
    facts = read_info(folder / INFO)
    entries = _read(folder / ROWS, COLUMNS)
    if facts.get("removed"):
        entries += _read(folder / REMOVED, REMOVED_COLUMNS)
    if not any(entry.split for entry in entries):
        raise DataError(f"{folder / ROWS} lists no images")
    return SplitList(
        facts["source"], facts.get("fingerprint"), entries, facts.get("test_source"), facts.get("source_format"),
        facts.get("made_by") or {}, facts.get("notes") or (),
    )  # fmt: skip


def _read(file: Path, columns: Sequence[str]) -> list[Entry]:
    try:
        with file.open(newline="", encoding="utf-8-sig") as lines:
            rows = list(csv.DictReader(lines, restval=""))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{file} cannot be read: {error}") from None
    entries = []
    for line, row in enumerate(rows, 2):
        if not row.get("image") or not row.get("source_split"):
            raise DataError(f"{file}, line {line} lacks a value; expected the columns {', '.join(columns)}")
        split = row.get("split", "").strip()
        if "split" in columns and split not in SPLITS:
            raise DataError(f"{file}, line {line}: split '{split}' is none of {', '.join(SPLITS)}")
        entries.append(
            Entry(
                row["image"], row["source_split"], split, row.get("class", ""), row.get("group", ""),
                row.get("digest", ""), row.get("reason", ""), row.get("duplicate_of", ""),
            )
        )  # fmt: skip
    return entries


def _write(file: Path, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as lines:
        writer = csv.writer(lines)
        writer.writerow(columns)
        writer.writerows(rows)
