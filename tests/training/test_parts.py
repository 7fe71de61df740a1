"""The parts of training by themselves: clock, schedule, averages, the measured fast path."""

from __future__ import annotations

import copy
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pixelry import machine
from pixelry.config import Budget, Recipe, RunConfig
from pixelry.data.loading import mix_seed
from pixelry.runs import fit_batch
from pixelry.tasks.classify import Classify
from pixelry.training.clock import Clock, average_decay, rate_factor
from pixelry.training.optimizers import make_optimizer
from pixelry.training.pace import Pace
from pixelry.training.speed import choose_fast_path


def test_rate_rises_and_falls_to_zero() -> None:
    recipe = Recipe(schedule="linear", warmup=0.2)
    assert [round(rate_factor(recipe, p), 6) for p in (0, 0.1, 0.2, 0.6, 1)] == [0.1, 0.55, 1, 0.5, 0]
    cosine = Recipe(schedule="cosine", warmup=0.0)
    assert [round(rate_factor(cosine, p), 6) for p in (0, 0.5, 1)] == [1, 0.5, 0]
    poly = Recipe(schedule="poly", warmup=0.0)
    assert [rate_factor(poly, p) for p in (0, 0.75, 1)] == pytest.approx([1, 0.25**0.9, 0])
    assert rate_factor(Recipe(schedule="constant", warmup=0.0), 0.9) == 1


def test_average_is_the_power_function_ema() -> None:
    # With weights w_t the average after n steps is sum_t c_t w_t, c_t growing as t ** (1 / ema - 1).
    recipe, average = Recipe(ema=0.25), 0.0
    for step in range(1, 2001):
        average += (1 - average_decay(recipe, step)) * (step - average)
    # The mean of t under the density 4 t^3 / n^4 is 4/5 n.
    assert average == pytest.approx(0.8 * 2000, rel=2e-3)


def test_clock_counts_steps_or_seconds() -> None:
    assert Clock.for_budget(Budget(epochs=3), Recipe(), 10).steps == 30
    assert Clock.for_budget(Budget(steps=7), Recipe(), 10).progress(7) == 1
    assert Clock.for_budget(Budget(), Recipe(epochs=5), 100).steps == 500
    assert Clock.for_budget(Budget(), Recipe(epochs=5), 10).steps == 300
    clock = Clock.for_budget(Budget(minutes=1), Recipe(), 10)
    clock.spent = 30
    assert clock.progress(10**6) == 0.5


def test_seeds_are_mixed() -> None:
    seeds = {mix_seed(a, b) for a in range(50) for b in range(50)}
    assert len(seeds) == 2500
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert mix_seed(1, 2) != mix_seed(2, 1)


class Broken(nn.Module):
    """A convolution whose bfloat16 form is wrong, as some builds' are."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layer(x)
        return (-out if out.dtype == torch.bfloat16 else out).mean((2, 3))


def test_a_wrong_bfloat16_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELRY_BFLOAT16", "on")
    torch.manual_seed(0)
    batch = {
        "image": torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8),
        "label": torch.zeros(8, dtype=torch.int64),
    }
    choice = choose_fast_path(Broken(), Classify(("a", "b")), batch, accelerator="cpu", key="broken")
    assert choice.precision == "32-true"
    assert "bf16-mixed channels_last gives other gradients than float32" in choice.reason


class Recorder(nn.Module):
    """A convolution that records the type of its output at every step."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(1, 2, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.layer(x)
        STEPS.append(out.dtype)
        return out.mean((2, 3))


STEPS: list[torch.dtype] = []


@pytest.mark.parametrize("hardware", ["on", "off"])
def test_bfloat16_is_tried_only_where_the_processor_has_it(hardware: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELRY_BFLOAT16", hardware)
    STEPS.clear()
    images = torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8)
    batch = {"image": images, "label": torch.zeros(4, dtype=torch.int64)}
    choice = choose_fast_path(Recorder(), Classify(("a", "b")), batch, accelerator="cpu", key=f"recorder {hardware}")
    assert torch.float32 in STEPS
    assert (torch.bfloat16 in STEPS) == (hardware == "on")
    assert ("bf16" in choice.reason) == (hardware == "on")


def test_the_processor_is_asked_for_bfloat16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIXELRY_BFLOAT16", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    for capabilities, answer in (
        ({"avx2": True, "avx512_bf16": False, "cpu_name": "x"}, False),
        ({"avx512_bf16": True}, True),
        ({"amx_bf16": True}, True),
        ({"neon": True, "bf16": True}, True),
        ({"neon": True, "sve": True}, False),
    ):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=capabilities: found, raising=False)
        assert machine.has_bfloat16() == answer


class Slow(Recorder):
    """A convolution that takes a second at each step in the memory format with the channels last."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.layer.weight.is_contiguous(memory_format=torch.channels_last) and not self.layer.weight.is_contiguous():
            COUNT.append(1)
            time.sleep(1.0)
        return super().forward(x)


COUNT: list[int] = []


def test_a_much_slower_candidate_is_dropped_at_its_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIXELRY_BFLOAT16", "off")
    COUNT.clear()
    network = Slow()
    network.layer = nn.Conv2d(3, 2, 3)
    batch = {"image": torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8), "label": torch.zeros(4).long()}
    said: list[str] = []
    choice = choose_fast_path(network, Classify(("a", "b")), batch, accelerator="cpu", key="slow", announce=said.append)
    assert (choice.precision, choice.memory_format) == ("32-true", "contiguous")
    assert "32-true channels_last dropped as too slow" in choice.reason
    assert len(COUNT) == 1
    assert len(said) == 1
    assert said[0].startswith("measuring")


def test_a_budget_without_room_for_a_comparison_takes_float32_and_keeps_nothing(
    monkeypatch: pytest.MonkeyPatch, cache: Path
) -> None:
    monkeypatch.setenv("PIXELRY_BFLOAT16", "off")
    batch = {"image": torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8), "label": torch.zeros(4).long()}
    before = set((cache / "fast_path").glob("*"))
    choice = choose_fast_path(Recorder(), Classify(("a", "b")), batch, accelerator="cpu", key="short", budget=1e-6)
    assert (choice.precision, choice.memory_format) == ("32-true", "contiguous")
    assert "too long to compare" in choice.reason
    assert set((cache / "fast_path").glob("*")) == before


def test_a_cache_that_cannot_be_written_is_no_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("a file where the cache's folder would be")
    monkeypatch.setenv("PIXELRY_CACHE", str(blocked))
    batch = {"image": torch.randint(0, 256, (4, 1, 8, 8), dtype=torch.uint8), "label": torch.zeros(4).long()}
    choice = choose_fast_path(Recorder(), Classify(("a", "b")), batch, accelerator="cpu", key="no cache")
    assert "measured" in choice.reason


def test_cores_are_those_of_affinity_and_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)), raising=False)
    assert machine.available_cores() == 6
    (tmp_path / "cpu.max").write_text("150000 100000\n")
    assert machine.available_cores() == 2
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert machine.available_cores() == 6
    (tmp_path / "cpu.max").unlink()
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("50000\n")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000\n")
    assert machine.available_cores() == 1
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("-1\n")
    assert machine.available_cores() == 6


def test_a_clock_in_minutes_counts_what_comes_before_and_after_training(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    clock = Clock.for_budget(Budget(minutes=1), Recipe(), 10, begun=100.0)
    now[0] = 110.0  # ten seconds of preparation
    clock.start()
    clock.reserve = 5.0
    assert clock.training_seconds == 45
    now[0] = 132.5
    assert clock.progress(5) == 0.5
    assert clock.expected_steps(5) == pytest.approx(10)
    assert not clock.is_done(5)
    now[0] = 154.0  # a second is left, and a step takes 4.4
    assert clock.is_done(10)
    clock.overhead = 300.0  # however long the preparation took, half of the minutes is training
    assert clock.training_seconds == 30


def test_a_pace_too_slow_to_learn_is_told_with_what_helps() -> None:
    pace = Pace(Budget(minutes=1.5), 2000, (224, 224), ((112, 112), (56, 56)), min_steps=100)
    warning = pace.warning(4, 0.26)
    assert warning.startswith("only about 4 steps (0.26 passes over 2,000 images) fit into 1.5 minutes at 224x224")
    assert "--size 56x56 gives about 64" in warning
    assert "--minutes 38 gives about 100" in warning
    assert pace.warning(150, 3.0) == ""
    assert pace.warning(150, 0.5)
    assert "fitted into" in pace.warning(4, 0.26, finished=True)
    fixed = Pace(Budget(steps=5), 200, (8, 8), (), min_steps=100)
    assert fixed.warning(5, 0.4) == (
        "the run has only 5 steps (0.4 passes over 200 images), which is little to learn from: --steps 100"
    )


def test_without_convolutions_nothing_is_measured() -> None:
    choice = choose_fast_path(nn.Linear(2, 2), Classify(("a", "b")), {}, accelerator="cpu", key="linear")
    assert (choice.precision, choice.memory_format) == ("32-true", "contiguous")


@pytest.mark.parametrize(
    ("optimizer", "count", "batch", "lr"),
    [("sgd", 55_000, 256, 0.4), ("sgd", 1_300, 64, 0.1), ("sgd", 10, 16, 0.025), ("adamw", 1_300, 64, 0.2)],
)
def test_small_data_gets_small_batches(optimizer: Any, count: int, batch: int, lr: float) -> None:
    config = RunConfig("classify", "cnn", recipe=Recipe(optimizer=optimizer, lr=0.4, batch=256))
    fitted, note = fit_batch(config, count, {})
    assert (fitted.recipe.batch, fitted.recipe.lr) == (batch, pytest.approx(lr))
    assert bool(note) == (batch != 256)
    assert fit_batch(config, count, {"batch": 256}) == (config, "")
    assert fit_batch(config, count, {"lr": 0.4}) == (config, "")


def test_muon_steps_as_that_of_torch_does() -> None:
    torch.manual_seed(0)
    ours, theirs = nn.Linear(40, 24, bias=False), nn.Linear(40, 24, bias=False)
    theirs.load_state_dict(ours.state_dict())
    before = ours.weight.detach().clone()
    recipe = Recipe(optimizer="muon", lr=0.01, momentum=0.9, weight_decay=0.1)
    optimizer = make_optimizer(ours, recipe, dtype=torch.bfloat16)
    reference = torch.optim.Muon(
        theirs.parameters(), lr=0.01, momentum=0.9, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"
    )
    for _ in range(4):
        ours.weight.grad = torch.randn(24, 40)
        theirs.weight.grad = ours.weight.grad.clone()
        optimizer.step()
        reference.step()
    assert (ours.weight - before).abs().max() > 0.01
    assert torch.allclose(ours.weight, theirs.weight, atol=1e-5)


def test_muon_takes_the_same_step_however_filters_lie_in_memory() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(4, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 6, 1))
    other = copy.deepcopy(network).to(memory_format=torch.channels_last)
    recipe = Recipe(optimizer="muon", lr=0.01, momentum=0.9, weight_decay=0.1)
    optimizers = [make_optimizer(one, recipe) for one in (network, other)]
    for step in range(3):
        for mine, its in zip(network.parameters(), other.parameters(), strict=True):
            mine.grad = torch.randn(mine.shape)
            its.grad = mine.grad.clone()
            if step and its.ndim == 4:
                its.grad = its.grad.contiguous(memory_format=torch.channels_last)
        for optimizer in optimizers:
            optimizer.step()
    for mine, its in zip(network.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(mine, its, atol=1e-6, rtol=1e-5)


def test_muon_takes_filters_as_matrices_and_leaves_vectors_and_embeddings_to_adamw() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3), nn.Embedding(5, 4))
    other = copy.deepcopy(network)
    muon = make_optimizer(network, Recipe(optimizer="muon", lr=0.01, weight_decay=0.0))
    adamw = make_optimizer(other, Recipe(optimizer="adamw", lr=0.01, weight_decay=0.0))
    before = [p.detach().clone() for p in network.parameters()]
    for mine, its in zip(network.parameters(), other.parameters(), strict=True):
        mine.grad = torch.randn(mine.shape)
        its.grad = mine.grad.clone()
    muon.step()
    adamw.step()
    for (name, mine), its, was in zip(network.named_parameters(), other.parameters(), before, strict=True):
        if mine.ndim == 4:
            assert mine.grad is not None
            change = (was - mine.detach()).flatten(1)
            u, _, v = torch.linalg.svd(mine.grad.flatten(1), full_matrices=False)
            # Along the orthogonal factor of the gradient, at the size of AdamW's steps.
            assert torch.cosine_similarity(change.flatten(), (u @ v).flatten(), dim=0) > 0.98, name
            assert float(change.square().mean().sqrt()) == pytest.approx(0.2 * 0.01, rel=0.3), name
        else:
            assert torch.equal(mine, its), name
