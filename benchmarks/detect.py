"""Detectors: ours for equal minutes, their mean average precision, speed of training and of prediction.

    python benchmarks/detect.py --data path/to/voc --size 256x320 --minutes 20 --networks yolo_n --out detectors

Prediction is timed picture by picture, from the file to the boxes, the median of all; the peer beside it is
`benchmarks/peers/ultralytics_yolo.py`, whose boxes `pixelry evaluate` judges.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from timing import say, seconds_per_picture, size_of

import pixelry as px
from pixelry.config import parse_settings


def main() -> None:
    """Train each network, judge it, and print a JSON line for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", help="HEIGHTxWIDTH; by default the task's")
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--networks", nargs="+", default=["yolo_n"])
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("detectors"))
    given = parser.parse_args()
    data = px.load_dataset(given.data)
    given.out.mkdir(parents=True, exist_ok=True)
    for network in given.networks:
        model = px.train(
            "detect",
            data,
            network=network,
            minutes=given.minutes,
            size=size_of(given.size),
            settings=parse_settings(given.set),
            out=given.out / network,
        )
        report = model.evaluate(data)
        report.save(given.out / f"{network}.html", overwrite=True)
        training = model.card.training
        test = data["test"]
        row = {"network": network, "minutes": given.minutes, **report.metrics}
        row["images_per_s"] = round(training["steps"] * training["recipe"]["batch"] / training["seconds"], 1)
        row["ms_per_image"] = round(1e3 * seconds_per_picture(model, [test.name(i) for i in range(len(test))]), 1)
        say(row, given.out)


if __name__ == "__main__":
    main()
