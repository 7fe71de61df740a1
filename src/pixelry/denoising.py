"""What prediction adds for denoisers: the level of noise of each image, and a warning where it is not the model's."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

from pixelry.errors import UsageError
from pixelry.model import Model
from pixelry.networks.denoise._classical import Classical
from pixelry.pixels.noise_level import estimate_noise
from pixelry.tasks.denoise import Denoise
from pixelry.types import Restored, Result

AUTO = "auto"
# An estimate takes texture for noise, so that only levels apart by more than this factor are worth a warning.
FACTOR = 2.0
LOOKED_AT = 512  # pixels a side, where nobody asked for the estimate: it takes no time then


def sigma_of(sigma: float | str | None) -> float | None:
    """Return the level of noise that the user gave, of 255; None for "auto", and where none was given.

    Raises:
        UsageError: It is neither "auto" nor a number above 0.
    """
    if sigma is None or sigma == AUTO:
        return None
    try:
        level = float(sigma)
    except ValueError:
        level = float("nan")
    if not 0 < level < float("inf"):
        raise UsageError(f"sigma is {sigma}; expected auto, or a standard deviation of 255 levels, such as 15")
    return level


def for_images(model: Model, sigma: float | str | None) -> Model:
    """Return the model for images with noise of a level, or of one that is estimated for each image.

    A classical method takes the level. A network takes none: it has learnt its own, and `noted` compares them.

    Args:
        model: Any; `sigma` goes with denoisers alone.
        sigma: "auto", a number of 255 levels, or None.

    Raises:
        UsageError: The model is no denoiser, or sigma is neither "auto" nor a number above 0.
    """
    if sigma is None:
        return model
    if not isinstance(model.task, Denoise):
        raise UsageError(f"a model for {model.card.task} has no --sigma: it is for denoisers")
    level = sigma_of(sigma)
    if not isinstance(model.network, Classical):
        return model
    return dataclasses.replace(model, network=model.network.at(level))


def noted(found: Iterator[Result], model: Model, sigma: float | str | None, *, strength: float) -> Iterator[Result]:
    """Yield results with the level of their image's noise where it was asked for, and a note where it does not fit.

    Args:
        found: Results of any task; those of other tasks come back as they are.
        model: That made them.
        sigma: As in `for_images`.
        strength: Of the denoiser; whoever set one below 1 needs no warning.
    """
    task = model.task
    level = sigma_of(sigma)
    fixed = isinstance(task, Denoise) and task.noise == "gaussian" and not task.sigma_min and task.sigma > 0
    fixed = fixed and not isinstance(model.network, Classical) and strength == 1
    for result in found:
        if isinstance(result, Restored) and isinstance(task, Denoise) and (fixed or sigma is not None):
            side = None if sigma == AUTO else LOOKED_AT
            noise = estimate_noise(result.original, max_side=side) if level is None else level
            note = _note(task.sigma, noise) if fixed else ""
            result = dataclasses.replace(result, sigma=noise if sigma is not None else None, note=note)
        yield result


def _note(trained: float, noise: float) -> str:
    """Return a warning, "" where the noise is about that of training or unknown."""
    if math.isnan(noise) or trained / FACTOR <= noise <= trained * FACTOR:
        return ""
    start = f"the model is trained for noise of sigma {trained:g}, and this image has about {noise:.0f}"
    if noise < trained:
        return f"{start}: texture may be lost; --strength 0.5 keeps more, and --set noise=camera trains for photographs"
    return f"{start}: noise may remain; train with a larger sigma, or a range (sigma_min)"
