"""Segmenters: ours for equal minutes, judged at full size, their speed; and the maps of others, judged alike.

    python benchmarks/peers/smp_unet.py --data path/to/camvid --minutes 15 --out peers
    python benchmarks/segment.py --data path/to/camvid --maps peers/unet-resnet18 --networks
    python benchmarks/segment.py --data path/to/camvid --minutes 15 --networks fpn --out segmenters

Prediction is timed picture by picture, from the file to the map at its own size, the median of all.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from timing import measure, options, say

import pixelry as px
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
    parser = options(__doc__, minutes=15.0, network="fpn", out="segmenters")
    parser.add_argument("--maps", type=Path)
    given = parser.parse_args()
    data = px.load_dataset(given.data)
    given.out.mkdir(parents=True, exist_ok=True)
    if given.maps:
        say({"maps": given.maps.name, **judge_maps(given.maps, data)}, given.out)
    for network in given.networks:
        measure("segment", network, data, given)


if __name__ == "__main__":
    main()
