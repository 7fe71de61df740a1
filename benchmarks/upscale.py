"""Upscaling: our network for some minutes, beside bicubic interpolation, on pictures that it has not seen.

    python benchmarks/upscale.py --train path/to/train400 --test path/to/bsd68 photos --factor 4 --minutes 20

Of each set of pictures all are judged, as grey: PSNR and SSIM less `factor` pixels at each edge. `photos` is built in.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from timing import say

import pixelry as px


def main() -> None:
    """Train the network, judge it on every set, and print a JSON line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", nargs="+", required=True)
    parser.add_argument("--factor", type=int, default=4)
    parser.add_argument("--minutes", type=float, default=20.0)
    parser.add_argument("--network", default="edsr")
    parser.add_argument("--out", type=Path, default=Path("upscalers"))
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    model = px.train(
        "upscale", given.train, network=given.network, minutes=given.minutes, channels=1,
        settings={"factor": given.factor}, out=given.out / f"{given.network}-x{given.factor}",
    )  # fmt: skip
    training = model.card.training
    speed = training["steps"] * training["recipe"]["batch"] / training["seconds"]
    for source in given.test:
        for name, split in px.load_dataset(source).splits.items():
            test = f"{Path(source).name}/{name}"
            report = model.evaluate(px.Dataset(test, {"test": split}))
            report.save(given.out / f"{test.replace('/', '-')}.html", overwrite=True)
            row = {"network": given.network, "factor": given.factor, "minutes": given.minutes, "patches_per_s": speed}
            say({**row, "test": test, **report.metrics}, given.out)


if __name__ == "__main__":
    main()
