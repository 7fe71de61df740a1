"""Ultralytics' smallest YOLO, trained from scratch for a time limit; a peer for `pixelry train detect`.

    pixelry data convert path/to/voc converted --to yolo
    python benchmarks/peers/ultralytics_yolo.py --data converted/data.yaml --size 320 --minutes 20 --out peers
    pixelry evaluate peers/yolo11n.json --data path/to/voc

It needs ultralytics (AGPL-3.0), in an environment of its own: nothing of it is used or read by Pixelry. The network
starts from random weights, with the settings that the library has by default but for the size of pictures and the time.
Its boxes on the test pictures are written as COCO results, so that one evaluation judges all.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import ultralytics
import yaml
from ultralytics import YOLO

WARM = 5


def main() -> None:
    """Train, predict for the test pictures, and say how fast both went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="data.yaml")
    parser.add_argument("--network", default="yolo11n")
    parser.add_argument("--size", type=int, default=320)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    model = YOLO(f"{given.network}.yaml")
    start = time.perf_counter()
    model.train(
        data=str(given.data.resolve()), imgsz=given.size, time=given.minutes / 60, epochs=10_000, batch=given.batch,
        device="cpu", seed=given.seed, project=str(given.out.resolve()), name=given.network, exist_ok=True, val=False,
        plots=False, pretrained=False,
    )  # fmt: skip
    seconds = time.perf_counter() - start
    table = yaml.safe_load(given.data.read_text())
    root = given.data.parent / table.get("path", ".")
    pictures = sorted(path for path in (root / table["test"]).rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    entries, spent = [], []
    for number, picture in enumerate([*pictures[:WARM], *pictures]):
        begin = time.perf_counter()
        (found,) = model.predict(str(picture), imgsz=given.size, conf=0.001, max_det=300, verbose=False, device="cpu")
        if number < WARM:
            continue
        spent.append(time.perf_counter() - begin)
        for box in found.boxes:
            left, top, right, bottom = box.xyxy[0].tolist()
            entry = {"image_id": picture.stem, "bbox": [left, top, right - left, bottom - top]}
            name = found.names[int(box.cls)]
            entries.append({**entry, "score": float(box.conf), "category_name": name, "category_id": int(box.cls) + 1})
    (given.out / f"{given.network}.json").write_text(json.dumps(entries))
    epochs = model.trainer.epoch + 1
    images = len(model.trainer.train_loader.dataset) * epochs
    row = {"peer": given.network, "version": ultralytics.__version__, "seconds": round(seconds, 1), "epochs": epochs}
    row |= {"images_per_s": round(images / seconds, 1), "ms_per_image": round(1e3 * sorted(spent)[len(spent) // 2], 1)}
    print(json.dumps(row))
    (given.out / f"{given.network}-facts.json").write_text(json.dumps(row))


if __name__ == "__main__":
    main()
