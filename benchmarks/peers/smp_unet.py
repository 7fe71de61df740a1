"""segmentation_models.pytorch's U-Net on a ResNet-18 without weights, trained for a time limit; a peer for `segment`.

    python benchmarks/peers/smp_unet.py --data path/to/camvid --minutes 15 --out peers

It needs segmentation-models-pytorch, in an environment of its own. The recipe is the one of its own examples (Adam or
AdamW, one learning rate that falls, Dice and cross-entropy) with the augmentation that their users take: a scale from
0.5 to 2, a crop, a mirror, brightness. Maps of the test pictures are written as PNG of class ids at full size, so that
one evaluation (`benchmarks/segment.py --maps`) judges all.
"""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import numpy as np
import segmentation_models_pytorch as smp
import torch
from PIL import Image
from torch.nn import functional as F
from torchvision.transforms.v2 import functional as T

IGNORE = 255
MULTIPLE = 32
# The peer's best form on the machine at hand: bfloat16 only where the processor has it, since torch emulates it slowly.
BFLOAT16 = any(
    torch.cpu.get_capabilities().get(name) is True for name in ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
)


def pairs(root: Path, split: str, classes: int) -> list[tuple[torch.Tensor, torch.Tensor, str]]:
    """Read a split of a CamVid layout: pictures (3, H, W) in [0, 1], ids (H, W), names."""
    found = []
    for file in sorted((root / split).iterdir()):
        image = torch.from_numpy(np.array(Image.open(file).convert("RGB"))).movedim(-1, 0).float() / 255
        ids = torch.from_numpy(np.array(Image.open(root / f"{split}annot" / f"{file.stem}.png"))).long()
        found.append((image, torch.where(ids < classes, ids, IGNORE), file.stem))
    return found


def changed(image: torch.Tensor, ids: torch.Tensor, size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """Scale, crop, mirror and light a picture with its ids."""
    scale = 2 ** random.uniform(-1, 1)
    shape = [max(1, round(side * scale)) for side in image.shape[-2:]]
    image, ids = T.resize(image, shape, antialias=True), F.interpolate(ids[None, None].float(), shape)[0, 0].long()
    right, below = max(0, size[1] - shape[1]), max(0, size[0] - shape[0])
    image, ids = F.pad(image, [0, right, 0, below], value=0.45), F.pad(ids, [0, right, 0, below], value=IGNORE)
    top, left = (random.randint(0, side - one) for side, one in zip(ids.shape, size, strict=True))
    image, ids = image[:, top : top + size[0], left : left + size[1]], ids[top : top + size[0], left : left + size[1]]
    if random.random() < 0.5:
        image, ids = image.flip(-1), ids.flip(-1)
    return (image * random.uniform(0.6, 1.4)).clamp(0, 1), ids


def main() -> None:
    """Train, write the maps, and say how fast both went."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--minutes", type=float, default=15.0)
    parser.add_argument("--size", default="256x320", help="of the crops")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--encoder", default="resnet18")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    torch.manual_seed(0)
    random.seed(0)
    names = [line.strip() for line in (given.data / "labels.txt").read_text().splitlines() if line.strip()]
    classes = len([name for name in names if name.lower() not in ("void", "unlabelled")])
    size = tuple(map(int, given.size.split("x")))
    train, test = (pairs(given.data, split, classes) for split in ("train", "test"))
    network = smp.Unet(given.encoder, encoder_weights=None, classes=classes).to(memory_format=torch.channels_last)
    mean = torch.tensor([0.485, 0.456, 0.406]).view(1, 3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(1, 3, 1, 1)
    optimizer = torch.optim.AdamW(network.parameters(), lr=given.lr, weight_decay=1e-4)
    dice = smp.losses.DiceLoss("multiclass", ignore_index=IGNORE)
    start, seen, limit = time.perf_counter(), 0, 60 * given.minutes
    order: list[int] = []
    while (spent := time.perf_counter() - start) < limit:
        for group in optimizer.param_groups:
            group["lr"] = given.lr * (1 - spent / limit) ** 0.9
        if len(order) < given.batch:
            order += random.sample(range(len(train)), len(train))
        chosen = [changed(*train[order.pop(0)][:2], size) for _ in range(given.batch)]
        images, ids = (torch.stack(parts) for parts in zip(*chosen, strict=True))
        with torch.autocast("cpu", torch.bfloat16, enabled=BFLOAT16):
            logits = network(((images - mean) / std).contiguous(memory_format=torch.channels_last))
        logits = logits.float()
        loss = F.cross_entropy(logits, ids, ignore_index=IGNORE) + dice(logits, ids)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen += given.batch
    seconds = time.perf_counter() - start
    folder = given.out / f"unet-{given.encoder}"
    folder.mkdir(parents=True, exist_ok=True)
    network.eval()
    times = []
    with torch.inference_mode():
        for image, _, name in test:
            begin = time.perf_counter()
            height, width = image.shape[-2:]
            padded = F.pad(image[None], [0, -width % MULTIPLE, 0, -height % MULTIPLE], mode="replicate")
            ids = network((padded - mean) / std)[0, :, :height, :width].argmax(0)
            times.append(time.perf_counter() - begin)
            Image.fromarray(ids.numpy().astype(np.uint8)).save(folder / f"{name}.png")
    row = {"peer": f"unet-{given.encoder}", "version": smp.__version__, "seconds": round(seconds, 1)}
    row["precision"] = "bfloat16" if BFLOAT16 else "float32"
    row |= {"training_images_per_s": round(seen / seconds, 1), "images_per_s": round(1 / float(np.median(times)), 1)}
    print(json.dumps(row))
    (given.out / f"unet-{given.encoder}.json").write_text(json.dumps(row))


if __name__ == "__main__":
    main()
