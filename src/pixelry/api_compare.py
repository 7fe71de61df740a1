"""The verb `compare`: several networks on the same data with the same budget."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pixelry.api import make_console, read_dataset, task_class, train
from pixelry.arguments import verb

if TYPE_CHECKING:
    from pixelry.comparison import Comparison
    from pixelry.model import Model


@verb
def compare(
    task: str,
    data: Any,
    *,
    networks: Sequence[str] | None = None,
    epochs: int | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    settings: Mapping[str, Any] | None = None,
    out: str | Path | None = None,
    test: Any = None,
    format: str | None = None,
    size: tuple[int, int] | None = None,
    channels: int | None = None,
    val_fraction: float = 0.1,
    features: Any = None,
    count: int = 1000,
    folds: int = 0,
    seed: int = 0,
    accelerator: str = "auto",
    precision: str = "auto",
    memory_format: Literal["auto", "channels_last", "contiguous"] = "auto",
    progress: bool = True,
) -> Comparison:
    """Train several networks on the same data with the same budget: one table, one plot.

    Args:
        task: What to learn, such as "classify".
        data: A built-in name, a path, or data in memory.
        networks: Names; by default the task's ladder. One may have settings of its own, and weights,
            freeze and size: cnn:width=32,resnet18:weights=imagenet:freeze=0.3:size=96.
        epochs: Budget of each in passes over the training images.
        steps: Budget of each in steps.
        minutes: Budget of each in minutes of training.
        settings: Recipe, task or network settings that all of them take.
        out: A new or empty folder; by default the next free one under runs/.
        test: A second source that is the test split.
        format: The data's format, where it is not to be recognised.
        size: Height and width at the network in pixels.
        channels: 1 for grey, 3 for colour.
        val_fraction: Part of the training images set aside for validation where the data has no such split.
        features: Of generators: the classifier on whose features their pictures are compared; see `evaluate`.
        count: Of generators: how many pictures each makes to be compared.
        folds: Of classifiers: divide the training images into so many folds, train a model for each on the others, and
            judge every image by the one that was not trained on it; the budget is that of each of these runs.
        seed: Of each run.
        accelerator: "auto", "cpu", "gpu", ... as Lightning names them.
        precision: "auto" measures what is fastest here and right for each network; or "32-true", "bf16-mixed".
        memory_format: "auto" measures; or "channels_last", "contiguous".
        progress: Show progress on stderr.

    Raises:
        UsageError: An unknown name or an option out of range, or generators without features to compare them by.
    """
    from pixelry import preflight
    from pixelry.config import Budget, EngineConfig

    console, budget = make_console(progress), Budget(epochs, steps, minutes)
    preflight.check_training(
        task, data, networks or [], settings or {}, test=test, format=format, size=size, channels=channels,
        val_fraction=val_fraction, out=out,
    )  # fmt: skip
    preflight.check_numbers(count=count)
    engine = EngineConfig(accelerator=accelerator, precision=precision, memory_format=memory_format)
    from pixelry import runs
    from pixelry.comparison import Comparison, Rung, measure, prediction_speed
    from pixelry.data.findings import counted
    from pixelry.folders import free_folder
    from pixelry.folds import OUT_OF_FOLD, check_folds, cross_validate, fold_datasets
    from pixelry.rungs import check_rung, folder_name, parse_rung
    from pixelry.training.devices import check_engine

    check_engine(engine)

    names = list(networks) if networks else list(task_class(task).ladder)
    for name in names:
        check_rung(name, task, settings or {})
    if folds:
        check_folds(task, folds)
    dataset = read_dataset(data, test=test, format=format)
    monitor = measure(task, names, dataset, features, channels)
    folder = free_folder(out, f"compare-{task}")  # made with the first run in it, and gone if that fails at once
    split = OUT_OF_FOLD if folds else "test" if "test" in dataset.splits else "val"
    parts = fold_datasets(dataset, folds, seed=seed) if folds else []
    if console and parts:
        console.print(f"{folds} folds of {counted(len(names), 'network')}, {budget} for each run", highlight=False)
    rungs, sign = list[Rung](), -1 if task_class(task).higher_is_better else 1
    for name in names:
        network, own, options = parse_rung(name)
        home = folder / folder_name(name)
        fit: Callable[..., Model] = partial(
            train, task, network=network, settings={**(settings or {}), **own}, epochs=epochs, steps=steps,
            minutes=minutes, val_fraction=val_fraction, seed=seed, accelerator=accelerator, precision=precision,
            memory_format=memory_format, progress=progress,
            **{"size": size, "channels": channels, **options},
        )  # fmt: skip
        if parts:
            crossed = cross_validate(dataset, parts, fit, home)
            models, report, scores = crossed.models, crossed.report, crossed.folds
            judged, run = parts[0].dataset["test"], home / "fold-1"
        else:
            models, scores = (fit(dataset, out=home),), ()
            report = models[0].evaluate(dataset, split=split, features=features, count=count)
            judged, run = dataset.with_val(val_fraction)[split], home
        if models[0].task.monitor != type(models[0].task).monitor:
            monitor = models[0].task.monitor  # class weights are judged by the balanced accuracy
        rungs.append(
            Rung(
                network=name,
                metrics=report.metrics,
                parameters=models[0].parameters,
                train_seconds=sum(model.card.training["seconds"] for model in models) / len(models),
                epochs=sum(model.card.training["epochs"] for model in models) / len(models),
                **prediction_speed(models[0], models[0].fit_split(judged)),
                megabytes=(run / runs.MODEL).stat().st_size / 1e6,
                history=tuple(runs.history(run, monitor)),
                folder=str(home),
                folds=scores,
            )
        )
        ordered = tuple(sorted(rungs, key=lambda rung: sign * rung.metrics[monitor]))
        comparison = Comparison(task, dataset.name, split, str(budget), monitor, ordered)
        comparison.save(folder)  # each time: one that is stopped keeps what it has
    if console and parts:
        console.print("the models of folds measure; for use, train one on all images: `pixelry train`", highlight=False)
    if console:
        console.print(f"comparison: {folder / 'index.html'}", highlight=False, soft_wrap=True)
    return comparison
