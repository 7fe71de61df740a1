"""The verb `compare`: several networks on the same data with the same budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pixelry.api import make_console, read_dataset, task_class, train
from pixelry.arguments import verb

if TYPE_CHECKING:
    from pixelry.comparison import Comparison


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
    seed: int = 0,
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
        seed: Of each run.
        progress: Show progress on stderr.

    Raises:
        UsageError: An unknown name or an option out of range, or generators without features to compare them by.
    """
    from pixelry import preflight
    from pixelry.config import Budget

    console, budget = make_console(progress), Budget(epochs, steps, minutes)
    preflight.check_training(
        task, data, networks or [], settings or {}, test=test, format=format, size=size, channels=channels,
        val_fraction=val_fraction, out=out,
    )  # fmt: skip
    preflight.check_numbers(count=count)
    from pixelry import runs
    from pixelry.comparison import Comparison, Rung, measure, prediction_speed
    from pixelry.folders import free_folder
    from pixelry.rungs import check_rung, folder_name, parse_rung

    names = list(networks) if networks else list(task_class(task).ladder)
    for name in names:
        check_rung(name, task, settings or {})
    dataset = read_dataset(data, test=test, format=format)
    monitor = measure(task, names, dataset, features, channels)
    folder = free_folder(out, f"compare-{task}")  # made with the first run in it, and gone if that fails at once
    split = "test" if "test" in dataset.splits else "val"
    rungs, sign = list[Rung](), -1 if task_class(task).higher_is_better else 1
    for name in names:
        network, own, options = parse_rung(name)
        home = folder / folder_name(name)
        model = train(
            task, dataset, network=network, settings={**(settings or {}), **own}, out=home, epochs=epochs, steps=steps,
            minutes=minutes, channels=channels, val_fraction=val_fraction, seed=seed, progress=progress,
            **{"size": size, **options},
        )  # fmt: skip
        report = model.evaluate(dataset, split=split, features=features, count=count)
        images = model.fit_split(dataset.with_val(val_fraction)[split])
        rungs.append(
            Rung(
                network=name,
                metrics=report.metrics,
                parameters=model.parameters,
                train_seconds=model.card.training["seconds"],
                epochs=model.card.training["epochs"],
                **prediction_speed(model, images),
                megabytes=(home / runs.MODEL).stat().st_size / 1e6,
                history=tuple(runs.history(home, monitor)),
                folder=str(home),
            )
        )
        ordered = tuple(sorted(rungs, key=lambda rung: sign * rung.metrics[monitor]))
        comparison = Comparison(task, dataset.name, split, str(budget), monitor, ordered)
        comparison.save(folder)  # each time: one that is stopped keeps what it has
    if console:
        console.print(f"comparison: {folder / 'index.html'}", highlight=False, soft_wrap=True)
    return comparison
