"""DCGAN as in the official PyTorch examples, trained for a time limit; a peer for `pixelry train generate`.

    python benchmarks/peers/dcgan.py --data mnist --minutes 10 --count 5000 --out runs/peers

The recipe is that of github.com/pytorch/examples, dcgan/main.py: pictures of 64x64 in [-1, 1], 100 latent numbers,
64 filters, BCE, Adam 2e-4 with betas (0.5, 0.999), batches of 64, a discriminator and a generator step in turn, and
drawing in train mode, with the batch's statistics. In the peer's favour, pictures are resized before the clock starts
and held in memory. What is drawn is scaled back to the size of the data.
"""

from __future__ import annotations

import argparse
import json
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import pixelry as px
from pixelry.pixels import contact_sheet, write_image

NAME, LATENT, WIDTH, SIDE, BATCH = "dcgan-pytorch", 100, 64, 64, 64


def generator() -> nn.Sequential:
    """Return the network from (N, LATENT, 1, 1) to (N, 1, 64, 64) in [-1, 1]."""
    layers: list[nn.Module] = []
    for a, b in pairwise([LATENT, WIDTH * 8, WIDTH * 4, WIDTH * 2, WIDTH]):
        stride, padding = (2, 1) if layers else (1, 0)
        layers += [nn.ConvTranspose2d(a, b, 4, stride, padding, bias=False), nn.BatchNorm2d(b), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.ConvTranspose2d(WIDTH, 1, 4, 2, 1, bias=False), nn.Tanh())


def discriminator() -> nn.Sequential:
    """Return the network from (N, 1, 64, 64) to (N,), the probability that a picture is real."""
    layers: list[nn.Module] = [nn.Conv2d(1, WIDTH, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)]
    for a in (WIDTH, WIDTH * 2, WIDTH * 4):
        layers += [nn.Conv2d(a, a * 2, 4, 2, 1, bias=False), nn.BatchNorm2d(a * 2), nn.LeakyReLU(0.2, inplace=True)]
    return nn.Sequential(*layers, nn.Conv2d(WIDTH * 8, 1, 4, 1, 0, bias=False), nn.Sigmoid(), nn.Flatten(0))


def initialise(module: nn.Module) -> None:
    """Set weights as the example does."""
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, 0.02)


def train(images: Tensor, minutes: float) -> tuple[nn.Sequential, int, float]:
    """Train on uint8 (N, 1, 64, 64) and return the generator, the pictures it has been through, and seconds."""
    g, d = generator().apply(initialise), discriminator().apply(initialise)
    for_g, for_d = (torch.optim.Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999)) for net in (g, d))
    seen, start = 0, time.perf_counter()
    while True:
        for rows in torch.randperm(len(images)).split(BATCH):
            ones, zeros = torch.ones(len(rows)), torch.zeros(len(rows))
            fake = g(torch.randn(len(rows), LATENT, 1, 1))
            d.zero_grad()
            loss_d = nn.functional.binary_cross_entropy(d(images[rows].float() / 127.5 - 1), ones)
            loss_d = loss_d + nn.functional.binary_cross_entropy(d(fake.detach()), zeros)
            loss_d.backward()
            for_d.step()
            g.zero_grad()
            loss_g = nn.functional.binary_cross_entropy(d(fake), ones)
            loss_g.backward()
            for_g.step()
            seen += len(rows)
            seconds = time.perf_counter() - start
            if seen // BATCH % 100 == 1:
                print(f"{seconds:.0f} s, {seen} pictures, D {loss_d:.3f}, G {loss_g:.3f}", flush=True)
            if seconds > minutes * 60:
                return g, seen, seconds


def resize(images: Tensor, size: tuple[int, int]) -> Tensor:
    """Scale pictures (N, 1, H, W) of values 0 to 255, bilinearly and antialiased, to uint8."""
    parts = [nn.functional.interpolate(p.float(), size, mode="bilinear", antialias=True) for p in images.split(5000)]
    return torch.cat([part.round().clamp(0, 255).byte() for part in parts])


def draw(g: nn.Sequential, count: int, size: tuple[int, int]) -> Tensor:
    """Return uint8 (count, 1, *size), drawn in full batches in train mode."""
    with torch.inference_mode():
        parts = [g(torch.randn(BATCH, LATENT, 1, 1)) for _ in range(-(-count // BATCH))]
        return resize((torch.cat(parts)[:count] + 1) * 127.5, size)


def main() -> None:
    """Train, draw, and write what was drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    images = px.load_dataset(given.data)["train"].images
    g, seen, seconds = train(resize(images, (SIDE, SIDE)), given.minutes)
    start = time.perf_counter()
    drawn = draw(g, given.count, (images.shape[2], images.shape[3]))[:, 0].numpy()
    spent = time.perf_counter() - start
    row = {"peer": NAME, "torch": torch.__version__, "minutes": round(seconds / 60, 2)}
    row |= {"trained": seen, "train_per_s": round(seen / seconds, 1), "count": len(drawn), "steps": 1}
    row |= {"sample_s": round(spent, 1), "sample_per_s": round(len(drawn) / spent, 2), "seed": given.seed}
    given.out.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(given.out / f"{NAME}.npz", images=drawn)
    (given.out / f"{NAME}.json").write_text(json.dumps(row) + "\n")
    write_image(given.out / f"{NAME}.png", contact_sheet(drawn[:100], columns=10, cell=60), overwrite=True)
    print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
