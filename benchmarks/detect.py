"""Detectors: ours for equal minutes, their mean average precision, speed of training and of prediction.

    python benchmarks/detect.py --data path/to/voc --size 256x320 --minutes 20 --networks yolo_n --out detectors

Prediction is timed picture by picture, from the file to the boxes, the median of all; the peer beside it is
`benchmarks/peers/ultralytics_yolo.py`, whose boxes `pixelry evaluate` judges.
"""

from __future__ import annotations

from timing import measure, options

import pixelry as px


def main() -> None:
    """Train each network, judge it, and print a JSON line for it."""
    given = options(__doc__, minutes=20.0, network="yolo_n", out="detectors").parse_args()
    data = px.load_dataset(given.data)
    given.out.mkdir(parents=True, exist_ok=True)
    for network in given.networks:
        measure("detect", network, data, given)


if __name__ == "__main__":
    main()
