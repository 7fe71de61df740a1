"""What an evaluation of restored pictures says: PSNR and SSIM image by image, and pictures before and after."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from pixelry.data.dataset import Split
from pixelry.data.loading import Batch
from pixelry.pixels import psnr, ssim
from pixelry.tasks._restoration_pictures import Examples, before_after
from pixelry.tasks.base import Block, Evaluator, Findings, Table

PAIRS = "pairs"  # in a batch: that its clean images came with the data
SSIM_WINDOW, GAUSSIAN_WINDOW = 7, 11
# Of red, green and blue in [0, 1] to luma between 16 / 255 and 235 / 255 (ITU-R BT.601).
LUMA = np.array([65.481, 128.553, 24.966]) / 255
FIGURES = 6
MOST_PSNR = 100.0  # dB, of equal pictures, whose PSNR is infinite
ROWS = 100


class RestorationEvaluator(Evaluator):
    """PSNR and SSIM of each restored picture against the clean one, after clipping to [0, 1], and their means.

    The figures are those of floats: nothing is rounded to 256 levels. SSIM is left out where pictures are smaller than
    its window.

    Args:
        protocol: How the pictures were spoilt, in words, for the report; pairs of noisy and clean images were not.
        given: What the picture is called that was there before, such as "noisy".
        border: Pixels at each edge that do not count.
        luma: Judge colour pictures by their luma alone, and weigh SSIM's window, of 11x11 pixels, by a Gaussian, as is
            usual for enlarged ones; else by all channels, in a window of 7x7.
        sync: `compute` joins what all processes gathered.
    """

    full_state_update = False
    figures: list[Tensor]

    def __init__(
        self, protocol: str, *, given: str = "noisy", border: int = 0, luma: bool = False, sync: bool = False
    ) -> None:
        super().__init__(sync_on_compute=sync)
        self.protocol, self.given, self.border, self.luma = protocol, given, border, luma
        # Of each picture: index, PSNR given, PSNR, SSIM given, SSIM, share of pixels right (of binary ones, or NaN).
        self.add_state("figures", default=[], dist_reduce_fx="cat")
        self.examples = Examples()
        self.without_truth, self.paired, self.channels = False, False, 0

    def update(self, output: Tensor, batch: Batch) -> None:
        """Take intensities (B, C, H, W), and the batch's "target" (clean), "given" or else "image", and "index".

        Where there is no clean picture, the target is the noisy one, and "masked" (B, 1, H, W) says which of its pixels
        were told without being seen: they alone are judged, by PSNR.
        """
        restored, rows = output.clamp(0, 1).cpu(), [torch.zeros(0, FIGURES, dtype=torch.float64)]
        given = batch["given"] if "given" in batch else batch["image"]
        self.paired, self.channels = PAIRS in batch, int(output.shape[1])
        for i, index in enumerate(batch["index"].tolist()):
            clean, before = batch["target"][i].cpu(), given[i].cpu().clamp(0, 1)
            parts = [part.movedim(0, -1).double().numpy() for part in (clean, before, restored[i])]
            if "masked" in batch:
                self.without_truth = True
                figures = _told(parts[0], parts[2], batch["masked"][i, 0].cpu().numpy())
            else:
                figures = self._figures(*(self._judged(part) for part in parts))
            right = float("nan") if "masked" in batch else _right(restored[i], clean)
            rows.append(torch.tensor([[index, *figures, right]], dtype=torch.float64))
            self.examples.take(index, (figures[0], figures[1]), parts, clean=not self.without_truth)
        self.figures.append(torch.cat(rows))

    def _judged(self, picture: np.ndarray) -> np.ndarray:
        """Return what counts of a picture (H, W, C)."""
        edge = self.border
        inner = picture[edge : picture.shape[0] - edge, edge : picture.shape[1] - edge]
        return inner @ LUMA + 16 / 255 if self.luma and inner.shape[-1] == 3 else inner

    def _figures(self, clean: np.ndarray, before: np.ndarray, restored: np.ndarray) -> tuple[float, ...]:
        psnrs = [min(MOST_PSNR, psnr(image, reference=clean, data_range=1.0)) for image in (before, restored)]
        if min(clean.shape[:2]) < (GAUSSIAN_WINDOW if self.luma else SSIM_WINDOW):
            return *psnrs, float("nan"), float("nan")
        options = {"gaussian": True} if self.luma else {"window": SSIM_WINDOW}
        ssims = [ssim(image, reference=clean, data_range=1.0, **options) for image in (before, restored)]
        return *psnrs, *ssims

    def compute(self) -> dict[str, float]:
        """Return means over the images.

        `psnr` in dB (at most 100, of equal pictures) and `ssim` of the restored pictures, `psnr_noisy` and `ssim_noisy`
        (or what else the given ones are called) of those before; `pixel_accuracy`, the share of pixels on the right
        side of one half, where the clean pictures are binary. Without clean pictures there is `psnr` alone, of hidden
        pixels against the noisy ones: it ranks models, and the noise bounds it.
        """
        _, psnr_given, psnr_restored, ssim_given, ssim_restored, right = self._gathered().T
        means = {"psnr": psnr_restored.mean()}
        if not np.isnan(psnr_given).any():
            means[f"psnr_{self.given}"] = psnr_given.mean()
        if not np.isnan(ssim_restored).any():
            means |= {"ssim": ssim_restored.mean(), f"ssim_{self.given}": ssim_given.mean()}
        if not np.isnan(right).any():
            means["pixel_accuracy"] = right.mean()
        return {**{name: float(value) for name, value in means.items()}, "images": len(right)}

    def findings(self, split: Split) -> Findings:
        """Return the figures, a table image by image, the worst first, and crops before and after."""
        rows = self._gathered()
        order = rows[:, 2].argsort()[:ROWS]
        table = Table(
            "Image by image",
            ("image", f"PSNR {self.given}", "PSNR", f"SSIM {self.given}", "SSIM"),
            tuple(
                (split.name(int(row[0])), _said(row[1], 2), _said(row[2], 2), _said(row[3], 3), _said(row[4], 3))
                for row in rows[order]
            ),
            f"{self._protocol()}. The worst come first{f', {ROWS} of {len(rows)}' if len(rows) > ROWS else ''}.",
        )
        return Findings(self.compute(), (table,), self._pictures(split), self._protocol())

    def _protocol(self) -> str:
        """Return how the figures came about: the noise, and what is compared with what."""
        if self.without_truth:
            return (
                f"{self.protocol}; there are no clean pictures: pixels were hidden, told from those around them, and "
                "held against the noisy ones, so that the figures rank models, and are bounded by the noise"
            )
        given = "noisy images of the data, judged by the clean ones beside them" if self.paired else self.protocol
        border = f", less {self.border} pixels at each edge" if self.border else ""
        window = f"{SSIM_WINDOW}x{SSIM_WINDOW}"
        if self.luma:
            window = f"{GAUSSIAN_WINDOW}x{GAUSSIAN_WINDOW} Gaussian"
        return (
            f"{given}; figures of {self._space()}{border}: PSNR and SSIM ({window} window) of whole images clipped to "
            "[0, 1], not rounded to 256 levels, and their means"
        )

    def _space(self) -> str:
        """Return in words which numbers of the images are compared."""
        if self.channels == 1:
            return "the grey levels (of color images: their luma, BT.601)"
        return "the luma (BT.601)" if self.luma else "red, green and blue together"

    @property
    def shown(self) -> dict[int, tuple[np.ndarray, ...]]:
        """Crops of images by their index: given, restored and, where there is one, clean."""
        return {example.index: example.crops for example in self.examples.kept}

    def _pictures(self, split: Split) -> tuple[Block, ...]:
        return tuple(
            before_after(
                role, example, name=Path(split.name(example.index)).name, given=self.given, note=self.protocol + "."
            )
            for role, example in self.examples.chosen()
        )

    def _gathered(self) -> np.ndarray:
        """Return (N, 6) in the order of the split."""
        rows: np.ndarray = dim_zero_cat(self.figures).cpu().numpy()
        return rows[rows[:, 0].argsort(kind="stable")]


def _told(noisy: np.ndarray, restored: np.ndarray, masked: np.ndarray) -> tuple[float, ...]:
    """Return the figures of hidden pixels (H, W) of pictures (H, W, C): of PSNR alone, against the noisy ones."""
    error = float(np.square(restored[masked] - noisy[masked]).mean())
    nothing = float("nan")
    return nothing, min(MOST_PSNR, -10 * math.log10(max(error, 1e-12))), nothing, nothing


def _said(figure: float, digits: int) -> str:
    return "" if np.isnan(figure) else f"{figure:.{digits}f}"


def _right(restored: Tensor, clean: Tensor) -> float:
    binary = bool(((clean == 0) | (clean == 1)).all())
    return float(((restored > 0.5) == (clean > 0.5)).double().mean()) if binary else float("nan")
