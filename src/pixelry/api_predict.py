"""What predict does with images, tiles of them and videos, and evaluate with boxes that another program found."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelry.errors import UsageError

if TYPE_CHECKING:
    from pixelry.data.dataset import Dataset
    from pixelry.model import Model
    from pixelry.report import Report
    from pixelry.types import Result, Results


def predict_all(
    model: Any,
    inputs: Any,
    *,
    out: str | Path | None,
    boxes: Mapping[str, Any],
    settings: Mapping[str, Any],
    tile: int | None,
    batch: int | None,
    skip_errors: bool,
    progress: bool,
    strip: bool,
    sigma: float | str | None = None,
    measure: Mapping[str, Any] | None = None,
    explain: bool = False,
) -> Result | Results:
    """Predict for images and videos; the arguments are those of `api.predict`, `boxes` those of some tasks alone."""
    from pixelry.denoising import for_images, noted
    from pixelry.folders import make_folder
    from pixelry.inputs import all_results, gather, has_images, is_several, single_pages, with_page_notes
    from pixelry.model import load_model
    from pixelry.predictions import save_predictions
    from pixelry.tasks._restoration import Restoration
    from pixelry.tasks.base import check_explains
    from pixelry.tiling import check_tile, predict_tiles
    from pixelry.types import Results
    from pixelry.video import is_video, video_files

    loaded = for_images(load_model(model), sigma)
    given = {**settings, **known_options(loaded, boxes)}
    several = is_several(inputs)
    items = list(inputs) if several else [inputs]
    videos = [video for item in items for video in ([item] if is_video(item) else video_files(item))]
    images = [item for item in items if not is_video(item) and (not video_files(item) or has_images(item))]
    if videos and out is None:
        raise UsageError(f"a video has many frames: give --out FOLDER for what is found in {videos[0]}")
    task = loaded.task.with_settings(given)  # what is wrong with them is said before a folder is made
    restores = isinstance(loaded.task, Restoration)
    if strip and not restores:
        raise UsageError(f"a model for {loaded.card.task} restores no picture: --strip shows one before and after")
    if strip and out is None:
        raise UsageError("--strip writes a file beside each result: give --out FOLDER")
    if measure is not None:
        check_measure(loaded, out, videos)
    check_explains(loaded.task, explain)
    if explain and videos:
        raise UsageError(f"--explain is for images, and {videos[0]} is a video: leave one of them out")
    if tile is not None:
        check_tile(loaded, tile)
    results, single = Results(), False
    folder = make_folder(out) if out is not None else None
    if images:
        gathered, single = gather(images if several else images[0])
        if all(isinstance(item, str | Path) for item in images):
            gathered = list(gathered)  # of files only where they lie is held
        count = len(gathered) if isinstance(gathered, list) else None
        failed = results.failed if skip_errors else None
        if restores:
            gathered = single_pages(gathered, failed)
        else:
            gathered = with_page_notes(gathered, lambda text: print(text, file=sys.stderr) if progress else None)
        if tile is None:
            found = loaded.predict_each(gathered, batch=batch, settings=given, failed=failed, explain=explain)
        else:
            found = predict_tiles(loaded, gathered, tile, settings=given, failed=failed)
        if restores:
            found = noted(found, loaded, sigma, strength=getattr(task, "strength", 1.0))
        if folder:
            results = save_predictions(found, folder, results.failed, strip=strip, measure=measure, count=count)
        else:
            results = all_results(found, results.failed, single=count == 1)
    if videos and folder:
        watch_videos(
            loaded, videos, folder, results, given, tile, skip_errors=skip_errors, progress=progress, strip=strip
        )
    return results[0] if single and results and not videos else results


def check_measure(model: Model, out: str | Path | None, videos: list[Any]) -> None:
    """Raise UsageError unless the model's results have objects that can be measured, and a folder for the tables."""
    if model.card.task != "segment":
        raise UsageError(f"a model for {model.card.task} finds no pixels of objects: --measure goes with a segmenter")
    if out is None:
        raise UsageError("--measure writes regions.csv: give --out FOLDER; in Python, result.measure() needs none")
    if videos:
        raise UsageError(f"--measure is for images: {videos[0]} is a video; save its frames as images first")


def evaluate_results(path: Path, dataset: Dataset, split: str | None) -> Report:
    """Judge boxes that another program found, as COCO results; the split is test where there is one, else val."""
    from pixelry.data.evaluation_split import evaluation_split
    from pixelry.report import Report
    from pixelry.tasks.detect.results import judge_results

    dataset, name, called = evaluation_split(dataset, split, val_fraction=0, is_new=lambda: True)
    findings = judge_results(path, dataset, name)
    return Report("detect", path.name, dataset.name, called, findings, {"results": str(path)})


def watch_videos(
    model: Model,
    videos: list[Any],
    folder: Path,
    results: Results,
    settings: Mapping[str, Any],
    tile: int | None,
    *,
    skip_errors: bool,
    progress: bool,
    strip: bool = False,
) -> None:
    """Predict for videos, and add to the results what came of each."""
    from pixelry.errors import ImageError
    from pixelry.inputs import SKIPPING
    from pixelry.watching import save_watched

    watched = []
    for video in videos:
        try:
            with frame_counter(str(video), show=progress) as on_frame:
                made = save_watched(model, video, folder, settings=settings, tile=tile, strip=strip, on_frame=on_frame)
            watched.append(made)
        except ImageError as error:
            if not skip_errors:
                raise ImageError(f"{error}; {SKIPPING}" if len(videos) > 1 else str(error)) from None
            results.failed.append((str(video), str(error)))
            continue
        if watched[-1].error and not skip_errors and "was stopped" not in watched[-1].error:
            where = watched[-1].video or folder
            raise ImageError(f"{watched[-1].error}; what came before is in {where}; {SKIPPING}")
        if watched[-1].error:
            results.failed.append((str(video), watched[-1].error))
    results.videos, results.folder = watched, folder


def known_options(model: Model, options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options that were given; raise UsageError for one that the model's task does not have."""
    given = {name: value for name, value in options.items() if value is not None}
    foreign = [f"--{name}" for name in given if name not in model.task.settable()]
    if foreign:
        owner = "denoisers" if foreign == ["--strength"] else "detectors"
        raise UsageError(f"a model for {model.card.task} has no {' and no '.join(foreign)}: these are for {owner}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}


@contextmanager
def frame_counter(name: str, *, show: bool) -> Iterator[Callable[[int, float], None]]:
    """Show frames and frames a second; yields the function that is told."""
    from rich.progress import TextColumn

    from pixelry.progress import live_progress, new_console

    columns = (
        TextColumn("{task.description}"),
        TextColumn("{task.fields[frames]:,} frames, {task.fields[speed]:.1f}/s"),
    )
    with live_progress(*columns, console=new_console(), show=show) as bar:
        task = bar.add_task(name, total=None, frames=0, speed=0.0)
        yield lambda frames, seconds: bar.update(task, frames=frames, speed=frames / max(seconds, 1e-9))
