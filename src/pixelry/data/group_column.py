"""Groups of images out of a column of the list that a data set was read from."""

from __future__ import annotations

from pathlib import Path

from pixelry.data.dataset import Dataset
from pixelry.data.formats import manifest
from pixelry.data.formats._shared import IMAGE_KEYS
from pixelry.data.split_list import image_keys, source_root
from pixelry.errors import UsageError, unknown


def read_groups(dataset: Dataset, column: str) -> dict[str, str]:
    """Return the value of a column for each image, by the image's name in a list of splits.

    Args:
        dataset: Read from a CSV or JSON-lines list of images (or boxes).
        column: Its name, such as "patient".

    Raises:
        UsageError: The data is no such list, or has no such column.
    """
    file = manifest.list_file(Path(dataset.source)) if dataset.source is not None else None
    if dataset.format not in ("manifest", "boxes_csv") or file is None:
        raise UsageError(
            f"{dataset.name} ({dataset.format}) is no CSV or JSON-lines list of images, so it has no column "
            f"'{column}'; --group-pattern finds groups in the names of files"
        )
    rows = [row for _, row in manifest.list_rows(file)]
    columns = list(dict.fromkeys(name for row in rows for name in row))
    if column not in columns:
        raise unknown(f"column of {file}", column, columns)
    by_file = {}
    for row in rows:
        image = next((row[name].strip() for name in IMAGE_KEYS if row.get(name, "").strip()), "")
        by_file[(file.parent / image).absolute().resolve()] = row.get(column, "").strip()
    root = source_root(dataset)
    groups = {}
    for split in dataset.splits.values():
        for index, key in enumerate(image_keys(split, root)):
            groups[key] = by_file.get(Path(split.name(index)).absolute().resolve(), "")
    return groups
