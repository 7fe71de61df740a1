"""The verbs that make pictures: generate and inpaint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pixelry.types import Results


def generate(
    model: Any,
    *,
    count: int = 16,
    label: str | None = None,
    seed: int = 0,
    start: int = 0,
    out: str | Path | None = None,
) -> Results:
    """Make pictures with a model for generation, and write them as files.

    Each picture has its own random numbers: number 7 of a seed is the same picture whatever is drawn with it.

    Args:
        model: A model file, a run's folder, or a `Model`.
        count: How many.
        label: The class to draw, of a conditional model; by default each picture draws its own.
        seed: Of the pictures.
        start: Number of the first picture, to go on where an earlier run of the same seed ended.
        out: A new or empty folder: a PNG file each, images.jsonl and a sheet; by default the next free one under
            runs/.

    Raises:
        UsageError: The model does not generate, the label is unknown, or a number is out of range.
        ExistsError: `out` exists and is not empty.
    """
    from pixelry.model import load_model
    from pixelry.predictions import save_generated
    from pixelry.runs import make_folder, next_folder

    loaded = load_model(model)
    folder = make_folder(out) if out is not None else None
    made = loaded.generate(count, label=label, seed=seed, start=start)
    save_generated(made, folder or next_folder(None, f"generate-{loaded.card.network}"))
    return made


def inpaint(
    model: Any,
    image: Any,
    *,
    mask: Any,
    count: int = 1,
    label: str | None = None,
    seed: int = 0,
    out: str | Path | None = None,
) -> Results:
    """Draw the masked part of a picture anew, and keep the rest.

    Args:
        model: A model file, a run's folder, or a `Model`.
        image: The picture, of the model's size: a file, and in Python also an array or tensor.
        mask: A picture of the same height and width: what is white is drawn, what is black is kept.
        count: How many completions.
        label: The class, of a conditional model; by default each completion draws its own.
        seed: Of the completions.
        out: A new or empty folder: a PNG file each, images.jsonl and a sheet; by default the next free one under
            runs/.

    Raises:
        UsageError: The model does not complete pictures, or a number is out of range.
        ImageError: Picture or mask cannot be read, have another size, or the mask does not suit the model.
        ExistsError: `out` exists and is not empty.
    """
    from pixelry.model import load_model
    from pixelry.predictions import save_generated
    from pixelry.runs import make_folder, next_folder

    loaded = load_model(model)
    folder = make_folder(out) if out is not None else None
    made = loaded.inpaint(image, mask, count=count, label=label, seed=seed)
    save_generated(made, folder or next_folder(None, f"inpaint-{loaded.card.network}"))
    return made
