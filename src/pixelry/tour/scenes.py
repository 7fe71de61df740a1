"""The scenes of two chapters of the tour: those of `shapes`, with one class for all objects.

To find objects a network needs a minute on an ordinary CPU; to tell six shapes apart it needs several more.
"""

from __future__ import annotations

import torch

from pixelry.data.catalog import load_dataset
from pixelry.data.dataset import Dataset, Split

# Enough to judge by: the tour is not to spend more time on it than on training.
JUDGED = 200


def objects() -> Dataset:
    """Return scenes of `shapes` with boxes of the class "object", and masks of "background" and "object".

    The splits "val" and "test" have the first 200 of its scenes.
    """
    scenes = load_dataset("shapes").splits.items()
    return Dataset(
        "objects",
        {name: _of_one_class(split if name == "train" else split.subset(range(JUDGED))) for name, split in scenes},
        ("object",),
        mask_classes=("background", "object"),
    )


def _of_one_class(split: Split) -> Split:
    targets = split.targets
    return Split(
        split.images,
        {
            "boxes": targets["boxes"],
            "labels": [torch.zeros_like(labels) for labels in targets["labels"]],
            "crowd": targets["crowd"],
            "mask": targets["mask"].clamp(max=1),
        },
    )
