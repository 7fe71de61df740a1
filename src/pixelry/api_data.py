"""The verbs of `pixelry data`: list, show, check, convert."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelry.api import read_dataset
from pixelry.arguments import verb

if TYPE_CHECKING:
    from pixelry.data.check import CheckReport
    from pixelry.data.dataset import Dataset


@verb
def list_data() -> list[dict[str, Any]]:
    """Return the data sets that go by name, and the formats that are recognised by looking."""
    from pixelry.data.catalog import describe_catalog

    return describe_catalog()


@verb
def show_data(
    data: Any,
    *,
    out: str | Path | None = None,
    split: str = "train",
    per_class: int = 8,
    test: Any = None,
    format: str | None = None,
    seed: int = 0,
) -> dict[str, Any]:
    """Say what a data set holds, and draw a sheet of its pictures, class by class.

    Args:
        data: A built-in name, a path, or data in memory.
        out: An image file for the sheet, such as sheet.png; nothing is drawn without it.
        split: Which split to draw.
        per_class: Pictures of each class.
        test: A second source that is the test split.
        format: The data's format, where it is not to be recognised.
        seed: Of the choice of pictures.

    Raises:
        DataError: The data cannot be read.
        ExistsError: `out` exists.
    """
    from pixelry import preflight

    preflight.check_data(data, format)
    preflight.check_out_file(out)
    preflight.check_numbers(per_class=per_class)
    from pixelry.data.sheet import dataset_sheet
    from pixelry.pixels import write_image

    dataset = read_dataset(data, test=test, format=format)
    if out is not None:
        write_image(Path(out), dataset_sheet(dataset, split=split, per_class=per_class, seed=seed))
    return {
        "description": dataset.describe(),
        "splits": {name: _counts(dataset, name) for name in dataset.splits},
        "classes": list(dataset.classes),
        **({"mask_classes": list(dataset.mask_classes)} if dataset.mask_classes else {}),
        "notes": list(dataset.notes),
        "fingerprint": dataset.fingerprint,
        "sheet": str(out) if out is not None else None,
    }


def _counts(dataset: Dataset, name: str) -> dict[str, Any]:
    """Return how many images a split has, of each class if they have classes; of detection data how many boxes."""
    import torch

    split = dataset[name]
    if "boxes" in split.targets:
        labels = torch.cat([torch.empty(0, dtype=torch.int64), *split.targets["labels"]])
        per_class = {kind: int((labels == k).sum()) for k, kind in enumerate(dataset.classes)}
        return {"images": len(split), "boxes": len(labels), "per_class": per_class}
    if "label" not in split.targets:
        masks = {"masks": len(split)} if "mask" in split.targets else {}
        return {"images": len(split), **masks, "per_class": {}}
    counts = split.labels.bincount(minlength=len(dataset.classes)).tolist()
    return {"images": len(split), "per_class": dict(zip(dataset.classes, counts, strict=True))}


@verb
def check_data(
    data: Any,
    *,
    out: str | Path | None = None,
    test: Any = None,
    format: str | None = None,
    label_noise: bool = True,
) -> CheckReport:
    """Look for what spoils training: unreadable images, duplicates, leaks, wrong labels.

    Args:
        data: A built-in name, a path, or data in memory.
        out: An image file for a contact sheet of improbable labels and of duplicates.
        test: A second source that is the test split.
        format: The data's format, where it is not to be recognised.
        label_noise: Look for wrong labels with a quick cross-validated model.

    Raises:
        DataError: The data cannot be read at all.
    """
    from pixelry import preflight

    preflight.check_data(data, format)
    preflight.check_out_file(out)
    from pixelry.data.check import check_dataset
    from pixelry.pixels import write_image

    report = check_dataset(read_dataset(data, test=test, format=format), label_noise=label_noise)
    if out is not None and report.sheet is not None:
        write_image(Path(out), report.sheet)
    return report


@verb
def convert_data(
    data: Any,
    out: str | Path,
    *,
    to: str,
    test: Any = None,
    format: str | None = None,
) -> dict[str, Any]:
    """Write data for detection in another format: images are copied, annotations written anew.

    What the format cannot hold is said in the notes; all else comes back as it was when the result is read.

    Args:
        data: A path, or data in memory, with boxes.
        out: A new or empty folder for the result.
        to: The new format: coco, csv, voc or yolo.
        test: A second source that is the test split.
        format: The data's format, where it is not to be recognised.

    Returns:
        Folder, format, one line that describes the result, classes, the number of images and boxes of each split, and
        notes.

    Raises:
        DataError: The data cannot be read, or has no boxes.
        ImageError: An image's size cannot be read.
        UsageError: There is no such format to write.
        ExistsError: `out` exists and is not empty.
    """
    from pixelry import preflight
    from pixelry.folders import make_folder

    preflight.check_data(data, format)
    preflight.check_writer(to)
    preflight.check_out(out)
    from pixelry.data.convert import plan_conversion

    conversion = plan_conversion(read_dataset(data, test=test, format=format), to)
    folder = make_folder(out)
    conversion.write(folder)
    return {
        "folder": str(folder),
        "format": to,
        "description": conversion.describe(),
        "classes": list(conversion.dataset.classes),
        "splits": {
            name: {"images": len(items), "boxes": sum(len(item.boxes) for item in items)}
            for name, items in conversion.splits.items()
        },
        "notes": list(conversion.notes),
    }
