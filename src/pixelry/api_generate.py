"""The verbs that make pictures: generate and inpaint."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelry.api import make_console
from pixelry.arguments import verb
from pixelry.errors import UsageError

if TYPE_CHECKING:
    from pixelry.model import Model
    from pixelry.types import Results


@verb
def generate(
    model: Any,
    *,
    count: int = 16,
    label: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    sampler: str | None = None,
    seed: int = 0,
    start: int = 0,
    animate: bool = False,
    out: str | Path | None = None,
    progress: bool = True,
) -> Results:
    """Make pictures with a model for generation, and write them as files as they come.

    Each picture has its own random numbers: number 7 of a seed is the same picture whatever is drawn with it.

    Args:
        model: A model file, a run's folder, or a `Model`.
        count: How many.
        label: The class to draw, of a conditional model; by default each picture draws its own.
        steps: From noise to the picture, of a diffusion model; by default as the model was trained to be used.
        guidance: Weight of the class, of a conditional diffusion model: 1 for none; 1.3 to 2 is truer to it, more is
            less varied.
        sampler: Of a diffusion model: dpmpp, unipc, heun, ddim or ddpm.
        seed: Of the pictures.
        start: Number of the first picture, to go on where an earlier run of the same seed ended.
        animate: Also write way.png and way.gif: from noise to the first pictures of a diffusion model, from picture to
            picture of a DCGAN; and of the former noise.png and noise.gif, the forward process from these pictures.
        out: A new or empty folder: a PNG file each, images.jsonl and a sheet; by default the next free one under
            runs/.
        progress: Show progress on stderr.

    Returns:
        The first 1,000 pictures, and in `folder` where all of them are; `Model.generate` returns all.

    Raises:
        UsageError: The model does not generate, the label is unknown, a number is out of range, or the model's kind
            knows no such option.
        ExistsError: `out` exists and is not empty.
    """
    from pixelry import preflight
    from pixelry.folders import next_folder

    preflight.check_model(model)
    preflight.check_numbers(count=count, steps=steps)
    preflight.check_out(out)
    from pixelry.model import load_model
    from pixelry.predictions import save_generated, save_way
    from pixelry.way import check_way, ways

    loaded = load_model(model)
    settings = _given(loaded, steps=steps, guidance=guidance, sampler=sampler)
    if console := make_console(progress):
        for warning in loaded.card.training.get("warnings", ()):
            console.print(f"warning of the model's training: {warning}", markup=False, highlight=False, soft_wrap=True)
    with progress_bar(count, show=progress) as on_progress:
        # Asked for before a folder is made, so that what is wrong with it is said first.
        pictures = loaded.stream(count, label=label, seed=seed, start=start, settings=settings, on_progress=on_progress)
        drawing = loaded.drawing(settings)
        if animate:
            check_way(loaded)
        folder = next_folder(out, f"generate-{loaded.card.network}")
        if animate:
            for name, way in ways(loaded, label=label, seed=seed, start=start, settings=settings).items():
                save_way(way, folder, name)
        return save_generated(pictures, folder, drawing)


@verb
def inpaint(
    model: Any,
    image: Any,
    *,
    mask: Any,
    count: int = 1,
    label: str | None = None,
    steps: int | None = None,
    guidance: float | None = None,
    seed: int = 0,
    out: str | Path | None = None,
    progress: bool = True,
) -> Results:
    """Draw the masked part of a picture anew, and keep the rest.

    Args:
        model: A model file, a run's folder, or a `Model`.
        image: The picture, of the model's size: a file, and in Python also an array or tensor.
        mask: A picture of the same height and width: what is white is drawn, what is black is kept.
        count: How many completions.
        label: The class, of a conditional model; by default it is drawn from what is known, or left open.
        steps: From noise to the picture, of a diffusion model.
        guidance: Weight of the class, of a conditional diffusion model.
        seed: Of the completions.
        out: A new or empty folder: a PNG file each, images.jsonl and a sheet; by default the next free one under
            runs/.
        progress: Show progress on stderr.

    Raises:
        UsageError: The model does not complete pictures, or a number is out of range.
        ImageError: Picture or mask cannot be read, have another size, or the mask does not suit the model.
        ExistsError: `out` exists and is not empty.
    """
    from pixelry import preflight
    from pixelry.folders import next_folder

    preflight.check_model(model, [image, mask], usage="pixelry inpaint {model} {other} --mask MASK")
    preflight.check_inputs([image, mask])
    preflight.check_numbers(count=count, steps=steps)
    preflight.check_out(out)
    from pixelry.model import load_model
    from pixelry.predictions import save_generated

    loaded = load_model(model)
    settings = _given(loaded, steps=steps, guidance=guidance)
    with progress_bar(count, show=progress) as on_progress:
        made = loaded.inpaint(
            image, mask, count=count, label=label, seed=seed, settings=settings, on_progress=on_progress
        )
    return save_generated(made, next_folder(out, f"inpaint-{loaded.card.network}"), loaded.drawing(settings))


def _given(model: Model, **options: Any) -> dict[str, Any]:
    """Return the options that were given; raise UsageError for one that a model of this kind does not have."""
    given = {name: value for name, value in options.items() if value is not None}
    foreign = [f"--{name}" for name in given if name not in model.task.settable()]
    if foreign:
        raise UsageError(f"{model.card.network} has no {' and no '.join(foreign)}: these are for diffusion models")
    return given


@contextmanager
def progress_bar(count: int, *, show: bool) -> Iterator[Callable[[float], None]]:
    """Show how many of `count` pictures are made and the time left; yields the function that is told."""
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn

    from pixelry.progress import live_progress, new_console

    columns = (TextColumn("making pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with live_progress(*columns, console=new_console(), show=show) as bar:
        task = bar.add_task("", total=count)
        yield lambda done: bar.advance(task, done)
