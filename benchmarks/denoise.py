"""Denoising BSD68: networks and classical methods, trained for equal minutes, on the same noisy images.

    python benchmarks/denoise.py --train path/to/train400 --test path/to/bsd68 --minutes 5 --networks unet nlm bm3d
    python benchmarks/denoise.py --train path/to/train400 --test path/to/bsd68 --minutes 1.5 \\
        --networks logistic:features=pixels logistic logistic:features=buckets --out rungs
    python benchmarks/denoise.py --train path/to/train400 --test path/to/bsd68 --minutes 1 5 15 --networks unet dncnn

Gaussian noise of sigma 25, unclipped, by the seed that `pixelry evaluate` uses. PSNR and SSIM are means over the
images, after clipping to [0, 1]; seconds are those of one image at a time, from pixels to pixels, the median of all.
With several lengths of training, `curve.png` draws what each network had learnt after each, every one a run of its own.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from matplotlib.figure import Figure
from timing import WARM, say, size_of

import pixelry as px
from pixelry.config import parse_settings


def main() -> None:
    """Train the networks, judge each, and print a JSON line for it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--size", help="HEIGHTxWIDTH of the patches; by default the task's")
    parser.add_argument("--minutes", type=float, nargs="+", default=[5.0])
    parser.add_argument("--networks", nargs="+", default=["unet"], metavar="NAME[:KEY=VALUE]")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, default=Path("denoisers"))
    given = parser.parse_args()
    data = px.load_dataset(given.train, test=given.test)
    given.out.mkdir(parents=True, exist_ok=True)
    for rung in given.networks:
        for minutes in given.minutes:
            say(row(rung, minutes, data, given), given.out)
    if len(given.minutes) > 1:
        curve(given.out / "figures.jsonl", given.out / "curve.png")


def row(rung: str, minutes: float, data: px.Dataset, given: argparse.Namespace) -> dict[str, Any]:
    """Train a network for so many minutes, judge it, and return its figures."""
    network, _, own = rung.partition(":")
    settings = parse_settings([*given.set, *filter(None, own.split(":"))])
    folder = given.out / f"{rung.replace(':', '-').replace('=', '-')}-{minutes:g}"
    model = px.train(
        "denoise",
        data,
        network=network,
        minutes=minutes,
        channels=1,
        size=size_of(given.size),
        settings=settings,
        out=folder,
    )
    report = model.evaluate(data)
    report.save(folder / "test.html", overwrite=True)
    steps, seconds = model.card.training["steps"], model.card.training["seconds"]
    found = {"network": rung, "minutes": minutes, **report.metrics, "steps": steps}
    if steps:
        found["patches_per_s"] = steps * model.card.training["recipe"]["batch"] / seconds
    return {**found, "s_per_image": seconds_per_image(model, data)}


def curve(figures: Path, out: Path) -> None:
    """Draw PSNR against minutes of training, a line for each network."""
    rows = [json.loads(line) for line in figures.read_text(encoding="utf-8").splitlines()]
    figure = Figure(figsize=(6, 4), layout="constrained")
    axes = figure.subplots()
    for network in dict.fromkeys(one["network"] for one in rows):
        points = sorted((one["minutes"], one["psnr"]) for one in rows if one["network"] == network)
        axes.plot(*zip(*points, strict=True), marker="o", label=network)
    axes.set(xlabel="minutes of training on two cores", ylabel="PSNR of BSD68, sigma 25 (dB)", xscale="log")
    ticks = sorted({one["minutes"] for one in rows})
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(out, dpi=110)


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
