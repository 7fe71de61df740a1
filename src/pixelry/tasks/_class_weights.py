"""Weights of classes in the loss, for training images of which some classes have many more than others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml
from torch import Tensor, bincount

from pixelry.data.dataset import Dataset
from pixelry.errors import UsageError, unknown

IMBALANCED = 10  # times as many images in one class as in another, from which training says so


def class_named(value: Any, classes: tuple[str, ...], what: str) -> str:
    """Return the class that a setting names; YAML reads the names 7 and yes as a number and a truth value.

    Args:
        value: As YAML read it.
        classes: Class names.
        what: The setting, for the message.

    Raises:
        UsageError: No class has that name.
    """
    for name in classes:
        if name == value:
            return name
    if not isinstance(value, str):
        for name in classes:
            read = _as_yaml(name)
            if type(read) is type(value) and read == value:
                return name
    raise unknown(f"class in {what}", str(value), classes)


def _as_yaml(name: str) -> Any:
    try:
        return yaml.safe_load(name)
    except yaml.YAMLError:
        return name


def balanced_weights(labels: Tensor, count: int) -> tuple[float, ...]:
    """Return weights by which all classes count alike: N / (K n_k), as scikit-learn's "balanced" (King and Zeng 2001).

    Args:
        labels: (N,) class indices.
        count: Classes; K are those with images, others get 0.
    """
    images = bincount(labels, minlength=count)
    present = int((images > 0).sum())
    return tuple(len(labels) / (present * int(n)) if n else 0.0 for n in images)


def weights_by_name(given: Mapping[Any, Any], classes: tuple[str, ...]) -> tuple[float, ...]:
    """Return the weights of classes by their names; 1 for those that are not named.

    Raises:
        UsageError: A name is no class, or a weight is not above 0.
    """
    weights = dict.fromkeys(classes, 1.0)
    for name, weight in given.items():
        number = isinstance(weight, int | float) and not isinstance(weight, bool)
        if not number or not 0 < weight < float("inf"):
            raise UsageError(f"class_weights has {weight!r} for '{name}'; expected a number above 0")
        weights[class_named(name, classes, "class_weights")] = float(weight)
    return tuple(weights.values())


def imbalance_notes(dataset: Dataset) -> tuple[str, ...]:
    """Return a sentence for training images of which a class has ten times as many as another, else nothing."""
    train = dataset.splits.get("train")
    if train is None or "label" not in train.targets or not len(train):
        return ()
    images = bincount(train.labels, minlength=len(dataset.classes))
    present = [k for k in range(len(images)) if images[k]]
    most, least = max(present, key=lambda k: int(images[k])), min(present, key=lambda k: int(images[k]))
    if images[most] < IMBALANCED * images[least]:
        return ()
    return (
        f"imbalanced classes: {int(images[most]):,} training images of '{dataset.classes[most]}', "
        f"{int(images[least]):,} of '{dataset.classes[least]}'; go by balanced_accuracy and the figures of each class, "
        "and see --set class_weights=balanced",
    )
