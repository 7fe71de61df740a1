"""A look at a data set: some pictures of each class, as one picture."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pixelry.data.dataset import Dataset, Split
from pixelry.pixels import contact_sheet

MOST_CLASSES = 20
SMALLEST_CELL, LARGEST_CELL = 56, 112


def dataset_sheet(dataset: Dataset, *, split: str = "train", per_class: int = 8, seed: int = 0) -> NDArray[np.uint8]:
    """Draw pictures of a split: a row for each class, at most 20 of them; of data without labels any pictures.

    Args:
        dataset: The data.
        split: Which of its splits.
        per_class: Pictures of each class, chosen by `seed`.
        seed: Of the choice.

    Returns:
        (H, W, 3) uint8; small pictures are enlarged so that their pixels can be seen.

    Raises:
        UsageError: There is no such split.
        ImageError: A picture that was chosen cannot be read.
    """
    chosen, labels = _choose(dataset, dataset[split], per_class, seed)
    images = [dataset[split].images[i].permute(1, 2, 0).numpy() for i in chosen]
    side = max((max(image.shape[:2]) for image in images), default=SMALLEST_CELL)
    cell = int(np.clip(side * max(1, SMALLEST_CELL // side), SMALLEST_CELL, LARGEST_CELL))
    return contact_sheet(
        [image[..., 0] if image.shape[2] == 1 else image for image in images],
        labels=labels or None,
        columns=per_class,
        cell=cell,
    )


def _choose(dataset: Dataset, split: Split, per_class: int, seed: int) -> tuple[list[int], list[str]]:
    generator = torch.Generator().manual_seed(seed)
    if "label" not in split.targets:
        return torch.randperm(len(split), generator=generator)[: per_class * per_class].tolist(), []
    chosen: list[int] = []
    labels: list[str] = []
    for label, name in list(enumerate(dataset.classes))[:MOST_CLASSES]:
        members = (split.labels == label).nonzero().flatten()
        some = members[torch.randperm(len(members), generator=generator)[:per_class]].tolist()
        chosen += some
        labels += [name] * len(some)
    return chosen, labels
