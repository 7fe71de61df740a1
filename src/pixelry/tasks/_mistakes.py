"""Mistakes of a classifier as blocks of its report, with the evidence for the answers and for the true classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as PILImage
from torch import nn

from pixelry.data.dataset import Split
from pixelry.data.sheet import as_picture
from pixelry.heat import draw_heat
from pixelry.pixels import to_color
from pixelry.reports.findings import Block, Gallery
from pixelry.tasks._explain import evidence_maps

SHOWN = 32
EXPLAINED = 8
SIDE = 160  # pixels of each of the three images of a mistake
GAP = 4
COLORS = 128


@dataclass(frozen=True)
class Mistake:
    """A wrong answer.

    Attributes:
        index: Of the image in its split.
        label: Index of the true class.
        predicted: Index of the answer.
        probability: That the model gave the true class.
        confidence: That it gave its answer.
    """

    index: int
    label: int
    predicted: int
    probability: float
    confidence: float


def mistake_gallery(mistakes: Sequence[Mistake], split: Split, classes: tuple[str, ...]) -> tuple[Block, ...]:
    """Return the most confident mistakes as a gallery; the arguments are those of `mistake_evidence`."""
    if not mistakes:
        return ()
    images = tuple(
        (
            as_picture(split.images[mistake.index]),
            f"{classes[mistake.label]}\ntaken for {classes[mistake.predicted]}, {mistake.confidence:.0%}",
        )
        for mistake in mistakes[:SHOWN]
    )
    note = f"{len(images)} of {len(mistakes)} mistakes, the most confident first: the true class, and the answer."
    return (Gallery("Most confident mistakes", images, note),)


def mistake_evidence(
    network: nn.Module, mistakes: Sequence[Mistake], split: Split, classes: tuple[str, ...]
) -> tuple[Block, ...]:
    """Return the most confident mistakes: each image, the evidence for the answer, and that for the true class.

    Args:
        network: In evaluation mode.
        mistakes: The most confident first.
        split: Prepared images that the network answered for.
        classes: Class names.
    """
    shown = mistakes[:EXPLAINED]
    if not shown:
        return ()
    images = torch.stack([split.images[mistake.index] for mistake in shown])
    answered = evidence_maps(network, images, torch.tensor([mistake.predicted for mistake in shown]))
    missed = evidence_maps(network, images, torch.tensor([mistake.label for mistake in shown]))
    cells = tuple(
        (
            _in_a_row(as_picture(image), [answer.cpu().numpy(), truth.cpu().numpy()]),
            f"{classes[mistake.predicted]} {mistake.confidence:.0%}, in truth {classes[mistake.label]} "
            f"({mistake.probability:.1%})",
        )
        for mistake, image, answer, truth in zip(shown, images, answered, missed, strict=True)
    )
    note = (
        "Left the image, in the middle the evidence for the answer, on the right that for the true class, each "
        "relative to its own maximum (Grad-CAM, Selvaraju et al. 2017; of a linear network weights times pixels). "
        "Evidence on the background is a sign that the model goes by something else than the object."
    )
    return (Gallery("Why: evidence behind the most confident mistakes", cells, note, columns=2),)


def _in_a_row(image: NDArray[Any], maps: Sequence[NDArray[Any]]) -> NDArray[np.uint8]:
    overlays = [draw_heat(image, heat, side=SIDE) for heat in maps]
    factor = overlays[0].shape[0] // image.shape[0]
    page = to_color(image).repeat(factor, axis=0).repeat(factor, axis=1)
    gap = np.full((page.shape[0], GAP, 3), 255, np.uint8)
    row = np.concatenate([page, gap, overlays[0], gap, overlays[1]], axis=1)
    # Smooth maps have tens of thousands of colors; with fewer a report is a third smaller, and looks the same.
    return np.asarray(PILImage.fromarray(row).quantize(COLORS, dither=PILImage.Dither.NONE).convert("RGB"))
