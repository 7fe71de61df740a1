"""How far a run is: from 0 at its first step to 1 at its last, by steps or by the wall clock."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from pixelry.config import Budget, Recipe

# A recipe's epochs are meant for tens of thousands of pictures; a few hundred need more passes to learn anything.
LEAST_STEPS = 300
# Of a budget in minutes at least this share is training, however long preparing the data takes.
MIN_TRAINING_SHARE = 0.5


@dataclass
class Clock:
    """The progress of a run through its budget.

    A budget of epochs or steps counts steps, and the same seed gives the same weights. A budget of minutes reads
    the clock, so that the run ends annealed and in time however busy the machine is; two such runs take different
    numbers of steps. What comes before the first step (reading the data, choosing the fast path) and after the last
    one (the final validation) is a part of the minutes too.

    Attributes:
        steps: Total steps, None for a budget of minutes.
        seconds: Total seconds, None for a budget of steps.
        spent: Seconds of training in earlier sittings of a resumed run.
        begun: When the run began, by `time.perf_counter`; None where only training counts.
        overhead: Seconds from there to the first step.
        reserve: Seconds that are kept for what comes after the last step.
    """

    steps: int | None
    seconds: float | None
    spent: float = 0.0
    begun: float | None = None
    overhead: float = 0.0
    reserve: float = 0.0
    _started: float | None = field(default=None, repr=False)

    @classmethod
    def for_budget(cls, budget: Budget, recipe: Recipe, steps_per_epoch: int, *, begun: float | None = None) -> Clock:
        """Return the clock of a budget; without one the recipe's epochs count, and at least 300 steps."""
        if budget.minutes is not None:
            return cls(steps=None, seconds=60 * budget.minutes, begun=begun)
        if budget.steps is not None:
            return cls(steps=budget.steps, seconds=None)
        if budget.epochs is not None:
            return cls(steps=budget.epochs * steps_per_epoch, seconds=None)
        return cls(steps=max(LEAST_STEPS, recipe.epochs * steps_per_epoch), seconds=None)

    def start(self) -> None:
        """Begin a sitting."""
        self._started = time.perf_counter()
        if self.begun is not None and not self.spent:
            self.overhead = self._started - self.begun

    def stop(self) -> None:
        """End the sitting."""
        self.spent, self._started = self.elapsed, None

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, over all sittings."""
        return self.spent + (0.0 if self._started is None else time.perf_counter() - self._started)

    @property
    def training_seconds(self) -> float:
        """Seconds of a budget of minutes that are left to training, at least half of it."""
        assert self.seconds is not None
        return max(self.seconds - self.overhead - self.reserve, MIN_TRAINING_SHARE * self.seconds)

    def progress(self, step: int) -> float:
        """Return the part of the run that is done before `step`, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        return min(1.0, self.elapsed / self.training_seconds)

    def is_done(self, step: int) -> bool:
        """Return whether the run ends before `step`: no step is begun of which less than half fits into the minutes."""
        if self.steps is not None:
            return step >= self.steps
        return self.elapsed + 0.5 * self.elapsed / max(1, step) >= self.training_seconds

    def expected_steps(self, step: int, since: int = 0) -> float:
        """Return how many steps the whole run will have, at the speed of this sitting so far.

        Args:
            step: Steps taken so far.
            since: The step at which this sitting began.
        """
        if self.steps is not None:
            return float(self.steps)
        pace = (self.elapsed - self.spent) / max(1, step - since)
        return step + max(0.0, self.training_seconds - self.elapsed) / max(pace, 1e-9)


POLY = 0.9


def rate_factor(recipe: Recipe, progress: float) -> float:
    """Return the learning rate at a point of the run as a part of the peak, in [0, 1].

    Linear warm-up from a tenth, then the recipe's shape: cosine (Loshchilov and Hutter 2017, equation 5, one
    cycle to zero), linear to zero, that to the power of 0.9 (poly; Chen et al. 2017, DeepLab v3), or constant.
    """
    if progress < recipe.warmup:
        return 0.1 + 0.9 * progress / recipe.warmup
    if recipe.schedule == "constant":
        return 1.0
    rest = (progress - recipe.warmup) / (1 - recipe.warmup)
    if recipe.schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * rest))
    left = max(0.0, 1 - rest)
    return left if recipe.schedule == "linear" else left**POLY


def average_decay(recipe: Recipe, step: int) -> float:
    """Return the decay of the weight average after `step` steps (from 1): (1 - 1/step) ** (1/ema)."""
    return float((1 - 1 / step) ** (1 / recipe.ema))
