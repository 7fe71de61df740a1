"""YOLO in its smallest size."""

from __future__ import annotations

from pixelry.networks.detect._yolo import RECIPE, SOURCE, Yolo

SUMMARY = "one look, no anchors, the quickest: for a laptop's CPU"
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
    return Yolo(channels, classes, widths=(32, 64, 128, 256), depths=(1, 2, 2, 1))
