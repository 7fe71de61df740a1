"""One grid over every network file: a new file is tested without a new test."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import nn

from pixelry.config import Recipe
from pixelry.data.dataset import Dataset, Split
from pixelry.networks.blocks import Fitted, Normalize
from pixelry.plugins import network_for, network_names, networks, task_for, tasks
from pixelry.tasks.base import Task
from pixelry.training.module import head_of

# Every network under every task that it does.
PAIRS = [(task, name) for task in tasks.names() for name in network_names(task)]
CLASSIFIERS = network_names("classify")
# Networks whose output for a picture depends on those beside it, by design.
SEE_THE_BATCH = {"dcgan"}
# Networks that say what is to be added to a picture, which has the picture's own scale.
SAY_A_CHANGE = {"denoise.dncnn", "denoise.unet", "upscale.edsr", "upscale.bicubic"}
# Networks that are another package's, by its name.
PACKAGES = {"bm3d": "bm3d"}
# Of a data set, so that every task finds in it what it needs; generators learn the classes too.
OPTIONS = {"generate": {"conditional": True}}


def task_of(task: str, name: str, channels: int, size: tuple[int, int]) -> Task:
    labels = torch.arange(10) % 5
    images = torch.randint(0, 256, (10, channels, *size), dtype=torch.uint8)
    boxes = [torch.tensor([[1.0, 2, 7, 8]])] * 10
    masks = images[:, 0] % 5
    targets = {"label": labels, "boxes": boxes, "labels": [labels[i : i + 1] for i in range(10)], "mask": masks}
    targets["masks"] = [mask[None] > 1 for mask in masks]
    dataset = Dataset("ten", {"train": Split(images, targets)}, tuple("abcde"), mask_classes=tuple("abcde"))
    return task_for(task, name).from_dataset(dataset, **OPTIONS.get(task, {}))


def frame(task: str, size: tuple[int, int]) -> tuple[int, int]:
    """Return the size at which a network sees pictures: detectors want multiples of 32."""
    return (-(-size[0] // 32) * 32, -(-size[1] // 32) * 32) if task == "detect" else size


def build(task: str, name: str, channels: int, size: tuple[int, int]) -> nn.Module:
    if name in PACKAGES and find_spec(PACKAGES[name]) is None:
        pytest.skip(f"the package {PACKAGES[name]} is not installed")
    told = task_of(task, name, channels, size).outputs()
    size = frame(task, size)
    torch.manual_seed(0)
    network: nn.Module = network_for(name, task).build(channels=channels, size=size, **told)
    return network


def batch_of(task: Task, count: int, channels: int, size: tuple[int, int], *, training: bool) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    size = frame(task.name, size)
    images = torch.rand(count, channels, *size, generator=generator)
    batch = {"image": images, "index": torch.arange(count), "label": torch.arange(count) % 5}
    # Of detectors, two objects in each picture.
    batch["boxes"] = torch.tensor([[2.0, 2, 26, 30], [8, 1, 16, 12]]).expand(count, 2, 4)
    batch["labels"], batch["crowd"] = batch["label"][:, None].repeat(1, 2), torch.zeros(count, 2, dtype=torch.bool)
    batch["mask"] = (images[:, 0] * 5).byte()
    batch["objects"] = torch.zeros_like(batch["mask"])
    batch["objects"][:, 2:, 2 : size[1] // 2], batch["objects"][:, 2:, size[1] // 2 :] = 1, 2
    return task.observe(batch, training=training)


@pytest.mark.parametrize(("task", "name"), PAIRS)
@pytest.mark.parametrize(("channels", "size"), [(1, (8, 8)), (3, (33, 17))])
def test_any_input_gives_finite_losses_and_gradients(
    task: str, name: str, channels: int, size: tuple[int, int]
) -> None:
    network, judge = build(task, name, channels, size), task_of(task, name, channels, size)
    batch = batch_of(judge, 4, channels, size, training=True)
    for phase in judge.phases:
        loss = judge.losses(network, batch, phase)["loss"]
        assert torch.isfinite(loss)
        if not any(True for _ in network.parameters()):
            continue  # a method with nothing to learn
        loss.backward()
        trained = judge.parameters(network, phase).named_parameters()
        missing = [key for key, p in trained if p.requires_grad and p.grad is None]
        assert not missing


def places_of(network: Any) -> Callable[[torch.Tensor], torch.Tensor] | None:
    """Return what gives a one-stage detector's output at each place of its grids, None for one of another kind."""
    if hasattr(network, "strides"):
        return network
    head = getattr(getattr(network, "body", None), "head", None)
    if head is None:
        return None

    def run(images: torch.Tensor) -> torch.Tensor:
        caught: list[dict[str, torch.Tensor]] = []
        handle = head.register_forward_hook(lambda module, given, output: caught.append(output))
        network(images)
        handle.remove()
        return torch.cat([part.flatten(1) for part in caught[0].values()], 1)

    return run


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_evaluation_takes_each_image_by_itself(task: str, name: str) -> None:
    network, judge = build(task, name, 3, (32, 32)).eval(), task_of(task, name, 3, (32, 32))
    batch = batch_of(judge, 4, 3, (32, 32), training=False)
    if name in SEE_THE_BATCH:
        pytest.skip("sees how alike the pictures of a batch are, and says so")
    with torch.inference_mode():
        # Of untrained detectors all scores are nearly one, and which of two boxes stays is a matter of rounding: what
        # the network says of each place is compared, before overlapping boxes are taken out.
        answer = places_of(network) if task == "detect" else None
        run = (lambda part: answer(part["image"])) if answer else (lambda part: judge.forward(network, part))
        together = run(batch)
        parts = [{key: value[i : i + 1] for key, value in batch.items()} for i in range(4)]
        alone = torch.cat([run(part) for part in parts])
    assert len(together) == 4
    torch.testing.assert_close(together, alone, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_the_file_says_what_it_is(task: str, name: str) -> None:
    plugin = network_for(name, task)
    assert plugin.SUMMARY
    assert plugin.SOURCE
    assert isinstance(plugin.RECIPES[task], Recipe)
    assert "Args:" in (inspect.getdoc(plugin.build) or "")


def test_every_file_does_a_task() -> None:
    done = {f"{task}.{name}" for task, name in PAIRS} | {name for _, name in PAIRS}
    assert set(networks.names()) <= done


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_it_is_fitted_to_its_input(task: str, name: str) -> None:
    if getattr(network_for(name, task), "FAMILY", "") == "adversarial":
        pytest.skip("takes and makes pictures in [-1, 1]")
    if f"{task}.{name}" in SAY_A_CHANGE:
        pytest.skip("says what is to be added to a picture, in the picture's own scale")
    assert any(isinstance(module, Fitted) for module in build(task, name, 3, (32, 32)).modules())


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_has_a_head_and_an_input_standardisation(name: str) -> None:
    network = build("classify", name, 3, (32, 32))
    assert sum(p.numel() for p in head_of(network).parameters()) > 0
    assert any(isinstance(module, Normalize) for module in network.modules())


@pytest.mark.parametrize(("task", "name"), PAIRS)
def test_the_same_seed_builds_the_same_weights(task: str, name: str) -> None:
    first, again = build(task, name, 3, (32, 32)).state_dict(), build(task, name, 3, (32, 32)).state_dict()
    assert all(torch.equal(first[key], again[key]) for key in first)


@pytest.mark.parametrize(("task", "name"), [pair for pair in PAIRS if hasattr(network_for(*pair[::-1]), "WEIGHTS")])
def test_named_weights_exist_in_torchvision(task: str, name: str) -> None:
    from torchvision import models

    for weights in network_for(name, task).WEIGHTS.values():
        assert models.get_weight(weights).url.startswith("https://")


def test_normalisation_is_fitted_to_data() -> None:
    layer = Normalize(3)
    images = torch.rand(50, 3, 8, 8) * torch.tensor([1.0, 0.5, 0.0]).view(3, 1, 1)
    layer.fit(images)
    out = layer(images)
    torch.testing.assert_close(out.mean((0, 2, 3)), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(out.std((0, 2, 3))[:2], torch.ones(2), atol=1e-3, rtol=0)
    assert torch.isfinite(out).all()
