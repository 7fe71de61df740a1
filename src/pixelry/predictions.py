"""Predictions as files: a CSV for people, JSON lines for programs, a sheet to look at."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from pixelry.errors import PixelryError
from pixelry.pixels import contact_sheet, write_image
from pixelry.types import Results

SHEET_IMAGES = 64


def save_predictions(results: Results, folder: Path) -> None:
    """Write `predictions.csv`, `predictions.jsonl`, `sheet.png` and, where images failed, `failed.csv`."""
    try:
        with (folder / "predictions.jsonl").open("w", encoding="utf-8") as file:
            file.writelines(json.dumps(result.to_dict()) + "\n" for result in results)
        _write_csv(
            folder / "predictions.csv",
            ("name", "label", "score"),
            [(r.name, r.label, f"{r.score:.6f}") for r in results],
        )
        if results.failed:
            _write_csv(folder / "failed.csv", ("name", "error"), results.failed)
    except OSError as error:
        raise PixelryError(f"the predictions cannot be written to {folder}: {error.strerror}") from None
    if results:
        shown = results[:SHEET_IMAGES]
        labels = [f"{result.label} {result.score:.0%}" for result in shown]
        write_image(folder / "sheet.png", contact_sheet([result.image for result in shown], labels=labels))


def _write_csv(path: Path, columns: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
