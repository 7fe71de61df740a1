"""The family of diffusion models: training on noisy pictures, drawing and completing by a sampler."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from pixelry.data.loading import Batch, generator_for
from pixelry.errors import UsageError
from pixelry.tasks.base import OF_TRAINING, Evaluator
from pixelry.tasks.generate._denoising import DenoisingEvaluator
from pixelry.tasks.generate.base import Generate, OnProgress
from pixelry.tasks.generate.diffusion import samplers
from pixelry.tasks.generate.diffusion.inpaint import repaint
from pixelry.tasks.generate.diffusion.objectives import EDM, Epsilon, Flow, Objective, Raw, stratified
from pixelry.tasks.generate.diffusion.process import Denoiser, Schedule, Shape, prior_bits, variational_bound

# Of the noise on which models are judged: image k of a split gets the numbers of mix_seed(NOISE_SEED, k).
NOISE_SEED = 2020
STEPS = 1000  # T of the published process


@lru_cache
def _published(shape: Shape) -> Schedule:
    # Its tables are asked for at every step, and computed once.
    return Schedule(shape, STEPS)


@dataclass(frozen=True)
class Diffusion(Generate):
    """Denoising at all levels of noise, and pictures drawn by going from the largest level to none.

    Attributes:
        objective: What the network learns: "edm" (Karras et al. 2022), "flow" (straight ways; Lipman et al. 2023) or
            "eps" (the noise, as Ho et al. 2020).
        schedule: Of the objective "eps", and of the bound on the likelihood: "linear" or "cosine".
        noise_mean: Of ln sigma in training, in standard deviations of the pictures, for "edm" and "flow".
        noise_std: Its standard deviation.
        drop_label: Share of the pictures that a conditional model sees without their class, so that it can be guided.
        sampler: "dpmpp" (DPM-Solver++ 2M), "unipc", "heun", "ddim", or "ddpm" (ancestral).
        steps: Of the sampler; each is one evaluation of the network, but two for "heun".
        largest: Noise with which drawing begins, in standard deviations of the pictures, for "edm" and "flow".
        smallest: Noise of the last evaluation, which is taken for the picture. None for 2 / steps, within 0.1 and
            0.4: few steps are better spent before the finest noise, of which a network has learnt little.
        guidance: Weight of the class in drawing (Ho and Salimans 2022, with w + 1): 1 is the plain conditional model,
            more is truer to the class and less varied, and costs twice the evaluations.
        repeats: How often each step of a completion is taken (RePaint).
    """

    objective: Literal["edm", "flow", "eps"] = field(default="edm", metadata=OF_TRAINING)
    schedule: Shape = field(default="linear", metadata=OF_TRAINING)
    noise_mean: float = field(default=0.5, metadata=OF_TRAINING)
    noise_std: float = field(default=1.2, metadata=OF_TRAINING)
    drop_label: float = field(default=0.1, metadata=OF_TRAINING)
    sampler: samplers.Name = "dpmpp"
    steps: int = 20
    largest: float = 80.0
    smallest: float | None = None
    guidance: float = 1.0
    repeats: int = 5

    monitor: ClassVar[str] = "denoising_loss"

    @classmethod
    def measure(cls) -> str:
        """Return the metric by which networks are compared; the one of training has a meaning for each alone."""
        return "frechet"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.steps <= STEPS:
            raise UsageError(f"steps is {self.steps}; expected 1 to {STEPS}")
        if not (math.isfinite(self.noise_mean) and 0 < self.noise_std < math.inf):
            raise UsageError(f"noise is {self.noise_mean}, {self.noise_std}; expected a mean, and a deviation above 0")
        if not 0 < self.finest < self.largest < math.inf:
            raise UsageError(f"smallest is {self.finest:g}, largest {self.largest}; expected 0 < smallest < largest")
        if not 0 <= self.drop_label < 1:
            raise UsageError(f"drop_label is {self.drop_label}; it is a share, at least 0 and below 1")
        if not (0 <= self.guidance < math.inf):
            raise UsageError(f"guidance is {self.guidance}; expected 0 or more, 1 for none")
        if self.guidance != 1 and not self.classes:
            raise UsageError("guidance leads to a class, and the model has none: train one with --set conditional=true")
        if self.repeats < 1:
            raise UsageError(f"repeats is {self.repeats}; expected 1 or more")

    @property
    def finest(self) -> float:
        """The noise of the last evaluation."""
        return min(max(2 / self.steps, 0.1), 0.4) if self.smallest is None else self.smallest

    @property
    def process(self) -> Schedule:
        """The published process of T = 1000 steps."""
        return _published(self.schedule)

    def formulation(self) -> Objective:
        """Return what the network learns."""
        if self.objective == "eps":
            return Epsilon(self.process)
        kind = EDM if self.objective == "edm" else Flow
        return kind(self.noise_mean, self.noise_std, self.largest, self.finest)

    def observe(self, batch: Batch, *, training: bool) -> Batch:
        """Return the batch with the "noise", like the images, and quantiles "level" (B,) of how much there is of it."""
        images = batch["image"]
        if training:
            noise, level = torch.randn(images.shape, device=images.device), stratified(len(images))
        else:
            generators = [generator_for(NOISE_SEED, i) for i in batch["index"].tolist()]
            level = torch.cat([torch.rand(1, generator=g) for g in generators]).clamp(1e-6, 1 - 1e-6)
            noise = torch.stack([torch.randn(images.shape[1:], generator=g) for g in generators])
        seen = {**batch, "noise": noise.to(images.device), "level": level.to(images.device)}
        if training and self.classes and "label" in batch:
            dropped = torch.rand(len(images)).to(images.device) < self.drop_label
            seen["label"] = torch.where(dropped, len(self.classes), batch["label"])
        return seen

    def losses(self, network: nn.Module, batch: Batch, phase: str = "main") -> dict[str, Tensor]:
        """Return the mean squared error of what the network learns, which is 1 for one that knows nothing.

        Args:
            network: Maps (scaled noisy pictures, level of noise, label) to the same shape.
            batch: From `observe`.
            phase: The only one.
        """
        return {"loss": self._errors(network, batch).mean()}

    def _errors(self, network: nn.Module, batch: Batch) -> Tensor:
        raw = self._raw(network, batch.get("label") if self.classes else None)
        images = self._standardise(network, batch["image"])
        return self.formulation().losses(raw, images, batch["noise"], batch["level"])

    def forward(self, network: nn.Module, batch: Batch) -> Tensor:
        """Return each picture's loss, and its share of the bound on -log p in bits for each value, (B, 2)."""
        images, level = batch["image"], batch["level"]
        inner = self._denoiser(network, self._raw(network, batch.get("label") if self.classes else None))
        mean, std = self._scale(network)

        def denoise(x: Tensor, sigma: Tensor) -> Tensor:
            # From [-1, 1] to the network's units and back.
            return inner((x - mean) / std, sigma / std) * std + mean

        process, t = self.process, (level * STEPS).long().clamp(0, STEPS - 1) + 1
        signed = 2 * images - 1
        bits = STEPS * variational_bound(denoise, signed, process, noise=batch["noise"], t=t)
        return torch.stack([self._errors(network, batch).double(), bits + prior_bits(signed, process)], 1)

    def evaluator(self, *, sync: bool = False) -> Evaluator:
        """Return an empty evaluator; with `sync` its figures are of what all processes gathered."""
        return DenoisingEvaluator(self.describe(), sync=sync)

    def drawing(self) -> dict[str, Any]:
        """Return the options by which pictures are drawn."""
        names = ("sampler", "steps", "largest", "guidance")
        return {**{name: getattr(self, name) for name in names}, "smallest": self.finest}

    def describe(self) -> str:
        """Return in words how pictures are drawn."""
        guided = f", guidance {self.guidance:g}" if self.guidance != 1 else ""
        return f"{self.sampler}, {self.steps} steps{guided}"

    def draw(
        self, network: nn.Module, generators: list[Generator], labels: Tensor | None, on_progress: OnProgress
    ) -> Tensor:
        """Return one picture for each generator, (B, C, H, W) in [0, 1]."""
        return self.trace(network, generators, labels, on_progress)[-1]

    @torch.inference_mode()
    def trace(
        self,
        network: nn.Module,
        generators: list[Generator],
        labels: Tensor | None,
        on_progress: OnProgress = lambda done: None,
        *,
        keep: bool = False,
    ) -> list[Tensor]:
        """Return the way from noise to pictures: each step's x / sqrt(1 + sigma^2), and the pictures, last.

        Args:
            network: In evaluation mode.
            generators: One for each picture.
            labels: (B,) int64, of a conditional model.
            on_progress: Called with the parts of pictures that are done.
            keep: Keep the steps; else only the pictures are returned.
        """
        device = next(network.parameters()).device
        noise = self._noise(network, generators, device)
        levels = self._levels().to(device)
        way: list[Tensor] = []
        start = noise()
        if keep:
            way.append(self._to_unit(network, start))

        def on_step(step: int, x: Tensor, denoised: Tensor) -> None:
            on_progress(len(x) / (len(levels) - 1))
            if keep:
                way.append(self._to_unit(network, x / (1 + levels[step + 1].square()).sqrt()))

        draw = getattr(samplers, self.sampler)
        pictures = draw(self._guided(network, labels, device), start * levels[0], levels, noise, on_step)
        return [*way, self._to_unit(network, pictures)]

    def noised(self, network: nn.Module, images: Tensor, noise: Tensor, steps: int) -> list[Tensor]:
        """Return pictures (B, C, H, W) in [0, 1] with more and more noise, x / sqrt(1 + sigma^2), themselves first."""
        largest, smallest = self.formulation().limits
        levels = samplers.noise_levels(steps, largest=largest, smallest=smallest).flip(0)
        x = self._standardise(network, images)
        return [self._to_unit(network, (x + sigma * noise) / (1 + sigma.square()).sqrt()) for sigma in levels]

    def fill(
        self,
        network: nn.Module,
        generators: list[Generator],
        labels: Tensor | None,
        given: Tensor,
        known: NDArray[np.bool_],
        on_progress: OnProgress,
    ) -> Tensor:
        """Return one completion for each generator, (B, C, H, W) in [0, 1], of any mask."""
        device = next(network.parameters()).device
        noise = self._noise(network, generators, device)
        levels = self._levels().to(device)
        total = (len(levels) - 2) * self.repeats + 1
        with torch.inference_mode():
            drawn = repaint(
                self._guided(network, labels, device),
                noise() * levels[0],
                levels,
                noise,
                given=self._standardise(network, given.to(device)[None]),
                known=torch.from_numpy(known).to(device),
                repeats=self.repeats,
                on_step=lambda step, x, denoised: on_progress(len(x) / total),
            )
        return self._to_unit(network, drawn)

    def completion_labels(
        self, network: nn.Module, generators: list[Generator], given: Tensor, known: NDArray[np.bool_]
    ) -> Tensor | None:
        """Return None, for any class; drawn by the prior of a model that never saw a picture without its class."""
        if self.classes and not self.drop_label:
            return self.draw_labels(torch.tensor(self.prior), generators)
        return None

    def _levels(self) -> Tensor:
        formulation = self.formulation()
        if isinstance(formulation, Epsilon) and self.sampler in ("ddpm", "ddim"):
            return samplers.schedule_levels(self.steps, formulation.schedule)
        largest, smallest = formulation.limits
        return samplers.noise_levels(self.steps, largest=largest, smallest=smallest)

    def _noise(self, network: Any, generators: list[Generator], device: torch.device) -> Callable[[], Tensor]:
        """Return a function that draws noise, each picture's from its own generator."""
        shape = tuple(int(n) for n in network.shape)
        return lambda: torch.stack([torch.randn(shape, generator=g) for g in generators]).to(device)

    def _raw(self, network: nn.Module, label: Tensor | None) -> Raw:
        return lambda x, level: network(x, level, label)

    def _denoiser(self, network: nn.Module, raw: Raw) -> Denoiser:
        """Return denoise(x, sigma), whose pictures stay within what pictures can be."""
        return self._clamped(network, self.formulation().denoiser(raw))

    def _clamped(self, network: nn.Module, denoise: Denoiser) -> Denoiser:
        black, white = (self._standardise(network, torch.full((1, 1, 1, 1), v)) for v in (0.0, 1.0))
        return lambda x, sigma: denoise(x, sigma).clamp(black.to(x.device), white.to(x.device))

    def _guided(self, network: nn.Module, labels: Tensor | None, device: torch.device) -> Denoiser:
        """Return denoise(x, sigma) for classes: D(any) + guidance (D(class) - D(any)) (Ho and Salimans, equation 6)."""
        if self.guidance == 1:
            return self._denoiser(network, self._raw(network, None if labels is None else labels.to(device)))
        if labels is None:
            raise UsageError("guidance leads to a class: give --label too")
        if not self.drop_label:
            raise UsageError("the model was trained with drop_label=0, so it does not know what any class looks like")
        both = torch.cat([torch.full_like(labels, len(self.classes)), labels]).to(device)
        denoise = self.formulation().denoiser(self._raw(network, both))

        def guided(x: Tensor, sigma: Tensor) -> Tensor:
            plain, led = denoise(torch.cat([x, x]), sigma).chunk(2)
            return plain + self.guidance * (led - plain)

        return self._clamped(network, guided)

    def _scale(self, network: Any) -> tuple[Tensor, Tensor]:
        """Return the mean (C, 1, 1) and the standard deviation (scalar) of the network's pictures in [-1, 1]."""
        mean, std = network.normalize.mean, network.normalize.std
        if self.formulation().standardised:
            # One scale for all channels: noise is then of one scale too.
            return 2 * mean - 1, 2 * std.square().mean().sqrt()
        return torch.zeros_like(mean), torch.ones_like(std.mean())

    def _standardise(self, network: nn.Module, images: Tensor) -> Tensor:
        """Return pictures in [0, 1] in the network's units."""
        mean, std = (value.to(images.device) for value in self._scale(network))
        return (2 * images - 1 - mean) / std

    def _to_unit(self, network: nn.Module, x: Tensor) -> Tensor:
        """Return pictures in the network's units in [0, 1]."""
        mean, std = self._scale(network)
        return ((x * std + mean) + 1).div(2).clamp(0, 1)


FAMILY = Diffusion
