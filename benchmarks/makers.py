"""Makers of pictures: our DCGAN and diffusion beside peers, equal minutes, the same features and counts.

    python benchmarks/peers/dcgan.py --data path/to/mnist --minutes 10 --count 5000 --out peers
    python benchmarks/peers/diffusion.py --data path/to/mnist --minutes 10 --count 2000 --out peers
    python benchmarks/makers.py --data path/to/mnist --minutes 10 --peers peers --out makers
    python benchmarks/makers.py --data path/to/mnist --minutes 30 --conditional --networks ddpm --out makers-conditional
    python benchmarks/makers.py --data path/to/cifar10 --minutes 20 --features CLASSIFIER --out makers-cifar

Run them in turn, with nothing beside. Every set of pictures is compared with the test images; the floor is as many
training images in their place. Sheets of the first hundred pictures, by number, are written beside the figures.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

import pixelry as px
from pixelry.data.loading import native_size, prepare
from pixelry.data.sheet import as_picture
from pixelry.draw import draw_samples
from pixelry.features import Features, load_features
from pixelry.judging import Pictures, figures_of, look_at

COUNT = 2000
STEPS = (50, 20, 12, 8)


def unnamed(images: torch.Tensor) -> Pictures:
    """Return pictures uint8 (N, C, H, W) of which no class is known."""
    return Pictures(images, [None] * len(images))


def in_memory(data: Any, split: str) -> torch.Tensor:
    """Return the pictures of a split as one tensor."""
    size = native_size(data[split])
    assert size is not None, "the pictures are of several sizes"
    images = prepare(data[split], size=size, channels=data.channels).images
    assert isinstance(images, torch.Tensor)
    return images


class Judge:
    """The features and what they see in the test images."""

    def __init__(self, data: Any, features: str | None) -> None:
        seer = load_features(features, channels=data.channels, classes=data.classes)
        if seer is None:
            raise SystemExit("give --features MODEL, a classifier of such pictures")
        self.seer: Features = seer
        test, self.train = (in_memory(data, split) for split in ("test", "train"))
        self.real = look_at(seer, unnamed(test))

    def __call__(self, pictures: Pictures) -> dict[str, float]:
        """Return the figures of pictures."""
        return figures_of(self.seer, look_at(self.seer, pictures), self.real)

    def floor(self, count: int) -> dict[str, float]:
        """Return the figures of as many training images."""
        order = torch.randperm(len(self.train), generator=torch.Generator().manual_seed(0))[:count]
        return self(unnamed(self.train[order]))


def say(name: str, figures: dict[str, Any], out: Path) -> None:
    """Print figures as a JSON line, and keep it."""
    line = json.dumps({"maker": name, **{k: round(v, 4) if isinstance(v, float) else v for k, v in figures.items()}})
    print(line, flush=True)
    with (out / "figures.jsonl").open("a", encoding="utf-8") as file:
        file.write(line + "\n")


def drawn(model: px.Model, count: int, settings: dict[str, Any]) -> tuple[Pictures, float]:
    """Return pictures with the classes asked for, and pictures a second."""
    model.generate(model.task.at_once, settings=settings)
    start = time.perf_counter()
    made = model.generate(count, settings=settings)
    speed = count / (time.perf_counter() - start)
    images = torch.stack([torch.from_numpy(np.atleast_3d(np.asarray(m)).copy()).movedim(-1, 0) for m in made])
    return Pictures(images, [m.label for m in made]), speed


def judge_ours(network: str, judge: Judge, data: Any, given: argparse.Namespace) -> None:
    """Train one of ours, draw with it, and say how good the pictures are."""
    settings = {"conditional": True} if given.conditional else {}
    model = px.train(
        "generate", data, network=network, minutes=given.minutes, settings=settings, out=given.out / network,
        val_fraction=0.02,
    )  # fmt: skip
    plans = [{}] if network == "dcgan" else [{"steps": steps} for steps in given.steps]
    if given.conditional and network == "ddpm":
        plans += [{"steps": given.steps[0], "guidance": guidance} for guidance in (1.5, 2.0)]
    for plan in plans:
        pictures, speed = drawn(model, given.count, plan)
        training = {"minutes": given.minutes, "steps_taken": model.card.training["steps"]}
        name = " ".join([network, *(f"{key}={value}" for key, value in plan.items())])
        say(name, {**judge(pictures), "images_per_second": speed, **training, "count": given.count}, given.out)
        stem = name.replace(" ", "-").replace("=", "")
        px.write_image(
            given.out / f"{stem}.png",
            draw_samples([as_picture(image) for image in pictures.images[:100]]),
            overwrite=True,
        )


def judge_peers(judge: Judge, given: argparse.Namespace) -> None:
    """Say how good the peers' pictures are, as many as ours."""
    for file in sorted(given.peers.glob("*.npz")):
        facts = json.loads(file.with_suffix(".json").read_text())
        images = torch.from_numpy(np.load(file)["images"])[: given.count, None]
        more = {"images_per_second": facts["sample_per_s"], "minutes": facts["minutes"], "count": len(images)}
        say(file.stem, {**judge(unnamed(images)), **more}, given.out)


def main() -> None:
    """Judge the floor, the peers and ours."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--count", type=int, default=COUNT)
    parser.add_argument("--steps", type=int, nargs="+", default=STEPS)
    parser.add_argument("--networks", nargs="*", default=["dcgan", "ddpm"])
    parser.add_argument("--conditional", action="store_true")
    parser.add_argument("--features", help="a classifier; by default the one that ships, for digits")
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--out", type=Path, default=Path("makers"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    data = px.load_dataset(given.data)
    judge = Judge(data, given.features)
    say("training images (floor)", {**judge.floor(given.count), "count": given.count}, given.out)
    if given.peers:
        judge_peers(judge, given)
    for network in given.networks:
        judge_ours(network, judge, data, given)


if __name__ == "__main__":
    main()
