"""Which images of a data set a model is evaluated on."""

from __future__ import annotations

from collections.abc import Callable

from pixelry.data.dataset import Dataset

# In place of a split's name: a data set without splits for evaluation is taken whole.
ALL = "all"


def evaluation_split(
    dataset: Dataset, split: str | None, *, val_fraction: float, is_new: Callable[[], bool]
) -> tuple[Dataset, str, str]:
    """Choose the images that a model is evaluated on.

    Args:
        dataset: With any splits.
        split: "train", "val", "test", or "all" of a data set without val and test; None chooses test where there is
            one, else val; of new data without both, all.
        val_fraction: Part of train that the model's training set aside, where there is no val: that is val again.
        is_new: Whether the model was trained on other images; called only where it matters.

    Returns:
        The data set, maybe with val drawn from train; the name of its split; and what a report calls it, which is
        "all" where every image of a data set without splits is judged.

    Raises:
        DataError: There are too few images to set any aside.
    """
    has_one = not {"test", "val"} & set(dataset.splits)
    if has_one and (split == ALL or (split is None and is_new())):
        return dataset, "train", ALL
    if "train" in dataset.splits and (split in ("val", "train") or (split is None and "test" not in dataset.splits)):
        dataset = dataset.with_val(val_fraction)
    name = split or next(name for name in ("test", "val", "train") if name in dataset.splits)
    return dataset, name, name
