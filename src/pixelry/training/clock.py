"""How far a run is: from 0 at its first step to 1 at its last, by steps or by the wall clock."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from pixelry.config import Budget, Recipe

# A recipe's epochs are meant for tens of thousands of pictures; a few hundred need more passes to learn anything.
LEAST_STEPS = 300


@dataclass
class Clock:
    """The progress of a run through its budget.

    A budget of epochs or steps counts steps, and the same seed gives the same weights. A budget of minutes reads
    the clock, so that the run ends annealed and in time however busy the machine is; two such runs take different
    numbers of steps.

    Attributes:
        steps: Total steps, None for a budget of minutes.
        seconds: Total seconds, None for a budget of steps.
        spent: Seconds that earlier sittings of a resumed run took.
    """

    steps: int | None
    seconds: float | None
    spent: float = 0.0
    _started: float | None = field(default=None, repr=False)

    @classmethod
    def for_budget(cls, budget: Budget, recipe: Recipe, steps_per_epoch: int) -> Clock:
        """Return the clock of a budget; without one the recipe's epochs count, and at least 300 steps."""
        if budget.minutes is not None:
            return cls(steps=None, seconds=60 * budget.minutes)
        if budget.steps is not None:
            return cls(steps=budget.steps, seconds=None)
        if budget.epochs is not None:
            return cls(steps=budget.epochs * steps_per_epoch, seconds=None)
        return cls(steps=max(LEAST_STEPS, recipe.epochs * steps_per_epoch), seconds=None)

    def start(self) -> None:
        """Begin a sitting."""
        self._started = time.perf_counter()

    def stop(self) -> None:
        """End the sitting."""
        self.spent, self._started = self.elapsed, None

    @property
    def elapsed(self) -> float:
        """Seconds of training so far, over all sittings."""
        return self.spent + (0.0 if self._started is None else time.perf_counter() - self._started)

    def progress(self, step: int) -> float:
        """Return the part of the run that is done before `step`, in [0, 1]."""
        if self.steps is not None:
            return min(1.0, step / self.steps)
        assert self.seconds is not None
        return min(1.0, self.elapsed / self.seconds)


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
