"""Run a network over a split: the one loop behind validation, `evaluate` and `predict`."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain

import torch
from torch import Tensor, nn

from pixelry.data.dataset import Split
from pixelry.data.loading import Batch, SeededBatches, eval_batch, make_loader, native_size, to_float
from pixelry.errors import DataError
from pixelry.tasks.base import Evaluator, Task


def run_network(network: nn.Module, task: Task, batch: Batch, *, memory_format: torch.memory_format) -> Tensor:
    """Return a network's output for a batch, in float32 whatever the training's precision was.

    In full precision a model gives the same answers on every machine, up to rounding.

    Args:
        network: In evaluation mode.
        task: Knows how the network is called.
        batch: "image" (B, C, H, W), uint8 or float in [0, 1], and what else the task needs.
        memory_format: Of the network's weights.
    """
    # A method without weights is where the pictures are.
    device = next((tensor.device for tensor in chain(network.parameters(), network.buffers())), batch["image"].device)
    here = {name: value.to(device) if isinstance(value, Tensor) else value for name, value in batch.items()}
    pixels = to_float(here["image"]).contiguous(memory_format=memory_format)
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        return task.forward(network, {**here, "image": pixels})


def evaluate_network(
    network: nn.Module,
    task: Task,
    split: Split,
    *,
    memory_format: torch.memory_format = torch.channels_last,
    rank: int = 0,
    world: int = 1,
    on_batch: Callable[[int], None] | None = None,
) -> Evaluator:
    """Run a network over a prepared split and return the filled evaluator.

    Args:
        network: Is put into evaluation mode, and back.
        task: Gives the evaluator.
        split: From the task's `fit_split`; images of several sizes are taken one at a time.
        memory_format: Of the network's weights.
        rank: This process of `world`, which share the split.
        world: Number of processes.
        on_batch: Called with the number of images after each batch.

    Raises:
        DataError: The split is empty.
    """
    if not len(split):
        raise DataError("there are no images to evaluate on")
    size = native_size(split)
    batches = SeededBatches(len(split), eval_batch(size) if size else 1, rank=rank, world=world)
    evaluator = task.evaluator(sync=world > 1)
    was_training = network.training
    network.eval()

    def judge(batch: Batch, count: int) -> None:
        seen = task.observe({**batch, "image": to_float(batch["image"])}, training=False)
        output = run_network(network, task, seen, memory_format=memory_format)
        evaluator.update(output[:count], {name: value[:count] for name, value in seen.items()})

    for batch in make_loader(split, batches):
        judge(batch, len(batch["image"]))
        if on_batch:
            on_batch(len(batch["image"]))
    if not len(batches):
        # More processes than images: this one has none, but must have something of the right shape to join with.
        judge(next(iter(make_loader(split, SeededBatches(1, 1), workers=0))), 0)
    network.train(was_training)
    return evaluator
