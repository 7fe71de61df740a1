"""Large pictures by overlapping tiles, so that what is small keeps its pixels: boxes merged, maps blended."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pixelry.blending import blended, tile_starts
from pixelry.boxes import Boxes
from pixelry.data.dataset import image_to_tensor
from pixelry.errors import ImageError, UsageError
from pixelry.inputs import Input, note_failure
from pixelry.model import Model
from pixelry.types import Result

LEAST_TILE = 32
COVERED = 0.6  # a box of which so much lies in a surer one of its class is a part of it


def predict_tiles(
    model: Model,
    inputs: Iterable[Input],
    tile: int,
    *,
    settings: Mapping[str, Any] | None = None,
    failed: list[tuple[str, str]] | None = None,
) -> Iterator[Result]:
    """Yield the results of pictures that are seen by tiles.

    A detector sees each tile as it would see a picture, and the whole, for what is larger than a tile. A segmenter sees
    the tiles at their own size, and where they overlap their probabilities are averaged.

    Args:
        model: A detector, or a segmenter that gives each pixel a class.
        inputs: As `pixelry.inputs.gather` returns them.
        tile: Side in pixels.
        settings: Options of the task, where they are not the model's own.
        failed: Is told name and message of each image that cannot be read; None raises ImageError for the first.

    Raises:
        UsageError: The model is of another kind, or the tile is too small.
        ImageError: An image cannot be read.
    """
    check_tile(model, tile)
    for item in inputs:
        try:
            found = tile_result(model, item, tile, settings)
        except ImageError as error:
            note_failure(item.name, error, failed)
        else:
            yield found


def check_tile(model: Model, tile: int) -> None:
    """Raise UsageError unless a model can see pictures by tiles of a side."""
    if not model.task.by_tiles or getattr(model.network, "sees_places", False):
        raise UsageError(
            "tiles are for detectors, and for segmenters that give each pixel a class wherever it is; this is "
            f"{model.card.network}, for {model.card.task}"
        )
    if tile < LEAST_TILE:
        raise UsageError(f"tile is {tile}; expected {LEAST_TILE} pixels or more")


def tile_result(model: Model, item: Input, tile: int, settings: Mapping[str, Any] | None = None) -> Result:
    """Return what a model says of one picture by tiles, see `predict_tiles`."""
    by_tiles = _boxes_by_tiles if model.task.by_tiles == "boxes" else _pixels_by_tiles
    return by_tiles(model, item, tile, settings or {})


def _boxes_by_tiles(model: Model, item: Input, tile: int, settings: Mapping[str, Any]) -> Boxes:
    image = item.read()
    found = [(_boxes(model, image, settings), 0, 0)]
    if max(image.shape[:2]) > tile:
        for top in tile_starts(image.shape[0], tile):
            for left in tile_starts(image.shape[1], tile):
                part = image[top : top + tile, left : left + tile]
                found.append((_boxes(model, part, settings), left, top))
    xyxy = np.concatenate([b.xyxy + np.array([x, y, x, y], np.float32) for b, x, y in found])
    scores, labels = (np.concatenate([getattr(b, name) for b, _, _ in found]) for name in ("scores", "labels"))
    kept = merge(xyxy, scores, labels)
    return Boxes(xyxy[kept], scores[kept], labels[kept], model.classes, item.name, item.source)


def _boxes(model: Model, image: NDArray[Any], settings: Mapping[str, Any]) -> Boxes:
    found = model.predict(image, settings=settings)
    assert isinstance(found, Boxes)
    return found


def _pixels_by_tiles(model: Model, item: Input, tile: int, settings: Mapping[str, Any]) -> Result:
    image = image_to_tensor(item.read(), channels=model.card.channels)
    task: Any = model.task.with_settings(settings)

    def answer(top: int, left: int, height: int, width: int) -> Tensor:
        part = image[None, :, top : top + height, left : left + width]
        values: Tensor = task.pixel_values(model.run(part, task)[0], (height, width))
        return values

    result: Result = task.from_pixel_values(
        blended(answer, (image.shape[-2], image.shape[-1]), tile), item.source, item.name
    )
    return result


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
