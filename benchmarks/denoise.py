"""Denoising BSD68: networks and classical methods, trained for equal minutes, on the same noisy images.

    python benchmarks/denoise.py --train path/to/train400 --test path/to/bsd68 --minutes 5 --networks unet nlm bm3d
    python benchmarks/denoise.py --train path/to/train400 --test path/to/bsd68 --minutes 1.5 \\
        --networks logistic:features=pixels logistic logistic:features=buckets --out rungs

Gaussian noise of sigma 25, unclipped, by the seed that `pixelry evaluate` uses. PSNR and SSIM are means over the
images, after clipping to [0, 1]; seconds are those of one image at a time, from pixels to pixels, the median of all.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch
from timing import WARM, say

import pixelry as px
from pixelry.config import parse_settings


def main() -> None:
    """Train the networks, judge each, and print a JSON line for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--networks", nargs="+", default=["unet"], metavar="NAME[:KEY=VALUE]")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("denoisers"))
    given = parser.parse_args()
    data = px.load_dataset(given.train, test=given.test)
    given.out.mkdir(parents=True, exist_ok=True)
    for rung in given.networks:
        network, _, own = rung.partition(":")
        settings = parse_settings([*given.set, *filter(None, own.split(":"))])
        folder = given.out / rung.replace(":", "-").replace("=", "-")
        model = px.train(
            "denoise", data, network=network, minutes=given.minutes, channels=1, settings=settings, out=folder
        )
        report = model.evaluate(data)
        report.save(folder / "test.html", overwrite=True)
        steps, seconds = model.card.training["steps"], model.card.training["seconds"]
        row = {"network": rung, "minutes": given.minutes, **report.metrics, "steps": steps}
        if steps:
            row["patches_per_s"] = steps * model.card.training["recipe"]["batch"] / seconds
        say({**row, "s_per_image": seconds_per_image(model, data)}, given.out)


def seconds_per_image(model: px.Model, data: px.Dataset) -> float:
    """Return the median seconds from a noisy picture in memory to the restored one."""
    images, spent = data["test"].images, []
    for number in range(len(images)):
        batch = {"image": images[number][None].float() / 255, "index": torch.tensor([number])}
        noisy = model.task.observe(batch, training=False)["image"][0, 0].numpy()
        start = time.perf_counter()
        model.predict(noisy)
        if number >= WARM:
            spent.append(time.perf_counter() - start)
    return sorted(spent)[len(spent) // 2]


if __name__ == "__main__":
    main()
