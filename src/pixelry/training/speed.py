"""The fast path: precision and memory format, chosen by measuring on the user's machine.

On a CPU with bfloat16 in hardware a 3x3 convolution with the channels last is up to three times as fast as in float32
with the channels first; normalization by groups wants the channels first, and on some torch builds one of the forms is
slower than usual, or wrong. So a few steps of the real network on real data decide, with float32 as the check. The
measurement has a budget of time, and its result is kept on disk: the same seed gives the same weights in the next run.
"""

from __future__ import annotations

import copy
import hashlib
import json
import platform
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pixelry.data.loading import Batch, to_float
from pixelry.machine import has_bfloat16
from pixelry.paths import cache_dir
from pixelry.tasks.base import Task

# The first steps are on few images: on a slow machine a step of more could take all of the budget.
FIRST_IMAGES = 8
# A step on so many shows which form is faster; more would only take longer.
MAX_IMAGES = 64
ROUNDS = 4
SHORT_STEP = 0.1  # seconds
# Seconds for the whole measurement, where the run's own budget does not say less, ...
BUDGET_SECONDS = 10.0
# ... of which batches are sized to take this share: what is begun is finished, and a machine may be busy.
AIM = 0.4
# A candidate whose first step takes so many times as long as the best first step is dropped, ...
MAX_RATIO = 2.0
# ... but for the seconds that building its kernels may take.
BUILD_SECONDS = 0.25
# Without convolutions, products with fewer weights take no time worth measuring.
MIN_WEIGHTS = 200_000
# Precision and memory format; the first is what the others are checked against.
CANDIDATES = (
    ("32-true", "contiguous"),
    ("32-true", "channels_last"),
    ("bf16-mixed", "contiguous"),
    ("bf16-mixed", "channels_last"),
)
# bfloat16 has 8 bits of mantissa: gradients of a deep network differ by several per cent (the cosine is 0.87 for a
# detector of 60 layers), those of a broken convolution point elsewhere.
MIN_COSINE = 0.8
MAX_LOSS_ERROR = 0.05
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

Candidate = tuple[str, str]
Candidates = tuple[Candidate, ...]


@dataclass(frozen=True)
class FastPath:
    """How to run a network, and how that was chosen.

    Attributes:
        precision: Lightning's name, such as "32-true".
        memory_format: "contiguous" or "channels_last".
        reason: Why, in words.
    """

    precision: str
    memory_format: str
    reason: str


def choose_fast_path(
    network: nn.Module,
    task: Task,
    batch: Batch,
    *,
    accelerator: str,
    key: str,
    precision: str = "auto",
    memory_format: str = "auto",
    budget: float = BUDGET_SECONDS,
    announce: Callable[[str], None] = lambda text: None,
) -> FastPath:
    """Return the fastest precision and memory format that agree with float32.

    bfloat16 is a candidate only where the CPU has it in hardware.

    Args:
        network: As it will be trained; a copy is measured.
        task: Gives the losses.
        batch: A batch as a loader gives it (images uint8).
        accelerator: "cpu", or what Lightning chose.
        key: What the choice depends on beside the machine: the network with its options and the task.
        precision: The one that the user chose; "auto" leaves it open.
        memory_format: Likewise.
        budget: Seconds that the measurement may take.
        announce: Receives a line of text before anything is measured.
    """
    weights = sum(p.numel() for p in network.parameters())
    if weights < MIN_WEIGHTS and not any(isinstance(module, nn.Conv2d) for module in network.modules()):
        return FastPath("32-true", "contiguous", "no convolution and no large matrix to speed up")
    if accelerator != "cpu":
        bf16 = accelerator == "cuda" and torch.cuda.is_bf16_supported()
        return FastPath("bf16-mixed" if bf16 else "32-true", "channels_last", f"the usual on {accelerator}")
    candidates = _candidates(precision, memory_format)
    batch = _first(batch, MAX_IMAGES)
    file = cache_dir() / "fast_path" / f"{_fingerprint(key, tuple(batch['image'].shape), candidates)}.json"
    try:
        return FastPath(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        announce(f"measuring the fastest precision and memory format ({budget:.2g} s at most) ...")
        choice = _measure(network, task, batch, candidates, budget)
    if choice is None:
        return FastPath(*candidates[0], f"a step takes too long to compare others within {budget:.2g} s")
    _keep(file, asdict(choice))
    return choice


def _candidates(precision: str, memory_format: str) -> Candidates:
    """Return what may be measured: all that the user left open, bfloat16 only where there is hardware for it."""
    known = CANDIDATES if has_bfloat16() else CANDIDATES[:2]
    chosen = [path for path in CANDIDATES if path[0] == precision] or known
    return tuple(path for path in chosen if memory_format in ("auto", path[1]))


def seconds_per_image(network: nn.Module, task: Task, batch: Batch, *, path: FastPath, key: str) -> float:
    """Return the seconds that a training step takes for an image, in the fastest measurement of all so far.

    Another program's load makes a step slower, never faster: the least time, which is kept on disk, is the machine's.

    Args:
        network: As it will be trained; a copy is measured.
        task: Gives the losses.
        batch: A batch as a loader gives it, of which a few images are taken.
        path: Precision and memory format.
        key: What the time depends on beside the machine: the network with its options and the task.
    """
    batch = _first(batch, FIRST_IMAGES)
    form = (path.precision, path.memory_format)
    file = cache_dir() / "speed" / f"{_fingerprint(key, tuple(batch['image'].shape), (form,))}.json"
    trial = _Trial(network, task, batch, *form)
    seconds = min(trial.seconds(), trial.seconds()) / len(batch["image"])
    if seconds * len(batch["image"]) < SHORT_STEP:
        # What a step takes whatever its batch must not count as the work of a few images.
        batch = {name: _repeated(value, MAX_IMAGES // FIRST_IMAGES) for name, value in batch.items()}
        trial = _Trial(network, task, batch, *form)
        seconds = min(trial.seconds() for _ in range(3)) / len(batch["image"])
    with suppress(OSError, ValueError, TypeError):
        seconds = min(seconds, float(json.loads(file.read_text(encoding="utf-8"))))
    _keep(file, seconds)
    return seconds


def _repeated(value: Any, times: int) -> Any:
    """Return a batch's images or targets several times over."""
    if isinstance(value, Tensor):
        return value.repeat(times, *[1] * (value.ndim - 1)) if value.ndim else value
    return value * times if isinstance(value, list) else value


def _keep(file: Path, value: Any) -> None:
    """Write a measurement to the cache; one that cannot be written only costs the next run a measurement."""
    with suppress(OSError):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value), encoding="utf-8")


def _fingerprint(key: str, shape: tuple[int, ...], candidates: Candidates) -> str:
    machine = (
        platform.processor(),
        platform.machine(),
        platform.node(),
        torch.get_num_threads(),
        torch.__version__,
        (candidates, MIN_COSINE),
    )
    return hashlib.blake2b(repr((machine, key, shape)).encode(), digest_size=12).hexdigest()


def _first(batch: Batch, count: int) -> Batch:
    """Return the first images of a batch with their targets."""
    return {name: value[:count] if isinstance(value, Tensor | list) else value for name, value in batch.items()}


def _measure(network: nn.Module, task: Task, batch: Batch, candidates: Candidates, budget: float) -> FastPath | None:
    """Return the fastest candidate that is right; None where the budget has no room for a comparison."""
    deadline = time.perf_counter() + budget
    few = _first(batch, FIRST_IMAGES)
    exact = _Trial(network, task, few, *candidates[0])
    seconds = min(exact.seconds(), exact.seconds()) / len(few["image"])
    left = deadline - time.perf_counter()
    affordable = left / (len(candidates) * (ROUNDS + 1)) / seconds
    if affordable < 1:
        return None
    few = _first(batch, max(len(few["image"]), int(AIM * affordable)))
    trials = _start_trials(network, task, few, candidates)
    times = _times_in_turn(trials, deadline)
    right = [path for path in trials if _agrees(trials[path], trials[candidates[0]])]
    best = min(right, key=lambda path: min(times[path]))
    return FastPath(*best, _reason(candidates, trials, times, right, len(few["image"])))


def _start_trials(network: nn.Module, task: Task, batch: Batch, candidates: Candidates) -> dict[Candidate, _Trial]:
    """Return a trial for each candidate whose first step, which builds its kernels, is not much too slow."""
    trials: dict[Candidate, _Trial] = {}
    fastest = float("inf")
    for path in candidates:
        trial = _Trial(network, task, batch, *path)
        first = trial.seconds()
        if first <= MAX_RATIO * fastest + BUILD_SECONDS:
            trials[path] = trial
        fastest = min(fastest, first)
    return trials


def _times_in_turn(trials: dict[Candidate, _Trial], deadline: float) -> dict[Candidate, list[float]]:
    """Return the seconds of the steps of each trial, taken in turn: another program's load slows all alike."""
    times: dict[Candidate, list[float]] = {path: [] for path in trials}
    for number in range(ROUNDS):
        if number and time.perf_counter() > deadline:
            break
        for path, trial in trials.items():
            times[path].append(trial.seconds())
    return times


def _reason(
    candidates: Candidates,
    trials: dict[Candidate, _Trial],
    times: dict[Candidate, list[float]],
    right: list[Candidate],
    count: int,
) -> str:
    table = ", ".join(f"{' '.join(path)} {1e3 * min(times[path]):.0f} ms" for path in right)
    slow = [" ".join(path) for path in candidates if path not in trials]
    wrong = [" ".join(path) for path in trials if path not in right]
    notes = f"; {', '.join(slow)} dropped as too slow" if slow else ""
    notes += f"; {', '.join(wrong)} gives other gradients than float32 and is left out" if wrong else ""
    return f"measured on {count} images: {table}{notes}"


class _Trial:
    """A copy of a network, run forward and backward on one batch in one precision and memory format."""

    def __init__(self, network: nn.Module, task: Task, batch: Batch, precision: str, memory_format: str) -> None:
        form = FORMATS[memory_format]
        self.network, self.task = copy.deepcopy(network).to(memory_format=form), task
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            inputs = task.observe({**batch, "image": to_float(batch["image"])}, training=True)
        self.batch = {**inputs, "image": inputs["image"].contiguous(memory_format=form)}
        self.bfloat16 = precision == "bf16-mixed"
        self.loss, self.gradient = torch.zeros(()), torch.zeros(0)

    def seconds(self) -> float:
        """Take a step and return how long it took."""
        start = time.perf_counter()
        self.step()
        return time.perf_counter() - start

    def step(self) -> None:
        """Compute loss and gradient, the same at each call."""
        self.network.zero_grad(set_to_none=True)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            with torch.autocast("cpu", torch.bfloat16, enabled=self.bfloat16):
                losses = [self.task.probe(self.network, self.batch, phase) for phase in self.task.phases]
            loss = torch.stack(losses).sum()
            loss.backward()
        self.loss = loss.detach()
        self.gradient = torch.cat([p.grad.flatten().float() for p in self.network.parameters() if p.grad is not None])


def _agrees(trial: _Trial, exact: _Trial) -> bool:
    cosine = torch.nn.functional.cosine_similarity(trial.gradient, exact.gradient, dim=0)
    error = abs(float(trial.loss - exact.loss))
    return bool(cosine >= MIN_COSINE) and error <= MAX_LOSS_ERROR * max(1e-3, abs(float(exact.loss)))
