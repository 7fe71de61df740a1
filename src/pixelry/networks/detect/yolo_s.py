"""YOLO in its small size."""

from __future__ import annotations

from pixelry.networks.detect._yolo import RECIPE, SOURCE, of_size

SUMMARY = "one look, no anchors, in between"
SOURCE = SOURCE
FAMILY = "dense"
RECIPES = {"detect": RECIPE}
build = of_size(widths=(64, 128, 256, 512), depths=(1, 2, 2, 1))
