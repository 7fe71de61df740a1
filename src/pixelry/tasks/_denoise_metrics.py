"""What an evaluation of a denoiser says: PSNR and SSIM image by image, and pictures before and after."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from pixelry.data.dataset import Split
from pixelry.data.loading import Batch
from pixelry.pixels import contact_sheet, psnr, ssim, to_uint8
from pixelry.tasks.base import Evaluator, Findings, Picture, Table

SSIM_WINDOW = 7
FIGURES = 6
MOST_PSNR = 100.0  # dB, of equal pictures, whose PSNR is infinite
SHOWN = 4
ROWS = 100
SHEET_CELL = 300


class DenoiseEvaluator(Evaluator):
    """PSNR and SSIM of each restored picture against the clean one, after clipping to [0, 1], and their means.

    The figures are those of floats: nothing is rounded to 256 levels. SSIM has a 7x7 window, and is left out where
    pictures are smaller.

    Args:
        protocol: The noise, in words, for the report.
        sync: `compute` joins what all processes gathered.
    """

    full_state_update = False
    figures: list[Tensor]

    def __init__(self, protocol: str, *, sync: bool = False) -> None:
        super().__init__(sync_on_compute=sync)
        self.protocol = protocol
        # Of each picture: index, PSNR noisy, PSNR, SSIM noisy, SSIM, share of pixels right (of binary ones, or NaN).
        self.add_state("figures", default=[], dist_reduce_fx="cat")
        self.shown: dict[int, tuple[np.ndarray, np.ndarray, np.ndarray]] = {}

    def update(self, output: Tensor, batch: Batch) -> None:
        """Take logits (B, C, H, W) and the batch's "image" (noisy), "target" (clean) and "index"."""
        restored, rows = output.sigmoid().cpu(), [torch.zeros(0, FIGURES, dtype=torch.float64)]
        for i, index in enumerate(batch["index"].tolist()):
            clean, noisy = batch["target"][i].cpu(), batch["image"][i].cpu().clamp(0, 1)
            parts = [part.movedim(0, -1).double().numpy() for part in (clean, noisy, restored[i])]
            row = torch.tensor([index, *_figures(*parts), _right(restored[i], clean)], dtype=torch.float64)
            rows.append(row[None])
            if index < SHOWN:
                clean_picture, noisy_picture, restored_picture = (to_uint8(part.clip(0, 1)) for part in parts)
                self.shown[index] = (noisy_picture, restored_picture, clean_picture)
        self.figures.append(torch.cat(rows))

    def compute(self) -> dict[str, float]:
        """Return means over the images.

        `psnr` in dB (at most 100, of equal pictures) and `ssim` of the restored pictures, `psnr_noisy` and `ssim_noisy`
        of the noisy ones, clipped; `pixel_accuracy`, the share of pixels on the right side of one half, where the clean
        pictures are binary.
        """
        _, psnr_noisy, psnr_restored, ssim_noisy, ssim_restored, right = self._gathered().T
        means = {"psnr": psnr_restored.mean(), "psnr_noisy": psnr_noisy.mean()}
        if not np.isnan(ssim_restored).any():
            means |= {"ssim": ssim_restored.mean(), "ssim_noisy": ssim_noisy.mean()}
        if not np.isnan(right).any():
            means["pixel_accuracy"] = right.mean()
        return {**{name: float(value) for name, value in means.items()}, "images": len(right)}

    def findings(self, split: Split) -> Findings:
        """Return the figures, a table image by image, the worst first, and pictures before and after."""
        rows = self._gathered()
        order = rows[:, 2].argsort()[:ROWS]
        table = Table(
            "Image by image",
            ("image", "PSNR noisy", "PSNR", "SSIM noisy", "SSIM"),
            tuple(
                (split.name(int(row[0])), f"{row[1]:.2f}", f"{row[2]:.2f}", f"{row[3]:.3f}", f"{row[4]:.3f}")
                for row in rows[order]
            ),
            f"{self.protocol}. The worst come first{f', {ROWS} of {len(rows)}' if len(rows) > ROWS else ''}.",
        )
        return Findings(self.compute(), (table,), self._pictures(split))

    def _pictures(self, split: Split) -> tuple[Picture, ...]:
        if not self.shown:
            return ()
        pictures, labels = [], []
        for index, (noisy, restored, clean) in sorted(self.shown.items()):
            pictures += [noisy, restored, clean]
            labels += [f"{split.name(index).rsplit('/', 1)[-1]}, noisy", "restored", "clean"]
        sheet = contact_sheet(pictures, labels=labels, columns=3, cell=SHEET_CELL)
        return (Picture("Before and after", sheet, self.protocol),)

    def _gathered(self) -> np.ndarray:
        """Return (N, 6) in the order of the split."""
        rows: np.ndarray = dim_zero_cat(self.figures).cpu().numpy()
        return rows[rows[:, 0].argsort(kind="stable")]


def _figures(clean: np.ndarray, noisy: np.ndarray, restored: np.ndarray) -> tuple[float, float, float, float]:
    psnrs = (min(MOST_PSNR, psnr(image, reference=clean, data_range=1.0)) for image in (noisy, restored))
    if min(clean.shape[:2]) < SSIM_WINDOW:
        return *psnrs, float("nan"), float("nan")  # type: ignore[return-value]
    ssims = (ssim(image, reference=clean, data_range=1.0, window=SSIM_WINDOW) for image in (noisy, restored))
    return *psnrs, *ssims  # type: ignore[return-value]


def _right(restored: Tensor, clean: Tensor) -> float:
    binary = bool(((clean == 0) | (clean == 1)).all())
    return float(((restored > 0.5) == (clean > 0.5)).double().mean()) if binary else float("nan")
