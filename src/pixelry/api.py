"""The verbs: what `pixelry` does, each short enough to show the whole flow in order.

A verb's signature is the one place where its options stand: the command line's flags and help come from it.
Nothing heavy is imported until a verb runs.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pixelry.arguments import verb
from pixelry.errors import ImageError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from pixelry.data.dataset import Dataset
    from pixelry.model import Model
    from pixelry.report import Report
    from pixelry.types import Result, Results


@verb
def train(
    task: str | None = None,
    data: Any = None,
    *,
    network: str | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    weights: str | None = None,
    freeze: float | str = 0.0,
    early_stop: int = 0,
    test: Any = None,
    format: str | None = None,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    val_fraction: float = 0.1,
    seed: int = 0,
    accelerator: str = "auto",
    devices: str = "auto",
    strategy: str = "auto",
    nodes: int = 1,
    precision: str = "auto",
    memory_format: Literal["auto", "channels_last", "contiguous"] = "auto",
    compile: bool = False,
    checkpoint_seconds: float = 60.0,
    progress: bool = True,
) -> Model:
    """Train a network and return it as a model.

    The run's folder holds config.yaml, metrics.csv, checkpoints, model.safetensors and a report, index.html.

    Args:
        task: What to learn, such as "classify".
        data: A built-in name, a path, or data in memory (a `Dataset`, arrays, tensors, a torch data set).
        network: A name from `pixelry networks`; by default the strongest that can learn from the data in the time.
        epochs: Budget in passes over the training images.
        steps: Budget in steps of the optimiser.
        minutes: Budget in minutes of training.
        settings: Recipe, task or network settings by name, such as lr=0.1, label_smoothing=0.05 or width=64.
        out: The run's folder, new or empty; by default the next free one under runs/.
        resume: The folder of a run that was interrupted, to be continued with its own settings.
        weights: Start from "imagenet" or "coco" (torchvision's, downloaded), a Pixelry model or a safetensors file.
        freeze: Part of the run, from 0 to 1, during which only the head is trained; "backbone" is all of it.
        early_stop: Stop after so many validations without a better score, and keep the best; 0 never stops.
        test: A second source that is the test split, where it lies apart.
        format: The data's format, where it is not to be recognised.
        size: Height and width at the network in pixels, such as 64x64; by default as large as the time allows: at most
            the data's own, 128 for classify, 320 for detect, 512 for segment, 64 for generate; denoise patches of 64.
        channels: 1 for grey, 3 for colour; by default the data's own.
        val_fraction: Part of the training images set aside for validation where the data has no such split.
        seed: The same seed on the same machine gives the same weights (with a budget of epochs or steps).
        accelerator: "auto", "cpu", "gpu", ... as Lightning names them.
        devices: How many, or "auto".
        strategy: "auto", "ddp", ... as Lightning names them.
        nodes: Machines.
        precision: "auto" measures what is fastest here and right; or "32-true", "bf16-mixed", "16-mixed".
        memory_format: "auto" measures; or "channels_last", "contiguous".
        compile: Compile the network first; pays off in long runs.
        checkpoint_seconds: At most so long between two checkpoints.
        progress: Show progress on stderr.

    Raises:
        UsageError: An unknown name, an option out of range, options that exclude each other.
        DataError: The data cannot be read or does not fit the task.
        ExistsError: `out` exists and is not empty.
        TrainingError: Training diverged; the last checkpoint is kept.
    """
    from pixelry import preflight
    from pixelry.config import Budget, DataConfig, EngineConfig

    console = make_console(progress)
    if resume is not None:
        preflight.check_run(resume)
        return _resume(Path(resume), data, test, console)
    if task is None or data is None:
        raise UsageError("train needs a task and data: pixelry train classify --data digits")
    engine = EngineConfig(
        accelerator, str(devices), strategy, nodes, precision, memory_format, compile, checkpoint_seconds
    )
    form = DataConfig(_source(data), _source(test), format, size, channels, val_fraction)
    budget = Budget(epochs, steps, minutes)
    named = [network] if network else []
    preflight.check_training(task, data, named, settings or {}, test=test, format=format, size=size, out=out)
    preflight.check_weights(weights)
    from pixelry.training.devices import check_engine

    check_engine(engine)
    from pixelry import runs
    from pixelry.choice import decide
    from pixelry.estimates import Request

    begun = time.perf_counter()  # of the run: loading torch is no part of its minutes
    request = Request(
        task,
        settings or {},
        form,
        budget,
        engine,
        weights=weights,
        freeze=_frozen_part(freeze),
        early_stop=early_stop,
        seed=seed,
    )
    if network is not None:
        request.configure(network)  # names and settings are checked before the data is read
    dataset = read_dataset(data, test=test, format=format)
    config = decide(request, dataset, network=network, console=console)
    with runs.new_folder(out, config) as folder:
        return _train(config, dataset, folder, resume=False, console=console, begun=begun)


def _resume(folder: Path, data: Any, test: Any, console: Console | None) -> Model:
    from pixelry import runs

    config = runs.resumed(folder)
    source = data if data is not None else config.data.source
    if source is None:
        raise UsageError(f"the run in {folder} was trained on data in memory: pass the same data again to resume it")
    dataset = read_dataset(source, test=test if test is not None else config.data.test, format=config.data.format)
    if dataset.fingerprint != config.data.fingerprint:
        raise UsageError(
            f"the data is not what the run in {folder} began with; resume needs the same images and labels"
        )
    return _train(config, dataset, folder, resume=True, console=console)


def _train(
    config: Any,
    dataset: Dataset,
    folder: Path,
    *,
    resume: bool,
    console: Console | None,
    begun: float | None = None,
) -> Model:
    from pixelry import runs
    from pixelry.run_report import training_report

    if console:
        console.print(f"{config.network} on {dataset.describe()}; budget: {config.budget}", highlight=False)
    try:
        model, result, split = runs.execute(config, dataset, folder, resume=resume, console=console, begun=begun)
    except ImageError as error:
        raise ImageError(
            f"{error}; `pixelry data check` names every such image, and `pixelry data clean DATA --out NEW` makes a "
            "list without them, for --data NEW"
        ) from None
    if result.is_main and result.evaluator:
        findings = model.task.findings(model.network, result.evaluator, split)
        report = training_report(model, findings, folder, data=dataset.name, split="val")
        report.save(folder / runs.REPORT, overwrite=resume)
    if result.is_main and console:
        score = model.card.metrics.get(model.task.monitor)
        reached = f", validation {model.task.monitor} {score:.4f}{result.choice}" if score is not None else ""
        ended = "interrupted after" if result.interrupted else "trained"
        console.print(
            f"{ended} {result.epochs:.1f} epochs in {result.seconds:.1f} s{reached}; model: {folder / runs.MODEL}",
            highlight=False,
            soft_wrap=True,
        )
        for warning in result.warnings:
            console.print(f"warning: {warning}", markup=False, highlight=False, soft_wrap=True)
    return model


@verb
def evaluate(
    model: Any,
    data: Any,
    *,
    split: str | None = None,
    test: Any = None,
    format: str | None = None,
    settings: Mapping[str, Any] | None = None,
    features: Any = None,
    count: int = 2000,
    out: str | Path | None = None,
    progress: bool = True,
) -> Report:
    """Evaluate a model on a split of a data set.

    Args:
        model: A model file, a run's folder, a `Model`, or a .json file of COCO results, of whatever program.
        data: A built-in name, a path, or data in memory.
        split: "train", "val" or "test"; by default test where there is one, else val; of new data without both, "all".
        test: A second source that is the test split.
        format: The data's format, where it is not to be recognised.
        settings: Options of the task to judge by, where they are not the model's own, such as sigma=15.
        features: Of a generator: the classifier on whose features pictures are compared: a model, "digits" (ships with
            Pixelry, the default for digits) or "inception" (torchvision's, downloaded).
        count: Of a generator: how many pictures are made and compared.
        out: A new or empty folder for the report: index.html and report.json.
        progress: Show progress on stderr.

    Raises:
        ModelError: The model file cannot be used, or the data has other classes.
        UsageError: A setting is unknown or out of range, or does not go with the model.
    """
    from pixelry import preflight
    from pixelry.api_generate import progress_bar
    from pixelry.api_predict import evaluate_results
    from pixelry.folders import make_folder

    preflight.check_model(model, data, usage="pixelry evaluate {model} --data {other}", results=True)
    preflight.check_data(data, format)
    preflight.check_out(out)
    from pixelry.model import load_model

    results = isinstance(model, str | Path) and Path(model).suffix == ".json"
    loaded = None if results else load_model(model)
    if loaded is None and (settings or features is not None):
        raise UsageError("settings and features are for models; boxes in a file are judged as they are")
    if loaded is None:
        report = evaluate_results(Path(model), read_dataset(data, test=test, format=format), split)
    else:
        with progress_bar(count, show=progress and loaded.card.task == "generate") as on_progress:
            report = loaded.evaluate(
                data, split=split, test=test, format=format, settings=settings, features=features, count=count,
                on_progress=on_progress,
            )  # fmt: skip
    if out is not None:
        folder = make_folder(out)
        report.save(folder / "index.html")
        report.save(folder / "report.json")
    return report


@verb
def predict(
    model: Any,
    inputs: Any,
    *,
    out: str | Path | None = None,
    confidence: float | None = None,
    overlap: float | None = None,
    only: Sequence[str] | None = None,
    tile: int | None = None,
    settings: Mapping[str, Any] | None = None,
    batch: int | None = None,
    skip_errors: bool = False,
    progress: bool = True,
    strip: bool = False,
    strength: float | None = None,
    sigma: float | str | None = None,
    measure: bool = False,
    pixel_size: str | None = None,
    min_area: int = 0,
    explain: bool = False,
) -> Result | Results:
    """Predict for images, folders, patterns, videos and cameras.

    Args:
        model: A model file, a run's folder, or a `Model`.
        inputs: Image files, folders or quoted patterns such as 'more/*.png'; video files, a stream's address, or 0 for
            the first camera; in Python also arrays and tensors.
        out: A new or empty folder: predictions.csv, predictions.jsonl and a sheet of the first pictures, and of what is
            a picture, such as a map of classes, a file each; of a video its frames drawn, and a JSON line for each.
        confidence: Of a detector: least score of the boxes that are shown, from 0 to 1.
        overlap: Of a detector: of two boxes of a class with a larger intersection over union the surer stays.
        only: Of a detector: the classes that are shown, such as cat,dog.
        tile: Of a detector or a segmenter: side in pixels of tiles by which a large picture is seen, at its own size.
        settings: Other options of the task, where they are not the model's own, such as flip=true of a segmenter.
        batch: Images at once.
        skip_errors: Go on when an image cannot be read, and name it at the end.
        progress: Show progress of videos on stderr.
        strip: Of a denoiser or upscaler: also write NAME-strip, before and after side by side.
        strength: Of a denoiser: how much of its answer is taken, from 0 (the image as it was) to 1.
        sigma: Of a denoiser: the noise of the images, of 255 levels, or auto to estimate and print that of each;
            classical methods restore by it.
        measure: Of a segmenter: also measure each object: regions.csv, region-summary.csv and NAME-regions.png.
        pixel_size: With measure: side of a pixel with its unit, such as 0.65um, for areas and lengths in units.
        min_area: With measure: objects with fewer pixels are left out.
        explain: Of a classifier: also find where on each image the evidence for its label lies (Grad-CAM), and write
            NAME-why.png: image, evidence, probabilities.

    Raises:
        ImageError: An image or video cannot be read.
        UsageError: An option is out of range, or does not go with the model.
    """
    from pixelry import preflight
    from pixelry.api_predict import predict_all
    from pixelry.pixels.measure import parse_pixel_size

    preflight.check_model(model, inputs, usage="pixelry predict {model} {other}")
    if not skip_errors:
        preflight.check_inputs(inputs)
    preflight.check_numbers(tile=tile, batch=batch)
    preflight.check_out(out)
    boxes = {"confidence": confidence, "overlap": overlap, "only": only, "strength": strength}
    if not measure and (pixel_size is not None or min_area):
        raise UsageError("pixel_size and min_area go with measure: give --measure too")
    if min_area < 0:
        raise UsageError(f"min_area is {min_area}; expected 0 or more pixels")
    measured = {"pixel_size": parse_pixel_size(pixel_size), "min_area": min_area} if measure else None
    return predict_all(
        model, inputs, out=out, boxes=boxes, settings=settings or {}, tile=tile, batch=batch, skip_errors=skip_errors,
        progress=progress, strip=strip, sigma=sigma, measure=measured, explain=explain,
    )  # fmt: skip


@verb
def list_networks(task: str | None = None) -> list[dict[str, Any]]:
    """Return what networks there are: name, tasks, summary, source, weights, and which is recommended.

    Args:
        task: Only those for this task.
    """
    from pixelry import plugins, preflight

    if task is not None:
        preflight.check_task(task)
    rows = []
    for name in plugins.networks.names():
        plugin = plugins.networks.load(name)
        tasks = sorted(plugin.RECIPES)
        if task is not None:
            task_class(task)
        if task is None or task in tasks:
            short = name.rsplit(".", 1)[-1]
            recommended = [kind for kind in tasks if _recommended(kind) == short]
            rows.append(
                {
                    "name": short,
                    "tasks": tasks,
                    "summary": plugin.SUMMARY,
                    "source": plugin.SOURCE,
                    "weights": sorted(getattr(plugin, "WEIGHTS", {})),
                    "recommended_for": recommended,
                }
            )
    return rows


@verb
def take_tour(*, out: str | Path = "tour", seconds: float = 12.0, seed: int = 0) -> Path:
    """Climb the ladder on data that ships with Pixelry, and write one HTML page with pictures.

    Args:
        out: A new or empty folder, or one of an earlier tour, which is written anew.
        seconds: Of training for a small network; larger ones have a multiple of it, or a number of steps.
        seed: Of everything that is random.
    """
    from pixelry import preflight

    preflight.check_tour(out, seconds)
    from pixelry.tour import tour

    return tour(out=out, seconds=seconds, seed=seed)


def _frozen_part(freeze: float | str) -> float:
    """Return the part of a run during which the backbone is frozen."""
    if freeze == "backbone":
        return 1.0
    try:
        return float(freeze)
    except ValueError:
        raise UsageError(
            f"freeze is '{freeze}'; expected 'backbone' (the whole run), or the part of the run, from 0 to 1"
        ) from None


def make_console(progress: bool) -> Console | None:
    """Return where progress is shown: stderr, or a notebook's cell; None without it, and in all but one process."""
    from pixelry.folders import is_first_process
    from pixelry.progress import new_console

    return new_console() if progress and is_first_process() else None


def _source(data: Any) -> str | None:
    """The name or path that data comes from, as a run's folder can keep it; None for data in memory."""
    if isinstance(data, str | Path):
        return str(data)
    return getattr(data, "source", None)


def read_dataset(data: Any, *, test: Any, format: str | None) -> Dataset:
    """Return what a verb was given as a data set."""
    from pixelry.data.catalog import load_dataset
    from pixelry.data.dataset import Dataset

    if isinstance(data, Dataset) and test is None:
        return data
    return load_dataset(data, test=test, format=format)


def task_class(name: str) -> Any:
    """Return the class of a task by its name."""
    from pixelry import plugins

    return plugins.tasks.load(name).TASK


def _recommended(task: str) -> str:
    return str(task_class(task).recommended)
