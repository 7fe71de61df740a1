"""What a check finds in the labels: classes that lack images, and labels that a model finds improbable."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pixelry.data.dataset import Dataset
from pixelry.data.findings import Example, Finding, Severity, counted, listed
from pixelry.data.label_noise import MIN_ACCURACY, MIN_PER_CLASS, Judgement, small_classes
from pixelry.data.scan import Scan

IMBALANCE = 10
MOST_LABELS = 32
# Above this share of suspicious labels they are more than the odd slip.
NOISY_SHARE = 0.01


def class_findings(dataset: Dataset) -> Iterator[Finding]:
    """Yield classes that are missing where they are needed, and classes with far fewer images than others."""
    counts = {
        name: np.bincount(split.labels.numpy(), minlength=len(dataset.classes))
        for name, split in dataset.splits.items()
        if "label" in split.targets and len(split)
    }
    if not counts:
        return
    absent = [name for k, name in enumerate(dataset.classes) if not any(count[k] for count in counts.values())]
    if absent:
        what = counted(len(absent), "class", "classes")
        message = f"{what} without a single image ({listed(absent)}): add images, or take the name off the list"
        yield Finding("warning", "class-empty", message, total=len(absent))
    yield from _missing(dataset, counts)
    yield from _imbalance(dataset, counts.get("train", next(iter(counts.values()))))


def _missing(dataset: Dataset, counts: dict[str, np.ndarray]) -> Iterator[Finding]:
    """Yield classes that train lacks, and classes that only one split has."""
    unlearnt = {
        name: [c for k, c in enumerate(dataset.classes) if count[k] and not counts["train"][k]]
        for name, count in counts.items()
        if "train" in counts
    }
    for name, classes in unlearnt.items():
        if classes:
            what = counted(len(classes), "class", "classes")
            message = f"{what} in split '{name}' but not in train ({listed(classes)}): no model can learn them there"
            severity: Severity = "error" if name == "test" else "warning"
            yield Finding(severity, "class-split", message, total=len(classes))
    if "train" in counts and len(counts) > 1:
        others = np.sum([count for name, count in counts.items() if name != "train"], axis=0)
        only = [c for k, c in enumerate(dataset.classes) if counts["train"][k] and not others[k]]
        if only:
            what = counted(len(only), "class", "classes")
            message = f"{what} in train only ({listed(only)}): nothing will say how well they are recognised"
            yield Finding("warning", "class-split", message, total=len(only))


def _imbalance(dataset: Dataset, counts: np.ndarray) -> Iterator[Finding]:
    present = np.flatnonzero(counts)
    most, least = present[counts[present].argmax()], present[counts[present].argmin()]
    ratio = counts[most] / counts[least]
    if ratio >= IMBALANCE:
        message = (
            f"class '{dataset.classes[most]}' has {counted(int(counts[most]), 'image')} and "
            f"'{dataset.classes[least]}' {int(counts[least]):,}, {ratio:,.0f} to 1: add images of the rare classes "
            "or train with --set class_weights=balanced, and look at the scores class by class, not at accuracy alone"
        )
        yield Finding("warning", "imbalance", message, total=1)


def label_findings(scan: Scan, judged: Judgement | None) -> Iterator[Finding]:
    """Yield the labels that a cross-validated model finds improbable, and what it cannot judge."""
    classes = scan.dataset.classes
    if small := [classes[k] for k in small_classes(np.where(scan.readable, scan.labels, -1))]:
        what = counted(len(small), "class", "classes")
        message = f"labels of {what} were not checked ({listed(small)}): fewer than {MIN_PER_CLASS} images"
        yield Finding("info", "labels-unchecked", message, total=len(small))
    if judged is None:
        return
    count = len(judged.suspicious)
    agrees = f"the quick model agrees with {judged.accuracy:.1%} of {len(judged.positions):,} labels"
    if not judged.usable:
        message = (
            f"labels could not be judged: {agrees}, at least {judged.accuracy_low:.1%} with 95 % confidence; of a "
            f"model below {MIN_ACCURACY:.0%} most of what it reports are its own mistakes. Train a network, and look "
            "at the mistakes in its report (`pixelry evaluate`)"
        )
        yield Finding("info", "labels-unchecked", message)
    elif count:
        share = count / len(judged.positions)
        message = (
            f"{counted(count, 'label')} of {len(judged.positions):,} improbable, of which at least "
            f"{judged.precision:.0%} are expected to be wrong ({agrees}): look at the sheet, and correct what is wrong"
        )
        examples = tuple(_suspicious(scan, judged, int(i)) for i in judged.suspicious[:MOST_LABELS])
        yield Finding("warning" if share >= NOISY_SHARE else "info", "label-noise", message, examples, count)


def _suspicious(scan: Scan, judged: Judgement, index: int) -> Example:
    given, predicted = (scan.dataset.classes[int(k[index])] for k in (judged.given, judged.predicted))
    values = {
        "label": given,
        "predicted": predicted,
        "probability": round(float(judged.confidence[index]), 4),
        "label_probability": round(float(judged.self_confidence[index]), 6),
    }
    note = f"labelled '{given}', looks like '{predicted}' ({judged.confidence[index]:.0%})"
    return Example((scan.named(int(judged.positions[index])),), note, values)
