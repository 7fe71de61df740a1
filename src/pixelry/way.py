"""The way to a picture: from noise to it, or from one picture to the next, as frames of a film."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pixelry.data.loading import generator_for
from pixelry.data.sheet import as_picture
from pixelry.errors import UsageError
from pixelry.model import Model
from pixelry.pixels import contact_sheet
from pixelry.tasks.generate import Adversarial, Diffusion

PICTURES = 8
STRIP = 11  # frames of a way in its strip
BETWEEN = 8  # frames from one picture of a walk to the next

# One list a row: the pictures of a diffusion model on their way, or the one walk of an adversarial one.
Way = list[list[NDArray[np.uint8]]]


def way_to_pictures(
    model: Model,
    *,
    label: str | None = None,
    seed: int = 0,
    start: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> Way:
    """Return how the first eight pictures of a seed come about.

    Args:
        model: A diffusion model: each row is a picture on its way from noise, a step a frame. Or an adversarial one:
            one row, a walk through its latents from picture to picture and back to the first.
        label: The class, of a conditional model.
        seed: Of the pictures.
        start: Number of the first.
        settings: Options of the task to draw by.

    Raises:
        UsageError: A model of another kind, which has no way to show.
    """
    check_way(model)
    task = model.task.with_settings(settings or {})
    assert isinstance(task, Diffusion | Adversarial)
    generators = [generator_for(seed, number) for number in range(start, start + PICTURES)]
    labels = task.labels(label, generators)
    if isinstance(task, Adversarial):
        return [[_bytes(frame)[0] for frame in task.walk(model.network, generators, labels, BETWEEN)]]
    frames = [_bytes(frame) for frame in task.trace(model.network, generators, labels, keep=True)]
    return [[frame[i] for frame in frames] for i in range(PICTURES)]


def ways(
    model: Model,
    *,
    label: str | None = None,
    seed: int = 0,
    start: int = 0,
    settings: Mapping[str, Any] | None = None,
) -> dict[str, Way]:
    """Return the ways to and from the first eight pictures of a seed by name: "way", and of a diffusion model "noise".

    The arguments are those of `way_to_pictures`.
    """
    way = way_to_pictures(model, label=label, seed=seed, start=start, settings=settings)
    if not isinstance(model.task, Diffusion):
        return {"way": way}
    last = torch.stack([torch.from_numpy(np.atleast_3d(row[-1]).copy()).movedim(-1, 0) for row in way])
    return {"way": way, "noise": way_to_noise(model, last, steps=len(way[0]) - 1)}


def check_way(model: Model) -> None:
    """Raise UsageError unless a model has a way to show."""
    if not isinstance(model.task, Diffusion | Adversarial):
        raise UsageError(f"{model.card.network} draws value after value and has no way to show; leave --animate out")


def way_to_noise(model: Model, images: Tensor, *, steps: int = 10) -> Way:
    """Return the forward process: each picture with more and more noise, as the model is trained to see it.

    Args:
        model: A diffusion model.
        images: uint8 (N, C, H, W).
        steps: Levels of noise after the picture itself.
    """
    task = model.task
    assert isinstance(task, Diffusion)
    noise = torch.stack([torch.randn(image.shape, generator=generator_for(0, i)) for i, image in enumerate(images)])
    frames = [_bytes(frame) for frame in task.noised(model.network, images.float() / 255, noise, steps)]
    return [[frame[i] for frame in frames] for i in range(len(images))]


def way_strip(way: Way) -> NDArray[np.uint8]:
    """Return the way as one picture: a row for each picture, and some frames of it from left to right."""
    count = len(way[0])
    chosen = np.unique(np.linspace(0, count - 1, min(count, STRIP)).round().astype(int))
    return contact_sheet([row[i] for row in way for i in chosen], columns=len(chosen))


def _bytes(images: Tensor) -> list[NDArray[np.uint8]]:
    return [as_picture(image) for image in (images.clamp(0, 1) * 255).round().byte().cpu()]
