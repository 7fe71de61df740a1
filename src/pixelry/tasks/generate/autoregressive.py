"""Pictures value after value: each drawn from its probability given those before it, with an exact likelihood."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from pixelry.data.loading import Batch, generator_for
from pixelry.errors import ImageError, UsageError
from pixelry.tasks.base import Evaluator
from pixelry.tasks.generate._likelihood import LikelihoodEvaluator
from pixelry.tasks.generate.base import Generate, OnProgress

Binarise = Literal["dynamic", "static", "threshold"]

# Of the levels on which models are judged: image k of a split is rounded with the numbers of mix_seed(LEVEL_SEED, k).
LEVEL_SEED = 1996


@dataclass(frozen=True)
class Autoregressive(Generate):
    """The exact likelihood of pictures of few grey levels, value after value in raster order.

    A value in [0, 1] is rounded to a level at random, up or down so that its expectation stays: for two levels a
    pixel of brightness 0.3 is white with probability 0.3, the binarisation of MNIST.

    Attributes:
        levels: Grey levels of each value, 2 for black and white.
        binarise: "dynamic" rounds anew each time a picture is trained on, and once, by a fixed seed, where it is
            judged; "static" rounds each picture once and for all, by the fixed seed; "threshold" takes the nearest
            level. Their likelihoods do not compare with each other.
    """

    levels: int = 2
    binarise: Binarise = "dynamic"

    monitor: ClassVar[str] = "nll_nats"
    tells: ClassVar[tuple[str, ...]] = ("levels", "classes")
    at_once: ClassVar[int] = 250

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 2 <= self.levels <= 256:
            raise UsageError(f"levels is {self.levels}; expected 2 (black and white) to 256")

    def outputs(self) -> dict[str, Any]:
        """Return levels and classes, which `build` needs."""
        return {"levels": self.levels, "classes": len(self.classes)}

    def protocol(self) -> str:
        """Return in words how pictures were rounded to levels where they are judged."""
        how = {
            "dynamic": "trained on other draws at each step",
            "static": "trained on one draw for each picture",
            "threshold": "nearest level, no draw",
        }[self.binarise]
        judged = f", judged on the draw of seed {LEVEL_SEED} and the image's number"
        seed = "" if self.binarise == "threshold" else judged
        return f"{self.levels} levels, {self.binarise} rounding ({how}{seed})"

    def observe(self, batch: Batch, *, training: bool) -> Batch:
        """Return the batch with its images rounded to levels, multiples of 1 / (levels - 1) in [0, 1]."""
        images = batch["image"]
        if self.binarise == "threshold":
            draw: Tensor | float = 0.5
        elif training and self.binarise == "dynamic":
            draw = torch.rand(images.shape, device=images.device)
        else:
            shape = images.shape[1:]
            draws = [torch.rand(shape, generator=generator_for(LEVEL_SEED, i)) for i in batch["index"].tolist()]
            draw = torch.stack(draws).to(images.device)
        top = self.levels - 1
        rounded = (images * top + draw).floor().clamp(0, top) / top
        # Each value's own draw is independent of the others, so its expected loss can be had without drawing it: the
        # same objective, with less noise in its gradient.
        target = images if training and self.binarise == "dynamic" else rounded
        return {**batch, "image": rounded, "target": target}

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return -log p(image) in nats, (B, 1); of a conditional model -log p(image | class), (B, classes)."""
        return self._nats(network, batch["image"]).flatten(2).sum(2)

    def _nats(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return -log p of each pixel given those before it and the class, (B, classes or 1, H, W)."""
        if not self.classes:
            return self._nll(network(images), images)[:, None]
        labels = torch.arange(len(self.classes), device=images.device)[:, None].expand(-1, len(images))
        return torch.stack([self._nll(network(images, label), images) for label in labels], 1)

    def _nll(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return -log p of each pixel in nats, (B, H, W); of a target between two levels, what is expected of its draw.

        Args:
            logits: (B, C, k - 1, H, W), of "level >= 1", ..., "level >= k - 1".
            target: (B, C, H, W) in [0, 1].
        """
        thresholds = torch.arange(1, self.levels, device=target.device).view(1, 1, -1, 1, 1)
        level, logits = target[:, :, None] * (self.levels - 1), logits.float()
        # How probable it is that a coin is tossed, which is where the threshold below was reached, and comes up.
        tossed, reached = (level - thresholds + 2).clamp(0, 1), (level - thresholds + 1).clamp(0, 1)
        nats = tossed * F.softplus(logits) - reached * logits
        return nats.sum((1, 2))

    def losses(self, network: nn.Module, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the mean of -log p(image), or -log p(image | class), in nats.

        Args:
            network: Maps images to the logits of their thresholds.
            batch: "image" (B, C, H, W) of `levels` levels, "target" like it or between levels, and "label" for a
                conditional model.
            phase: The only one.
        """
        images = batch["image"]
        logits = network(images, batch["label"]) if self.classes else network(images)
        return {"loss": self._nll(logits, batch["target"]).flatten(1).sum(1).mean()}

    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        return LikelihoodEvaluator(self.protocol(), self.prior, sync=sync)

    def describe(self) -> str:
        """Return in words how pictures are drawn, for a protocol."""
        return f"value after value, {self.levels} levels"

    def draw(
        self, network: nn.Module, generators: list[Generator], labels: Tensor | None, on_progress: OnProgress
    ) -> Tensor:
        """Return one picture for each generator, (B, C, H, W) in [0, 1]; the network has `bits` and `draw`."""
        return self._toss(network, generators, labels, on_progress)

    def fill(
        self,
        network: nn.Module,
        generators: list[Generator],
        labels: Tensor | None,
        given: Tensor,
        known: NDArray[np.bool_],
        on_progress: OnProgress,
    ) -> Tensor:
        """Return one completion for each generator, (B, C, H, W) in [0, 1]; what is known comes first, row by row.

        Raises:
            ImageError: Known pixels follow unknown ones.
        """
        _check_raster(known)
        pictures = self._levels(given).expand(len(generators), -1, -1, -1)
        return self._toss(network, generators, labels, on_progress, given=pictures, known=int(known.sum()))

    def _toss(
        self,
        network: Any,
        generators: list[Generator],
        labels: Tensor | None,
        on_progress: OnProgress,
        *,
        given: Tensor | None = None,
        known: int = 0,
    ) -> Tensor:
        device = next(network.parameters()).device
        coins = torch.stack([torch.rand(network.bits, generator=generator) for generator in generators])
        labels = None if labels is None else labels.to(device)
        given = None if given is None else given.to(device)
        images = cast(Tensor, network.draw(coins.to(device), labels, given=given, known=known))
        on_progress(len(images))
        return images

    @torch.inference_mode()
    def completion_labels(
        self, network: nn.Module, generators: list[Generator], given: Tensor, known: NDArray[np.bool_]
    ) -> Tensor | None:
        """Return the class of each completion, drawn by p(class | known pixels) after Bayes' rule, (B,) int64."""
        if not self.classes:
            return None
        _check_raster(known)
        device = next(network.parameters()).device
        nats = self._nats(network, self._levels(given)[None].to(device))[0].cpu()
        evidence = -(nats * torch.from_numpy(known)).flatten(1).sum(1)
        return self.draw_labels((torch.tensor(self.prior).log() + evidence).softmax(0), generators)

    def _levels(self, image: Tensor) -> Tensor:
        """Return an image in [0, 1] rounded to the nearest levels."""
        top = self.levels - 1
        return (image * top).round() / top


def _check_raster(known: NDArray[np.bool_]) -> None:
    """Raise ImageError unless what is known comes first, row by row."""
    flat = known.flatten()
    unknown_first = int((~flat).argmax()) if not flat.all() else len(flat)
    late = np.flatnonzero(flat[unknown_first:])
    if len(late):
        place = divmod(unknown_first + int(late[0]), known.shape[1])
        gap = divmod(unknown_first, known.shape[1])
        raise ImageError(
            f"this model draws row by row from the top left, so what is known must come first: the pixel at row "
            f"{place[0]}, column {place[1]} is known, but that at row {gap[0]}, column {gap[1]} before it is not; mask "
            "everything after the first masked pixel, such as the lower half, or take a diffusion model "
            "(--network ddpm), which completes any mask"
        )


FAMILY = Autoregressive
