"""Segmenters: ours for equal minutes, judged at full size, their speed; and the maps of others, judged alike.

    python benchmarks/peers/smp_unet.py --data path/to/camvid --minutes 15 --out peers
    python benchmarks/segment.py --data path/to/camvid --maps peers/unet-resnet18 --networks
    python benchmarks/segment.py --data path/to/camvid --minutes 15 --networks fpn --out segmenters

Prediction is timed picture by picture, from the file to the map at its own size, the median of all.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timing import say, seconds_per_picture, size_of

import pixelry as px
from pixelry.config import parse_settings
from pixelry.tasks.segment.metrics import SegmentEvaluator


def judge_maps(folder: Path, data: px.Dataset) -> dict[str, float]:
    """Return the figures of maps that another program wrote: PNG of class ids, named as the test pictures."""
    test = data["test"]
    evaluator = SegmentEvaluator(data.mask_classes)
    for i in range(len(test)):
        ids = np.array(Image.open(folder / f"{Path(test.name(i)).stem}.png"))
        evaluator.take(torch.from_numpy(ids), test.targets["mask"][i], i)
    return evaluator.compute()


def main() -> None:
    """Judge maps, then train each network, judge it, and print a JSON line for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--size", help="HEIGHTxWIDTH; by default the task's")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--networks", nargs="*", default=["fpn"])
    parser.add_argument("--maps", type=Path)
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("segmenters"))
    given = parser.parse_args()
    data = px.load_dataset(given.data)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.maps:
        say({"maps": given.maps.name, **judge_maps(given.maps, data)}, given.out)
    for network in given.networks:
        # Trained on the training split alone; the other is judged on as it is.
        model = px.train(
            "segment",
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
        row["images_per_s"] = 1 / seconds_per_picture(model, [test.name(i) for i in range(len(test))])
        say(row, given.out)


if __name__ == "__main__":
    main()
