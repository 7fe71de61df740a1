"""What benchmarks of detectors and segmenters share: a time from file to result, rows of figures."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pixelry as px

WARM = 5


def seconds_per_picture(model: px.Model, files: list[str]) -> float:
    """Return the median seconds from a file to what the model says of it."""
    spent = []
    for number, file in enumerate([*files[:WARM], *files]):
        start = time.perf_counter()
        model.predict(file)
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
