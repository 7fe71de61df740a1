"""Large pictures by overlapping tiles, so that small objects keep their pixels: boxes of all tiles, merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pixelry.boxes import Boxes
from pixelry.data.patches import spread
from pixelry.errors import ImageError, UsageError
from pixelry.inputs import gather
from pixelry.model import Model
from pixelry.types import Results

LEAST_TILE = 32
OVERLAP = 0.25  # of a tile: objects up to this part of it are seen whole in some tile
COVERED = 0.6  # a box of which so much lies in a surer one of its class is a part of it


def predict_tiles(
    model: Model, inputs: Any, tile: int, *, settings: Mapping[str, Any] | None = None, skip_errors: bool = False
) -> Results:
    """Detect in pictures by tiles, and in each as a whole, for what is larger than a tile.

    Args:
        model: A detector.
        inputs: What `Model.predict` takes.
        tile: Side in pixels.
        settings: Options of the task, where they are not the model's own.
        skip_errors: Go on when an image cannot be read; `failed` of the results names it.

    Returns:
        One result an image, also for a single one.

    Raises:
        UsageError: The model is no detector, or the tile is too small.
        ImageError: An image cannot be read.
    """
    if model.card.task != "detect":
        raise UsageError(f"tiles are for detectors; this is a model for {model.card.task}")
    if tile < LEAST_TILE:
        raise UsageError(f"tile is {tile}; expected {LEAST_TILE} pixels or more")
    results = Results()
    for item in gather(inputs)[0]:
        try:
            image = item.read()
            found = [(_one(model, image, settings), 0, 0)]
            if max(image.shape[:2]) > tile:
                for top in spread_overlapping(image.shape[0], tile):
                    for left in spread_overlapping(image.shape[1], tile):
                        part = image[top : top + tile, left : left + tile]
                        found.append((_one(model, part, settings), left, top))
        except ImageError as error:
            if not skip_errors:
                raise ImageError(str(error) if item.name in str(error) else f"{item.name}: {error}") from None
            results.failed.append((item.name, str(error)))
            continue
        xyxy = np.concatenate([b.xyxy + np.array([x, y, x, y], np.float32) for b, x, y in found])
        scores, labels = (np.concatenate([getattr(b, name) for b, _, _ in found]) for name in ("scores", "labels"))
        kept = merge(xyxy, scores, labels)
        merged = (xyxy[kept], scores[kept], labels[kept])
        results.append(Boxes(*merged, model.classes, item.name, item.source))
    return results


def _one(model: Model, image: NDArray[Any], settings: Mapping[str, Any] | None) -> Boxes:
    found = model.predict(image, settings=settings)
    assert isinstance(found, Boxes)
    return found


def spread_overlapping(length: int, tile: int) -> list[int]:
    """Return where tiles begin that cover a length with a quarter of overlap.

    Examples:
        >>> spread_overlapping(1000, 400), spread_overlapping(300, 400)
        ([0, 300, 600], [0])
    """
    if length <= tile:
        return [0]
    count = len(spread(length - round(OVERLAP * tile), tile - round(OVERLAP * tile)))
    return [round(i * (length - tile) / max(1, count - 1)) for i in range(count)]


def merge(xyxy: NDArray[np.float32], scores: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of the boxes that stay, the surest first.

    Of two boxes of a class the less sure one goes if the smaller lies for the most part in the larger: a tile's border
    cuts objects, and the part that is seen there is not far from the whole by intersection over union.
    """
    order = np.argsort(-scores, kind="stable")
    areas = np.maximum(np.prod(xyxy[:, 2:] - xyxy[:, :2], 1), 1e-9)
    kept: list[int] = []
    for i in order:
        rivals = [j for j in kept if labels[j] == labels[i]]
        low, high = np.maximum(xyxy[i, :2], xyxy[rivals, :2]), np.minimum(xyxy[i, 2:], xyxy[rivals, 2:])
        common = np.prod(np.clip(high - low, 0, None), 1)
        if not (common > COVERED * np.minimum(areas[i], areas[rivals])).any():
            kept.append(int(i))
    return np.array(kept, dtype=np.int64)
