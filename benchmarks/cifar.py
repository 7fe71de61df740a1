"""CIFAR-10 from scratch: ours beside a torchvision ResNet-18 with a plain DataLoader, the same minutes.

    python benchmarks/cifar.py --data path/to/cifar10 --minutes 15 --out cifar-out

Writes the curves as PNG. The peer trains as the tutorials do: SGD with momentum, one-cycle, random crop and flip for
each sample in a DataLoader with two workers, float32; its network has the CIFAR stem. Our curve is of the validation
split, which the run itself writes; the test images are looked at once, at the end.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from torchvision.models import resnet18
from torchvision.transforms import v2

import pixelry as px
from pixelry.data.loading import prepare
from pixelry.draw import curves_figure
from pixelry.runs import history


class Samples(torch.utils.data.Dataset[tuple[torch.Tensor, int]]):
    """Images in memory, one at a time, through torchvision's transforms."""

    def __init__(self, split: Any, *, augment: bool) -> None:
        steps = [v2.RandomCrop(32, padding=4), v2.RandomHorizontalFlip()] if augment else []
        mean, std = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)
        self.transform = v2.Compose([*steps, v2.ToDtype(torch.float32, scale=True), v2.Normalize(mean, std)])
        self.images, self.labels = split.images, split.labels

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), int(self.labels[index])


def train_peer(data: px.Dataset, minutes: float, epochs: int) -> tuple[list[tuple[float, float]], float]:
    """Return (seconds, validation accuracy) after each epoch and the test accuracy; it stops when the time is over.

    Its one-cycle schedule needs the number of epochs: give what fits into the minutes.
    """
    torch.manual_seed(0)
    splits = {name: prepare(data[name], size=(32, 32), channels=3) for name in ("train", "val", "test")}
    loaders = {
        name: DataLoader(
            Samples(split, augment=name == "train"),
            128,
            shuffle=name == "train",
            num_workers=2,
            persistent_workers=True,
        )
        for name, split in splits.items()
    }
    network = resnet18(num_classes=10)
    network.conv1, network.maxpool = nn.Conv2d(3, 64, 3, padding=1, bias=False), nn.Identity()  # type: ignore[assignment]
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=5e-4, nesterov=True)
    steps = epochs * len(loaders["train"])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=steps + 1)
    curve: list[tuple[float, float]] = []
    spent = 0.0
    for _ in range(epochs):
        start = time.perf_counter()
        network.train()
        for images, labels in loaders["train"]:
            loss = nn.functional.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if spent + time.perf_counter() - start > 60 * minutes:
                break
        spent += time.perf_counter() - start
        curve.append((spent, accuracy(network, loaders["val"])))
        print(json.dumps({"peer": "resnet18", "seconds": round(spent, 1), "val": curve[-1][1]}), flush=True)
        if spent >= 60 * minutes:
            break
    return curve, accuracy(network, loaders["test"])


@torch.inference_mode()
def accuracy(network: nn.Module, loader: Any) -> float:
    """Return the share of images that are right."""
    network.eval()
    right = sum(int((network(images).argmax(1) == labels).sum()) for images, labels in loader)
    return right / len(loader.dataset)


def main() -> None:
    """Train both, or one of them, and draw the curves that there are."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="cifar10")
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--network", default="airbench")
    parser.add_argument("--peer-epochs", type=int, default=3, help="as many as fit into the minutes")
    parser.add_argument("--part", choices=["ours", "peer", "both"], default="both")
    parser.add_argument("--out", type=Path, default=Path("cifar-out"))
    given = parser.parse_args()
    data = px.load_dataset(given.data)
    if given.part != "peer":
        model = px.train("classify", data, network=given.network, minutes=given.minutes, out=given.out / given.network)
        figures = dict(model.evaluate(data, split="test").metrics)
        curve = history(given.out / given.network, "accuracy")
        result = {"network": given.network, "minutes": given.minutes, "test": figures, "curve": curve}
        (given.out / "ours.json").write_text(json.dumps(result))
        print(json.dumps(result), flush=True)
    if given.part != "ours":
        peer_curve, test = train_peer(data.with_val(), given.minutes, given.peer_epochs)
        result = {"network": "torchvision resnet18", "minutes": given.minutes, "test": test, "curve": peer_curve}
        given.out.mkdir(parents=True, exist_ok=True)
        (given.out / "peer.json").write_text(json.dumps(result))
        print(json.dumps(result), flush=True)
    results = [json.loads(path.read_text()) for path in sorted(given.out.glob("*.json"))]
    curves = {r["network"]: ([s / 60 for s, _ in r["curve"]], [score for _, score in r["curve"]]) for r in results}
    curves_figure(curves, xlabel="minutes of training", ylabel="validation accuracy").savefig(
        given.out / "curves.png", dpi=110
    )


if __name__ == "__main__":
    main()
