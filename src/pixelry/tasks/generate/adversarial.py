"""The family of adversarial networks: a generator that learns from a discriminator, and the other way round."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torchmetrics.utilities import dim_zero_cat

from pixelry.data.augment import cut_out, random_shift
from pixelry.data.dataset import Dataset, Split
from pixelry.data.loading import Batch, generator_for
from pixelry.errors import DataError, UsageError
from pixelry.tasks.base import OF_TRAINING, Evaluator, Findings, Table, training_split
from pixelry.tasks.generate.base import Generate, OnProgress

# Of the latents of the pictures that the discriminator judges beside those of a validation split.
LATENT_SEED = 2014
LEAST_SHIFTED = 16  # pixels of a side
SHIFT, CUT = 8, 2  # differentiable augmentation: shifts of a side's eighth, squares of its half


@dataclass(frozen=True)
class Adversarial(Generate):
    """A game of two (Goodfellow et al. 2014): one makes pictures, the other tells them from real ones.

    The generator's loss is the non-saturating one; each of the two phases has its own optimiser.

    Attributes:
        loss: "logistic" (cross-entropy, as published) or "hinge" (Lim and Ye 2017).
        r1: Weight of the squared gradient of the discriminator at real pictures (Mescheder et al. 2018, equation 9),
            0 for none; it steadies training and costs a second backward pass.
        diff_augment: What real and made pictures alike go through before they are judged (Zhao et al. 2020), so that
            few pictures are not learnt by heart: "none", "shift", or "shift-cut".
        generator_rate: The generator's learning rate as a multiple of the discriminator's (Heusel et al. 2017).
    """

    loss: Literal["logistic", "hinge"] = field(default="logistic", metadata=OF_TRAINING)
    r1: float = field(default=0.0, metadata=OF_TRAINING)
    diff_augment: Literal["none", "shift", "shift-cut"] = field(default="none", metadata=OF_TRAINING)
    generator_rate: float = field(default=1.0, metadata=OF_TRAINING)

    phases: ClassVar[tuple[str, ...]] = ("discriminator", "generator")
    monitor: ClassVar[str] = "told_apart"

    @classmethod
    def measure(cls) -> str:
        """Return the metric by which networks are compared; the one of training has a meaning for each alone."""
        return "frechet"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.generator_rate > 0:
            raise UsageError(f"generator_rate is {self.generator_rate}; it must be above 0")
        if self.r1 < 0:
            raise UsageError(f"r1 is {self.r1}; expected 0 (none) or more")

    @classmethod
    def from_dataset(cls, dataset: Dataset, **options: Any) -> Generate:
        """Make the task.

        Raises:
            DataError: There are fewer than two training pictures, or no labels for a conditional model.
        """
        count = len(training_split(dataset))
        if count < 2:
            raise DataError(f"{dataset.name} has {count} training image; a discriminator compares, and needs 2 or more")
        return super().from_dataset(dataset, **options)

    def parameters(self, network: nn.Module, phase: str) -> nn.Module:
        """Return the discriminator or the generator."""
        return network.get_submodule(phase)

    def rate(self, phase: str) -> float:
        """Return the learning rate of a phase as a multiple of the recipe's."""
        return self.generator_rate if phase == "generator" else 1.0

    def losses(self, network: nn.Module, batch: Batch, phase: str = "discriminator") -> dict[str, Tensor]:
        """Return the loss of the discriminator or that of the generator.

        Args:
            network: With `generator(latent, label)` and `discriminator(pictures, label)`.
            batch: "image" (B, C, H, W) in [0, 1], and "label" for a conditional model.
            phase: "discriminator" or "generator".
        """
        images = 2 * batch["image"] - 1
        label = batch["label"] if self.classes else None
        latent = torch.randn(len(images), cast(int, network.latent), device=images.device)
        generator, judge = network.get_submodule("generator"), network.get_submodule("discriminator")
        if phase == "generator":
            made = judge(self._augmented(generator(latent, label)), label).float()
            return {"loss": -made.mean() if self.loss == "hinge" else F.softplus(-made).mean()}
        with torch.no_grad():
            fakes = generator(latent, label)
        reals = self._augmented(images)
        if self.r1:
            reals.requires_grad_()
        real, made = judge(reals, label).float(), judge(self._augmented(fakes), label).float()
        if self.loss == "hinge":
            loss = F.relu(1 - real).mean() + F.relu(1 + made).mean()
        else:
            loss = F.softplus(-real).mean() + F.softplus(made).mean()
        if self.r1:
            (slope,) = torch.autograd.grad(real.sum(), reals, create_graph=True)
            loss = loss + 0.5 * self.r1 * slope.float().square().flatten(1).sum(1).mean()
        return {"loss": loss}

    def _augmented(self, images: Tensor) -> Tensor:
        if self.diff_augment == "none":
            return images
        side = min(images.shape[-2:])
        # Of the smallest pictures, such as of 8x8, a pixel is too much of what there is to see.
        if side >= LEAST_SHIFTED:
            images = random_shift(images, side // SHIFT, torch.default_generator)
        return cut_out(images, side // CUT, torch.default_generator) if self.diff_augment == "shift-cut" else images

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return what the discriminator says of each picture and of one made beside it, (B, 2), positive for real."""
        images = 2 * batch["image"] - 1
        label = batch["label"] if self.classes else None
        size = cast(int, network.latent)
        generators = [generator_for(LATENT_SEED, i) for i in batch["index"].tolist()]
        latent = torch.stack([torch.randn(size, generator=g) for g in generators]).to(images.device)
        judge = network.get_submodule("discriminator")
        made = network.get_submodule("generator")(latent, label)
        return torch.stack([judge(images, label), judge(made, label)], 1)

    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        return GameEvaluator(sync=sync)

    @torch.inference_mode()
    def draw(
        self, network: nn.Module, generators: list[Generator], labels: Tensor | None, on_progress: OnProgress
    ) -> Tensor:
        """Return one picture for each generator, (B, C, H, W) in [0, 1]."""
        latent = torch.stack([torch.randn(cast(int, network.latent), generator=g) for g in generators])
        return self._made(network, latent, labels, on_progress)

    @torch.inference_mode()
    def walk(self, network: nn.Module, generators: list[Generator], labels: Tensor | None, steps: int) -> list[Tensor]:
        """Return the way through the latents, from each picture to the next and back to the first, round the sphere.

        Args:
            network: In evaluation mode.
            generators: One for each picture, n of them.
            labels: (n,) int64, of a conditional model; half-way to the next picture its class takes over.
            steps: Pictures from one to the next.

        Returns:
            n * steps pictures (1, C, H, W) in [0, 1].
        """
        size = cast(int, network.latent)
        ends = [torch.randn(size, generator=generator) for generator in generators]
        way: list[Tensor] = []
        for i, start in enumerate(ends):
            after = (i + 1) % len(ends)
            for step in range(steps):
                part = step / steps
                label = None if labels is None else labels[[i if part < 0.5 else after]]
                way.append(self._made(network, _between(start, ends[after], part)[None], label, lambda done: None))
        return way

    def _made(self, network: nn.Module, latent: Tensor, labels: Tensor | None, on_progress: OnProgress) -> Tensor:
        device = next(network.parameters()).device
        made = network.get_submodule("generator")(latent.to(device), None if labels is None else labels.to(device))
        on_progress(len(made))
        return cast(Tensor, (made.float() + 1) / 2)


def _between(start: Tensor, end: Tensor, part: float) -> Tensor:
    """Return a latent between two on the great circle (White 2016), where latents of the usual length lie."""
    angle = torch.acos(F.cosine_similarity(start, end, dim=0).clamp(-1, 1))
    if angle < 1e-4:
        return start
    return (torch.sin((1 - part) * angle) * start + torch.sin(part * angle) * end) / torch.sin(angle)


class GameEvaluator(Evaluator):
    """How well the discriminator tells pictures that it has not seen from made ones.

    A discriminator that looks at how alike the pictures of a batch are says a little else of other batches.

    Args:
        sync: `compute` joins what all processes gathered.
    """

    full_state_update = False
    values: list[Tensor]

    def __init__(self, *, sync: bool = False) -> None:
        super().__init__(sync_on_compute=sync)
        self.add_state("values", default=[], dist_reduce_fx="cat")

    def update(self, output: Tensor, batch: Batch) -> None:
        """Take (B, 2): the discriminator's values of a picture and of a made one."""
        self.values.append(output.double())

    def compute(self) -> dict[str, float]:
        """Return `told_apart`, the share of pictures, real and made, that the discriminator takes for what they are."""
        values: NDArray[np.float64] = dim_zero_cat(self.values).cpu().numpy()
        right = np.stack([values[:, 0] > 0, values[:, 1] <= 0])
        means = {"logit_real": float(values[:, 0].mean()), "logit_made": float(values[:, 1].mean())}
        return {"told_apart": float(right.mean()), **means, "images": len(values)}

    def findings(self, split: Split) -> Findings:
        """Return the figures and how they came about."""
        rows = (
            ("told_apart", "share of these pictures, and of as many made ones, that the discriminator judges rightly"),
            ("", "0.5: it cannot tell; near 1: the generator is far behind, or the discriminator knows by heart"),
        )
        return Findings(
            self.compute(), (Table("Protocol", ("what", "how"), rows),), protocol=f"{rows[0][0]}: {rows[0][1]}"
        )


FAMILY = Adversarial
