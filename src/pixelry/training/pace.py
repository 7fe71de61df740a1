"""The pace of a run: whether its budget has room for enough steps, and what would help where it has not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from lightning.pytorch import Callback, LightningModule, Trainer

from pixelry.config import Budget
from pixelry.training.module import TrainingModule

Size = tuple[int, int]

MIN_PASSES = 1.0  # over the training images; a run of fewer has not used all of its data
# Of the steps that a run should have: one that had fewer is said to be too short when it is over.
FINISHED_SHARE = 0.5
# The first step builds kernels and fills caches; after so many the speed is known well enough.
MEASURED_STEPS = 3


@dataclass(frozen=True)
class Pace:
    """What a run has room for.

    Attributes:
        budget: As the user gave it.
        images: Training images (or patches) in one pass.
        size: (height, width) at the network in pixels.
        smaller: Sizes that the user could choose instead, largest first.
        min_steps: Below so many steps the task's networks learn little.
    """

    budget: Budget
    images: int
    size: Size
    smaller: Sequence[Size]
    min_steps: int

    def warning(self, steps: float, passes: float, *, finished: bool = False) -> str:
        """Return a warning where a run is too short to learn from, with what would help; "" where it is long enough.

        Args:
            steps: Of the whole run, expected or taken.
            passes: Over the training images.
            finished: Whether the run is over.
        """
        # What was said at the beginning is an estimate; at the end only what is clearly too short is worth a warning.
        min_steps = self.min_steps * (FINISHED_SHARE if finished else 1)
        if steps >= min_steps and passes >= MIN_PASSES:
            return ""
        counts = f"{max(1, round(steps)):,} steps ({passes:.2g} passes over {self.images:,} images)"
        size = f"{self.size[0]}x{self.size[1]}"
        if self.budget.minutes is None:
            begin = f"the run {'had' if finished else 'has'} only {counts}"
        elif finished:
            begin = f"only {counts} fitted into {self.budget} at {size}"
        else:
            begin = f"only about {counts} fit into {self.budget} at {size}"
        return f"{begin}, which is little to learn from: {' or '.join(self._remedies(steps, passes))}"

    def _remedies(self, steps: float, passes: float) -> list[str]:
        factor = max(self.min_steps / max(steps, 1e-9), MIN_PASSES / max(passes, 1e-9))
        if self.budget.minutes is None:
            return [f"--steps {max(self.min_steps, round(factor * steps)):,}".replace(",", "")]
        remedies = []
        area = self.size[0] * self.size[1]
        for height, width in self.smaller:
            gain = area / (height * width)
            if gain >= factor or (height, width) == self.smaller[-1]:
                remedies.append(f"--size {height}x{width} gives about {gain * steps:,.0f}")
                break
        minutes = self.budget.minutes * factor
        needed = f"{minutes:.0f}" if minutes >= 10 else f"{minutes:.2g}"
        return [*remedies, f"--minutes {needed} gives about {factor * steps:,.0f}"]


class PaceCheck(Callback):
    """Announces once, at the beginning, that a run will be too short to learn from.

    Args:
        pace: What the run has room for.
        announce: Receives the warning.
    """

    def __init__(self, pace: Pace, announce: Callable[[str], None]) -> None:
        self.pace, self.announce = pace, announce
        self._first_step = 0
        self._done = False

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        module = cast(TrainingModule, pl_module)
        self._first_step = module.step
        if module.clock.steps is not None:
            self._check(module)

    def on_train_batch_end(self, trainer: Trainer, pl_module: LightningModule, *args: Any) -> None:
        module = cast(TrainingModule, pl_module)
        if not self._done and module.step - self._first_step >= MEASURED_STEPS:
            self._check(module)

    def _check(self, module: TrainingModule) -> None:
        self._done = True
        steps = module.clock.expected_steps(module.step, self._first_step)
        if warning := self.pace.warning(steps, steps / module.steps_per_epoch):
            self.announce(f"warning: {warning}")
