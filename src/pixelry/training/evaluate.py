"""Run a network over a split: the one loop behind validation, `evaluate` and `predict`."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from pixelry.data.dataset import Split
from pixelry.data.loading import SeededBatches, eval_batch, make_loader
from pixelry.errors import DataError
from pixelry.tasks.base import Evaluator, Task


def run_network(network: nn.Module, images: Tensor, *, memory_format: torch.memory_format) -> Tensor:
    """Return a network's output for uint8 images (B, C, H, W), in float32 whatever the training's precision was.

    In full precision a model gives the same answers on every machine, up to rounding.
    """
    device = next(network.parameters()).device
    pixels = images.to(device).float().div_(255).contiguous(memory_format=memory_format)
    with torch.inference_mode(), torch.autocast(device.type, enabled=False):
        output: Tensor = network(pixels)
    return output


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
        split: Images of one size, from `prepare`.
        memory_format: Of the network's weights.
        rank: This process of `world`, which share the split.
        world: Number of processes.
        on_batch: Called with the number of images after each batch.

    Raises:
        DataError: The split is empty.
    """
    if not len(split):
        raise DataError("there are no images to evaluate on")
    size = (int(split.images[0].shape[-2]), int(split.images[0].shape[-1]))
    batches = SeededBatches(len(split), eval_batch(size), rank=rank, world=world)
    evaluator = task.evaluator(sync=world > 1)
    was_training = network.training
    network.eval()
    for batch in make_loader(split, batches):
        if len(batch["image"]):
            evaluator.update(run_network(network, batch["image"], memory_format=memory_format), batch)
        if on_batch:
            on_batch(len(batch["image"]))
    network.train(was_training)
    return evaluator
