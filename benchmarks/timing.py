"""What benchmarks of detectors and segmenters share: options, training, times from file to result, rows of figures."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import pixelry as px
from pixelry.config import parse_settings
from pixelry.data.dataset import FileImages
from pixelry.data.sheet import as_picture

WARM = 5


def options(description: str | None, *, minutes: float, network: str, out: str) -> argparse.ArgumentParser:
    """Return the options that such benchmarks have."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", help="HEIGHTxWIDTH; by default the task's")
    parser.add_argument("--minutes", type=float, default=minutes)
    parser.add_argument("--networks", nargs="*", default=[network])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path(out))
    return parser


def measure(task: str, network: str, data: px.Dataset, given: argparse.Namespace) -> None:
    """Train a network on the training split, judge it on the test split, and say the figures and how fast both went."""
    model = px.train(
        task,
        data,
        network=network,
        minutes=given.minutes,
        size=size_of(given.size),
        settings=parse_settings(given.set),
        out=given.out / network,
    )
    report = model.evaluate(data)
    report.save(given.out / f"{network}.html", overwrite=True)
    training, test = model.card.training, data["test"]
    row = {"network": network, "minutes": given.minutes, **report.metrics}
    row["training_images_per_s"] = training["steps"] * training["recipe"]["batch"] / training["seconds"]
    seconds = seconds_per_picture(model, pictures(test))
    say({**row, "ms_per_image": 1e3 * seconds, "images_per_s": 1 / seconds}, given.out)


def pictures(split: px.Split) -> list[str] | list[NDArray[np.uint8]]:
    """Return the files of a split; of one without any, such as built-in data, the pictures themselves."""
    if isinstance(split.images, FileImages):
        return [split.name(i) for i in range(len(split))]
    return [as_picture(image) for image in split.images]


def seconds_per_picture(model: px.Model, given: list[str] | list[NDArray[np.uint8]]) -> float:
    """Return the median seconds from a file, or a picture in memory, to what the model says of it."""
    spent = []
    for number, picture in enumerate([*given[:WARM], *given]):
        start = time.perf_counter()
        model.predict(picture)
        if number >= WARM:
            spent.append(time.perf_counter() - start)
    return sorted(spent)[len(spent) // 2]


def size_of(text: str | None) -> tuple[int, int] | None:
    """Return (height, width) of "256x320"; None for none."""
    if text is None:
        return None
    height, width = (int(side) for side in text.split("x"))
    return height, width


def say(row: dict[str, Any], out: Path) -> None:
    """Print a row as a JSON line, and keep it in `figures.jsonl`."""
    line = json.dumps({key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()})
    print(line, flush=True)
    with (out / "figures.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")
