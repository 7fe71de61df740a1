"""K-fold cross-validation: every training image is judged once, by a model that was not trained on it."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold
from torch import Tensor

from pixelry import plugins
from pixelry.data.dataset import Dataset, Lazy, Split
from pixelry.errors import UsageError
from pixelry.model import Model
from pixelry.report import Report
from pixelry.reports.metrics import format_metric
from pixelry.tasks._classify_metrics import ClassifyEvaluator
from pixelry.tasks.base import Table
from pixelry.training.evaluate import evaluate_network
from pixelry.training.fused import fused

OUT_OF_FOLD = "out of fold"
REPORT = "index.html"


@dataclass(frozen=True)
class Fold:
    """One division of the training images.

    Attributes:
        dataset: "train" without the fold, "test" is the fold; "val" where the data has one.
        held_out: (n,) positions of the fold in the whole training split.
    """

    dataset: Dataset
    held_out: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """What the folds gave.

    Attributes:
        models: One a fold.
        folds: Metrics of each fold.
        report: Of all out-of-fold answers together.
    """

    models: tuple[Model, ...]
    folds: tuple[Mapping[str, float], ...]
    report: Report


def check_folds(task: str, folds: int) -> None:
    """Raise UsageError unless a task can be cross-validated with so many folds."""
    if folds < 2:
        raise UsageError(f"folds is {folds}; cross-validation takes 2 or more, such as 5 (0 for none)")
    if not plugins.tasks.load(task).TASK.cross_validates:
        able = [name for name in plugins.tasks.names() if plugins.tasks.load(name).TASK.cross_validates]
        raise UsageError(f"folds are for {', '.join(able)}; leave --folds out, and {task} is judged on test or val")


def fold_datasets(dataset: Dataset, count: int, *, seed: int) -> list[Fold]:
    """Divide the training images into folds with the same shares of classes; copies of one image stay together.

    Args:
        dataset: With labels. A test split is left out, a val split is that of every fold.
        count: Folds.
        seed: Of the division.

    Raises:
        UsageError: A class has fewer images than there are folds.
    """
    train = dataset["train"]
    labels = train.labels.numpy()
    images = np.bincount(labels, minlength=len(dataset.classes))
    for k in np.flatnonzero((images > 0) & (images < count)):
        raise UsageError(
            f"class '{dataset.classes[k]}' has {images[k]} training images, fewer than the {count} folds: give fewer "
            "--folds, or more images of it"
        )
    groups = _copies(train)
    how = {"n_splits": count, "shuffle": True, "random_state": seed}
    if len(np.unique(groups)) == len(groups):
        division = StratifiedKFold(**how).split(labels, labels)
    else:
        division = StratifiedGroupKFold(**how).split(labels, labels, groups)
    rest = {name: split for name, split in dataset.splits.items() if name == "val"}
    return [
        Fold(
            dataclasses.replace(
                dataset,
                name=f"{dataset.name}-fold-{number}",
                splits={"train": train.subset(kept), "test": train.subset(held_out), **rest},
                source=None,
            ),
            held_out,
        )
        for number, (kept, held_out) in enumerate(division, 1)
    ]


def _copies(split: Split) -> NDArray[np.int64]:
    """Return a number for each image that exact copies share: of files with the same bytes, or the same pixels."""
    images = split.images
    if isinstance(images, Lazy):
        digests = [images.digest(i) for i in range(len(images))]
    elif isinstance(images, Tensor):
        digests = [hashlib.blake2b(image.contiguous().numpy().tobytes(), digest_size=16).digest() for image in images]
    else:  # reading them all would take as long as a pass over them
        return np.arange(len(images))
    numbers = {digest: number for number, digest in enumerate(dict.fromkeys(digests))}
    return np.array([numbers[digest] for digest in digests])


def cross_validate(dataset: Dataset, folds: Sequence[Fold], train: Callable[..., Model], home: Path) -> CrossValidation:
    """Train a model for each fold on the other folds, and judge it on its own.

    Args:
        dataset: The data set that was divided.
        folds: From `fold_datasets`.
        train: Takes a data set and the folder `out` to train into; from the second fold on also the `size` and the
            `channels` of the first one's images, so that all models see images of one form.
        home: A new folder: fold-1, fold-2, ... are the runs, index.html the report of all out-of-fold answers.
    """
    models, metrics = list[Model](), list[Mapping[str, float]]()
    joined: ClassifyEvaluator | None = None
    form: dict[str, Any] = {}
    for number, fold in enumerate(folds, 1):
        model = train(fold.dataset, out=home / f"fold-{number}", **form)
        form = {"size": model.card.size, "channels": model.card.channels}
        evaluator = evaluate_network(fused(model.network), model.task, model.fit_split(fold.dataset["test"]))
        assert isinstance(evaluator, ClassifyEvaluator), f"{model.task.name} has no answers to join"
        joined = joined or evaluator.empty()
        joined.join(evaluator, fold.held_out)
        models.append(model)
        metrics.append(evaluator.compute())
    assert joined is not None
    findings = joined.findings(models[0].fit_split(dataset["train"]))
    table = fold_table(metrics, findings.metrics)
    protocol = (
        f"{len(folds)} stratified folds; each image was judged by the model that was not trained on it. "
        f"{findings.protocol}"
    )
    findings = dataclasses.replace(findings, tables=(table, *findings.tables), protocol=protocol)
    card = models[0].card
    facts = {"parameters": models[0].parameters, "input": f"{card.channels} x {card.size}", "folds": len(folds)}
    report = Report(card.task, card.network, dataset.name, OUT_OF_FOLD, findings, facts)
    report.save(home / REPORT)
    return CrossValidation(tuple(models), tuple(metrics), report)


def mean_and_std(folds: Sequence[Mapping[str, float]], name: str) -> tuple[float, float]:
    """Return mean and sample standard deviation of a metric over the folds that have it."""
    values = [fold[name] for fold in folds if name in fold]
    return float(np.mean(values)), float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def fold_table(folds: Sequence[Mapping[str, float]], joined: Mapping[str, float], title: str = "Folds") -> Table:
    """Return the metrics of each fold, their mean and standard deviation, and those of all answers together.

    Args:
        folds: Metrics of each fold.
        joined: Of all out-of-fold answers.
        title: Of the table.
    """
    rows = []
    for name, value in joined.items():
        if name.endswith(("_low", "_high")) or name == "images":
            continue
        mean, std = mean_and_std(folds, name)
        each = (format_metric(name, fold[name]) if name in fold else "" for fold in folds)
        rows.append((name, format_metric(name, mean), format_metric(name, std), format_metric(name, value), *each))
    columns = ("metric", "mean", "std", OUT_OF_FOLD, *(f"fold {number}" for number in range(1, len(folds) + 1)))
    note = (
        "mean and std (sample standard deviation): over the folds; out of fold: over all answers together. The folds "
        "share training images, so that std understates by how much another data set would differ."
    )
    return Table(title, columns, tuple(rows), note)


def summary_of(folds: Sequence[Mapping[str, Any]], name: str) -> str:
    """Return mean and standard deviation of a metric in a few characters."""
    mean, std = mean_and_std(folds, name)
    return f"{format_metric(name, mean)} ± {format_metric(name, std)}"
