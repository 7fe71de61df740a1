"""The choice of network and size by data, budget and speed, and the verb `plan` that shows it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import pixelry as px
from conftest import Said
from pixelry import choice, estimates, runs
from pixelry.config import Budget, DataConfig, EngineConfig, load_config
from pixelry.data.dataset import Dataset, Split
from pixelry.errors import DataError, UsageError

LOSS_AND_GRADIENT = 0.7  # share of a run's time, as documented


@pytest.fixture
def photographs() -> Dataset:
    """40 color images of 100x120 pixels in two classes."""
    images = torch.randint(0, 256, (40, 3, 100, 120), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    return Dataset("photographs", {"train": Split(images, {"label": torch.arange(40) % 2})}, ("cat", "dog"))


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let a step take given seconds an image of 1,000 pixels, whatever the machine."""

    def set_speed(seconds: float) -> None:
        def step_seconds(network: nn.Module, task: Any, split: Split, config: Any, path: Any) -> float:
            height, width = split.images[0].shape[-2:]
            return seconds * height * width / 1000

        monkeypatch.setattr(estimates, "step_seconds", step_seconds)

    return set_speed


def request(task: str = "classify", *, size: tuple[int, int] | None = None, **budget: Any) -> estimates.Request:
    data = DataConfig(size=size, val_fraction=0.25)
    return estimates.Request(task, {}, data, Budget(**budget), EngineConfig(accelerator="cpu"))


def silent(text: str) -> None:
    """Print nothing."""


def test_the_largest_size_that_is_seen_often_enough_is_chosen(photographs: Dataset, speed: Any) -> None:
    # 30 training images, 100 steps of 16: a pass is one step, so 100 passes; 64x64 pixels take 4.096 times a thousand.
    speed(0.001)
    needed = 100 * 30 * 64 * 64 / 1e6 / LOSS_AND_GRADIENT / 60
    chosen = choice.choose(request(minutes=1.01 * needed), photographs, announce=silent)
    assert (chosen.chosen.config.network, chosen.chosen.size) == ("cnn", (64, 64))
    assert "cnn at 64x64: about 101 passes over 30 images fit into" in chosen.reason
    assert "it would be cnn at 96x96" in chosen.reason
    assert choice.choose(request(minutes=0.99 * needed), photographs, announce=silent).chosen.size == (48, 48)


def test_a_fast_machine_takes_the_strongest_and_a_slow_one_the_fastest(photographs: Dataset, speed: Any) -> None:
    speed(1e-7)
    assert choice.choose(request(minutes=1), photographs, announce=silent).chosen.size == (100, 120)
    speed(100.0)
    slow = choice.choose(request(minutes=1), photographs, announce=silent)
    assert slow.chosen.size == (32, 32)
    assert [one.size for one in slow.stronger] == [(100, 120), (96, 96), (64, 64), (48, 48)]


def test_without_minutes_the_run_should_end_within_ten(photographs: Dataset, speed: Any) -> None:
    speed(600 * LOSS_AND_GRADIENT / (20 * 30 * 64 * 64 / 1000) * 0.99)
    chosen = choice.choose(request(epochs=20), photographs, announce=silent)
    assert chosen.chosen.size == (64, 64)
    assert "20 passes over 30 images take about 10 minutes" in chosen.reason


def test_what_the_user_names_stays(photographs: Dataset, speed: Any) -> None:
    speed(100.0)
    by_size = choice.choose(request(minutes=1, size=(40, 40)), photographs, announce=silent)
    assert (by_size.chosen.config.network, by_size.chosen.size) == ("cnn", (40, 40))
    assert not by_size.timed
    by_network = choice.choose(request(minutes=1), photographs, network="resnet18", announce=silent)
    assert (by_network.chosen.config.network, by_network.chosen.size) == ("resnet18", (32, 32))


def test_published_weights_name_a_network_that_has_them(photographs: Dataset) -> None:
    assert choice.network_for_weights("classify", "imagenet") == "resnet18"
    assert choice.network_for_weights("classify", None) is None


def test_weights_of_a_model_name_its_network(few_digits: Dataset, here: Path) -> None:
    px.train("classify", few_digits, network="logistic", steps=1, out=here / "run", progress=False)
    assert choice.network_for_weights("classify", str(here / "run/model.safetensors")) == "logistic"


def test_settings_leave_only_networks_that_have_them(few_digits: Dataset) -> None:
    asked = request(steps=1)
    with pytest.raises(UsageError, match="unknown setting 'widht'; did you mean 'width'"):
        choice.choose(estimates.Request("classify", {"widht": 3}, asked.data, asked.budget, asked.engine), few_digits)


def test_data_that_the_task_cannot_use_is_refused_first(photographs: Dataset) -> None:
    bare = Dataset("bare", {"train": Split(photographs["train"].images, {})}, ())
    with pytest.raises(DataError, match="label"):
        choice.choose(request(minutes=1), bare, announce=silent)


def test_further_processes_take_what_the_first_decided(
    photographs: Dataset, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    px.train("classify", photographs, network="cnn", size=(32, 32), steps=1, out=here / "run", progress=False)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv(runs.FOLDER_VARIABLE, str(here / "run"))
    decided = choice.decide(request(minutes=1), photographs)
    assert decided == load_config(here / "run/config.yaml")


def test_training_without_a_network_learns(photographs: Dataset, here: Path) -> None:
    model = px.train("classify", photographs, steps=3, out=here / "run", progress=False)
    assert model.card.network == "cnn"
    assert model.card.training["warnings"]
    assert "3 steps" in model.card.training["warnings"][0]


def test_generators_choose_a_size_where_images_differ(here: Path) -> None:
    sizes = [(40, 50), (70, 60), (50, 50), (64, 40)]
    rng = torch.Generator().manual_seed(0)
    for number, size in enumerate(sizes * 4):
        image = torch.randint(0, 256, (*size, 3), generator=rng, dtype=torch.uint8).numpy()
        px.write_image(here / "images" / f"{number}.png", image)
    model = px.train("generate", here / "images", steps=1, settings={"width": 8}, out=here / "run", progress=False)
    assert model.card.size in [(64, 64), (48, 48), (32, 32)]


def test_plan_says_what_would_run(photographs: Dataset, speed: Any, run: Any, here: Path) -> None:
    speed(0.001)
    facts = px.plan("classify", photographs, minutes=1, val_fraction=0.25, accelerator="cpu", progress=False)
    assert facts["network"] == "cnn"
    assert facts["images"] == 30
    assert facts["seconds_per_pass"] == pytest.approx(
        0.001 * 30 * facts["size"][0] * facts["size"][1] / 1000 / LOSS_AND_GRADIENT, abs=0.01
    )
    assert facts["candidates"][-1]["size"] == facts["size"]
    assert not list(here.glob("runs/*"))
    said: Said = run("plan", "classify", "--data", "digits", "--minutes", "0.5")
    assert said.code == 0
    assert "passes over" in said.out
    assert "a sensible budget: --minutes" in said.out
    assert run("plan", "classify", "--data", "digits", "--steps", "10", "--json").json["task"] == "classify"
