"""YOLO in its large size."""

from __future__ import annotations

from pixelry.networks.detect._yolo import RECIPE, SOURCE, of_size

SUMMARY = "one look, no anchors, the surest: for a GPU"
SOURCE = SOURCE
FAMILY = "dense"
RECIPES = {"detect": RECIPE}
build = of_size(widths=(96, 192, 384, 576), depths=(2, 4, 4, 2))
