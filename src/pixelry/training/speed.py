"""The fast path: precision and memory format, chosen by measuring on the user's machine.

On many CPUs a 3x3 convolution in bfloat16 with the channels last is three times as fast as in float32 with the
channels first, and on some torch builds it is slower, or wrong. So a few steps of the real network on real data
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

from pixelry.data.loading import Batch
from pixelry.paths import cache_dir
from pixelry.tasks.base import Task

# A step on so many images tells which path is faster; more would only take longer.
MEASURED_IMAGES = 64
# bfloat16 has 8 bits of mantissa: gradients of a deep network differ by several per cent, those of a broken
# convolution point elsewhere.
MIN_COSINE = 0.9
MAX_LOSS_ERROR = 0.05
FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class FastPath:
    """How to run a network: Lightning's precision, the memory format, and how that was found."""

    precision: str
    memory_format: str
    reason: str

    @property
    def torch_format(self) -> torch.memory_format:
        """The memory format as torch names it."""
        return FORMATS[self.memory_format]


def choose_fast_path(network: nn.Module, task: Task, batch: Batch, *, accelerator: str, key: str) -> FastPath:
    """Return the fastest precision and memory format that agree with float32.

    Args:
        network: As it will be trained; a copy is measured.
        task: Gives the losses.
        batch: A batch as a loader gives it (images uint8).
        accelerator: "cpu", or what Lightning chose.
        key: What the choice depends on beside the machine: the network with its options and the task.
    """
    if not any(isinstance(module, nn.Conv2d) for module in network.modules()):
        return FastPath("32-true", "contiguous", "no convolutions to speed up")
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
    )
    return hashlib.blake2b(repr((machine, key, shape)).encode(), digest_size=12).hexdigest()


def _measure(network: nn.Module, task: Task, batch: Batch) -> FastPath:
    candidates = [("32-true", "contiguous"), ("32-true", "channels_last"), ("bf16-mixed", "channels_last")]
    reference: tuple[float, Tensor] | None = None
    seconds: dict[tuple[str, str], float] = {}
    for precision, memory_format in candidates:
        loss, gradient, duration = _steps(network, task, batch, precision, FORMATS[memory_format])
        if reference is None:
            reference = (loss, gradient)
        elif not _agrees(loss, gradient, *reference):
            continue
        seconds[precision, memory_format] = duration
    best = min(seconds, key=lambda path: seconds[path])
    table = ", ".join(f"{p} {m} {1e3 * s:.0f} ms" for (p, m), s in seconds.items())
    wrong = [f"{p} {m}" for p, m in candidates if (p, m) not in seconds]
    note = f"; {', '.join(wrong)} gives other gradients than float32 and is left out" if wrong else ""
    return FastPath(*best, reason=f"measured on {len(batch['image'])} images: {table}{note}")


def _agrees(loss: float, gradient: Tensor, exact_loss: float, exact: Tensor) -> bool:
    cosine = torch.nn.functional.cosine_similarity(gradient, exact, dim=0)
    return bool(cosine >= MIN_COSINE) and abs(loss - exact_loss) <= MAX_LOSS_ERROR * max(1e-3, abs(exact_loss))


def _steps(
    network: nn.Module, task: Task, batch: Batch, precision: str, memory_format: torch.memory_format
) -> tuple[float, Tensor, float]:
    """Return loss, flat gradient and the seconds of the faster of two warm steps."""
    twin = copy.deepcopy(network).to(memory_format=memory_format)
    images = batch["image"].float().div(255).contiguous(memory_format=memory_format)
    durations = []
    with torch.random.fork_rng(devices=[]):
        for _ in range(3):
            torch.manual_seed(0)
            twin.zero_grad(set_to_none=True)
            start = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
                loss = sum(
                    (task.losses(twin, {**batch, "image": images}, phase)["loss"] for phase in task.phases),
                    torch.zeros(()),
                )
            loss.backward()
            durations.append(time.perf_counter() - start)
    gradient = torch.cat([p.grad.flatten().float() for p in twin.parameters() if p.grad is not None])
    return float(loss.detach()), gradient, min(durations[1:])
