"""The one LightningModule: it knows phases, a clock and a recipe, and no task by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.core.optimizer import LightningOptimizer
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from pixelry.config import Recipe
from pixelry.data.augment import Augment, augment_share, augment_some
from pixelry.data.loading import Batch, mix_seed, to_float
from pixelry.errors import TrainingError
from pixelry.tasks.base import Task
from pixelry.training.clock import Clock, average_decay, rate_factor
from pixelry.training.optimizers import make_optimizer

# On a GPU, reading the loss waits for all queued work; so often is enough to notice that a run has diverged.
CHECK_EVERY = 50


class TrainingModule(LightningModule):
    """A network in training.

    Every random number of a step (augmentation, dropout, mixing) comes from a seed that is a pure function of the
    run's seed and the step: a resumed run draws what the undisturbed one would have drawn.

    Args:
        network: Maps (B, C, H, W) float in [0, 1] to the task's output.
        task: Losses by phase.
        recipe: Optimiser, schedule, averaging.
        clock: Where the run is in its budget.
        augment: Function of float images and a generator.
        steps_per_epoch: Steps that make one pass over the data.
        memory_format: Of images and weights.
        seed: Of the run.
        freeze: Part of the run during which only the network's head is trained.
        compile: Run the network through torch.compile.
    """

    def __init__(
        self,
        network: nn.Module,
        task: Task,
        recipe: Recipe,
        clock: Clock,
        *,
        augment: Augment,
        steps_per_epoch: int,
        memory_format: torch.memory_format = torch.contiguous_format,
        seed: int = 0,
        freeze: float = 0.0,
        compile: bool = False,
    ) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.network = network.to(memory_format=memory_format)
        self.average = self._make_average(recipe) if recipe.ema else None
        self.task, self.recipe, self.clock, self.augment = task, recipe, clock, augment
        self.memory_format, self.seed, self.freeze_until = memory_format, seed, freeze
        # A list hides the compiled twin from state_dict, which would hold each weight twice.
        self._forward = [cast(nn.Module, torch.compile(network)) if compile else network]
        self.step, self.steps_per_epoch = 0, steps_per_epoch
        # By name: "loss", and where a step has several, such as "generator_loss", each of them; "loss" is their sum.
        self.losses: dict[str, Tensor] = {"loss": torch.tensor(float("nan"))}
        self.pending_optimizer_states: list[dict[str, Any]] | None = None
        self._frozen = False
        self._trained = [p for p in network.parameters() if p.requires_grad]

    def _make_average(self, recipe: Recipe) -> AveragedModel:
        def blend(averages: Sequence[Tensor], currents: Sequence[Tensor], count: Tensor | int) -> None:
            weight = 1 - average_decay(recipe, int(count) + 1)
            for average, current in zip(averages, currents, strict=True):
                if average.is_floating_point():
                    average.lerp_(current, weight)
                else:
                    average.copy_(current)

        average = AveragedModel(self.network, multi_avg_fn=blend, use_buffers=True)
        # Averages have no gradients, for which several processes would wait.
        return average.requires_grad_(False)

    @property
    def result(self) -> nn.Module:
        """The network to evaluate and to keep: the average where there is one."""
        return self.average.module if self.average is not None and self.step else self.network

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:
        """Return one optimiser a phase."""
        # torch's fused SGD fails on parameters whose first gradient comes later than that of others.
        # And Lightning does not clip in mixed precision what a fused optimiser might still have to unscale.
        fused = self.freeze_until in (0, 1) and not self.recipe.clip
        # Nor may Muon see gradients that only the fused part of it would unscale.
        fused = fused and not (self.recipe.optimizer == "muon" and self.trainer.precision == "16-mixed")
        dtype = torch.bfloat16 if self.trainer.precision == "bf16-mixed" else torch.float32
        return [
            make_optimizer(self.task.parameters(self.network, phase), self.recipe, fused=fused, dtype=dtype)
            for phase in self.task.phases
        ]

    @property
    def loss(self) -> Tensor:
        """The loss of the last step, a scalar, the sum over its phases."""
        return self.losses["loss"]

    def on_fit_start(self) -> None:
        """Hand a resumed run's states to its optimisers, and start the clock."""
        if self.pending_optimizer_states is not None:
            for optimizer, state in zip(self.trainer.optimizers, self.pending_optimizer_states, strict=True):
                optimizer.load_state_dict(state)
            self.pending_optimizer_states = None
        self.clock.start()

    def on_train_end(self) -> None:
        """Stop the clock: what follows is no training."""
        self.clock.stop()

    def training_step(self, batch: Batch, batch_index: int) -> None:
        """Take one step of every phase."""
        step_seed = mix_seed(self.seed, self.step, self.global_rank)
        torch.manual_seed(step_seed)
        optimizers = self._optimizers()
        progress = self._progress()
        self._set_progress(progress, optimizers)
        passes = self.step / self.steps_per_epoch
        seen = {**batch, "progress": progress, "passes": passes}
        batch = self._prepare(seen, torch.Generator().manual_seed(step_seed))
        self.losses = {}
        for phase, optimizer in zip(self.task.phases, optimizers, strict=True):
            self._train_only(phase)
            losses = self.task.losses(self._forward[0], batch, phase)
            optimizer.zero_grad()
            self.manual_backward(losses["loss"])
            if self.recipe.clip:
                self.clip_gradients(optimizer.optimizer, self.recipe.clip, "norm")
            optimizer.step()
            self._note(phase, losses)
        self.step += 1
        if self.average is not None:
            self.average.update_parameters(self.network)
        if self.device.type == "cpu" or self.step % CHECK_EVERY == 0:
            self.check_loss()

    def _train_only(self, phase: str) -> None:
        """Spare the gradients of what a phase does not train: another phase does."""
        if len(self.task.phases) == 1:
            return
        chosen = {id(p) for p in self.task.parameters(self.network, phase).parameters()}
        for parameter in self._trained:
            parameter.requires_grad_(id(parameter) in chosen)

    def _note(self, phase: str, losses: dict[str, Tensor]) -> None:
        prefix = f"{phase}_" if len(self.task.phases) > 1 else ""
        found = {prefix + name: value.detach() for name, value in losses.items()}
        total = self.losses.get("loss", torch.zeros_like(losses["loss"])) + losses["loss"].detach()
        self.losses = {**self.losses, **found, "loss": total}

    def _optimizers(self) -> list[LightningOptimizer]:
        optimizers = self.optimizers()
        return cast(list[LightningOptimizer], optimizers if isinstance(optimizers, list) else [optimizers])

    def _progress(self) -> float:
        progress = self.clock.progress(self.step)
        # Clocks differ between processes; all follow the first.
        if self.clock.seconds is not None and self.trainer.world_size > 1:
            progress = self.trainer.strategy.broadcast(progress)
        return progress

    def _set_progress(self, progress: float, optimizers: list[LightningOptimizer]) -> None:
        factor = rate_factor(self.recipe, progress)
        for phase, optimizer in zip(self.task.phases, optimizers, strict=True):
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.lr * factor * self.task.rate(phase)
        frozen = progress < self.freeze_until
        if frozen != self._frozen:
            freeze_backbone(self.network, self._trained, frozen)
            self._frozen = frozen
        if frozen:
            # Batch normalisation of a frozen backbone keeps its statistics.
            self.network.eval()
            head_of(self.network).train()

    def _prepare(self, batch: Batch, generator: torch.Generator) -> Batch:
        share = augment_share(batch["passes"])
        images = augment_some(self.augment, to_float(batch["image"]), generator, share)
        # Lightning's autocast reaches here, and coordinates in bfloat16 are off by pixels.
        with torch.autocast(images.device.type, enabled=False):
            seen = self.task.observe({**batch, "image": images}, training=True)
        return {**seen, "image": seen["image"].contiguous(memory_format=self.memory_format)}

    def check_loss(self) -> None:
        """Raise TrainingError if the loss of the last step is no number."""
        if not torch.isfinite(self.loss):
            raise TrainingError(
                f"the loss is {self.loss.item()} at step {self.step}: training has diverged; lower the learning rate "
                f"(--set lr={self.recipe.lr / 10:g}), set --set clip=1, or --precision 32-true"
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add where the run is."""
        checkpoint["pixelry"] = {"step": self.step, "elapsed": self.clock.elapsed}

    def restore(self, checkpoint: dict[str, Any]) -> None:
        """Continue from a checkpoint: weights now, optimiser states when the fit starts."""
        self.load_state_dict(checkpoint["state_dict"])
        self.pending_optimizer_states = checkpoint["optimizer_states"]
        self.step = checkpoint["pixelry"]["step"]
        self.clock.spent = checkpoint["pixelry"]["elapsed"]


def head_of(network: nn.Module) -> nn.Module:
    """Return the layer that makes the output, which stays trainable when the backbone is frozen."""
    head = getattr(network, "head", None)
    if not isinstance(head, nn.Module):
        raise TrainingError(f"{type(network).__name__} has no `head`, so its backbone cannot be frozen")
    return head


def freeze_backbone(network: nn.Module, trained: list[nn.Parameter], frozen: bool) -> None:
    """Switch the gradients of what is trained off or on, all but the head's."""
    head = {id(p) for p in head_of(network).parameters()}
    for parameter in trained:
        parameter.requires_grad_(not frozen or id(parameter) in head)
