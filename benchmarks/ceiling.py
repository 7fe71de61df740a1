"""What this machine can do, and how much of it our training step takes.

    python benchmarks/ceiling.py

A large matrix product and 3x3 convolutions, float32 and bfloat16, channels first and last, eager and compiled; then
one training step of our networks, as a part of the fastest convolution step. Medians of several.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from torch import nn

from pixelry.config import Budget, Recipe
from pixelry.data.augment import make_augment
from pixelry.machine import has_bfloat16
from pixelry.plugins import networks
from pixelry.tasks.classify import Classify
from pixelry.training.clock import Clock
from pixelry.training.module import make_optimizer

ROUNDS = 7


def seconds(action: Callable[[], object], rounds: int = ROUNDS) -> float:
    """Return the median seconds of an action, after two runs to warm up."""
    times = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        action()
        times.append(time.perf_counter() - start)
    return statistics.median(times[2:])


def matrix_rate(dtype: torch.dtype, side: int = 2048) -> float:
    """Return GFLOP/s of a matrix product."""
    a, b = (torch.randn(side, side).to(dtype) for _ in range(2))
    return 2 * side**3 / seconds(lambda: a @ b) / 1e9


def convolution_rates(channels: int, side: int, dtype: torch.dtype, last: bool, compiled: bool) -> tuple[float, float]:
    """Return GFLOP/s of a 3x3 convolution on 64 pictures, forward, and forward with backward."""
    form = torch.channels_last if last else torch.contiguous_format
    layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False).to(memory_format=form)
    run = torch.compile(layer) if compiled else layer
    images = torch.randn(64, channels, side, side).contiguous(memory_format=form).requires_grad_()
    work = 2 * 64 * channels * channels * 9 * side * side
    cotangent = torch.randn(64, channels, side, side).to(dtype).contiguous(memory_format=form)

    def forward() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
            out: torch.Tensor = run(images)
        return out

    def both() -> None:
        layer.weight.grad = images.grad = None
        forward().backward(cotangent)

    with torch.no_grad():
        forward_seconds = seconds(forward)
    return work / forward_seconds / 1e9, 3 * work / seconds(both) / 1e9


def network_work(network: nn.Module, images: torch.Tensor) -> float:
    """Return the floating-point operations of one forward pass (convolutions and linear maps)."""
    total = [0.0]

    def count(module: nn.Module, inputs: object, output: torch.Tensor) -> None:
        weight = module.weight
        assert isinstance(weight, torch.Tensor)
        total[0] += 2.0 * output.numel() * weight[0].numel()

    layers = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    handles = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad():
        network(images)
    for handle in handles:
        handle.remove()
    return total[0]


def step_rate(name: str, channels: int, size: tuple[int, int], compiled: bool = False) -> tuple[float, float]:
    """Return GFLOP/s and images a second of whole training steps: augmentation, forward, backward, optimiser."""
    plugin = networks.load(name)
    recipe: Recipe = plugin.RECIPES["classify"]
    network = plugin.build(channels=channels, size=size, classes=10).to(memory_format=torch.channels_last)
    task = Classify(tuple("0123456789"), **recipe.options)
    augment = make_augment("glyphs" if channels == 1 else "photos", size=size)
    optimizer, generator = make_optimizer(network, recipe), torch.Generator()
    clock = Clock.for_budget(Budget(steps=1), recipe, 1)
    assert clock.steps == 1
    pixels = torch.randint(0, 256, (recipe.batch, channels, *size), dtype=torch.uint8)
    labels = torch.randint(0, 10, (recipe.batch,))
    run = torch.compile(network) if compiled else network

    def step() -> None:
        images = augment(pixels.float().div_(255), generator).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=has_bfloat16()):
            loss = task.losses(run, {"image": images, "label": labels})["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    work = 3 * network_work(network, pixels[:8].float() / 255) / 8 * recipe.batch
    duration = seconds(step)
    return work / duration / 1e9, recipe.batch / duration


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiled", action="store_true", help="also through torch.compile")
    given = parser.parse_args()
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")
    # Without bfloat16 in hardware torch emulates it, which takes minutes and is nobody's ceiling.
    dtypes = (torch.float32, torch.bfloat16) if has_bfloat16() else (torch.float32,)
    for dtype in dtypes:
        print(f"matrix product 2048, {dtype}: {matrix_rate(dtype):.0f} GFLOP/s")
    best = 0.0
    for channels, side in ((64, 32), (256, 8)):
        for dtype in dtypes:
            for last in (False, True):
                for compiled in (False, True) if given.compiled else (False,):
                    forward, both = convolution_rates(channels, side, dtype, last, compiled)
                    form = "channels last" if last else "channels first"
                    how = "compiled" if compiled else "eager"
                    print(
                        f"3x3 convolution {channels} channels {side}x{side}, {dtype}, {form}, {how}: "
                        f"forward {forward:.0f}, forward and backward {both:.0f} GFLOP/s"
                    )
                    best = max(best, both)
    for name, channels, size in (
        ("cnn", 1, (28, 28)),
        ("cnn", 3, (32, 32)),
        ("airbench", 3, (32, 32)),
        ("resnet18", 3, (32, 32)),
    ):
        for compiled in (False, True) if given.compiled else (False,):
            rate, images = step_rate(name, channels, size, compiled)
            how = "compiled" if compiled else "eager"
            print(
                f"training step of {name}, {channels} x {size[0]}x{size[1]}, bf16 channels last, {how}: "
                f"{rate:.0f} GFLOP/s, {rate / best:.0%} of the fastest convolution, {images:,.0f} images/s"
            )


if __name__ == "__main__":
    main()
