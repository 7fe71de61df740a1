"""Likelihood of binarised MNIST and the time that drawing takes: the logistic rungs.

    python benchmarks/generate.py --data path/to/mnist --minutes 2

Dynamic binarisation: in training each pixel is white with the probability of its grey, anew at each step; test images
are drawn once, by a fixed seed. All 60,000 training images are trained on.
"""

from __future__ import annotations

import argparse
import time

import pixelry as px

RUNGS = {"logistic": {}, "logistic, pairs=4": {"pairs": 4}}
COUNT = 1000


def main() -> None:
    """Train each rung for the same minutes, judge it on the test images, and draw a thousand digits."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--minutes", type=float, default=2.0)
    given = parser.parse_args()
    data = px.load_dataset(given.data)
    for name, settings in RUNGS.items():
        model = px.train("generate", data, network="logistic", minutes=given.minutes, settings=settings, val_fraction=0)
        figures = model.evaluate(data, split="test").metrics
        start = time.perf_counter()
        model.generate(COUNT)
        seconds = time.perf_counter() - start
        print(
            f"{name}: {figures['nll_nats']:.2f} nats (95 % interval {figures['nll_nats_low']:.2f} to "
            f"{figures['nll_nats_high']:.2f}), {figures['bits_per_pixel']:.4f} bits a pixel; "
            f"{COUNT:,} digits in {seconds:.1f} s; trained {model.card.training['seconds']:.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
