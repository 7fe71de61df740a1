"""A small diffusion model of Hugging Face diffusers, trained for a time limit; a peer for `pixelry train generate`.

    python benchmarks/peers/diffusion.py --data mnist --minutes 10 --count 2000 --out runs/peers

It needs diffusers, in an environment of its own. The U-Net is the one that the Hugging Face diffusion course (unit 1)
builds for MNIST; noise is added by `DDPMScheduler` with the squared-cosine schedule, and the network is taught to tell
the noise: MSE, Adam 1e-3, batches of 128, float32. The same network then draws with DDIM in 50 steps and with
DPM-Solver++ (2M) in 20. In the peer's favour, all pictures are held in memory.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import torch
from diffusers import DDIMScheduler, DDPMScheduler, DPMSolverMultistepScheduler, UNet2DModel
from torch import Tensor
from torch.nn.functional import mse_loss

import pixelry as px
from pixelry.pixels import contact_sheet, write_image

NOISE = {"num_train_timesteps": 1000, "beta_schedule": "squaredcos_cap_v2"}


def samplers() -> dict[str, tuple[Any, int]]:
    """Return each sampler with its number of steps; the clip is what its documentation asks of this schedule."""
    return {
        "diffusers-ddim50": (DDIMScheduler(**NOISE), 50),
        "diffusers-dpmpp20": (DPMSolverMultistepScheduler(**NOISE, lambda_min_clipped=-5.1), 20),
    }


def unet(side: int) -> Any:
    """Return the course's network for pictures of one channel."""
    return UNet2DModel(
        sample_size=side,
        in_channels=1,
        out_channels=1,
        layers_per_block=2,
        block_out_channels=(32, 64, 64),
        down_block_types=("DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"),
    )


def train(net: Any, images: Tensor, minutes: float, batch: int = 128) -> tuple[int, float]:
    """Train on uint8 (N, 1, H, W) and return the number of pictures gone through, and seconds."""
    noiser, optimizer = DDPMScheduler(**NOISE), torch.optim.Adam(net.parameters(), lr=1e-3)
    net.train()
    seen, start = 0, time.perf_counter()
    while True:
        for rows in torch.randperm(len(images)).split(batch):
            clean = images[rows].float() / 127.5 - 1
            noise, steps = torch.randn_like(clean), torch.randint(0, 1000, (len(rows),))
            loss = mse_loss(net(noiser.add_noise(clean, noise, steps), steps).sample, noise)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            seen += len(rows)
            seconds = time.perf_counter() - start
            if seen // batch % 50 == 1:
                print(f"{seconds:.0f} s, {seen} pictures, loss {loss:.4f}", flush=True)
            if seconds > minutes * 60:
                return seen, seconds


@torch.inference_mode()
def draw(net: Any, scheduler: Any, steps: int, count: int, side: int, batch: int = 100) -> Tensor:
    """Return uint8 (count, side, side)."""
    net.eval()
    parts = []
    for first in range(0, count, batch):
        x = torch.randn(min(batch, count - first), 1, side, side)
        scheduler.set_timesteps(steps)
        for t in scheduler.timesteps:
            x = scheduler.step(net(x, t).sample, t, x).prev_sample
        parts.append(x[:, 0])
    return ((torch.cat(parts) + 1) * 127.5).round().clamp(0, 255).byte()


def main() -> None:
    """Train, draw with each sampler, and write what was drawn."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    images = px.load_dataset(given.data)["train"].images
    net = unet(images.shape[-1])
    seen, seconds = train(net, images, given.minutes)
    given.out.mkdir(parents=True, exist_ok=True)
    for name, (scheduler, steps) in samplers().items():
        start = time.perf_counter()
        drawn = draw(net, scheduler, steps, given.count, images.shape[-1]).numpy()
        spent = time.perf_counter() - start
        row = {"peer": name, "torch": torch.__version__, "diffusers": diffusers.__version__}
        row |= {"minutes": round(seconds / 60, 2), "trained": seen, "train_per_s": round(seen / seconds, 1)}
        row |= {"count": len(drawn), "steps": steps, "sample_s": round(spent, 1)}
        row |= {"sample_per_s": round(len(drawn) / spent, 2), "seed": given.seed}
        np.savez_compressed(given.out / f"{name}.npz", images=drawn)
        (given.out / f"{name}.json").write_text(json.dumps(row) + "\n")
        write_image(given.out / f"{name}.png", contact_sheet(drawn[:100], columns=10, cell=60), overwrite=True)
        print(json.dumps(row), flush=True)


if __name__ == "__main__":
    main()
