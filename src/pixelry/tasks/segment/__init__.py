"""Segmentation: the class of every pixel."""

from __future__ import annotations

from pixelry.tasks.segment.base import Segment

__all__ = ["TASK", "Segment"]

TASK = Segment
