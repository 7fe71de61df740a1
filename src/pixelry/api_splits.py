"""The verbs `pixelry data split` and `pixelry data clean`: lists that divide a data set and copy no image."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pixelry.api import read_dataset
from pixelry.arguments import verb
from pixelry.errors import UsageError

if TYPE_CHECKING:
    from pixelry.data.dataset import Dataset
    from pixelry.data.split_list import Entry


@verb
def split_data(
    data: Any,
    *,
    out: str | Path,
    val: float | None = None,
    test: float | None = None,
    by: Literal["class", "random", "group", "sequence", "block"] | None = None,
    group_pattern: str | None = None,
    group_column: str | None = None,
    duplicates: bool = True,
    resplit: bool = False,
    format: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    r"""Divide a data set into train, val and test, and keep the split as a list that --data reads.

    The images stay where they are. A split that the data set already has is kept.

    Args:
        data: A built-in name or a path, of any format.
        out: A new or empty folder for splits.json and splits.csv; give it as --data afterwards.
        val: Part of the images for validation, by default 0.1; 0 for none.
        test: Part of the images for the test, by default 0.1; 0 for none.
        by: class keeps the proportions of the classes (the default); random does not; group and sequence keep what
            belongs together in one split; block cuts each sequence into three.
        group_pattern: Regular expression for the group in an image's file name, such as 'patient\d+'.
        group_column: Column with the group, where the data is a CSV or JSON-lines list of images.
        duplicates: Keep copies of an image, exact and near, in one split.
        resplit: Divide all images anew, those of the data set's own val and test splits included.
        format: The data's format, where it is not to be recognised.
        seed: Of the draw; the same seed gives the same split.

    Returns:
        Folder, one line that describes the result, images and classes of each split, fingerprint and notes.

    Raises:
        DataError: The data cannot be read, or be divided in this way.
        UsageError: An option is out of range, or the data has no path.
        ExistsError: `out` exists and is not empty.
    """
    from pixelry import preflight

    preflight.check_data(data, format)
    preflight.check_out(out)
    from pixelry.data.group_column import read_groups
    from pixelry.data.resplit import SplitPlan, split_dataset

    dataset = read_dataset(data, test=None, format=format)
    if group_pattern is not None and group_column is not None:
        raise UsageError("--group-pattern and --group-column exclude each other: give one of them")
    groups = read_groups(dataset, group_column) if group_column is not None else None
    plan = SplitPlan(by, val, test, group_pattern, groups, duplicates, resplit, seed)
    options = {"by": by, "val": val, "test": test, "group_pattern": group_pattern, "group_column": group_column}
    how = {"verb": "split", **options, "duplicates": duplicates, "resplit": resplit, "seed": seed}
    entries, notes = split_dataset(dataset, plan)
    return _save(dataset, entries, out=out, how=how, notes=notes, test=None, format=format)


@verb
def clean_data(
    data: Any,
    *,
    out: str | Path,
    drop: Sequence[str] | None = None,
    keep: Sequence[str] | None = None,
    test: Any = None,
    format: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """List a data set without unreadable images, copies and leaks; nothing is deleted.

    Images are left out of the list alone. Of copies in several splits that in test stays, or else that in val.

    Args:
        data: A built-in name or a path, of any format.
        out: A new or empty folder for the list and removed.csv; give it as --data afterwards.
        drop: What else to leave out, separated by commas: near (nearly the same image within a split), near-leaks (in
            another split), labels (that a quick model finds improbable, of train only), blank (one color all over).
        keep: What not to leave out, of unreadable, conflicts (copies with different labels), leaks, duplicates.
        test: A second source that is the test split.
        format: The data's format, where it is not to be recognised.
        seed: Of the model that judges labels.

    Returns:
        Folder, one line that describes the result, images and classes of each split, the number left out by kind,
        fingerprint and notes.

    Raises:
        DataError: The data cannot be read at all, or nothing is left.
        UsageError: A kind of images is unknown, or the data has no path.
        ExistsError: `out` exists and is not empty.
    """
    from pixelry import preflight

    preflight.check_data(data, format)
    preflight.check_out(out)
    from pixelry.data.clean import clean_dataset, describe_cleaning, kinds_to_drop

    kinds = kinds_to_drop(drop or (), keep or ())
    dataset = read_dataset(data, test=test, format=format)
    cleaning = clean_dataset(dataset, kinds, seed=seed)
    how = {"verb": "clean", "left_out": list(kinds), "seed": seed}
    notes = describe_cleaning(cleaning)
    facts = _save(dataset, cleaning.entries, out=out, how=how, notes=notes, test=test, format=format)
    return {**facts, "removed": {kind: number for kind, number in cleaning.removed.items() if number}}


def _save(
    dataset: Dataset,
    entries: list[Entry],
    *,
    out: str | Path,
    how: Mapping[str, Any],
    notes: Sequence[str],
    test: Any,
    format: str | None,
) -> dict[str, Any]:
    """Write a list, and return what the verbs report."""
    from pixelry.data.formats._shared import SPLITS
    from pixelry.data.split_list import SplitList
    from pixelry.errors import DataError
    from pixelry.folders import make_folder

    if not any(entry.split for entry in entries):
        raise DataError(f"nothing of {dataset.name} is left: {'; '.join(notes)}")
    folder = Path(out)
    source, second = _reference(dataset.source, folder), _reference(test, folder)
    if source is None or (test is not None and second is None):
        raise UsageError(f"{dataset.name} is in memory: a list refers to files, so save the data, and give its path")
    made = SplitList(source, dataset.fingerprint, entries, second, format, how, notes)
    divided = made.apply(dataset, where=str(folder))
    made.save(make_folder(folder))
    sizes = {name: len(divided[name]) for name in SPLITS if name in divided.splits}
    counts = {name: _per_class(divided, name) for name in sizes}
    images = ", ".join(f"{size:,} {name}" for name, size in sizes.items())
    return {
        "folder": str(folder),
        "description": f"{dataset.name}: {images}; {sum(sizes.values()):,} of {len(entries):,} images",
        "splits": {name: {"images": size, "per_class": counts[name]} for name, size in sizes.items()},
        "fingerprint": divided.fingerprint,
        "notes": list(notes),
    }


def _per_class(dataset: Dataset, name: str) -> dict[str, int]:
    split = dataset[name]
    if "label" not in split.targets:
        return {}
    counts = split.labels.bincount(minlength=len(dataset.classes)).tolist()
    return dict(zip(dataset.classes, counts, strict=True))


def _reference(source: Any, folder: Path) -> str | None:
    """Return a source as a list refers to it: a name, or a path seen from the folder of the list; None if neither."""
    from pixelry.data.known import BUILT_IN_NAMES, DOWNLOADS, find_data

    if not isinstance(source, str | Path):
        return None
    if str(source) in {*BUILT_IN_NAMES, *DOWNLOADS} and not (Path(source).exists() and str(source) != "digits"):
        return str(source)
    path = find_data(source).absolute()
    try:
        return Path(os.path.relpath(path, folder.absolute())).as_posix()
    except ValueError:  # another drive of Windows
        return path.as_posix()
