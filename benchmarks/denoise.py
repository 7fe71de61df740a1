"""Denoising BSD68: the logistic rungs beside scikit-image's methods, on the same noisy images.

    python benchmarks/denoise.py --train path/to/train400 --test path/to/bsd68 --minutes 3

Gaussian noise of sigma 25, unclipped, by the seed that `pixelry evaluate` uses. PSNR is the mean over the images,
after clipping to [0, 1]; seconds are those of one image at a time, in one process, after a first one that is not timed.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from skimage.restoration import denoise_nl_means, denoise_tv_chambolle, denoise_wavelet

import pixelry as px
from pixelry.pixels import psnr, ssim
from pixelry.tasks.denoise import Denoise

SIGMA = 25 / 255
RUNGS = ("pixels", "gain", "buckets")
Method = Callable[[np.ndarray], np.ndarray]

# Weights and widths are those, of a few tried, that give each method its best PSNR on training images.
PEERS: dict[str, Method] = {
    "scikit-image TV (Chambolle)": lambda x: denoise_tv_chambolle(x, weight=0.07),
    "scikit-image wavelet (BayesShrink)": lambda x: denoise_wavelet(x, sigma=SIGMA, wavelet="db2", rescale_sigma=True),
    "scikit-image non-local means": lambda x: denoise_nl_means(
        x, patch_size=7, patch_distance=11, h=0.6 * SIGMA, sigma=SIGMA, fast_mode=True
    ),
}


def main() -> None:
    """Train the rungs, and judge all methods on the same noisy images."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", required=True)
    parser.add_argument("--test", required=True)
    parser.add_argument("--minutes", type=float, default=3.0)
    given = parser.parse_args()
    data = px.load_dataset(given.train, test=given.test)
    methods = dict(PEERS)
    for features in RUNGS:
        model = px.train("denoise", data, minutes=given.minutes, settings={"features": features}, channels=1)
        methods[f"logistic, features={features}"] = ours(model)
    images = data["test"].images
    print(f"{'method':38s} PSNR   SSIM   s/image")
    for name, method in methods.items():
        rows = [judge(method, images[i].float() / 255, i) for i in range(len(images))]
        scores, ssims, seconds = (np.array(column) for column in zip(*rows, strict=True))
        print(f"{name:38s} {scores.mean():.2f}  {ssims.mean():.3f}  {np.median(seconds[1:]):.3f}", flush=True)


def judge(method: Method, clean: torch.Tensor, index: int) -> tuple[float, float, float]:
    """Return PSNR, SSIM and seconds of a method on image `index`, (1, H, W) in [0, 1]."""
    noisy = Denoise().observe({"image": clean[None], "index": torch.tensor([index])}, training=False)["image"]
    pixels, reference = noisy[0, 0].double().numpy(), clean[0].double().numpy()
    start = time.perf_counter()
    restored = method(pixels)
    seconds = time.perf_counter() - start
    restored = np.clip(restored, 0, 1).astype(np.float64)
    scores = (score(restored, reference=reference, data_range=1.0) for score in (psnr, ssim))
    return (*scores, seconds)  # type: ignore[return-value]


def ours(model: px.Model) -> Method:
    """Return a model as a function from a noisy image (H, W), unclipped, to the restored one."""

    def restore(pixels: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            logits = model.network(torch.from_numpy(pixels).float()[None, None])
        restored: np.ndarray = logits.sigmoid()[0, 0].numpy()
        return restored

    return restore


if __name__ == "__main__":
    main()
