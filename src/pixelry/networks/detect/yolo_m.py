"""YOLO in its large size."""

from __future__ import annotations

from pixelry.networks.detect._yolo import RECIPE, SOURCE, Yolo

SUMMARY = "one look, no anchors, the surest: for a GPU"
SOURCE = SOURCE
FAMILY = "dense"
RECIPES = {"detect": RECIPE}


def build(*, channels: int, size: tuple[int, int], classes: int) -> Yolo:
    """Build the network.

    Args:
        channels: 1 or 3.
        size: (height, width) of the pictures in pixels; it takes any multiples of 32.
        classes: Kinds of objects.
    """
    return Yolo(channels, classes, widths=(96, 192, 384, 576), depths=(2, 4, 4, 2))
