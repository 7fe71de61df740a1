"""What an evaluation of a model with a likelihood says: nats, bits, and which pictures it finds likely."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics.utilities import dim_zero_cat

from pixelry.data.dataset import Split
from pixelry.data.loading import Batch
from pixelry.data.sheet import as_picture
from pixelry.pixels import contact_sheet
from pixelry.tasks.base import Evaluator, Findings, Picture, Table

SHOWN = 20


class LikelihoodEvaluator(Evaluator):
    """Mean -log p(image) with its 95 % interval, and in bits for each pixel.

    Args:
        protocol: How pictures were rounded to levels, for the report.
        prior: p(class) of a conditional model, whose p(image) is the sum over classes of p(class) p(image | class).
        sync: `compute` joins what all processes gathered.
    """

    full_state_update = False
    nats: list[Tensor]
    labels: list[Tensor]
    indices: list[Tensor]

    def __init__(self, protocol: str, prior: tuple[float, ...] = (), *, sync: bool = False) -> None:
        super().__init__(sync_on_compute=sync)
        self.protocol, self.prior, self.pixels = protocol, prior, 1
        for state in ("nats", "labels", "indices"):
            self.add_state(state, default=[], dist_reduce_fx="cat")

    def update(self, output: Tensor, batch: Batch) -> None:
        """Take -log p(image | class), (B, classes) or (B, 1), and the batch's "image", "index" and "label"."""
        self.nats.append(output.double())
        self.indices.append(batch["index"])
        self.labels.append(batch.get("label", torch.zeros_like(batch["index"])))
        self.pixels = math.prod(batch["image"].shape[-2:])

    def compute(self) -> dict[str, float]:
        """Return the figures by name.

        `nll_nats`, the mean of -log p(image), with the bounds `nll_nats_low` and `nll_nats_high` of its 95 % interval
        (normal approximation); `bits_per_pixel`. Of a conditional model also `nll_nats_given_class`, and `accuracy`:
        how often the class under which the picture is likeliest is its own.
        """
        given, labels, _ = self._gathered()
        nats = self._marginal(given)
        mean = float(nats.mean())
        margin = 1.96 * float(nats.std()) / math.sqrt(len(nats)) if len(nats) > 1 else 0.0
        figures = {
            "nll_nats": mean,
            "nll_nats_low": mean - margin,
            "nll_nats_high": mean + margin,
            "bits_per_pixel": mean / math.log(2) / self.pixels,
        }
        if self.prior:
            posterior = torch.tensor(self.prior).double().log() - given
            figures["nll_nats_given_class"] = float(given.gather(1, labels[:, None]).mean())
            figures["accuracy"] = float((posterior.argmax(1) == labels).double().mean())
        return {**figures, "images": len(nats)}

    def findings(self, split: Split) -> Findings:
        """Return the figures, the protocol, and the pictures that the model finds most and least likely."""
        given, _, indices = self._gathered()
        nats = self._marginal(given)
        order = nats.argsort()
        pictures = []
        for title, chosen in (("Most likely", order[:SHOWN]), ("Least likely", order.flip(0)[:SHOWN])):
            images = [as_picture(split.images[int(indices[i])]) for i in chosen]
            sheet = contact_sheet(images, labels=[f"{float(nats[i]):.0f} nats" for i in chosen], columns=10)
            pictures.append(Picture(title, sheet, "-log p, of the pictures it was judged on."))
        rows = (("how pictures become levels", self.protocol), ("pixels", f"{self.pixels:,}"))
        return Findings(self.compute(), (Table("Protocol", ("what", "how"), rows),), tuple(pictures), self.protocol)

    def _marginal(self, given: Tensor) -> Tensor:
        if not self.prior:
            return given[:, 0]
        return -torch.logsumexp(torch.tensor(self.prior).double().log() - given, 1)

    def _gathered(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return -log p (N, classes or 1), labels (N,) and indices (N,), in the order of the split."""
        nats, labels, indices = (dim_zero_cat(state).cpu() for state in (self.nats, self.labels, self.indices))
        order = indices.argsort()
        return nats[order], labels[order], indices[order]
