"""YOLO in its smallest size."""

from __future__ import annotations

from pixelry.networks.detect._yolo import RECIPE, SOURCE, of_size

SUMMARY = "one look, no anchors, the quickest: for a laptop's CPU"
SOURCE = SOURCE
FAMILY = "dense"
RECIPES = {"detect": RECIPE}
build = of_size(widths=(32, 64, 128, 256), depths=(1, 2, 2, 1))
