"""The first hour: every task with its defaults, on data that anyone can make or has, in so many minutes.

    python benchmarks/first_hour.py shapes --out first-hour/shapes
    python benchmarks/first_hour.py time --minutes 1.5 --tasks classify detect segment denoise upscale generate
    python benchmarks/first_hour.py start --out first-hour/start

`shapes` makes 2,000 JPEG files in 10 class folders: a shape of random color, size and place is rendered into a crop of
one of scikit-image's photographs, at sizes from 100 to 800 pixels and aspects from 1:2 to 2:1; 400 more are the test
split. Then `pixelry train classify --data FOLDER --minutes 1.5` runs as a stranger would type it, and the model is
evaluated.

`time` runs `pixelry train TASK --data ... --minutes M` as a command and prints how long it took from its start to its
end, report included. `start` prints when the first training step of a command was over. PIXELRY_BFLOAT16=off leaves
bfloat16 out, as on most laptops; an empty PIXELRY_CACHE makes it the first run on a machine.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from skimage import data as photographs

SHAPES = ("arrow", "circle", "crescent", "cross", "diamond", "heart", "hexagon", "ring", "star", "triangle")
PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "rocket", "retina", "hubble_deep_field", "cat")
PER_CLASS = {"train": 200, "test": 40}
DATA = {"classify": "digits", "detect": "shapes", "segment": "shapes", "denoise": "photos", "upscale": "photos"}
OVERSAMPLING = 4


def polygon(points: int, *, inner: float = 1.0, turn: float = -math.pi / 2) -> list[tuple[float, float]]:
    """Return the corners of a regular polygon in the unit circle, or of a star whose inner corners are at `inner`."""
    count = points if inner == 1 else 2 * points
    radii = [1.0 if inner == 1 or not i % 2 else inner for i in range(count)]
    angles = [turn + 2 * math.pi * i / count for i in range(count)]
    return [(r * math.cos(a), r * math.sin(a)) for r, a in zip(radii, angles, strict=True)]


def mask_of(shape: str, radius: int, angle: float) -> Image.Image:
    """Return a shape as a mask, uint8 (2 radius, 2 radius), turned by an angle in degrees."""
    side = 2 * radius * OVERSAMPLING
    mask = Image.new("L", (side, side))
    draw, half = ImageDraw.Draw(mask), side / 2

    def fill(corners: list[tuple[float, float]], value: int = 255) -> None:
        draw.polygon([(half + half * x, half + half * y) for x, y in corners], fill=value)

    def disk(x: float, y: float, r: float, value: int = 255) -> None:
        draw.ellipse([half * (1 + x - r), half * (1 + y - r), half * (1 + x + r), half * (1 + y + r)], fill=value)

    if shape == "circle":
        disk(0, 0, 0.9)
    elif shape == "ring":
        disk(0, 0, 0.9)
        disk(0, 0, 0.55, 0)
    elif shape == "crescent":
        disk(0, 0, 0.9)
        disk(0.45, 0, 0.75, 0)
    elif shape == "cross":
        fill([(-0.25, -0.9), (0.25, -0.9), (0.25, 0.9), (-0.25, 0.9)])
        fill([(-0.9, -0.25), (0.9, -0.25), (0.9, 0.25), (-0.9, 0.25)])
    elif shape == "diamond":
        fill([(0, -0.95), (0.55, 0), (0, 0.95), (-0.55, 0)])
    elif shape == "heart":
        steps = [2 * math.pi * i / 60 for i in range(60)]
        xs = [16 * math.sin(t) ** 3 / 18 for t in steps]
        ys = [13 * math.cos(t) - 5 * math.cos(2 * t) - 2 * math.cos(3 * t) - math.cos(4 * t) for t in steps]
        fill([(x, -y / 18) for x, y in zip(xs, ys, strict=True)])
    elif shape == "arrow":
        fill([(-0.9, -0.22), (0.1, -0.22), (0.1, -0.65), (0.95, 0), (0.1, 0.65), (0.1, 0.22), (-0.9, 0.22)])
    else:
        fill(polygon({"hexagon": 6, "star": 5, "triangle": 3}[shape], inner=0.45 if shape == "star" else 1.0))
    return mask.rotate(angle, Image.Resampling.BICUBIC).resize((2 * radius, 2 * radius), Image.Resampling.BOX)


def picture(shape: str, rng: np.random.Generator, backgrounds: list[Image.Image]) -> Image.Image:
    """Return a crop of a photograph with a shape in it.

    Its sides have 100 to 800 pixels, and one is at most twice the other, as those of photographs are.
    """
    longer = rng.uniform(200, 800)
    sides = [longer, longer * rng.uniform(0.5, 1.0)]
    width, height = (round(side) for side in rng.permutation(sides))
    photograph = backgrounds[rng.integers(len(backgrounds))]
    part = rng.uniform(0.4, 1.0)
    crop = [max(32, int(side * part)) for side in photograph.size]
    left, top = (int(rng.integers(0, whole - own + 1)) for whole, own in zip(photograph.size, crop, strict=True))
    image = photograph.crop((left, top, left + crop[0], top + crop[1])).resize((width, height))
    radius = max(12, int(min(width, height) * rng.uniform(0.2, 0.42)))
    angle = rng.uniform(-25, 25) if shape != "arrow" else rng.uniform(0, 360)
    color = tuple(int(value) for value in rng.integers(0, 256, 3))
    corner = tuple(int(rng.integers(0, side - 2 * radius + 1)) for side in (width, height))
    image.paste(color, corner, mask_of(shape, radius, angle))
    return image


def make_shapes(folder: Path, *, seed: int = 0) -> None:
    """Write the data set of shapes: folder/train/CLASS/*.jpg and folder/test/CLASS/*.jpg."""
    rng = np.random.default_rng(seed)
    backgrounds = [Image.fromarray(getattr(photographs, name)()).convert("RGB") for name in PHOTOGRAPHS]
    for split, count in PER_CLASS.items():
        for shape in SHAPES:
            home = folder / split / shape
            home.mkdir(parents=True)
            for number in range(count):
                picture(shape, rng, backgrounds).save(home / f"{number:04d}.jpg", quality=90)


# Runs Pixelry's command line in a process of its own until the first training step is over.
FIRST_STEP = """
import os, sys, time
began = time.time() - (time.clock_gettime(time.CLOCK_BOOTTIME) - int(open("/proc/self/stat").read().split()[21]) / 100)
from pixelry import cli
from pixelry.training.module import TrainingModule
step = TrainingModule.training_step
def first(self, *given):
    step(self, *given)
    print(f"first step after {time.time() - began:.1f} s", flush=True)
    os._exit(0)
TrainingModule.training_step = first
sys.argv = ["pixelry", *sys.argv[1:]]
cli.main()
"""


def run(*words: str) -> float:
    """Run a command of Pixelry's, with its messages and when they came; return its seconds."""
    start = time.perf_counter()
    with subprocess.Popen([sys.executable, "-m", "pixelry", *words], stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for line in process.stderr:
            print(f"  {time.perf_counter() - start:6.1f} s  {line.rstrip()}", flush=True)
    assert process.returncode == 0, f"exit code {process.returncode}"
    return time.perf_counter() - start


def metrics_of(run_folder: Path, data: str) -> dict[str, float]:
    """Return the figures of a run's model on a data set, by the command `evaluate`."""
    words = [sys.executable, "-m", "pixelry", "evaluate", str(run_folder), "--data", data, "--json"]
    result: dict[str, float] = json.loads(subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout)[
        "metrics"
    ]
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["shapes", "time", "start"])
    parser.add_argument("--minutes", type=float, default=1.5)
    parser.add_argument("--tasks", nargs="*", default=[*DATA, "generate"])
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    out = given.out or Path(tempfile.mkdtemp())
    minutes = ["--minutes", str(given.minutes)]
    if given.what in ("shapes", "start") and not (out / "data").exists():
        make_shapes(out / "data")
    if given.what == "shapes":
        seconds = run("train", "classify", "--data", str(out / "data"), *minutes, "--out", str(out / "run"))
        print(json.dumps({"seconds": round(seconds, 1), **metrics_of(out / "run", str(out / "data"))}, indent=2))
    elif given.what == "start":
        for task, data in (("detect", "shapes"), ("classify", str(out / "data"))):
            print(task, flush=True)
            folder = str(out / f"start-{task}")
            subprocess.run(
                [sys.executable, "-c", FIRST_STEP, "train", task, "--data", data, "--out", folder], check=True
            )
    else:
        for task in given.tasks:
            seconds = run("train", task, "--data", DATA.get(task, "digits"), *minutes, "--out", str(out / task))
            limit = 60 * given.minutes * 1.1 + 15
            print(json.dumps({"task": task, "minutes": given.minutes, "seconds": round(seconds, 1), "limit": limit}))


if __name__ == "__main__":
    main()
