"""The fast path: precision and memory format, chosen by measuring on the user's machine.

On many CPUs a 3x3 convolution in bfloat16 with the channels last is three times as fast as in float32 with the
channels first; normalisation by groups wants the channels first, and on some torch builds one of them is slower than
the usual, or wrong. So a few steps of the real network on real data
decide, with float32 as the check; the answer is kept on disk, so that the question is asked once, and the same seed
gives the same weights in the next run.
"""

from __future__ import annotations

import copy
import hashlib
import json
import platform
import time
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from pixelry.data.loading import Batch, to_float
from pixelry.paths import cache_dir
from pixelry.tasks.base import Task

# A step on so many images tells which path is faster; more would only take longer.
MEASURED_IMAGES = 64
# Without convolutions, products with fewer weights take no time worth measuring.
LEAST_WEIGHTS = 200_000
ROUNDS = 4
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


@dataclass(frozen=True)
class FastPath:
    """How to run a network: Lightning's precision, the memory format, and how that was found."""

    precision: str
    memory_format: str
    reason: str


def choose_fast_path(network: nn.Module, task: Task, batch: Batch, *, accelerator: str, key: str) -> FastPath:
    """Return the fastest precision and memory format that agree with float32.

    Args:
        network: As it will be trained; a copy is measured.
        task: Gives the losses.
        batch: A batch as a loader gives it (images uint8).
        accelerator: "cpu", or what Lightning chose.
        key: What the choice depends on beside the machine: the network with its options and the task.
    """
    weights = sum(p.numel() for p in network.parameters())
    if weights < LEAST_WEIGHTS and not any(isinstance(module, nn.Conv2d) for module in network.modules()):
        return FastPath("32-true", "contiguous", "no convolution and no large matrix to speed up")
    if accelerator != "cpu":
        bf16 = accelerator == "cuda" and torch.cuda.is_bf16_supported()
        return FastPath("bf16-mixed" if bf16 else "32-true", "channels_last", f"the usual on {accelerator}")
    batch = {name: value[:MEASURED_IMAGES] if isinstance(value, Tensor) else value for name, value in batch.items()}
    file = cache_dir() / "fast_path" / f"{_fingerprint(key, tuple(batch['image'].shape))}.json"
    try:
        return FastPath(**json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        choice = _measure(network, task, batch)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(choice)), encoding="utf-8")
    return choice


def _fingerprint(key: str, shape: tuple[int, ...]) -> str:
    machine = (
        platform.processor(),
        platform.machine(),
        platform.node(),
        torch.get_num_threads(),
        torch.__version__,
        (CANDIDATES, MIN_COSINE),
    )
    return hashlib.blake2b(repr((machine, key, shape)).encode(), digest_size=12).hexdigest()


def _measure(network: nn.Module, task: Task, batch: Batch) -> FastPath:
    trials = {path: _Trial(network, task, batch, *path) for path in CANDIDATES}
    for trial in trials.values():
        trial.step()  # the first step of each builds its kernels, and is not timed
    # In turn, so that another program's load falls on all alike; the fastest of each counts.
    seconds: dict[tuple[str, str], list[float]] = {path: [] for path in CANDIDATES}
    for _ in range(ROUNDS):
        for path, trial in trials.items():
            start = time.perf_counter()
            trial.step()
            seconds[path].append(time.perf_counter() - start)
    exact = trials[CANDIDATES[0]]
    right = [path for path in CANDIDATES if _agrees(trials[path], exact)]
    wrong = [" ".join(path) for path in CANDIDATES if path not in right]
    best = min(right, key=lambda path: min(seconds[path]))
    table = ", ".join(f"{' '.join(path)} {1e3 * min(seconds[path]):.0f} ms" for path in right)
    note = f"; {', '.join(wrong)} gives other gradients than float32 and is left out" if wrong else ""
    return FastPath(*best, reason=f"measured on {len(batch['image'])} images: {table}{note}")


class _Trial:
    """A copy of a network, run forward and backward on one batch in one precision and memory format."""

    def __init__(self, network: nn.Module, task: Task, batch: Batch, precision: str, memory_format: str) -> None:
        form = FORMATS[memory_format]
        self.network, self.task = copy.deepcopy(network).to(memory_format=form), task
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            seen = task.observe({**batch, "image": to_float(batch["image"])}, training=True)
        self.batch = {**seen, "image": seen["image"].contiguous(memory_format=form)}
        self.bfloat16 = precision == "bf16-mixed"
        self.loss, self.gradient = torch.zeros(()), torch.zeros(0)

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
