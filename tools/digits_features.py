"""Train the network on whose features made digits are compared with real ones; it ships as `digits.safetensors`.

    python tools/digits_features.py --data path/to/mnist

It sees MNIST at full size, the same pictures scaled down to 8x8 as scikit-learn's digits are, and those digits
themselves, so that it reads digits of any size. The seed is fixed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torchvision.transforms.v2 import functional as F

import pixelry as px
from pixelry.data.dataset import Dataset, Split

TARGET = Path(px.__file__).parent / "weights" / "digits.safetensors"
SMALL = 8
SIZE = [28, 28]


def with_small(split: Split, digits: Split | None) -> Split:
    """Return a split of MNIST, the same at low resolution, and small digits, all 28x28."""
    images, labels = split.images, split.labels
    assert isinstance(images, torch.Tensor)
    small = F.resize(F.resize(images, [SMALL, SMALL], antialias=True), SIZE, antialias=True)
    parts, kinds = [images, small], [labels, labels]
    if digits is not None:
        assert isinstance(digits.images, torch.Tensor)
        parts.append(F.resize(digits.images, SIZE, antialias=True))
        kinds.append(digits.labels)
    return Split(torch.cat(parts), {"label": torch.cat(kinds)})


def main() -> None:
    """Train, say how well digits of both sizes are read, and write the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    given = parser.parse_args()
    mnist, digits = px.load_dataset(given.data), px.load_dataset("digits")
    splits = {"train": with_small(mnist["train"], digits["train"])}
    data = Dataset("digits of any size", splits, tuple("0123456789"))
    # Steps, and not minutes, so that the same seed gives the same weights.
    model = px.train("classify", data, network="cnn", steps=2500, val_fraction=0, precision="32-true", seed=0)
    for name, split in (("MNIST", mnist["test"]), ("digits", digits["test"])):
        report = model.evaluate(Dataset(name, {"test": split}, data.classes))
        print(f"{name}: {report.metrics['accuracy']:.4f}")
    model.save(TARGET, overwrite=True)
    print(f"{TARGET}: {TARGET.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    main()
