"""Detection: where objects are, and of which class. The ways to learn it are files of this folder."""

from __future__ import annotations

from pixelry.tasks.detect.base import Detect
from pixelry.tasks.detect.dense import Dense
from pixelry.tasks.detect.regions import Regions

__all__ = ["TASK", "Dense", "Detect", "Regions"]

TASK = Detect
