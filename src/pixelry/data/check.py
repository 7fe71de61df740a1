"""Look for what spoils training before training does: `check_dataset`."""

from __future__ import annotations

import numpy as np

from pixelry.arguments import verb
from pixelry.data.check_boxes import box_findings
from pixelry.data.check_classes import class_findings, label_findings
from pixelry.data.check_images import copy_findings, image_findings, near_findings
from pixelry.data.check_masks import mask_findings
from pixelry.data.check_sheet import check_sheet
from pixelry.data.dataset import Dataset
from pixelry.data.duplicates import exact_groups, near_groups
from pixelry.data.file_notes import shallow_bits, shallow_note
from pixelry.data.findings import SEVERITIES, CheckReport, Finding
from pixelry.data.label_noise import judge_labels
from pixelry.data.scan import scan_dataset

__all__ = ["CheckReport", "check_dataset"]


@verb
def check_dataset(dataset: Dataset, *, label_noise: bool = True, seed: int = 0) -> CheckReport:
    """Look for what spoils training: unreadable images, odd ones, duplicates, leaks, rare classes, wrong labels.

    Boxes and masks are looked at too. Every image is read once, by all cores; some 800 bytes of each are kept. What
    counts as a near duplicate is said in `pixelry.data.duplicates`, and what as a suspicious label in
    `pixelry.data.label_noise`.

    Args:
        dataset: Any; without labels, only the images are checked.
        label_noise: Look for wrong labels with a quick cross-validated model.
        seed: Of the model's folds.

    Returns:
        The findings, errors first, with a sheet of improbable labels and duplicates. Nothing is raised for what is
        wrong with the data.

    Examples:
        >>> import torch
        >>> from pixelry.data.dataset import Split
        >>> pixels = torch.arange(48, dtype=torch.uint8).reshape(3, 1, 4, 4)
        >>> print(check_dataset(Dataset("tiny", {"train": Split(pixels[[0, 1, 2, 0]])})))
        tiny: 4 images checked: 1 warning
        warning: 1 picture occurs more than once within a split: keep one of each
            train: #0 = train: #3
    """
    scan = scan_dataset(dataset)
    # Blank images are all alike: they are reported as blank, not as each other's copies.
    pictures = np.flatnonzero(scan.readable & ~scan.blank)
    copies = exact_groups(scan.digests, pictures)
    repeats = np.concatenate([np.empty(0, np.int64), *(group[1:] for group in copies)])
    near = near_groups(scan.thumbs, np.setdiff1d(pictures, repeats, assume_unique=True))
    labels = np.where(scan.readable, scan.labels, -1)
    judged = judge_labels(scan.thumbs, labels, seed=seed) if label_noise else None
    findings = [*image_findings(scan), *class_findings(dataset), *box_findings(scan), *mask_findings(scan)]
    findings += [*copy_findings(scan, copies), *near_findings(scan, near)]
    findings += label_findings(scan, judged) if label_noise else []
    if bits := shallow_bits(dataset):
        findings.append(Finding("warning", "few-levels", shallow_note(bits)))
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))
    return CheckReport(dataset.name, len(scan.labels), tuple(findings), check_sheet(scan, judged, copies, near))
